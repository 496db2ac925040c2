import { describe, expect, it } from 'vitest';
import { InvariantError, must } from '../../src/base/assert.ts';
import { encodeBatch, encodeCommand } from '../../src/state-machine/command-codec.ts';
import type { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { CommandBody, CommandResult, RefusalReason } from '../../src/state-machine/types.ts';
import { metaOf, specOf } from '../../src/state-machine/view-codec.ts';
import { command, Driver, nameOf, persistent, register, specBytes } from './driver.ts';

const ttl = (ttlMs: number) => ({ kind: 'ttl', ttlMs }) as const;
const onLease = (leaseId: number) => ({ kind: 'lease', leaseId }) as const;
const update = (id: string, spec: string, incarnation: number): CommandBody => ({
  kind: 'update',
  name: nameOf(id),
  spec: specBytes(spec),
  incarnation,
});
const deregister = (id: string, incarnation: number): CommandBody => ({
  kind: 'deregister',
  name: nameOf(id),
  incarnation,
});
const expire = (leaseId: number, epoch: number, term: number): CommandBody => ({
  kind: 'expire-lease',
  leaseId,
  epoch,
  term,
});

function metaIn(state: RegistryState, id: string): ReturnType<typeof metaOf> {
  return metaOf(must(state.view('default', 'web', id), id));
}

/** Refused as said, with no change to anything but the position. */
function expectRefused(
  driver: Driver,
  body: CommandBody,
  reason: RefusalReason,
  field: string,
  stamp: { term?: number } = {},
): void {
  const { revision } = driver.state.position;
  const hash = driver.state.stateHash();
  const { result, events, leases } = driver.apply(body, {}, stamp);
  expect(result).toMatchObject({ kind: 'refused', reason, field, revision });
  expect({ events, leases }).toEqual({ events: [], leases: [] });
  expect(driver.state.position.revision).toBe(revision);
  expect(driver.state.stateHash()).toBe(hash);
}

describe('register', () => {
  it('over nothing: a new incarnation, with the view of the proto file', () => {
    const driver = new Driver();
    const { result, events, leases } = driver.apply(
      register(nameOf('a'), { lifetime: ttl(5_000) }),
      {},
      { wallMs: 1_234 },
    );
    expect(result).toEqual({
      kind: 'registered',
      revision: 1,
      incarnation: 1,
      leaseId: 1,
      ttlMs: 5_000,
      replaced: false,
    });
    const view = must(driver.state.view('default', 'web', 'a'), 'view');
    expect(events).toEqual([{ kind: 'put', revision: 1, name: nameOf('a'), view, before: undefined }]);
    expect(leases).toEqual([{ kind: 'live', leaseId: 1, epoch: 1, ttlMs: 5_000 }]);
    expect(specOf(view)).toEqual(specBytes('spec of a'));
    expect(metaOf(view)).toEqual({
      incarnation: 1,
      createRevision: 1,
      modifyRevision: 1,
      createTimeMs: 1_234,
      modifyTimeMs: 1_234,
      leaseId: 1,
    });
    expect(driver.state.lease(1)).toEqual({ leaseId: 1, epoch: 1, ttlMs: 5_000, ended: false, instances: 1 });
    expect(driver.state.incarnationOf('default', 'web', 'a')).toBe(1);
  });

  it('takes over whatever is there, keeps its creation, and ends its implicit lease', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a'), { lifetime: ttl(5_000) }), {}, { wallMs: 1 });
    const { result, events, leases } = driver.apply(register(nameOf('a'), { lifetime: ttl(6_000) }), {}, { wallMs: 2 });
    expect(result).toMatchObject({ revision: 2, incarnation: 2, leaseId: 2, ttlMs: 6_000, replaced: true });
    expect(events).toHaveLength(1);
    expect(leases).toEqual([
      { kind: 'live', leaseId: 2, epoch: 1, ttlMs: 6_000 },
      { kind: 'ended', leaseId: 1, remaining: 0 },
    ]);
    expect(metaIn(driver.state, 'a')).toEqual({
      incarnation: 2,
      createRevision: 1,
      modifyRevision: 2,
      createTimeMs: 1,
      modifyTimeMs: 2,
      leaseId: 2,
    });
    expect(driver.state.liveLeases(0, 100).map((lease) => lease.leaseId)).toEqual([2]);
  });

  it('leaves an explicit lease without instances alive', () => {
    const driver = new Driver();
    driver.apply({ kind: 'grant-lease', ttlMs: 9_000 });
    driver.apply(register(nameOf('a'), { lifetime: onLease(1) }));
    expect(driver.apply(register(nameOf('a'))).leases).toEqual([]);
    expect(driver.state.lease(1)).toMatchObject({ instances: 0, ended: false });
    expect(metaIn(driver.state, 'a').leaseId).toBe(0);
  });

  it('attaches to a live lease, its own one too, and raises the epoch each time', () => {
    const driver = new Driver();
    driver.apply({ kind: 'grant-lease', ttlMs: 9_000 });
    for (const [id, epoch] of [
      ['a', 2],
      ['b', 3],
      ['a', 4],
    ] as const) {
      const { result, leases } = driver.apply(register(nameOf(id), { lifetime: onLease(1) }));
      expect(result).toMatchObject({ leaseId: 1, ttlMs: 9_000 });
      expect(leases).toEqual([{ kind: 'live', leaseId: 1, epoch, ttlMs: 9_000 }]);
    }
    expect(driver.state.lease(1)).toMatchObject({ epoch: 4, instances: 2 });
  });

  it('may attach to an implicit lease, which lives until the last instance is gone', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a'), { lifetime: ttl(5_000) }));
    driver.apply(register(nameOf('b'), { lifetime: onLease(1) }));
    expect(driver.apply(register(nameOf('a'), { lifetime: onLease(1) })).result).toMatchObject({ leaseId: 1 });
    expect(driver.apply(deregister('a', 0)).leases).toEqual([]);
    expect(driver.apply(deregister('b', 0)).leases).toEqual([{ kind: 'ended', leaseId: 1, remaining: 0 }]);
    expect(driver.state.lease(1)).toBeUndefined();
  });

  it('is refused by its conditions and by a lease that is not live', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a')));
    driver.apply({ kind: 'grant-lease', ttlMs: 9_000 });
    driver.apply({ kind: 'revoke-lease', leaseId: 1 });
    expectRefused(driver, register(nameOf('a'), { ifAbsent: true }), 'ALREADY_REGISTERED', 'if_absent');
    expectRefused(driver, register(nameOf('a'), { ifIncarnation: 2 }), 'SUPERSEDED', 'if_incarnation');
    expectRefused(driver, register(nameOf('b'), { ifIncarnation: 1 }), 'UNKNOWN_INSTANCE', 'if_incarnation');
    expectRefused(driver, register(nameOf('b'), { lifetime: onLease(1) }), 'UNKNOWN_LEASE', 'lease_id');
    expectRefused(driver, register(nameOf('b'), { lifetime: onLease(7) }), 'UNKNOWN_LEASE', 'lease_id');
    expect(driver.apply(register(nameOf('b'), { ifAbsent: true })).result.kind).toBe('registered');
    expect(driver.apply(register(nameOf('a'), { ifIncarnation: 1 })).result).toMatchObject({ replaced: true });
  });
});

