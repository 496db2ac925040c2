// Three real members, every method on each of them: what a user is promised, over the ports that users have.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { must } from '../../src/base/assert.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import type { WatchReader } from './registry-caller.ts';
import { instanceOf, reasonOf, RegistryCaller } from './registry-caller.ts';

const { KEEP_ALIVE_STATUS_RENEWED: renewed, KEEP_ALIVE_STATUS_UNKNOWN: unknown } = rollcall.v1.KeepAliveStatus;
const stale = rollcall.v1.Consistency.CONSISTENCY_STALE;
const ids = ['a', 'b', 'c'] as const;
/** In specs, request ids and reasons of every test; must not be found in logs, metrics or health. */
const canary = 'canary-7f3a';

let directory: string;
let cluster: ProcessCluster;
let callers: Map<string, RegistryCaller>;
let readers: WatchReader[];
let leader: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-end-to-end-'));
  // Every line that there is: each call and each flush is slow at 1 ms.
  const extraConfiguration = 'log:\n  level: debug\n  slowMs: 1\n';
  cluster = new ProcessCluster({ directory, members: await planMembers(3), extraConfiguration });
  cluster.startAll();
  leader = await cluster.leader(20_000);
  callers = new Map(cluster.members.map(({ id, client }) => [id, new RegistryCaller(`127.0.0.1:${client}`)]));
  readers = [];
});

