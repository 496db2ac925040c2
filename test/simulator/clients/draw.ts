import { must } from '../../../src/base/assert.ts';
import { SeededRandom } from '../../../src/base/random.ts';

/** Spreads a run's seed and a number over the seeds of what is drawn for that number alone. */
export function seedFor(seed: number, what: number): number {
  let mixed = (seed % 2 ** 32) ^ Math.imul(what + 1, 0x9e3779b1) ^ Math.floor(seed / 2 ** 32);
  for (let round = 0; round < 3; round += 1) {
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  }
  return (what % 2 ** 20) * 2 ** 32 + ((mixed ^ (mixed >>> 16)) >>> 0);
}

/** What one action draws: leaving out another moves none of it. */
export class Draw {
  readonly #random: SeededRandom;

  constructor(seed: number, ordinal: number) {
    this.#random = new SeededRandom(seedFor(seed, ordinal));
  }

  below(limitExclusive: number): number {
    return this.#random.below('action', limitExclusive);
  }

  /** From `least` to `most`, both included. */
  within(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(share: number): boolean {
    return this.below(1_000) < share * 1_000;
  }

  pick<T>(items: readonly T[]): T {
    return must(items[this.below(items.length)], 'something to draw from');
  }

  /** One of the names, each as likely as its weight says; undefined where all weights are 0. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name | undefined {
    const entries = Object.entries(weights) as [Name, number][];
    const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
    if (total <= 0) return undefined;
    let left = (this.below(1_000_000) / 1_000_000) * total;
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return entries.at(-1)?.[0];
  }
}