describe('update', () => {
  it('keeps lease, incarnation and creation', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a'), { lifetime: ttl(5_000) }), {}, { wallMs: 1 });
    const { result, leases } = driver.apply(update('a', 'new', 1), {}, { wallMs: 2 });
    expect(result).toEqual({ kind: 'updated', revision: 2, changed: true });
    expect(leases).toEqual([]);
    expect(specOf(must(driver.state.view('default', 'web', 'a'), 'view'))).toEqual(specBytes('new'));
    expect(metaIn(driver.state, 'a')).toEqual({
      incarnation: 1,
      createRevision: 1,
      modifyRevision: 2,
      createTimeMs: 1,
      modifyTimeMs: 2,
      leaseId: 1,
    });
    expect(driver.apply(update('a', 'newer', 1)).result).toMatchObject({ changed: true, revision: 3 });
  });

  it('to the same bytes changes nothing', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a')));
    const hash = driver.state.stateHash();
    const { result, events } = driver.apply(update('a', 'spec of a', 1));
    expect(result).toEqual({ kind: 'updated', revision: 1, changed: false });
    expect(events).toEqual([]);
    expect(driver.state.stateHash()).toBe(hash);
  });

  it('of an older incarnation never brings anything back', () => {
    const driver = new Driver();
    expectRefused(driver, update('a', 'new', 1), 'UNKNOWN_INSTANCE', 'instance.id');
    driver.apply(register(nameOf('a')));
    driver.apply(register(nameOf('a')));
    expectRefused(driver, update('a', 'new', 1), 'SUPERSEDED', 'incarnation');
    expectRefused(driver, update('a', 'spec of a', 1), 'SUPERSEDED', 'incarnation');
    driver.apply(deregister('a', 2));
    expectRefused(driver, update('a', 'new', 2), 'UNKNOWN_INSTANCE', 'instance.id');
  });

  it('finds no instance whose lease has ended, though it is not yet removed', () => {
    const driver = new Driver({ eventsPerRevisionMax: 1 });
    driver.apply({ kind: 'grant-lease', ttlMs: 9_000 });
    driver.apply(register(nameOf('a'), { lifetime: onLease(1) }));
    driver.apply(register(nameOf('b'), { lifetime: onLease(1) }));
    driver.apply({ kind: 'revoke-lease', leaseId: 1 });
    expectRefused(driver, update('b', 'new', 2), 'UNKNOWN_INSTANCE', 'instance.id');
  });
});