afterAll(async () => {
  for (const reader of readers) reader.cancel();
  for (const caller of callers.values()) caller.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

function at(id: string): RegistryCaller {
  return must(callers.get(id), id);
}

/** The one after `id`, so that what one member wrote is asked of another. */
function other(id: string): RegistryCaller {
  return at(must(ids[(ids.indexOf(id as 'a') + 1) % ids.length], 'another member'));
}

function watchAt(id: string): WatchReader {
  const reader = at(id).watch();
  readers.push(reader);
  return reader;
}

function spec(service: string, id: string, version = ''): rollcall.v1.IInstanceSpec {
  const tags = [`tag-${canary}`];
  return instanceOf(service, id, { version, tags, metadata: { [`key-${canary}`]: `value-${canary}` } });
}

async function found(member: RegistryCaller, service: string): Promise<string[]> {
  const { instances } = await member.discover({ service });
  return instances.map(({ spec: one }) => one?.id ?? '');
}

describe.each(ids)('member %s', (id) => {
  const service = `calls-${id}`;

  it('registers with a lease of its own, on one granted before, and for good', async () => {
    const member = at(id);
    const own = await member.register({ instance: spec(service, 'own'), ttlMs: 60_000, requestId: `${canary}-${id}` });
    expect(own).toMatchObject({ ttlMs: 60_000, replaced: false, header: { member: id } });
    const lease = await other(id).grantLease({ ttlMs: 60_000 });
    const on = await member.register({ instance: spec(service, 'on'), leaseId: lease.leaseId });
    expect(on).toMatchObject({ leaseId: lease.leaseId, ttlMs: 60_000 });
    const kept = await member.register({ instance: spec(service, 'persistent'), persistent: true });
    expect(kept).toMatchObject({ leaseId: 0, ttlMs: 0 });
    expect(await found(other(id), service)).toEqual(['on', 'own', 'persistent']);
    expect(await reasonOf(member.register({ instance: spec(service, 'x'), leaseId: 999_999 }))).toBe('UNKNOWN_LEASE');
    expect(await member.keepAlive([own.leaseId, 999_999, lease.leaseId])).toMatchObject([
      { leaseId: own.leaseId, status: renewed, ttlMs: 60_000 },
      { leaseId: 999_999, status: unknown },
      { leaseId: lease.leaseId, status: renewed },
    ]);
    expect(await member.revokeLease({ leaseId: lease.leaseId, reason: canary })).toMatchObject({
      existed: true,
      instances: 1,
    });
    expect(await other(id).revokeLease({ leaseId: lease.leaseId })).toMatchObject({ existed: false });
    expect(await found(other(id), service)).toEqual(['own', 'persistent']);
  });

  it('keeps conditions, and refuses what is superseded', async () => {
    const member = at(id);
    const instance = spec(`conditions-${id}`, 'i', '1.0.0');
    const first = await member.register({ instance, persistent: true, ifAbsent: true });
    expect(await reasonOf(other(id).register({ instance, persistent: true, ifAbsent: true }))).toBe(
      'ALREADY_REGISTERED',
    );
    const second = await other(id).register({ instance, persistent: true, ifIncarnation: first.incarnation });
    expect(second.replaced).toBe(true);
    expect(second.incarnation).toBeGreaterThan(first.incarnation);
    const old = { persistent: true, ifIncarnation: first.incarnation };
    expect(await reasonOf(member.register({ instance, ...old }))).toBe('SUPERSEDED');
    expect(await reasonOf(member.register({ instance: spec(`conditions-${id}`, 'none'), ...old }))).toBe(
      'UNKNOWN_INSTANCE',
    );
    const newer = { ...instance, version: '2.0.0' };
    expect(await reasonOf(member.update({ instance: newer, incarnation: first.incarnation }))).toBe('SUPERSEDED');
    expect(await member.update({ instance: newer, incarnation: second.incarnation })).toMatchObject({ changed: true });
    expect(await member.update({ instance: newer, incarnation: second.incarnation })).toMatchObject({ changed: false });
    const { instances } = await other(id).discover({ service: instance.service ?? '' });
    expect(instances.map(({ spec: one, meta }) => [one?.version, meta?.incarnation])).toEqual([
      ['2.0.0', second.incarnation],
    ]);
    const key = { service: instance.service ?? '', id: 'i' };
    expect(await reasonOf(member.deregister({ key, incarnation: first.incarnation }))).toBe('SUPERSEDED');
    expect(await member.deregister({ key, incarnation: second.incarnation, reason: canary })).toMatchObject({
      existed: true,
    });
    expect(await other(id).deregister({ key })).toMatchObject({ existed: false });
    expect(await reasonOf(member.update({ instance: newer, incarnation: second.incarnation }))).toBe(
      'UNKNOWN_INSTANCE',
    );
  });

  it('answers reads: linearizable, stale, as of a revision, by pages', async () => {
    const name = `reads-${id}`;
    const written = [];
    for (const one of ['i1', 'i2', 'i3']) {
      written.push(await other(id).register({ instance: spec(name, one), persistent: true }));
    }
    const minRevision = must(written.at(-1)?.header?.revision, 'revision');
    const member = at(id);
    const linear = await member.discover({ service: name });
    expect(linear).toMatchObject({ known: true, nextPageToken: '', header: { member: id, consistency: 0, ageMs: 0 } });
    expect(linear.header?.revision).toBeGreaterThanOrEqual(minRevision);
    const old = await member.discover({ service: name, consistency: stale, minRevision });
    expect(old.instances.map(({ spec: one }) => one?.id)).toEqual(['i1', 'i2', 'i3']);
    expect(old.header).toMatchObject({ consistency: stale, member: id });
    expect(await reasonOf(member.discover({ service: name, minRevision: minRevision + 1_000_000 }))).toBe(
      'MEMBER_BEHIND',
    );
    expect(await member.discover({ service: `nothing-${id}` })).toMatchObject({ known: false, instances: [] });
    const first = await member.discover({ service: name, pageSize: 2 });
    expect(first.instances.length).toBe(2);
    // A token of one member is another's as well.
    const rest = await other(id).discover({ service: name, pageSize: 2, pageToken: first.nextPageToken });
    expect(rest).toMatchObject({ nextPageToken: '', firstRevision: first.firstRevision });
    expect(rest.instances.map(({ spec: one }) => one?.id)).toEqual(['i3']);
    for (const suffix of ['x', 'y']) {
      await member.register({ instance: spec(`${name}.${suffix}`, 'i'), persistent: true });
    }
    const services = await other(id).listServices({ prefix: `${name}.`, pageSize: 1 });
    expect(services.services).toMatchObject([{ namespace: 'default', service: `${name}.x`, instances: 1 }]);
    const more = await member.listServices({ prefix: `${name}.`, pageSize: 1, pageToken: services.nextPageToken });
    expect([more.services.map((one) => one.service), more.nextPageToken]).toEqual([[`${name}.y`], '']);
  });

  it('serves many watches on one stream: snapshot, deltas, marks, once, cancel', async () => {
    const [one, two] = [`watch1-${id}`, `watch2-${id}`];
    await at(id).register({ instance: spec(one, 'i'), persistent: true });
    const reader = watchAt(id).create({ watchId: 1, service: one }).create({ watchId: 2, service: two });
    await Promise.all([reader.sent(1, 1), reader.sent(2, 1)]);
    await other(id).register({ instance: spec(two, 'j'), persistent: true });
    await other(id).deregister({ key: { service: one, id: 'i' } });
    expect(await reader.sent(1, 2)).toEqual(['snapshot +i', 'delta -i DEREGISTERED']);
    expect(await reader.sent(2, 2)).toEqual(['snapshot', 'delta +j']);
    reader.create({ watchId: 3, service: two, once: true });
    expect(await reader.sent(3, 2)).toEqual(['snapshot +j', 'ended']);
    reader.create({ watchId: 4, service: two, progressIntervalMs: 100 });
    expect(await reader.sent(4, 3)).toEqual(['snapshot +j', 'progress', 'progress']);
    reader.stop(4);
    reader.stop(2);
    expect((await reader.sent(2, 3)).at(-1)).toBe('ended');
    await waitFor('the end of watch 4', 5_000, async () => (reader.lines(4).at(-1) === 'ended' ? true : undefined));
    await other(id).register({ instance: spec(one, 'k'), persistent: true });
    expect((await reader.sent(1, 3)).at(-1)).toBe('delta +k');
    for (const watchId of [1, 2, 4]) expect(reader.breaks(watchId)).toEqual([]);
    // A plain client: one create, and its side is closed.
    const plain = watchAt(id).create({ watchId: 1, service: one }).halfClose();
    await plain.sent(1, 1);
    await other(id).deregister({ key: { service: one, id: 'k' } });
    expect(await plain.sent(1, 2)).toEqual(['snapshot +k', 'delta -k DEREGISTERED']);
    const once = watchAt(id).create({ watchId: 1, service: two, once: true }).halfClose();
    await waitFor('the end of the stream', 5_000, async () => once.code);
    expect([once.code, once.lines(1)]).toEqual([0, ['snapshot +j', 'ended']]);
  });

  it('lets a watch go on where another one on another member stopped', async () => {
    const name = `resume-${id}`;
    await at(id).register({ instance: spec(name, 'i'), persistent: true });
    const before = watchAt(id).create({ watchId: 1, service: name });
    await before.sent(1, 1);
    const resumeRevision = must(before.of(1)[0]?.toRevision, 'revision of the snapshot');
    before.cancel();
    await at(id).register({ instance: spec(name, 'j'), persistent: true });
    await at(id).deregister({ key: { service: name, id: 'i' } });
    const reader = other(id).watch().create({ watchId: 1, service: name, resumeRevision });
    readers.push(reader);
    await waitFor('what was missed', 10_000, async () => (reader.lines(1).join(' ').includes('-i') ? true : undefined));
    const lines = reader.lines(1).join(' ').replaceAll('delta ', '');
    expect(lines).toBe('+j -i DEREGISTERED');
    expect([reader.of(1)[0]?.fromRevision, reader.breaks(1)]).toEqual([resumeRevision, []]);
    const future = watchAt(id).create({ watchId: 1, service: name, resumeRevision: resumeRevision + 1_000_000 });
    expect(await future.sent(1, 1)).toEqual(['ended MEMBER_BEHIND']);
  });

  it('says what it is: status, health, reflection, metrics', async () => {
    const status = must(await cluster.statusOf(id), 'a status');
    expect(status).toMatchObject({ memberId: id, leaderId: leader, fenced: false, boot: 1 });
    expect(status.members.map(({ memberId, reachable }) => [memberId, reachable])).toEqual(
      ids.map((one) => [one, true]),
    );
    expect(status.stateHash).toMatch(/^[0-9a-f]{32}$/);
    const { raw } = at(id);
    const serving = Buffer.from([0x08, 1]);
    const name = Buffer.from('rollcall.v1.Registry');
    const request = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
    for (const asked of [Buffer.alloc(0), request]) {
      expect(await raw.unary('/grpc.health.v1.Health/Check', asked)).toEqual(serving);
    }
    const symbol = Buffer.concat([Buffer.from([0x22, name.length]), name]);
    const file = await raw.unary('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', symbol);
    expect(file.includes('InstanceSpec')).toBe(true);
    const { http } = must(
      cluster.members.find((one) => one.id === id),
      'member',
    );
    const health = await fetch(`http://127.0.0.1:${http}/healthz`);
    expect([health.status, await health.json()]).toMatchObject([200, { status: 'serving', member: id, leader }]);
    const metrics = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
    expect(metrics).toMatch(/rollcall_grpc_calls_total\{method="Register",code="OK"\} [1-9]/);
  });
});

describe('across members', () => {
  it('a repeat of a request gets the first answer, and another request with its id none', async () => {
    const requestId = `${canary}-repeat`;
    const request = { instance: spec('repeat', 'i'), ttlMs: 60_000, requestId };
    const first = await at('a').register(request);
    for (const id of ['b', 'c', 'a']) {
      const { incarnation, leaseId, replaced, header } = await at(id).register(request);
      expect({ incarnation, leaseId, replaced }).toEqual({
        incarnation: first.incarnation,
        leaseId: first.leaseId,
        replaced: false,
      });
      expect(header?.revision).toBe(first.header?.revision);
    }
    const another = at('b').register({ ...request, instance: spec('repeat', 'j') });
    expect(await reasonOf(another)).toBe('REQUEST_ID_REUSED');
    expect(await found(at('c'), 'repeat')).toEqual(['i']);
  });

  it('a lease that nobody renews ends, not early, and its watchers on all members see the same', async () => {
    const watches = ids.map((id) => watchAt(id).create({ watchId: 1, service: 'ends' }));
    await Promise.all(watches.map((reader) => reader.sent(1, 1)));
    const before = performance.now();
    const { leaseId } = await at('b').register({ instance: spec('ends', 'i'), ttlMs: 1_000 });
    expect(await Promise.all(watches.map((reader) => reader.sent(1, 3)))).toEqual(
      ids.map(() => ['snapshot', 'delta +i', 'delta -i LEASE_EXPIRED']),
    );
    // Counted from before the call, which is before its arrival at the leader: no clock but this one is compared.
    expect(performance.now() - before).toBeGreaterThan(1_000);
    const deltas = watches.map((reader) =>
      reader
        .of(1)
        .slice(1)
        .map(({ toRevision, events }) => [toRevision, events]),
    );
    expect(deltas[1]).toEqual(deltas[0]);
    expect(deltas[2]).toEqual(deltas[0]);
    expect(await at('c').keepAlive([leaseId])).toMatchObject([{ status: unknown }]);
    expect(await found(at('a'), 'ends')).toEqual([]);
  });

  it('an instance that was taken over does not go with its old lease', async () => {
    const reader = watchAt('c').create({ watchId: 1, service: 'taken' });
    await reader.sent(1, 1);
    const { leaseId } = await at('a').grantLease({ ttlMs: 1_500 });
    await at('a').register({ instance: spec('taken', 'moved'), leaseId });
    await at('a').register({ instance: spec('taken', 'stays-behind'), leaseId });
    const taken = await at('b').register({ instance: spec('taken', 'moved'), ttlMs: 60_000 });
    expect(taken.replaced).toBe(true);
    await waitFor('the end of the old lease', 15_000, async () =>
      reader.lines(1).some((line) => line.includes('-stays-behind LEASE_EXPIRED')) ? true : undefined,
    );
    for (const id of ids) expect(await found(at(id), 'taken')).toEqual(['moved']);
    expect(reader.lines(1).some((line) => line.includes('-moved'))).toBe(false);
    // The same for a lease that is revoked; one that came with an instance goes with it.
    const again = await at('c').grantLease({ ttlMs: 60_000 });
    await at('c').register({ instance: spec('taken', 'moved'), leaseId: again.leaseId });
    expect(await at('b').revokeLease({ leaseId: taken.leaseId })).toMatchObject({ existed: false, instances: 0 });
    await at('b').register({ instance: spec('taken', 'moved'), persistent: true });
    expect(await at('a').revokeLease({ leaseId: again.leaseId })).toMatchObject({ existed: true, instances: 0 });
    expect(await found(at('a'), 'taken')).toEqual(['moved']);
    expect(reader.breaks(1)).toEqual([]);
  });

  it('all agree in the end, and tell nobody what clients wrote', async () => {
    const statuses = [...(await cluster.converged(15_000)).values()];
    expect(new Set(statuses.map(({ stateHash }) => stateHash)).size).toBe(1);
    for (const { id, http } of cluster.members) {
      const log = readFileSync(cluster.logFileOf(id), 'utf8');
      expect(log).toMatch(/a slow call/);
      expect(log).not.toContain(canary);
      const lines = log
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { level: string; event?: string });
      expect(lines.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
      expect(lines.some(({ event }) => event === 'role')).toBe(true);
      for (const path of ['/metrics', '/healthz']) {
        expect(await (await fetch(`http://127.0.0.1:${http}${path}`)).text()).not.toContain(canary);
      }
    }
  });
});
