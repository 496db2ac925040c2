import { describe, expect, it } from 'vitest';
import { InvariantError, must } from '../../src/base/assert.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import { Driver, nameOf, register, reload, specBytes, start, write } from './driver.ts';

/** A state with every sort of record, and what a store would hold of it. */
function stored(): { readonly driver: Driver; readonly contents: Map<string, Uint8Array> } {
  const driver = new Driver({ eventsPerRevisionMax: 1 });
  driver.apply({ kind: 'grant-lease', ttlMs: 20_000 }, { requestId: 'grant' }, { elapsedMs: 5 });
  for (const id of ['a', 'b', 'c']) driver.apply(register(nameOf(id), { lifetime: { kind: 'lease', leaseId: 1 } }));
  driver.apply(register(nameOf('own'), { lifetime: { kind: 'ttl', ttlMs: 9_000 } }));
  driver.apply({ kind: 'revoke-lease', leaseId: 1 }, { reason: 'why' });
  driver.apply({ kind: 'open-session', ttlMs: 9_000 });
  for (const [i, id] of ['s', 't'].entries()) {
    driver.apply(write(3, i + 1, [start(id)]));
  }
  driver.apply(register(nameOf('s')));
  const contents = new Map<string, Uint8Array>();
  for (const { key, value } of driver.state.freeze().changes()) if (value !== undefined) contents.set(key, value);
  driver.state.releaseFrozen();
  return { driver, contents };
}

describe('loading', () => {
  it('gives the state that was frozen, and goes on as if nothing had happened', () => {
    const { driver, contents } = stored();
    const { state, stateHash } = reload(contents, driver.state.position, driver.bounds);
    expect(stateHash).toBe(driver.state.stateHash());
    expect(state.position).toEqual(driver.state.position);
    expect([...state.endedLeases()]).toEqual([...driver.state.endedLeases()]);
    expect(state.unflushedBytes).toBe(0);
    const reaped = driver.apply({ kind: 'reap-lease', leaseId: 1 });
    expect(reaped.events).toMatchObject([{ name: { id: 'b' }, cause: 'lease-revoked', reason: 'why' }]);
    expect(state.apply(must(driver.entries.at(-1), 'entry'))).toEqual({
      results: reaped.results,
      events: reaped.events,
      leases: reaped.leases,
      sessions: [],
    });
  });

  it('of an empty store is the initial state', () => {
    const fresh = new RegistryState();
    const { state, stateHash } = reload(new Map(), { index: 4, term: 2, revision: 0 });
    expect(stateHash).toBe(fresh.stateHash());
    expect(state.position).toEqual({ index: 4, term: 2, revision: 0, replicatedTimeMs: 0 });
    expect(state.freeze().keys).toBe(0);
    expect(() => reload(new Map(), { index: 4, term: 2, revision: 1 })).toThrow(InvariantError);
  });

  it('of any record cut short, left out, foreign or twice either halts or gives another hash', () => {
    const { driver, contents } = stored();
    const { position } = driver.state;
    const differs = (changed: Map<string, Uint8Array>): void => {
      let stateHash: string;
      try {
        ({ stateHash } = reload(changed, position, driver.bounds));
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(InvariantError);
        return;
      }
      expect(stateHash).not.toBe(driver.state.stateHash());
    };
    for (const [key, value] of contents) {
      const without = new Map(contents);
      without.delete(key);
      differs(without);
      for (let length = 0; length < value.length; length += 1) {
        differs(new Map(contents).set(key, value.subarray(0, length)));
      }
      // One bit of each byte, each time another.
      for (const [at, byte] of value.entries()) {
        const flipped = Uint8Array.from(value);
        flipped[at] = byte ^ (1 << (at & 7));
        differs(new Map(contents).set(key, flipped));
      }
    }
    differs(new Map(contents).set('z', new Uint8Array(1)));
    differs(new Map(contents).set('d/default/none', must(contents.get('d/default/web'), 'record')));
  });

  it('halts on an instance whose lease is not there, and on a lease that should have gone', () => {
    const { driver, contents } = stored();
    const { position } = driver.state;
    const without = (...keys: string[]) => new Map([...contents].filter(([key]) => !keys.includes(key)));
    const lease = [...contents.keys()].filter((key) => key.startsWith('b/'));
    expect(() => reload(without(must(lease[1], 'lease')), position)).toThrow('no lease 2');
    expect(() => reload(without('c/default/web/own'), position)).toThrow('lease 2 should have gone');
    expect(() => reload(without('a'), position)).toThrow('records without counters');
    expect(() => reload(contents, { ...position, revision: 99 })).toThrow('revision of the counters');
  });

  it('takes records in order, on a new object, and nothing else meanwhile', () => {
    const { driver, contents } = stored();
    const state = new RegistryState();
    expect(() => state.addLoaded('a', new Uint8Array(0))).toThrow(InvariantError);
    state.beginLoad(driver.state.position);
    expect(() => state.beginLoad(driver.state.position)).toThrow(InvariantError);
    expect(() => state.apply({ index: 1, term: 1, data: new Uint8Array(0) })).toThrow('apply during a load');
    expect(() => state.freeze()).toThrow(InvariantError);
    state.addLoaded('a', must(contents.get('a'), 'counters'));
    expect(() => state.addLoaded('a', must(contents.get('a'), 'counters'))).toThrow('loaded after');
    expect(() => driver.state.beginLoad(driver.state.position)).toThrow(InvariantError);
  });
});

describe('freezing', () => {
  it('holds exactly the frozen index while later entries change the same keys', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a')));
    driver.apply(register(nameOf('gone')));
    const viewThen = Uint8Array.from(must(driver.state.view('default', 'web', 'a'), 'view'));
    const frozen = driver.state.freeze();
    const bytesFrozen = driver.state.unflushedBytes;
    expect(bytesFrozen).toBe(frozen.bytes);
    for (let i = 0; i < 500; i += 1) {
      driver.apply({ kind: 'update', name: nameOf('a'), spec: specBytes(`spec ${i}`), incarnation: 1 });
    }
    driver.apply({ kind: 'deregister', name: nameOf('gone'), incarnation: 0 });
    const changes = new Map([...frozen.changes()].map(({ key, value }) => [key, value]));
    expect([...changes.keys()].toSorted()).toEqual([
      'a',
      'c/default/web/a',
      'c/default/web/gone',
      'f/00000000000001/0000',
      'f/00000000000002/0000',
    ]);
    expect(frozen.keys).toBe(5);
    expect(changes.get('c/default/web/a')).toEqual(viewThen);
    expect(changes.get('c/default/web/gone')).toBeDefined();
    expect(frozen.position).toMatchObject({ index: 2, revision: 2 });
    expect(driver.state.unflushedBytes).toBeGreaterThan(bytesFrozen);
    expect(() => driver.state.freeze()).toThrow('freeze while a frozen set is held');
    driver.state.releaseFrozen();
    const next = new Map([...driver.state.freeze().changes()].map(({ key, value }) => [key, value]));
    expect(next.get('c/default/web/gone')).toBeUndefined();
    expect(next.has('c/default/web/gone')).toBe(true);
    expect(next.get('c/default/web/a')).toEqual(driver.state.view('default', 'web', 'a'));
    driver.state.releaseFrozen();
    expect(driver.state.unflushedBytes).toBe(0);
    expect(driver.state.freeze().keys).toBe(0);
  });
});