describe('deregister', () => {
  it('removes with reason, and says where nothing was there', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a'), { lifetime: ttl(5_000) }));
    const before = must(driver.state.view('default', 'web', 'a'), 'view');
    const { result, events, leases } = driver.apply(deregister('a', 1), { reason: 'scaled down' });
    expect(result).toEqual({ kind: 'deregistered', revision: 2, existed: true });
    expect(events).toEqual([
      {
        kind: 'delete',
        revision: 2,
        name: nameOf('a'),
        incarnation: 1,
        cause: 'deregistered',
        reason: 'scaled down',
        before,
      },
    ]);
    expect(leases).toEqual([{ kind: 'ended', leaseId: 1, remaining: 0 }]);
    expect(driver.state.counts()).toEqual({ services: 0, instances: 0, leases: 0, sessions: 0 });
    const again = driver.apply(deregister('a', 1));
    expect(again.result).toEqual({ kind: 'deregistered', revision: 2, existed: false });
    expect(again.events).toEqual([]);
  });

  it('of another incarnation is refused, of any with 0 is not', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a')));
    driver.apply(register(nameOf('a')));
    expectRefused(driver, deregister('a', 1), 'SUPERSEDED', 'incarnation');
    expectRefused(driver, deregister('a', 3), 'SUPERSEDED', 'incarnation');
    expect(driver.apply(deregister('a', 0)).result).toMatchObject({ existed: true });
  });
});

