import { describe, expect, it } from 'vitest';
import { InvariantError, must } from '../../src/base/assert.ts';
import type { Command } from '../../src/state-machine/types.ts';
import { command, Driver, nameOf, persistent, register, reload, specBytes } from './driver.ts';

const onLease = (leaseId: number) => ({ kind: 'lease', leaseId }) as const;

function paddedId(i: number): string {
  return `i${String(i).padStart(5, '0')}`;
}

describe('events of a revision', () => {
  it('are at most 1,000: a lease with 2,500 instances ends in three revisions, in order of keys', () => {
    const driver = new Driver();
    driver.apply({ kind: 'grant-lease', ttlMs: 10_000 });
    for (let start = 0; start < 2_500; start += 500) {
      // Backwards, so that the order of the end is not that of the beginning.
      const ids = Array.from({ length: 500 }, (_, k) => paddedId(2_499 - start - k));
      driver.applyAll(ids.map((id) => command(register(nameOf(id), { lifetime: onLease(1) }))));
    }
    const outcomes = [
      driver.apply({ kind: 'expire-lease', leaseId: 1, epoch: 2_501, term: 1 }),
      driver.apply({ kind: 'reap-lease', leaseId: 1 }),
      driver.apply({ kind: 'reap-lease', leaseId: 1 }),
    ];
    expect(outcomes.map(({ result }) => result)).toMatchObject([
      { kind: 'lease-ended', revision: 2_501, instances: 2_500, remaining: 1_500 },
      { kind: 'lease-ended', revision: 2_502, instances: 1_000, remaining: 500 },
      { kind: 'lease-ended', revision: 2_503, instances: 500, remaining: 0 },
    ]);
    expect(outcomes.map(({ events }) => events.length)).toEqual([1_000, 1_000, 500]);
    const ids = outcomes.flatMap(({ events }) => events.map((event) => event.name.id));
    expect(ids).toEqual(Array.from({ length: 2_500 }, (_, i) => paddedId(i)));
    expect(driver.state.counts()).toEqual({ services: 0, instances: 0, leases: 0, sessions: 0 });
    expect([...driver.state.changes('default', 'web', 2_501, 2_502)]).toHaveLength(1_000);
  });

  it('are exactly 1,000 for a lease that holds as many, and it is gone at once', () => {
    const driver = new Driver();
    driver.apply({ kind: 'grant-lease', ttlMs: 10_000 });
    const ids = Array.from({ length: 1_000 }, (_, i) => paddedId(i));
    driver.applyAll(ids.map((id) => command(register(nameOf(id), { lifetime: onLease(1) }))));
    const { result, events } = driver.apply({ kind: 'revoke-lease', leaseId: 1 });
    expect(result).toMatchObject({ revision: 1_001, instances: 1_000, remaining: 0 });
    expect(events).toHaveLength(1_000);
    expect(driver.state.lease(1)).toBeUndefined();
  });
});

