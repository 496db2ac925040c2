import { assert } from '../base/assert.ts';
import { RollcallError } from '../base/errors.ts';
import { apiBounds } from './bounds.ts';

interface Waiter {
  readonly settle: (isTurn: boolean) => void;
  readonly refuse: (error: RollcallError) => void;
}

/** What a refused caller is asked to wait. */
const noLeaderRetryAfterMs = 200;

/**
 * The room for writes of sessions on one member: how many are with the leader at once, the others waiting in the order
 * in which they came, and how many bytes wait in all.
 */
export class SessionSlots {
  readonly #inFlightMax: number;
  readonly #bytesMax: number;
  /** By who waits, in the order of coming. */
  readonly #waiting = new Map<object, Waiter>();
  #inFlight = 0;
  #bytes = 0;

  constructor(
    inFlightMax: number = apiBounds.sessionWritesInFlightMax,
    bytesMax: number = apiBounds.sessionBytesQueuedMax,
  ) {
    this.#inFlightMax = inFlightMax;
    this.#bytesMax = bytesMax;
  }

  /** Bytes wait up to the bound. */
  get full(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  addBytes(bytes: number): void {
    this.#bytes += bytes;
    assert(this.#bytes >= 0, 'more bytes taken away than queued');
  }

  /** Those that have not had their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves with true when it is the caller's turn; call `leave` after it. Resolves with false where `forget` of the
   * same owner is called before, and rejects where `refuseWaiting` is. An owner waits once at a time.
   */
  async enter(owner: object = {}): Promise<boolean> {
    if (this.#inFlight < this.#inFlightMax) {
      this.#inFlight++;
      return true;
    }
    // The slot is handed over by who leaves: the count stays.
    assert(!this.#waiting.has(owner), 'an owner waits for two turns');
    return new Promise<boolean>((settle, refuse) => this.#waiting.set(owner, { settle, refuse }));
  }

  /** The owner has left: it must not hold a place among those that wait. Nothing where it has none. */
  forget(owner: object): void {
    const waiter = this.#waiting.get(owner);
    this.#waiting.delete(owner);
    waiter?.settle(false);
  }

  /**
   * One that had its turn found no leader for as long as a write may take: those that wait would find the same, one
   * after the other, each only after as long again.
   */
  refuseWaiting(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    const message = 'no leader takes writes of this member; nothing was proposed';
    for (const { refuse } of waiting) {
      refuse(new RollcallError('NO_LEADER', message, { retryAfterMs: noLeaderRetryAfterMs }));
    }
  }

  leave(): void {
    assert(this.#inFlight > 0, 'left what was not entered');
    for (const [owner, next] of this.#waiting) {
      this.#waiting.delete(owner);
      next.settle(true);
      return;
    }
    this.#inFlight--;
  }
}