describe('leases', () => {
  it('raise no revision while they are empty', () => {
    const driver = new Driver();
    const granted = driver.apply({ kind: 'grant-lease', ttlMs: 9_000 });
    expect(granted.result).toEqual({ kind: 'lease-granted', revision: 0, leaseId: 1, ttlMs: 9_000 });
    expect(granted.leases).toEqual([{ kind: 'live', leaseId: 1, epoch: 1, ttlMs: 9_000 }]);
    const revoked = driver.apply({ kind: 'revoke-lease', leaseId: 1 });
    const nothing = { kind: 'lease-ended', revision: 0, instances: 0, remaining: 0 };
    expect(revoked.result).toEqual({ ...nothing, existed: true });
    expect(revoked.leases).toEqual([{ kind: 'ended', leaseId: 1, remaining: 0 }]);
    expect(driver.apply({ kind: 'revoke-lease', leaseId: 1 }).result).toEqual({ ...nothing, existed: false });
    expect(driver.apply({ kind: 'grant-lease', ttlMs: 9_000 }).result).toMatchObject({ leaseId: 2 });
    expect(driver.state.position.revision).toBe(0);
  });

  it('take their instances with them in byte order of keys, in one revision', () => {
    const driver = new Driver();
    driver.apply({ kind: 'grant-lease', ttlMs: 9_000 });
    const names = [nameOf('b'), nameOf('B'), nameOf('a', 'web-1'), nameOf('~'), nameOf('a', 'a', 'zone')];
    for (const name of names) driver.apply(register(name, { lifetime: onLease(1) }));
    driver.apply(register(nameOf('stays')));
    const { result, events, leases } = driver.apply(expire(1, 6, 1), { actor: 'system', reason: 'silent for 9 s' });
    expect(result).toEqual({ kind: 'lease-ended', revision: 7, existed: true, instances: 5, remaining: 0 });
    expect(events.map(({ name }) => `${name.namespace}/${name.service}/${name.id}`)).toEqual([
      'default/web-1/a',
      'default/web/B',
      'default/web/b',
      'default/web/~',
      'zone/a/a',
    ]);
    for (const event of events) {
      expect(event).toMatchObject({ kind: 'delete', revision: 7, cause: 'lease-expired', reason: 'silent for 9 s' });
    }
    expect(leases).toEqual([{ kind: 'ended', leaseId: 1, remaining: 0 }]);
    expect(driver.state.counts()).toEqual({ services: 1, instances: 1, leases: 0, sessions: 0 });
  });

  it('do not expire by another epoch or term, or twice', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a'), { lifetime: ttl(5_000) }), {}, { term: 3 });
    driver.apply(register(nameOf('b'), { lifetime: onLease(1) }));
    expectRefused(driver, expire(1, 1, 3), 'UNKNOWN_LEASE', 'epoch');
    expectRefused(driver, expire(1, 3, 3), 'UNKNOWN_LEASE', 'epoch');
    expectRefused(driver, expire(1, 2, 2), 'UNKNOWN_LEASE', 'term');
    expectRefused(driver, expire(1, 2, 3), 'UNKNOWN_LEASE', 'term', { term: 4 });
    expect(driver.apply(expire(1, 2, 4)).result).toMatchObject({ kind: 'lease-ended', instances: 2 });
    expectRefused(driver, expire(1, 2, 4), 'UNKNOWN_LEASE', 'lease_id');
  });

  it('end over several revisions, marked first', () => {
    const driver = new Driver({ eventsPerRevisionMax: 2 });
    driver.apply({ kind: 'grant-lease', ttlMs: 9_000 });
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
      driver.apply(register(nameOf(id), { lifetime: onLease(1) }));
    }
    const revoked = driver.apply({ kind: 'revoke-lease', leaseId: 1 }, { reason: 'maintenance' });
    expect(revoked.result).toMatchObject({ revision: 7, existed: true, instances: 6, remaining: 4 });
    expect(revoked.leases).toEqual([{ kind: 'ended', leaseId: 1, remaining: 4 }]);
    expect(driver.state.lease(1)).toMatchObject({ ended: true, instances: 4 });
    expect(driver.state.liveLeases(0, 100)).toEqual([]);
    expect([...driver.state.endedLeases()]).toEqual([driver.state.lease(1)]);
    expectRefused(driver, expire(1, 7, 1), 'UNKNOWN_LEASE', 'lease_id');
    expectRefused(driver, register(nameOf('g'), { lifetime: onLease(1) }), 'UNKNOWN_LEASE', 'lease_id');
    expect(driver.apply({ kind: 'revoke-lease', leaseId: 1 }).result).toMatchObject({ existed: false, remaining: 4 });
    // What a new owner takes over meanwhile is no longer the lease's.
    expect(driver.apply(register(nameOf('c'))).leases).toEqual([]);
    const reaped = driver.apply({ kind: 'reap-lease', leaseId: 1 }, { actor: 'system' });
    expect(reaped.result).toMatchObject({ revision: 9, existed: true, instances: 2, remaining: 1 });
    expect(reaped.events.map((event) => [event.name.id, 'cause' in event ? event.cause : ''])).toEqual([
      ['d', 'lease-revoked'],
      ['e', 'lease-revoked'],
    ]);
    expect(reaped.events[0]).toMatchObject({ reason: 'maintenance' });
    expect(driver.apply(deregister('f', 0)).leases).toEqual([{ kind: 'ended', leaseId: 1, remaining: 0 }]);
    const nothing = { existed: false, instances: 0, remaining: 0 };
    expect(driver.apply({ kind: 'reap-lease', leaseId: 1 }).result).toMatchObject(nothing);
    expect(driver.state.counts()).toEqual({ services: 1, instances: 1, leases: 0, sessions: 0 });
  });

  it('are not reaped while they live', () => {
    const driver = new Driver();
    driver.apply({ kind: 'grant-lease', ttlMs: 9_000 });
    expectRefused(driver, { kind: 'reap-lease', leaseId: 1 }, 'UNKNOWN_LEASE', 'lease_id');
  });
});