describe('request ids', () => {
  const write = (requestId: string): Command => command({ kind: 'grant-lease', ttlMs: 1_000 }, { requestId });

  it('beyond the bound are refused, never forgotten early; writes without one go on', () => {
    const driver = new Driver({ requestIdsMax: 3, requestIdTtlMs: 100 });
    const first = driver.applyAll([write('1'), write('2'), write('3'), write('4'), write('')]).results;
    expect(first.map((result) => result.kind)).toEqual([
      'lease-granted',
      'lease-granted',
      'lease-granted',
      'refused',
      'lease-granted',
    ]);
    expect(first[3]).toMatchObject({ reason: 'OVERLOADED', field: 'request_id' });
    const later = driver.applyAll([write('1'), write('3'), write('4')], { elapsedMs: 99 }).results;
    expect(later).toMatchObject([first[0], first[2], { kind: 'refused', reason: 'OVERLOADED' }]);
    const after = driver.applyAll([write('4'), write('1')], { elapsedMs: 1 }).results;
    expect(after).toMatchObject([
      { kind: 'lease-granted', leaseId: 5 },
      { kind: 'lease-granted', leaseId: 6 },
    ]);
  });

  it('are forgotten at most 1,000 and two for each command of an entry', () => {
    const driver = new Driver({ requestIdTtlMs: 100 });
    driver.applyAll(Array.from({ length: 1_500 }, (_, i) => write(`old-${i}`)));
    const again = driver.applyAll([write('old-1003'), write('old-1004')], { elapsedMs: 100 }).results;
    // 0 to 1,003 are forgotten with this entry, and the next one is still known, by its lease 1,005.
    expect(again).toMatchObject([{ leaseId: 1_501 }, { leaseId: 1_005 }]);
    expect(driver.applyAll([write('old-1004'), write('old-1499')]).results).toMatchObject([
      { leaseId: 1_502 },
      { leaseId: 1_503 },
    ]);
  });

  it('survive a load with their order and the next sequence', () => {
    const driver = new Driver({ requestIdTtlMs: 100, requestIdsMax: 3 });
    driver.applyAll([write('1')], { elapsedMs: 10 });
    driver.applyAll([write('2')], { elapsedMs: 95 });
    driver.applyAll([write('3')], { elapsedMs: 5 });
    const contents = new Map(driver.flush());
    const { position } = driver.state;
    expect([...contents.keys()].filter((key) => key.startsWith('e/'))).toEqual([
      'e/00000000000001',
      'e/00000000000002',
    ]);
    const { state } = reload(contents, position, driver.bounds);
    driver.applyAll([write('2'), write('1')], { elapsedMs: 94 });
    const entry = must(driver.entries.at(-1), 'entry');
    expect(state.apply(entry).results).toMatchObject([{ leaseId: 2 }, { leaseId: 4 }]);
    expect(state.stateHash()).toBe(driver.state.stateHash());
  });
});

