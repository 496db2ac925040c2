import type { Session } from '../../../src/client/session-types.ts';
import type { KeyText, Outcome } from '../types.ts';
import type { ClientProcess } from './client-process.ts';
import { instanceOf, keyOf } from './keys.ts';
import type { Ok } from './outcomes.ts';
import { answered } from './outcomes.ts';

/** How long one call through a session may take, ms: the library itself waits as long as the session goes on. */
const callTimeoutMs = 8_000;
const noRevision: Outcome = { kind: 'unknown', reason: 'NO_REVISION' };

/** One session of a process, with every call on it told. */
export class SimSession {
  readonly restore: boolean;
  readonly ttlMs: number;
  /** Keys with a call under way: one at a time for each. */
  readonly busy = new Set<KeyText>();
  /** What was ever registered through it, the newest last. */
  readonly started = new Set<KeyText>();
  /** What it was ever asked to register: a call that was given up may have worked. */
  readonly #tried = new Set<KeyText>();
  readonly #process: ClientProcess;
  readonly #session: Session;
  /** As of what was told last: until when it lived for certain. */
  #toldToMs = Number.NEGATIVE_INFINITY;
  #isClosing = false;
  #ended = false;

  constructor(process: ClientProcess, ttlMs: number, restore: boolean) {
    this.#process = process;
    this.ttlMs = ttlMs;
    this.restore = restore;
    const operation = process.begin({ kind: 'open-session', ttlMs });
    let isTold = false;
    this.#session = process.client.openSession({
      ttlMs,
      restore,
      onState: (state) => {
        if (isTold || state !== 'live') return;
        isTold = true;
        const leaseId = this.#session.sessionId;
        void this.#revision().then((read) => {
          process.finish(operation, read === undefined ? noRevision : { ...read, leaseId });
        });
      },
      onEnded: (error) => {
        this.#ended = true;
        const at = process.sessions.indexOf(this);
        if (at !== -1) process.sessions.splice(at, 1);
        if (isTold) return;
        isTold = true;
        process.finish(operation, { kind: 'unknown', reason: error?.reason ?? 'CLOSED' });
      },
    });
    process.sessions.push(this);
  }

  /** Calls may be made. */
  get isUsable(): boolean {
    return !this.#ended && !this.#isClosing;
  }

  holds(key: KeyText): boolean {
    return this.#session.incarnationOf(keyOf(key)) !== undefined;
  }

  /** Tells of a sign of life that was acknowledged since. */
  tellLife(): void {
    const { sessionId, remainingMs } = this.#session;
    if (sessionId === 0 || remainingMs === undefined) return;
    const toMs = this.#process.clock.monotonicMs() + remainingMs;
    // The clock's own rounding is no news.
    if (toMs < this.#toldToMs + 1) return;
    this.#toldToMs = toMs;
    this.#process.kept(sessionId, this.ttlMs, remainingMs);
  }

  /** Tells what it holds, unless it is on its way to its end. */
  tellHoldings(): void {
    if (!this.isUsable) return;
    const { state, sessionId } = this.#session;
    const instances = [...this.#tried].flatMap((key) => {
      const incarnation = this.#session.incarnationOf(keyOf(key));
      return incarnation === undefined ? [] : [{ key, incarnation }];
    });
    this.#process.world.recorder.holds(this.#process.name, { sessionId, state, instances });
  }

  async register(key: KeyText, value: number): Promise<void> {
    this.#tried.add(key);
    const { ttlMs, restore } = this;
    const leaseId = this.#session.sessionId;
    const condition = { ifAbsent: false, ifIncarnation: 0 };
    await this.#exclusively(key, () =>
      this.#process.call(
        { kind: 'register', key, value, lifetime: 'session', leaseId, ttlMs, restore, ...condition },
        async () => {
          const { header, incarnation, replaced } = await this.#session.register(instanceOf(key, value), {
            timeoutMs: callTimeoutMs,
          });
          this.#process.world.keys.heard(key, incarnation);
          this.started.delete(key);
          this.started.add(key);
          return { ...answered(header), incarnation, replaced };
        },
      ),
    );
  }

  async update(key: KeyText, value: number): Promise<void> {
    const incarnation = this.#session.incarnationOf(keyOf(key)) ?? 0;
    await this.#exclusively(key, () =>
      this.#process.call({ kind: 'update', key, value, incarnation }, async () => {
        const updated = await this.#session.update(instanceOf(key, value), { timeoutMs: callTimeoutMs });
        return { ...answered(updated.header), incarnation: updated.incarnation, changed: updated.changed };
      }),
    );
  }

  async deregister(key: KeyText): Promise<void> {
    // One that comes back by itself may have another incarnation by the time that it is removed.
    const incarnation = this.restore ? 0 : (this.#session.incarnationOf(keyOf(key)) ?? 0);
    await this.#exclusively(key, () =>
      this.#process.call({ kind: 'deregister', key, incarnation }, async () => {
        const { header, existed } = await this.#session.deregister(keyOf(key), { timeoutMs: callTimeoutMs });
        return { ...answered(header), existed };
      }),
    );
  }

  async close(): Promise<void> {
    if (!this.isUsable) return;
    this.#isClosing = true;
    const { sessionId } = this.#session;
    if (sessionId === 0) {
      this.#session.abandon();
      return;
    }
    await this.#process.call({ kind: 'close-session', sessionId }, async () => {
      await this.#session.close();
      // Its end is told without a revision: this one is behind it.
      const read = await this.#revision();
      return read === undefined ? noRevision : { ...read, existed: true };
    });
  }

  abandon(): void {
    this.#session.abandon();
  }

  async #exclusively(key: KeyText, run: () => Promise<unknown>): Promise<void> {
    if (!this.isUsable || this.busy.has(key)) return;
    this.busy.add(key);
    await run();
    this.busy.delete(key);
  }

  /** A revision that a quorum knows of now. */
  async #revision(): Promise<Ok | undefined> {
    try {
      const { header } = await this.#process.client.listServices({ prefix: 'none' });
      return answered(header);
    } catch {
      // No quorum in time: what was done stands, but nobody can say behind which revision.
      return undefined;
    }
  }
}