describe('request ids', () => {
  it('answer a repeat with the first result, from any member, whatever happened since', () => {
    const driver = new Driver();
    const first = driver.apply(register(nameOf('a')), { requestId: 'r', origin: 'a:1' });
    driver.apply(register(nameOf('a')));
    const repeat = driver.apply(register(nameOf('a')), { requestId: 'r', origin: 'b:2', reason: 'retry' });
    expect(repeat.result).toEqual(first.result);
    expect({ events: repeat.events, leases: repeat.leases }).toEqual({ events: [], leases: [] });
    expect(driver.state.position.revision).toBe(2);
    const repeatInOneEntry = driver.applyAll([
      command(register(nameOf('b')), { requestId: 's' }),
      command(register(nameOf('b')), { requestId: 's' }),
    ]);
    expect(repeatInOneEntry.results[1]).toEqual(repeatInOneEntry.results[0]);
    expect(repeatInOneEntry.events).toHaveLength(1);
  });

  it('remember a refusal too', () => {
    const driver = new Driver();
    const first = driver.apply(deregister('a', 5), { requestId: 'd' });
    driver.apply(register(nameOf('a')));
    expect(driver.apply(deregister('a', 5), { requestId: 'd' }).result).toEqual(first.result);
    const refused = driver.apply(register(nameOf('a'), { ifAbsent: true }), { requestId: 'r' });
    driver.apply(deregister('a', 0));
    const repeat = driver.apply(register(nameOf('a'), { ifAbsent: true }), { requestId: 'r' });
    expect(repeat.result).toEqual(refused.result);
    expect(repeat.result).toMatchObject({ kind: 'refused', reason: 'ALREADY_REGISTERED' });
  });

  it('are refused for another request, or for another caller', () => {
    const driver = new Driver();
    const first = driver.apply(register(nameOf('a')), { requestId: 'r' });
    const reused: CommandResult[] = [
      driver.apply(register(nameOf('b')), { requestId: 'r' }).result,
      driver.apply(register(nameOf('a'), { spec: specBytes('x') }), { requestId: 'r' }).result,
      driver.apply(register(nameOf('a')), { requestId: 'r', actor: 'somebody else' }).result,
    ];
    for (const result of reused) expect(result).toMatchObject({ kind: 'refused', reason: 'REQUEST_ID_REUSED' });
    expect(driver.apply(register(nameOf('a')), { requestId: 'r' }).result).toEqual(first.result);
  });
});

describe('apply', () => {
  it('takes entries in order only, of terms that never fall', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a')), {}, { term: 2 });
    const data = new Uint8Array(0);
    expect(() => driver.state.apply({ index: 1, term: 2, data })).toThrow('index of the applied entry');
    expect(() => driver.state.apply({ index: 3, term: 2, data })).toThrow(InvariantError);
    expect(() => driver.state.apply({ index: 2, term: 1, data })).toThrow('entry of term 1 after one of term 2');
    expect(driver.state.apply({ index: 2, term: 2, data })).toEqual({
      results: [],
      events: [],
      leases: [],
      sessions: [],
    });
    expect(driver.state.position).toEqual({ index: 2, term: 2, revision: 1, replicatedTimeMs: 0 });
  });

  it('sums the milliseconds, and shows the wall time as it is', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a')), {}, { wallMs: 5_000, elapsedMs: 7 });
    driver.apply(register(nameOf('b')), {}, { wallMs: 4_000, elapsedMs: 8 });
    expect(driver.state.position.replicatedTimeMs).toBe(15);
    expect(metaIn(driver.state, 'b').createTimeMs).toBe(4_000);
    expect(() => driver.applyAll([], { elapsedMs: Number.MAX_SAFE_INTEGER })).toThrow('replicated time beyond 2^53');
  });

  it('halts on malformed bytes with the state unchanged, also when good commands stand before them', () => {
    const driver = new Driver();
    driver.apply(register(nameOf('a'), { lifetime: persistent }));
    const good = encodeCommand(command(register(nameOf('b')), { requestId: 'r' }));
    const data = encodeBatch({ wallMs: 1, elapsedMs: 5, commands: [good, good] });
    const before = {
      hash: driver.state.stateHash(),
      position: driver.state.position,
      dirty: driver.state.unflushedBytes,
    };
    const expectUnchanged = (bytes: Uint8Array): void => {
      expect(() => driver.state.apply({ index: 2, term: 1, data: bytes })).toThrow(InvariantError);
      expect(driver.state.position).toEqual(before.position);
      expect(driver.state.stateHash()).toBe(before.hash);
      expect(driver.state.unflushedBytes).toBe(before.dirty);
    };
    for (let length = 1; length < data.length; length += 1) expectUnchanged(data.subarray(0, length));
    expectUnchanged(Uint8Array.of(...data, 0));
    const unknownKind = Uint8Array.from(data);
    unknownKind[data.lastIndexOf(9) + 10] = 99;
    expectUnchanged(unknownKind);
    expect(driver.state.apply({ index: 2, term: 1, data }).results).toHaveLength(2);
  });
});