describe('history', () => {
  it('keeps the last revisions up to its bound, whole ones', () => {
    const driver = new Driver({ historyRevisionsMax: 3 });
    for (const id of ['a', 'b', 'c']) driver.apply(register(nameOf(id)));
    expect(driver.state.historyFloor).toBe(0);
    driver.apply(register(nameOf('d')));
    expect(driver.state.historyFloor).toBe(1);
    expect([...driver.state.changes('default', 'web', 1, 4)].map((event) => event.name.id)).toEqual(['b', 'c', 'd']);
    expect([...driver.state.changes('default', 'web', 4, 4)]).toEqual([]);
    expect([...driver.state.changes('default', 'none', 1, 4)]).toEqual([]);
    expect([...driver.state.changes('none', '', 1, 4)]).toEqual([]);
    expect(() => driver.state.changes('default', 'web', 0, 4)).toThrow(InvariantError);
    expect(() => driver.state.changes('default', 'web', 1, 5)).toThrow(InvariantError);
    expect(() => driver.state.changes('default', 'web', 3, 2)).toThrow(InvariantError);
  });

  it('has forgotten the whole of a revision of which records are left, also after a start', () => {
    const driver = new Driver({ historyRevisionsMax: 1 });
    const items = Array.from({ length: 100 }, (_, i) => {
      return { name: nameOf(`i${i}`), spec: specBytes('s'), ifAbsent: false, ifIncarnation: 0, keepEqual: false };
    });
    driver.apply({ kind: 'batch-register', lifetime: persistent, items });
    driver.apply(register(nameOf('later')));
    expect(driver.state.historyFloor).toBe(1);
    const { state } = reload(driver.flush(), driver.state.position, driver.bounds);
    expect(state.historyFloor).toBe(1);
    expect([...state.changes('default', 'web', 1, 2)].map((event) => event.name.id)).toEqual(['later']);
    expect(() => state.changes('default', 'web', 0, 2)).toThrow(InvariantError);
  });

  it('keeps to its bytes, and may remember nothing', () => {
    // Format, revision, kind, the three names, no view before, and the length of the view stand before it.
    const head = 1 + 1 + 1 + 8 + 4 + 2 + 1 + 1;
    const probe = new Driver();
    probe.apply(register(nameOf('a')));
    const bytes = head + must(probe.state.view('default', 'web', 'a'), 'view').length;
    const fits = new Driver({ historyBytesMax: 2 * bytes });
    for (const id of ['a', 'b', 'c']) fits.apply(register(nameOf(id)));
    expect(fits.state.historyFloor).toBe(1);
    const short = new Driver({ historyBytesMax: 2 * bytes - 1 });
    for (const id of ['a', 'b']) short.apply(register(nameOf(id)));
    expect(short.state.historyFloor).toBe(1);
    const none = new Driver({ historyBytesMax: bytes - 1 });
    const { events } = none.apply(register(nameOf('a')));
    expect(none.state.historyFloor).toBe(1);
    expect(events[0]).toMatchObject({ view: none.state.view('default', 'web', 'a') });
  });

  it('makes a service known until its last change is forgotten', () => {
    const driver = new Driver({ historyRevisionsMax: 2 });
    expect(driver.state.isKnown('default', 'web')).toBe(false);
    driver.apply(register(nameOf('a')));
    driver.apply({ kind: 'deregister', name: nameOf('a'), incarnation: 0 });
    expect(driver.state.isKnown('default', 'web')).toBe(true);
    driver.apply(register(nameOf('x', 'other')));
    expect(driver.state.isKnown('default', 'web')).toBe(true);
    driver.apply(register(nameOf('y', 'other')));
    expect(driver.state.isKnown('default', 'web')).toBe(false);
    expect(driver.state.isKnown('default', 'other')).toBe(true);
    expect(driver.state.isKnown('nowhere', 'other')).toBe(false);
  });

  it('is loaded with the state, so that a watcher resumes after a restart', () => {
    const driver = new Driver({ historyRevisionsMax: 3 });
    for (const id of ['a', 'b', 'c', 'a', 'd']) driver.apply(register(nameOf(id)));
    driver.apply({ kind: 'deregister', name: nameOf('b'), incarnation: 0 }, { reason: 'scaled down' });
    const contents = driver.flush();
    const { state } = reload(contents, driver.state.position, driver.bounds);
    expect(state.historyFloor).toBe(3);
    const changes = [...state.changes('default', '', 3, 6)];
    expect(changes).toEqual([...driver.state.changes('default', '', 3, 6)]);
    expect(changes).toMatchObject([
      { kind: 'put', revision: 4, before: expect.any(Uint8Array) },
      { kind: 'put', revision: 5, before: undefined },
      { kind: 'delete', revision: 6, incarnation: 2, reason: 'scaled down', cause: 'deregistered' },
    ]);
    driver.apply(register(nameOf('c')));
    state.apply(must(driver.entries.at(-1), 'entry'));
    expect(state.historyFloor).toBe(4);
    expect(state.stateHash()).toBe(driver.state.stateHash());
    expect([...state.changes('default', '', 4, 7)]).toEqual([...driver.state.changes('default', '', 4, 7)]);
  });

  it('of a store without one begins at the revision that was loaded', () => {
    const driver = new Driver({ historyBytesMax: 1 });
    driver.apply(register(nameOf('a')));
    driver.apply(register(nameOf('b')));
    const contents = driver.flush();
    expect([...contents.keys()].filter((key) => key.startsWith('f/'))).toEqual([]);
    const { state } = reload(contents, driver.state.position, driver.bounds);
    expect(state.historyFloor).toBe(2);
    driver.apply(register(nameOf('c')));
    state.apply(must(driver.entries.at(-1), 'entry'));
    expect(state.historyFloor).toBe(driver.state.historyFloor);
  });

  it('forgets a few records with each command, though a revision goes as a whole', () => {
    const driver = new Driver({ historyRevisionsMax: 1 });
    const items = Array.from({ length: 30 }, (_, i) => ({
      name: nameOf(paddedId(i)),
      spec: new Uint8Array(1),
      ifAbsent: false,
      ifIncarnation: 0,
      keepEqual: false,
    }));
    driver.apply({ kind: 'batch-register', lifetime: { kind: 'persistent' }, items });
    const remembered = (): number => {
      return [...driver.flush().keys()].filter((key) => key.startsWith('f/')).length;
    };
    expect(remembered()).toBe(30);
    driver.apply(register(nameOf('a', 'other')));
    // Eight and two more for the one that was added; nothing of the revision is shown any more.
    expect(driver.state.historyFloor).toBe(1);
    expect(remembered()).toBe(21);
    expect(driver.state.counts().instances).toBe(31);
    for (const { name } of items) driver.apply({ kind: 'deregister', name, incarnation: 0 });
    expect(driver.state.isKnown('default', 'web')).toBe(true);
    expect(remembered()).toBe(1);
  });

  it('costs a store nothing for what is forgotten before it was flushed, and a removal afterwards', () => {
    const driver = new Driver({ historyRevisionsMax: 2 });
    for (let i = 0; i < 5; i += 1) driver.apply(register(nameOf('a')));
    const historyKeys = (): (readonly [string, boolean])[] => {
      const changes = [...driver.state.freeze().changes()].filter(({ key }) => key.startsWith('f/'));
      driver.state.releaseFrozen();
      return changes.map(({ key, value }) => [key, value !== undefined] as const);
    };
    expect(historyKeys()).toEqual([
      ['f/00000000000004/0000', true],
      ['f/00000000000005/0000', true],
    ]);
    driver.apply(register(nameOf('a')));
    expect(historyKeys()).toEqual([
      ['f/00000000000006/0000', true],
      ['f/00000000000004/0000', false],
    ]);
  });
});

