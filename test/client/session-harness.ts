import type { Clock, Timer } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { ClientOptions } from '../../src/client/client.ts';
import { RollcallClient } from '../../src/client/client.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { LostInstance, Restored, Session, SessionOptions, SessionState } from '../../src/client/session-types.ts';
import type { InstanceInput } from '../../src/client/types.ts';
import { FakeMember } from './fake-member.ts';
import type { Script } from './session-book.ts';
import { SessionBook } from './session-book.ts';

/** A clock that a test advances, and that can jump over timers as for a process that was stopped. */
export class JumpClock implements Clock {
  readonly #clock = new ManualClock();
  #jumpedMs = 0;
  #heldTurns: (() => void)[] | undefined;

  wallMs(): number {
    return this.#clock.wallMs() + this.#jumpedMs;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs() + this.#jumpedMs;
  }

  setTimer(ms: number, callback: () => void): Timer {
    return this.#clock.setTimer(ms, callback);
  }

  nextTurn(callback: () => void): Timer {
    if (this.#heldTurns !== undefined) {
      const turns = this.#heldTurns;
      turns.push(callback);
      return { cancel: () => void turns.splice(turns.indexOf(callback), 1) };
    }
    // As for the real one, the sockets are read before.
    const immediate = setImmediate(callback);
    return { cancel: () => clearImmediate(immediate) };
  }

  advance(ms: number): void {
    this.#clock.advance(ms);
  }

  /** Time passes and no timer fires: those that are due do when the clock is advanced next. */
  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  /** Callbacks of nextTurn wait: the sockets of the turn are not read yet. */
  holdTurns(): void {
    this.#heldTurns = [];
  }

  /** They are. */
  releaseTurns(): void {
    const turns = this.#heldTurns ?? [];
    this.#heldTurns = undefined;
    for (const turn of turns.splice(0)) turn();
  }

  get heldTurns(): number {
    return this.#heldTurns?.length ?? 0;
  }

  get timers(): number {
    return this.#clock.pendingCount;
  }
}

/** What one session told. */
export interface Told {
  readonly states: SessionState[];
  readonly lost: LostInstance[];
  readonly restored: Restored[];
  readonly trouble: ClientError[];
  readonly ended: (ClientError | undefined)[];
}

/** Members that share one book, a client whose time the test owns, and what sessions told. */
export class SessionHarness {
  readonly book = new SessionBook();
  readonly clock = new JumpClock();
  readonly #members: FakeMember[] = [];
  readonly #clients: RollcallClient[] = [];

  async member(script?: Script, port = 0): Promise<FakeMember> {
    const member = await FakeMember.start({ session: this.book.serve(script) }, port);
    this.#members.push(member);
    return member;
  }

  client(servers: readonly string[], options: Partial<ClientOptions> = {}): RollcallClient {
    // Not the same for two: request ids are drawn from it.
    const random = new SeededRandom(7 + this.#clients.length);
    const client = new RollcallClient({ spread: false, clock: this.clock, random, ...options, servers });
    this.#clients.push(client);
    return client;
  }

  /** A session with the first of these members, and with the next ones where that fails. */
  session(
    members: readonly FakeMember[],
    options: SessionOptions = {},
    clientOptions: Partial<ClientOptions> = {},
  ): Session & { readonly told: Told } {
    return this.open(
      this.client(
        members.map(({ address }) => address),
        clientOptions,
      ),
      options,
    );
  }

  open(client: RollcallClient, options: SessionOptions = {}): Session & { readonly told: Told } {
    const told: Told = { states: [], lost: [], restored: [], trouble: [], ended: [] };
    const session = client.openSession({
      ttlMs: 3_000,
      onState: (state) => told.states.push(state),
      onLost: (lost) => told.lost.push(lost),
      onRestored: (restored) => told.restored.push(restored),
      onTrouble: (error) => told.trouble.push(error),
      onEnded: (error) => told.ended.push(error),
      ...options,
    });
    return Object.assign(session, { told });
  }

  /** Lets the client's time pass, about as fast as the real one, until `holds` does. */
  async until(holds: () => boolean, what: string, stepMs = 5, timeoutMs = 45_000): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!holds()) {
      if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
      this.clock.advance(stepMs);
    }
  }

  /** The same until the promise settles. */
  async settled<T>(promise: Promise<T>, what: string): Promise<T> {
    let isSettled = false;
    const mark = (): void => {
      isSettled = true;
    };
    promise.then(mark, mark);
    await this.until(() => isSettled, what);
    return promise;
  }

  async failureOf(promise: Promise<unknown>): Promise<ClientError> {
    const error: unknown = await this.settled(promise, 'a failure').then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof ClientError) return error;
    throw new Error(`no ClientError: ${String(error)}`);
  }

  stop(): void {
    for (const client of this.#clients.splice(0)) client.close();
    for (const member of this.#members.splice(0)) member.kill();
  }
}

export function web(id: string, changes: Partial<InstanceInput> = {}): InstanceInput {
  const endpoints = [{ name: 'main', protocol: 'http', address: '10.0.0.1', port: 80 }];
  return { service: 'web', id, endpoints, ...changes };
}
