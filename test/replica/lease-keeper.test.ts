import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseKeeper } from '../../src/replica/lease-keeper.ts';

const tickMs = 50;

function keeperWith(leases: readonly { leaseId: number; ttlMs: number }[], nowTick = 0): LeaseKeeper {
  const keeper = new LeaseKeeper(tickMs, nowTick);
  for (const lease of leases) keeper.begin({ ...lease, epoch: 1 }, nowTick);
  return keeper;
}

describe('LeaseKeeper', () => {
  it('lets a lease fall due one tick after its time to live, never before', () => {
    const keeper = keeperWith([{ leaseId: 7, ttlMs: 1_000 }]);
    for (let tick = 1; tick <= 20; tick++) expect(keeper.due(tick, 10)).toEqual([]);
    expect(keeper.due(21, 10)).toEqual([{ leaseId: 7, epoch: 1 }]);
  });

  it('rounds a time to live that is no whole number of ticks up', () => {
    const keeper = keeperWith([{ leaseId: 7, ttlMs: 1_001 }]);
    expect(keeper.due(21, 10)).toEqual([]);
    expect(keeper.due(22, 10)).toHaveLength(1);
  });

  it('counts a renewal from its arrival', () => {
    const keeper = keeperWith([{ leaseId: 7, ttlMs: 1_000 }]);
    expect(keeper.due(20, 10)).toEqual([]);
    expect(keeper.touch(7, 20)).toBe('live');
    expect(keeper.due(40, 10)).toEqual([]);
    expect(keeper.due(41, 10)).toHaveLength(1);
  });

  it('keeps an expiring lease expiring until the outcome is known', () => {
    const keeper = keeperWith([{ leaseId: 7, ttlMs: 1_000 }]);
    keeper.due(21, 10);
    expect(keeper.isExpiring(7)).toBe(true);
    expect(keeper.touch(7, 22)).toBe('expiring');
    keeper.restore(7, 22);
    expect(keeper.touch(7, 22)).toBe('live');
    expect(keeper.due(42, 10)).toEqual([]);
    expect(keeper.due(43, 10)).toHaveLength(1);
  });

  it('lets a restored lease that nobody renews fall due again at the next tick', () => {
    const keeper = keeperWith([{ leaseId: 7, ttlMs: 1_000 }]);
    keeper.due(21, 10);
    keeper.restore(7, 21);
    expect(keeper.due(22, 10)).toEqual([{ leaseId: 7, epoch: 1 }]);
  });

  it('hands out no more than asked for; the rest falls due at the next tick', () => {
    const leases = Array.from({ length: 25 }, (_, i) => ({ leaseId: i + 1, ttlMs: 1_000 }));
    const keeper = keeperWith(leases);
    expect(keeper.due(21, 10)).toHaveLength(10);
    expect(keeper.due(22, 10)).toHaveLength(10);
    expect(keeper.due(23, 10)).toHaveLength(5);
    expect(keeper.due(24, 10)).toEqual([]);
  });

  it('forgets an ended lease, and a new one in its place has its own deadline', () => {
    const keeper = keeperWith([{ leaseId: 7, ttlMs: 1_000 }]);
    keeper.change({ kind: 'ended', leaseId: 7, remaining: 0 }, 10);
    expect(keeper.touch(7, 10)).toBe('unknown');
    keeper.begin({ leaseId: 8, epoch: 3, ttlMs: 1_000 }, 10);
    expect(keeper.due(30, 10)).toEqual([]);
    expect(keeper.due(31, 10)).toEqual([{ leaseId: 8, epoch: 3 }]);
  });

  it('keeps leases that live longer than the wheel turns', () => {
    const ttlMs = 24 * 3_600 * 1_000;
    const keeper = keeperWith([{ leaseId: 1, ttlMs }]);
    const length = ttlMs / tickMs + 1;
    expect(keeper.due(length - 1, 10)).toEqual([]);
    expect(keeper.due(length, 10)).toHaveLength(1);
  });

  it('agrees with a plain map of deadlines over random lives', () => {
    const step = fc.record({
      what: fc.constantFrom('begin', 'touch', 'end', 'tick', 'tick', 'tick'),
      leaseId: fc.integer({ min: 1, max: 8 }),
      ttlMs: fc.integer({ min: 1_000, max: 400_000 }),
      ticks: fc.integer({ min: 1, max: 5_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const keeper = new LeaseKeeper(tickMs, 0);
        const plain = new Map<number, { deadline: number; ttlMs: number }>();
        let now = 0;
        const lengthOf = (ttlMs: number): number => Math.ceil(ttlMs / tickMs) + 1;
        for (const { what, leaseId, ttlMs, ticks } of steps) {
          const known = plain.get(leaseId);
          if (what === 'begin' && known === undefined) {
            keeper.begin({ leaseId, epoch: 1, ttlMs }, now);
            plain.set(leaseId, { deadline: now + lengthOf(ttlMs), ttlMs });
          } else if (what === 'touch') {
            expect(keeper.touch(leaseId, now)).toBe(known === undefined ? 'unknown' : 'live');
            if (known !== undefined) known.deadline = now + lengthOf(known.ttlMs);
          } else if (what === 'end') {
            keeper.change({ kind: 'ended', leaseId, remaining: 0 }, now);
            plain.delete(leaseId);
          } else {
            now += ticks;
            const due = keeper.due(now, 1_000).map((lease) => lease.leaseId);
            const expected = [...plain].filter(([, lease]) => lease.deadline <= now).map(([id]) => id);
            expect(new Set(due)).toEqual(new Set(expected));
            expect(due).toHaveLength(expected.length);
            for (const id of due) {
              keeper.change({ kind: 'ended', leaseId: id, remaining: 0 }, now);
              plain.delete(id);
            }
          }
          expect(keeper.size).toBe(plain.size);
        }
      }),
      { numRuns: 300 },
    );
  });
});