describe('pages', () => {
  const filled = (): Driver => {
    const driver = new Driver();
    for (const id of ['c', 'a', 'b', 'd']) driver.apply(register(nameOf(id)));
    for (const service of ['web-1', 'wed', 'api', 'web.x']) driver.apply(register(nameOf('a', service)));
    return driver;
  };

  it('of views stop at their count and bytes, and give at least one', () => {
    const { state } = filled();
    const all = ['a', 'b', 'c', 'd'].map((id) => must(state.view('default', 'web', id), id));
    const bytes = must(all[0], 'view').length;
    const page = (after: string, countMax: number, bytesMax: number) =>
      state.views('default', 'web', after, countMax, bytesMax);
    expect(page('', 10, 10_000)).toEqual({ views: all, lastId: 'd', more: false });
    expect(page('', 4, 4 * bytes)).toEqual({ views: all, lastId: 'd', more: false });
    expect(page('', 3, 10_000)).toEqual({ views: all.slice(0, 3), lastId: 'c', more: true });
    expect(page('', 10, 3 * bytes)).toEqual({ views: all.slice(0, 3), lastId: 'c', more: true });
    expect(page('', 10, 3 * bytes - 1)).toEqual({ views: all.slice(0, 2), lastId: 'b', more: true });
    expect(page('b', 10, 1)).toEqual({ views: all.slice(2, 3), lastId: 'c', more: true });
    expect(page('bb', 10, 10_000).views).toEqual(all.slice(2));
    expect(page('d', 10, 10_000)).toEqual({ views: [], lastId: 'd', more: false });
    expect(state.views('default', 'none', '', 10, 10)).toEqual({ views: [], lastId: '', more: false });
  });

  it('of services follow prefix and name', () => {
    const { state } = filled();
    const page = (prefix: string, after: string, countMax: number) => {
      const { services, more } = state.services('default', prefix, after, countMax);
      return [...services.map(({ service }) => service), more ? 'more' : 'end'];
    };
    expect(page('', '', 10)).toEqual(['api', 'web', 'web-1', 'web.x', 'wed', 'end']);
    expect(page('', 'web', 2)).toEqual(['web-1', 'web.x', 'more']);
    expect(page('', 'web', 3)).toEqual(['web-1', 'web.x', 'wed', 'end']);
    expect(page('web', '', 10)).toEqual(['web', 'web-1', 'web.x', 'end']);
    expect(page('web', 'web', 1)).toEqual(['web-1', 'more']);
    expect(page('web', 'a', 10)).toEqual(['web', 'web-1', 'web.x', 'end']);
    expect(page('web', 'x', 10)).toEqual(['end']);
    expect(state.services('none', '', '', 1)).toEqual({ services: [], more: false });
    expect(state.services('default', 'web', '', 1).services).toEqual([
      { namespace: 'default', service: 'web', instances: 4, modifyRevision: 4 },
    ]);
  });
});
