import { randomFillSync } from 'node:crypto';
import type { Random } from './random.ts';
import { uniformBelow, uniformBytes } from './random.ts';

const poolWords = 64;

/** Randomness of the operating system, fit for ids that nobody may guess. */
export class SystemRandom implements Random {
  readonly #pool = new Uint32Array(poolWords);
  /** Invariant: 0 <= used <= poolWords; the words before it were handed out and are never used again. */
  #used = poolWords;

  below(_name: string, limitExclusive: number): number {
    return uniformBelow(limitExclusive, () => this.#nextWord());
  }

  bytes(_name: string, length: number): Uint8Array {
    return uniformBytes(length, () => this.#nextWord());
  }

  #nextWord(): number {
    if (this.#used === poolWords) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const word = this.#pool[this.#used] ?? 0;
    this.#pool[this.#used] = 0;
    this.#used += 1;
    return word;
  }
}
