// One real member of three is left: what needs a quorum fails in time and says how to go on, what needs none is served.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { must } from '../../src/base/assert.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { detailsOf, failureOf } from '../grpc/grpc-harness.ts';
import { instanceOf, RegistryCaller } from './registry-caller.ts';

const stale = rollcall.v1.Consistency.CONSISTENCY_STALE;
/** Two of the longest election timeouts (20 ticks of 50 ms), and what a busy machine may add. */
const inTimeMs = 2_000 + 2_000;

let directory: string;
let cluster: ProcessCluster;
let caller: RegistryCaller;
let left: string;
let leaseId: number;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-no-quorum-'));
  cluster = new ProcessCluster({ directory, members: await planMembers(3) });
  cluster.startAll();
  const leader = await cluster.leader(20_000);
  const plan = must(
    cluster.members.find(({ id }) => id !== leader),
    'a follower',
  );
  left = plan.id;
  caller = new RegistryCaller(`127.0.0.1:${plan.client}`);
  const answer = await caller.register({ instance: instanceOf('left', 'before'), ttlMs: 3_600_000 });
  leaseId = answer.leaseId;
  await Promise.all(cluster.members.filter(({ id }) => id !== left).map(({ id }) => cluster.kill(id, 'SIGKILL')));
  await waitFor('a member that knows no leader', 10_000, async () => {
    const status = await cluster.statusOf(left);
    return status?.leaderId === '' ? true : undefined;
  });
});

afterAll(async () => {
  caller.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

const key = { service: 'left', id: 'before' };
const instance = instanceOf('left', 'new');

describe('a member without a quorum', () => {
  it.concurrent.each<readonly [name: string, call: () => Promise<unknown>]>([
    ['Register', () => caller.register({ instance, persistent: true })],
    ['BatchRegister', () => caller.batchRegister({ items: [{ instance }], persistent: true })],
    ['Session', () => caller.openSession(10_000)],
    ['Update', () => caller.update({ instance: instanceOf('left', 'before', { version: '2' }), incarnation: 1 })],
    ['Deregister', () => caller.deregister({ key })],
    ['GrantLease', () => caller.grantLease({ ttlMs: 10_000 })],
    ['RevokeLease', () => caller.revokeLease({ leaseId })],
    ['Discover', () => caller.discover({ service: 'left' })],
    ['ListServices', () => caller.listServices({})],
  ])('%s fails in time, and says when to try again', async (_name, call) => {
    const startMs = performance.now();
    const error: ServiceError = await failureOf(call());
    expect(performance.now() - startMs).toBeLessThan(inTimeMs);
    const { errorInfo, retryInfo } = detailsOf(error);
    expect(errorInfo?.reason).toBe('NO_LEADER');
    const { seconds = 0, nanos = 0 } = retryInfo?.retryDelay ?? {};
    expect(Number(seconds) * 1_000 + Number(nanos) / 1e6).toBeGreaterThan(0);
  });

  it('says of a renewal that it may still be kept, and ends a watch that asks for more than it has', async () => {
    const startMs = performance.now();
    const { KEEP_ALIVE_STATUS_UNAVAILABLE: unavailable } = rollcall.v1.KeepAliveStatus;
    expect(await caller.keepAlive([leaseId])).toMatchObject([{ leaseId, status: unavailable }]);
    const reader = caller.watch().create({ watchId: 1, service: 'left' });
    expect(await reader.sent(1, 1)).toEqual(['ended NO_LEADER']);
    expect(performance.now() - startMs).toBeLessThan(2 * inTimeMs);
    reader.cancel();
  });

  it('serves what is stale, and says how old it is', async () => {
    const found = await caller.discover({ service: 'left', consistency: stale });
    expect(found.instances.map(({ spec }) => spec?.id)).toEqual(['before']);
    expect(found.header?.ageMs).toBeGreaterThan(0);
    const { services } = await caller.listServices({ consistency: stale });
    expect(services.map(({ service }) => service)).toEqual(['left']);
    const reader = caller.watch().create({ watchId: 1, service: 'left', consistency: stale });
    expect(await reader.sent(1, 1)).toEqual(['snapshot +before']);
    reader.cancel();
  });

  it('is not well, and says why', async () => {
    const { http } = must(
      cluster.members.find(({ id }) => id === left),
      'member',
    );
    const health = await fetch(`http://127.0.0.1:${http}/healthz`);
    expect([health.status, await health.json()]).toMatchObject([503, { reason: 'no-leader', leader: '' }]);
    const notServing = Buffer.from([0x08, 2]);
    expect(await caller.raw.unary('/grpc.health.v1.Health/Check', Buffer.alloc(0))).toEqual(notServing);
    const status = must(await cluster.statusOf(left), 'status');
    expect(status.members.map(({ reachable }) => reachable).filter(Boolean)).toEqual([true]);
  });

  it('goes on once another one is back: nothing was lost, and no refused write was taken', async () => {
    const reader = caller.watch().create({ watchId: 1, service: 'left', consistency: stale });
    await reader.sent(1, 1);
    const back = must(
      cluster.members.find(({ id }) => id !== left),
      'member',
    );
    cluster.start(back.id);
    await cluster.leader(20_000);
    const found = await waitFor('a linearizable answer', 10_000, () =>
      caller.discover({ service: 'left' }).catch(() => undefined),
    );
    expect(found.instances.map(({ spec }) => spec?.id)).toEqual(['before']);
    await caller.register({ instance, persistent: true });
    expect(await reader.sent(1, 2)).toEqual(['snapshot +before', 'delta +new']);
    expect(reader.breaks(1)).toEqual([]);
    reader.cancel();
  });
});
