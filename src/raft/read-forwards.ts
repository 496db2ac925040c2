import { assert } from '../base/assert.ts';
import { contextKey } from './read-rounds.ts';
import type { ReadContext } from './types.ts';

/** Reads asked for in one message; further ones go in the next. */
export const contextsPerMessageMax = 4096;

interface Forwarded {
  readonly context: ReadContext;
  readonly sentTick: number;
}

/** The reads of a member that does not lead: queued for the leader, or sent and not yet answered. */
export class ReadForwards {
  readonly #pendingMax: number;
  #queued = new Map<string, ReadContext>();
  /** In the order of sending. */
  readonly #sent = new Map<string, Forwarded>();

  constructor(pendingMax: number) {
    assert(pendingMax >= 1, () => `bound of ${pendingMax} reads`);
    this.#pendingMax = pendingMax;
  }

  get size(): number {
    return this.#queued.size + this.#sent.size;
  }

  get hasQueued(): boolean {
    return this.#queued.size > 0;
  }

  add(context: ReadContext): 'added' | 'repeated' | 'full' {
    const key = contextKey(context);
    if (this.#queued.has(key) || this.#sent.has(key)) return 'repeated';
    if (this.size >= this.#pendingMax) return 'full';
    this.#queued.set(key, context);
    return 'added';
  }

  /** Takes what is queued, in batches of one message each. */
  send(tick: number): ReadContext[][] {
    const contexts = [...this.#queued.values()];
    for (const [key, context] of this.#queued) this.#sent.set(key, { context, sentTick: tick });
    this.#queued.clear();
    const batches: ReadContext[][] = [];
    for (let start = 0; start < contexts.length; start += contextsPerMessageMax) {
      batches.push(contexts.slice(start, start + contextsPerMessageMax));
    }
    return batches;
  }

  /** Queues again what was sent at or before `tick` and not answered: the request or its answer may be lost. */
  resendSince(tick: number): void {
    const again = new Map<string, ReadContext>();
    for (const [key, forwarded] of this.#sent) {
      // In the order of sending, so the rest is younger.
      if (forwarded.sentTick > tick) break;
      again.set(key, forwarded.context);
    }
    if (again.size === 0) return;
    for (const key of again.keys()) this.#sent.delete(key);
    this.#queued = new Map([...again, ...this.#queued]);
  }

  /** An answer came. False: this read is not waited for, the answer is late or repeated. */
  answered(context: ReadContext): boolean {
    return this.#sent.delete(contextKey(context)) || this.#queued.delete(contextKey(context));
  }

  /** Takes out every read: there is nobody left to answer them. */
  clear(): ReadContext[] {
    const contexts = [...[...this.#sent.values()].map((forwarded) => forwarded.context), ...this.#queued.values()];
    this.#sent.clear();
    this.#queued.clear();
    return contexts;
  }

  /** Asserts the bound. */
  check(): void {
    assert(this.size <= this.#pendingMax, () => `${this.size} reads are pending`);
  }
}
