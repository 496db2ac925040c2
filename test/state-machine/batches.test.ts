import { describe, expect, it } from 'vitest';
import type { BatchItem, CommandBody, Lifetime } from '../../src/state-machine/types.ts';
import { Driver, nameOf, persistent, register, specBytes } from './driver.ts';

const item = (id: string, rest: Partial<BatchItem> = {}): BatchItem => {
  const spec = specBytes(`spec of ${id}`);
  return { name: nameOf(id), spec, ifAbsent: false, ifIncarnation: 0, keepEqual: false, ...rest };
};
const batch = (items: readonly BatchItem[], lifetime: Lifetime = persistent): CommandBody => {
  return { kind: 'batch-register', lifetime, items };
};

describe('a batch', () => {
  it('registers all its items at one revision, over whatever is there', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('b')));
    const { result, events } = driver.apply(batch([item('c'), item('b'), item('a')]));
    expect(result).toEqual({
      kind: 'batch-registered',
      revision: 2,
      leaseId: 0,
      ttlMs: 0,
      items: [
        { status: 'registered', incarnation: 2 },
        { status: 'replaced', incarnation: 2 },
        { status: 'registered', incarnation: 2 },
      ],
    });
    expect(events.map((event) => [event.revision, event.name.id])).toEqual([
      [2, 'c'],
      [2, 'b'],
      [2, 'a'],
    ]);
  });

  it('grants one lease for all, which goes with its last instance', () => {
    const driver = new Driver();
    const { result, leases } = driver.apply(batch([item('a'), item('b')], { kind: 'ttl', ttlMs: 5_000 }));
    expect(result).toMatchObject({ leaseId: 1, ttlMs: 5_000 });
    expect(leases).toEqual([{ kind: 'live', leaseId: 1, epoch: 1, ttlMs: 5_000 }]);
    expect(driver.state.lease(1)).toMatchObject({ instances: 2 });
    // Registered again on a lease of its own, the first lets go of it; the last ends it.
    expect(driver.apply(batch([item('a')])).leases).toEqual([]);
    expect(driver.apply(batch([item('b')])).leases).toEqual([{ kind: 'ended', leaseId: 1, remaining: 0 }]);
  });

  it('starts the time of a lease once', () => {
    const driver = new Driver();
    driver.apply({ kind: 'grant-lease', ttlMs: 7_000 });
    const { result, leases } = driver.apply(batch([item('a'), item('b'), item('c')], { kind: 'lease', leaseId: 1 }));
    expect(result).toMatchObject({ leaseId: 1, ttlMs: 7_000 });
    expect(leases).toEqual([{ kind: 'live', leaseId: 1, epoch: 2, ttlMs: 7_000 }]);
    expect(driver.state.lease(1)).toMatchObject({ instances: 3 });
  });

  it('registers nothing where one item is refused, and names the first', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('there')));
    const { revision } = driver.state.position;
    const hash = driver.state.stateHash();
    const cases = [
      [
        [item('a'), item('there', { ifAbsent: true }), item('b', { ifIncarnation: 1 })],
        'ALREADY_REGISTERED',
        1,
        'if_absent',
      ],
      [[item('a', { ifIncarnation: 1 })], 'UNKNOWN_INSTANCE', 0, 'if_incarnation'],
      [[item('a'), item('b'), item('there', { ifIncarnation: 9 })], 'SUPERSEDED', 2, 'if_incarnation'],
    ] as const;
    for (const [items, reason, place, field] of cases) {
      const { result, events, leases } = driver.apply(batch(items, { kind: 'ttl', ttlMs: 1_000 }));
      expect(result).toMatchObject({ kind: 'refused', reason, field: `items[${place}].${field}`, revision });
      expect({ events, leases }).toEqual({ events: [], leases: [] });
    }
    for (const leaseId of [1, 2]) {
      const { result } = driver.apply(batch([item('a')], { kind: 'lease', leaseId }));
      expect(result).toMatchObject({ kind: 'refused', reason: 'UNKNOWN_LEASE', field: 'lease_id' });
    }
    expect(driver.state.stateHash()).toBe(hash);
  });

  it('keeps what is equal and persistent already where it is asked to, and only that', () => {
    const driver = new Driver();
    driver.apply(batch([item('a'), item('b')]));
    driver.apply(register(nameOf('leased'), { lifetime: { kind: 'ttl', ttlMs: 1_000 } }));
    const keep = { keepEqual: true };
    const same = driver.apply(batch([item('a', keep), item('b', keep)]));
    expect(same.result).toMatchObject({ revision: 2, items: [{ status: 'kept', incarnation: 1 }, { status: 'kept' }] });
    expect(same.events).toEqual([]);
    const mixed = driver.apply(
      batch([
        item('a', keep),
        item('b', { ...keep, spec: specBytes('new') }),
        item('leased', keep),
        item('c', keep),
        item('d'),
      ]),
    );
    expect(mixed.result).toMatchObject({
      revision: 3,
      items: [
        { status: 'kept', incarnation: 1 },
        { status: 'replaced', incarnation: 3 },
        { status: 'replaced', incarnation: 3 },
        { status: 'registered', incarnation: 3 },
        { status: 'registered', incarnation: 3 },
      ],
    });
    expect(mixed.events).toHaveLength(4);
    // What lives by a lease is not what was there before.
    const leased = driver.apply(batch([item('a', keep)], { kind: 'ttl', ttlMs: 1_000 }));
    expect(leased.result).toMatchObject({ items: [{ status: 'replaced' }] });
    expect(driver.apply(batch([item('c', { ...keep, ifAbsent: true })])).result).toMatchObject({ kind: 'refused' });
  });

  it('of 1,000 items is one revision of 1,000 events', () => {
    const driver = new Driver();
    const items = Array.from({ length: 1_000 }, (_, i) => item(`i${i}`));
    const { result, events } = driver.apply(batch(items));
    expect(result).toMatchObject({ kind: 'batch-registered', revision: 1 });
    expect(events).toHaveLength(1_000);
  });
});
