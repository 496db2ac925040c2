import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { SeededRandom, uniformBelow, uniformBytes } from '../../src/base/random.ts';
import { SystemRandom } from '../../src/base/system-random.ts';

const limits = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));

describe.each([
  ['SeededRandom', () => new SeededRandom(7)],
  ['SystemRandom', () => new SystemRandom()],
])('%s', (_name, create) => {
  it('draws integers of [0, limit)', () => {
    const random = create();
    fc.assert(
      fc.property(limits, (limit) => {
        const drawn = random.below('draw', limit);
        expect(Number.isSafeInteger(drawn)).toBe(true);
        expect(drawn).toBeGreaterThanOrEqual(0);
        expect(drawn).toBeLessThan(limit);
      }),
    );
  });

  it('draws every value about equally often', () => {
    const random = create();
    const draws = 60_000;
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < draws; i++) {
      const value = random.below('die', 6);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    // Ten standard deviations: a fair die fails this less than once in 10^22 runs.
    for (const count of counts) expect(Math.abs(count - draws / 6)).toBeLessThan(10 * Math.sqrt((draws * 5) / 36));
  });

  it('reaches the upper bits of wide draws', () => {
    const random = create();
    const drawn = Array.from({ length: 200 }, () => random.below('wide', Number.MAX_SAFE_INTEGER));
    expect(Math.max(...drawn)).toBeGreaterThan(2 ** 52);
    expect(drawn.some((value) => value % 2 === 1)).toBe(true);
  });

  it('fills arrays of any length, each its own', () => {
    const random = create();
    for (const length of [0, 1, 3, 4, 5, 16, 1_000]) expect(random.bytes('id', length)).toHaveLength(length);
    expect(random.bytes('id', 16)).not.toEqual(random.bytes('id', 16));
    expect(new Set(random.bytes('id', 10_000)).size).toBe(256);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 53])('refuses the limit %d', (limit) => {
    expect(() => create().below('draw', limit)).toThrow(/limit of a random draw/);
  });

  it('refuses a length that is none', () => {
    expect(() => create().bytes('id', -1)).toThrow(/length of random bytes/);
  });
});

describe('SeededRandom', () => {
  function draws(random: SeededRandom, name: string, count: number): number[] {
    return Array.from({ length: count }, () => random.below(name, 1_000_000));
  }

  it('repeats itself for the same seed and name', () => {
    expect(draws(new SeededRandom(42), 'election', 50)).toEqual(draws(new SeededRandom(42), 'election', 50));
  });

  it('gives other draws for other seeds and names', () => {
    const seeds = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
    const sequences = seeds.flatMap((seed) =>
      ['a', 'b', 'ab', 'ba'].map((name) => draws(new SeededRandom(seed), name, 4).join()),
    );
    expect(new Set(sequences).size).toBe(sequences.length);
  });

  it('keeps the sequence of a name whatever else is drawn in between', () => {
    const random = new SeededRandom(42);
    const mixed = Array.from({ length: 20 }, () => {
      random.below('other', 10);
      random.bytes('more', 7);
      return random.below('election', 1_000_000);
    });
    expect(mixed).toEqual(draws(new SeededRandom(42), 'election', 20));
  });

  it('gives the draws that recorded seeds rely on', () => {
    expect(draws(new SeededRandom(1), 'election', 4)).toMatchInlineSnapshot(`
      [
        427983,
        174637,
        120743,
        368436,
      ]
    `);
    expect(Buffer.from(new SeededRandom(1).bytes('id', 8)).toString('hex')).toMatchInlineSnapshot(`"46db06ecfee4d610"`);
  });

  it.each([-1, 0.5, 2 ** 53])('refuses the seed %d', (seed) => {
    expect(() => new SeededRandom(seed)).toThrow(/seed is/);
  });

  it('refuses more names than any code has', () => {
    const random = new SeededRandom(1);
    for (let i = 0; i < 10_000; i++) random.below(`name-${i}`, 2);
    expect(() => random.below('one-more', 2)).toThrow(/more than 10000 names/);
    expect(random.below('name-0', 2)).toBeLessThan(2);
  });
});

describe('uniformBelow', () => {
  function words(...values: number[]): () => number {
    return () => must(values.shift(), 'next word');
  }

  it('throws away the incomplete multiple of the limit', () => {
    // 2^32 = 3 * 1,431,655,765 + 1: the last word would make 0 more likely.
    expect(uniformBelow(3, words(2 ** 32 - 1, 5))).toBe(2);
    expect(uniformBelow(3, words(2 ** 32 - 2))).toBe(2);
  });

  it('takes one word up to a limit of 2^32 and two above', () => {
    expect(uniformBelow(2 ** 32, words(2 ** 32 - 1))).toBe(2 ** 32 - 1);
    expect(uniformBelow(2 ** 32 + 1, words(1, 0))).toBe(2 ** 32);
  });
});

describe('uniformBytes', () => {
  it('takes the lowest byte of a word first', () => {
    const words = [0x04030201, 0xff];
    expect([...uniformBytes(5, () => words.shift() ?? 0)]).toEqual([1, 2, 3, 4, 0xff]);
  });
});
