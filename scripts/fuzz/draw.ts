import { SeededRandom } from '../../src/base/random.ts';

/** The largest seed: seed and number of a case fit one 53-bit seed together. */
export const seedMax = 2 ** 21 - 1;
const casesMax = 2 ** 32;

/** The random draws of one case: seed and number of the case give the same ones again, whatever ran before. */
export class Draw {
  readonly #random: SeededRandom;

  constructor(seed: number, caseNumber: number) {
    this.#random = new SeededRandom(seed * casesMax + caseNumber);
  }

  below(limit: number): number {
    return this.#random.below('fuzz', limit);
  }

  /** True once in `n` times. */
  onceIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** An integer of [low, high]. */
  within(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  bytes(length: number): Buffer {
    return Buffer.from(this.#random.bytes('fuzz', length));
  }

  pick<T>(list: readonly T[]): T {
    const one = list[this.below(list.length)];
    if (one === undefined) throw new Error('nothing to pick from');
    return one;
  }

  /** One of the list, as often as its weight says. */
  weighted<T extends { readonly weight: number }>(list: readonly T[]): T {
    let left = this.below(list.reduce((sum, { weight }) => sum + weight, 0));
    for (const one of list) {
      left -= one.weight;
      if (left < 0) return one;
    }
    throw new Error('weights changed while one was drawn');
  }
}
