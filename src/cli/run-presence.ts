import { setTimeout as sleep } from 'node:timers/promises';
import type { RollcallClient } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import type { LostInstance, Session } from '../client/session-types.ts';
import type { InstanceInput } from '../client/types.ts';

export interface PresenceListener {
  readonly onRegistered: (incarnation: number, replaced: boolean) => void;
  /** The registry is away, and not only one member of it; once, until `onBack`. */
  readonly onAway: (error: ClientError) => void;
  readonly onBack: () => void;
  /** Another has the id now, or somebody removed the instance: it is not registered again. */
  readonly onLost: (lost: LostInstance) => void;
  /** Members refuse it for good. */
  readonly onRefused: (error: ClientError) => void;
}

export interface PresenceOptions {
  readonly client: RollcallClient;
  readonly instance: InstanceInput;
  readonly ttlMs: number;
  readonly listener: PresenceListener;
}

/** A member that fails is not worth a word as long as another takes its place. */
const awayMs = 1_500;
/** How often to see whether the registry is back. */
const lookMs = 200;
/** How long to wait where a member asks to come again and does not say when. */
const retryMs = 1_000;

/** One instance in the registry, for as long as its process wants to be there. */
export class Presence {
  readonly #client: RollcallClient;
  readonly #listener: PresenceListener;
  readonly #ttlMs: number;
  #instance: InstanceInput;
  #session: Session | undefined;
  /** Runs from trouble on until a sign of life was acknowledged. */
  #lookTimer: NodeJS.Timeout | undefined;
  #away = false;
  /** Lost, refused, or on its way out. */
  #over = false;
  #registered = false;
  /** The content that members have is not `#instance`. */
  #stale = false;
  #updating = false;
  readonly #leaving = new AbortController();

  constructor({ client, instance, ttlMs, listener }: PresenceOptions) {
    this.#client = client;
    this.#instance = instance;
    this.#ttlMs = ttlMs;
    this.#listener = listener;
  }

  /** Lost, refused or left: nothing comes of it any more. */
  get over(): boolean {
    return this.#over;
  }

  /** Registers it, however long that takes. Called once. */
  async join(): Promise<void> {
    if (this.#over) return;
    const session = (this.#session = this.#client.openSession({
      ttlMs: this.#ttlMs,
      onTrouble: (error) => this.#trouble(error),
      onLost: (lost) => this.#lost(lost),
      onEnded: (error) => {
        if (error !== undefined) this.#refused(error);
      },
    }));
    const registered = await this.#insist(() => {
      this.#stale = false;
      return session.register(this.#instance);
    });
    if (registered === undefined) return;
    this.#registered = true;
    this.#listener.onRegistered(registered.incarnation, registered.replaced);
    this.#back();
    await this.#update();
  }

  /** What the instance says of itself from now on; told as soon as the registry is there. */
  async setStatus(status: 'up' | 'down'): Promise<void> {
    if (this.#instance.status === status) return;
    this.#instance = { ...this.#instance, status };
    this.#stale = true;
    await this.#update();
  }

  /** Deregisters it, or gives up after `timeoutMs` with the reason. Undefined: it is gone, or never was there. */
  async leave(reason: string, timeoutMs: number): Promise<ClientError | undefined> {
    const session = this.#session;
    if (this.#over || session === undefined) return this.#end();
    this.#end();
    // Behind a registration that is on its way, and before the session closes.
    session.deregister(this.#instance, { reason }).catch(() => {});
    try {
      await session.close({ timeoutMs });
      return undefined;
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return this.#registered ? error : undefined;
    }
  }

  /** Leaves without a word: the time to live runs out. */
  abandon(): void {
    this.#end();
    this.#session?.abandon();
  }

  #end(): undefined {
    this.#over = true;
    clearTimeout(this.#lookTimer);
    this.#leaving.abort();
  }

  /** One update at a time, always with what holds now. */
  async #update(): Promise<void> {
    if (this.#updating || !this.#registered) return;
    this.#updating = true;
    while (this.#stale && !this.#over) {
      this.#stale = false;
      await this.#insist(async () => this.#session?.update(this.#instance));
    }
    this.#updating = false;
  }

  /** Goes on where it may succeed later. Undefined: over, or refused, which is told. */
  async #insist<R>(call: () => Promise<R>): Promise<R | undefined> {
    while (!this.#over) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        // An instance that is not ours any more is told as lost.
        const gone = error.reason === 'SUPERSEDED' || error.reason === 'UNKNOWN_INSTANCE';
        if (gone && this.#registered) return undefined;
        if (!error.retryable) {
          this.#refused(error);
          return undefined;
        }
        this.#trouble(error);
        await sleep(error.retryAfterMs ?? retryMs, undefined, { signal: this.#leaving.signal }).catch(() => {});
      }
    }
    return undefined;
  }

  #trouble(error: ClientError): void {
    if (this.#lookTimer !== undefined || this.#over) return;
    const sinceMs = performance.now();
    const look = (): void => {
      if (this.#confirmedMs > sinceMs) {
        this.#back();
        return;
      }
      if (!this.#away) this.#listener.onAway(error);
      this.#away = true;
      this.#lookTimer = setTimeout(look, lookMs);
    };
    this.#lookTimer = setTimeout(look, awayMs);
  }

  #back(): void {
    clearTimeout(this.#lookTimer);
    this.#lookTimer = undefined;
    if (this.#away && !this.#over) this.#listener.onBack();
    this.#away = false;
  }

  /** When the last sign of life was sent that members have acknowledged. */
  get #confirmedMs(): number {
    const remainingMs = this.#session?.remainingMs;
    return remainingMs === undefined ? Number.NEGATIVE_INFINITY : performance.now() - (this.#ttlMs - remainingMs);
  }

  #lost(lost: LostInstance): void {
    if (this.#over) return;
    this.#end();
    // It holds nothing any more.
    this.#session?.close().catch(() => {});
    this.#listener.onLost(lost);
  }

  #refused(error: ClientError): void {
    if (this.#over) return;
    this.abandon();
    this.#listener.onRefused(error);
  }
}
