import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { leftOf, noBudget, packed, readBudget, spent } from './budget.ts';
import { HashSet, NumberList, RowQueue } from './state-store.ts';

describe('a set of hashes', () => {
  it('tells what was there, while it grows', () => {
    const random = new SeededRandom(5);
    const set = new HashSet(8);
    const known = new Set<string>();
    let wrong = 0;
    for (let count = 0; count < 20_000; count++) {
      // Few different values, so that many come again; zero, the mark of a free place, among them.
      const [high, low] = [random.below('high', 60), random.below('low', 400)];
      // Both zero is stored as one and the same with a low half of 1.
      const key = high === 0 && low === 0 ? '0/1' : `${high}/${low}`;
      if (set.add(high, low) === known.has(key)) wrong += 1;
      known.add(key);
    }
    expect(wrong).toBe(0);
    expect(set.size).toBe(known.size);
  });
});

describe('a queue of rows', () => {
  it('gives back every row in order, across chunks', () => {
    const queue = new RowQueue();
    const row = new Int32Array(1_000);
    let wrong = 0;
    for (let number = 0; number < 3_000; number++) {
      row.fill(number, 0, number % 1_000);
      queue.push(row, number % 1_000);
    }
    for (let number = 0; number < 3_000; number++) {
      const length = queue.take(row);
      if (length !== number % 1_000 || row.subarray(0, length).some((value) => value !== number)) wrong += 1;
    }
    expect(wrong).toBe(0);
    expect(queue.take(row)).toBe(-1);
    queue.push(row, 2);
    expect(queue.length).toBe(1);
  });
});

describe('a list of numbers', () => {
  it('grows', () => {
    const list = new NumberList();
    for (let number = 0; number < 50_000; number++) list.push(number * 2);
    expect([list.at(0), list.at(49_999), list.at(50_000), list.length]).toEqual([0, 99_998, -1, 50_000]);
  });
});

describe('a packed budget', () => {
  it('keeps each count apart', () => {
    const all = packed(readBudget('campaigns=15 breaks=3, reads=1 changes=3 suspicions=1', noBudget));
    expect([leftOf(all, 'campaigns'), leftOf(all, 'doubts'), leftOf(all, 'breaks')]).toEqual([15, 0, 3]);
    expect([leftOf(all, 'changes'), leftOf(all, 'transfers'), leftOf(all, 'suspicions')]).toEqual([3, 0, 1]);
    const less = spent(all, 'reads');
    expect([leftOf(less, 'campaigns'), leftOf(less, 'reads'), leftOf(less, 'breaks')]).toEqual([15, 0, 3]);
    expect([leftOf(less, 'changes'), leftOf(less, 'suspicions')]).toEqual([3, 1]);
    // The most of everything has room in 32 bits with a sign.
    const most = 'campaigns=15 doubts=7 beats=15 repeats=7 crashes=7 proposals=7 reads=3 compacts=3 breaks=3';
    expect(packed(readBudget(`${most} changes=3 transfers=1 suspicions=1`, noBudget))).toBe(2 ** 30 - 1);
  });

  it('refuses a count that has no room, and an unknown name', () => {
    expect(() => packed({ ...noBudget, campaigns: 16 })).toThrow('budget of 16 campaigns');
    expect(() => readBudget('votes=1', noBudget)).toThrow('votes=1: expected one of');
  });
});
