import { describe, expect, it } from 'vitest';
import { Driver, nameOf, register, reload, specBytes } from './driver.ts';
import { specOf, metaOf } from '../../src/state-machine/view-codec.ts';

describe('RegistryState', () => {
  it('registers, updates and deregisters', () => {
    const driver = new Driver();
    const { result, events } = driver.apply(register(nameOf('a'), { lifetime: { kind: 'ttl', ttlMs: 5_000 } }));
    expect(result).toEqual({
      kind: 'registered',
      revision: 1,
      incarnation: 1,
      leaseId: 1,
      ttlMs: 5_000,
      replaced: false,
    });
    const view = driver.state.view('default', 'web', 'a') ?? new Uint8Array();
    expect(events).toEqual([{ kind: 'put', revision: 1, name: nameOf('a'), view }]);
    expect(specOf(view)).toEqual(specBytes('spec of a'));
    expect(metaOf(view)).toEqual({
      incarnation: 1,
      createRevision: 1,
      modifyRevision: 1,
      createTimeMs: 1_000_000,
      modifyTimeMs: 1_000_000,
      leaseId: 1,
    });
    driver.apply({ kind: 'update', name: nameOf('a'), spec: specBytes('new'), incarnation: 1 });
    driver.apply({ kind: 'deregister', name: nameOf('a'), incarnation: 1 }, { reason: 'done' });
    expect([...driver.state.changes('default', 'web', 0, 3)].map((event) => event.kind)).toEqual([
      'put',
      'put',
      'delete',
    ]);
    expect(driver.state.lease(1)).toBeUndefined();
    const contents = new Map<string, Uint8Array>();
    const frozen = driver.state.freeze();
    for (const { key, value } of frozen.changes()) if (value !== undefined) contents.set(key, value);
    expect(reload(contents, frozen.position).stateHash).toBe(driver.state.stateHash());
  });
});
