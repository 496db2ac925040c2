import { assert } from '../base/assert.ts';
import { apiBounds } from './bounds.ts';

/**
 * The room for writes of sessions on one member: how many are with the leader at once, the others waiting in the order
 * in which they came, and how many bytes wait in all.
 */
export class SessionSlots {
  readonly #inFlightMax: number;
  readonly #bytesMax: number;
  #waiting = new Set<() => void>();
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

  /** Resolves when it is the caller's turn; call `leave` after it. */
  async enter(): Promise<void> {
    if (this.#inFlight < this.#inFlightMax) {
      this.#inFlight++;
      return;
    }
    // The slot is handed over by who leaves: the count stays.
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  leave(): void {
    assert(this.#inFlight > 0, 'left what was not entered');
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      next();
      return;
    }
    this.#inFlight--;
  }
}
