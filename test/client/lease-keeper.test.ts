import { afterEach, describe, expect, it } from 'vitest';
import { RollcallClient } from '../../src/client/client.ts';
import type { ClientError } from '../../src/client/client-error.ts';
import { FakeMember, until, v1 } from './fake-member.ts';

const { KEEP_ALIVE_STATUS_RENEWED, KEEP_ALIVE_STATUS_UNKNOWN, KEEP_ALIVE_STATUS_UNAVAILABLE } = v1.KeepAliveStatus;
type Status = (typeof v1.KeepAliveStatus)[keyof typeof v1.KeepAliveStatus];

const members: FakeMember[] = [];
const clients: RollcallClient[] = [];

interface Renewals {
  /** Ids of each request. */
  readonly requests: number[][];
  /** When each arrived. */
  readonly times: number[];
}

async function member(
  statusOf: (leaseId: number, n: number) => Status | 'silent',
  ttlMs = 900,
): Promise<FakeMember & Renewals> {
  const renewals: Renewals = { requests: [], times: [] };
  const started = await FakeMember.start({
    keepAlive: (stream) => {
      stream.on('data', (bytes: Buffer) => {
        const { leaseIds } = v1.KeepAliveRequest.decode(bytes);
        const n = renewals.requests.length;
        renewals.requests.push(leaseIds);
        renewals.times.push(performance.now());
        const results = leaseIds.map((leaseId) => ({ leaseId, status: statusOf(leaseId, n), ttlMs }));
        if (results.some(({ status }) => status === 'silent')) return;
        const answer = { results: results.map((each) => ({ ...each, status: each.status as number })) };
        stream.write(Buffer.from(v1.KeepAliveResponse.encode(answer).finish()));
      });
    },
  });
  members.push(started);
  return Object.assign(started, renewals);
}

function client(...servers: readonly string[]): RollcallClient {
  const made = new RollcallClient({ spread: false, servers });
  clients.push(made);
  return made;
}

afterEach(() => {
  for (const made of clients.splice(0)) made.close();
  for (const started of members.splice(0)) started.kill();
});

const renewed = (): Status => KEEP_ALIVE_STATUS_RENEWED;

describe('a keeper of leases', () => {
  it('renews leases in messages of at most 1,000 on one stream, at once and then at a third of the TTL', async () => {
    const a = await member(renewed);
    const leaseIds = Array.from({ length: 2_500 }, (_, i) => i + 1);
    const startMs = performance.now();
    const keeper = client(a.address).keepAlive({ leaseIds });
    await until(() => a.requests.flat().length >= 7_500, 'three rounds');
    expect(a.requests.slice(0, 3).map(({ length }) => length)).toEqual([1_000, 1_000, 500]);
    expect(new Set(a.requests.flat()).size).toBe(2_500);
    expect(a.streams).toBe(1);
    // A third of the TTL each, at most a grain earlier; the machine may only make it later.
    expect((a.times.at(-1) ?? 0) - startMs).toBeGreaterThan(2 * (900 / 3 - 900 / 24));
    expect(keeper.size).toBe(2_500);
  });

  it('counts the lease from when the acknowledged renewal was sent', async () => {
    const a = await member(renewed, 60_000);
    const keeper = client(a.address).keepAlive({ leaseIds: [7] });
    expect(keeper.remainingMs(7)).toBeUndefined();
    await until(() => keeper.remainingMs(7) !== undefined, 'the renewal');
    expect(keeper.remainingMs(7)).toBeLessThanOrEqual(60_000);
    expect(keeper.remainingMs(7)).toBeGreaterThan(55_000);
    expect(keeper.remainingMs(8)).toBeUndefined();
  });

  it('says which lease is lost and keeps the others', async () => {
    const a = await member((id, n) => (id === 2 && n > 0 ? KEEP_ALIVE_STATUS_UNKNOWN : KEEP_ALIVE_STATUS_RENEWED));
    const lost: number[] = [];
    const keeper = client(a.address).keepAlive({ leaseIds: [1, 2, 3], onLost: (id) => lost.push(id) });
    await until(() => a.requests.length >= 3, 'three rounds');
    expect(lost).toEqual([2]);
    expect(new Set(a.requests.at(-1))).toEqual(new Set([1, 3]));
    expect(keeper.size).toBe(2);
  });

  it('moves all of them to another member when its own is killed', async () => {
    const a = await member(renewed);
    const b = await member(renewed);
    const trouble: ClientError[] = [];
    client(a.address, b.address).keepAlive({ leaseIds: [1, 2], onTrouble: (error) => trouble.push(error) });
    await until(() => a.requests.length === 1, 'the first round');
    a.kill();
    await until(() => b.requests.length >= 1, 'the second member is asked');
    expect(new Set(b.requests.flat())).toEqual(new Set([1, 2]));
    expect(trouble[0]?.reason).toBe('BROKEN');
  });

  it('moves to another member when an answer does not come', async () => {
    const a = await member((_, n) => (n === 0 ? KEEP_ALIVE_STATUS_RENEWED : 'silent'));
    const b = await member(renewed);
    const trouble: ClientError[] = [];
    client(a.address, b.address).keepAlive({ leaseIds: [1], onTrouble: (error) => trouble.push(error) });
    await until(() => b.requests.length >= 1, 'the second member is asked');
    expect((b.times[0] ?? 0) - (a.times[1] ?? 0)).toBeGreaterThan(480);
    expect(trouble[0]?.message).toMatch(/did not answer a renewal within 500 ms/);
  });

  it('asks again, elsewhere where it can, when no leader confirmed the renewal', async () => {
    const a = await member((_, n) => (n < 2 ? KEEP_ALIVE_STATUS_UNAVAILABLE : KEEP_ALIVE_STATUS_RENEWED));
    const seen: number[] = [];
    client(a.address).keepAlive({ leaseIds: [1], onRenewed: (id) => seen.push(id) });
    await until(() => seen.length === 1, 'the renewal');
    expect([a.requests.length, a.streams]).toEqual([3, 1]);
    const b = await member(() => KEEP_ALIVE_STATUS_UNAVAILABLE);
    client(b.address, a.address).keepAlive({ leaseIds: [2], onRenewed: (id) => seen.push(id) });
    await until(() => seen.includes(2), 'the renewal by the other member');
  });

  it('takes a member that answers something else for broken', async () => {
    const a = await FakeMember.start({
      keepAlive: (stream) => stream.on('data', () => stream.write(Buffer.from('0a00', 'hex').subarray(0, 0))),
    });
    members.push(a);
    const b = await member(renewed);
    const trouble: ClientError[] = [];
    client(a.address, b.address).keepAlive({ leaseIds: [1], onTrouble: (error) => trouble.push(error) });
    await until(() => b.requests.length >= 1, 'the second member is asked');
    expect(trouble[0]?.reason).toBe('BAD_ANSWER');
  });

  it('renews what is added, no more what is removed, and nothing once it is closed', async () => {
    const a = await member(renewed);
    const c = client(a.address);
    const keeper = c.keepAlive();
    keeper.add(1);
    keeper.add(1);
    keeper.add(2);
    await until(() => a.requests.length === 1, 'the first round');
    expect(a.requests[0]).toEqual([1, 2]);
    keeper.remove(1);
    await until(() => a.requests.length === 2, 'the second round');
    expect(a.requests[1]).toEqual([2]);
    keeper.close();
    await until(() => a.openStreams === 0, 'the stream ends');
    expect(() => keeper.add(3)).toThrow(/closed/);
    const other = c.keepAlive({ leaseIds: [5] });
    c.close();
    expect(other.size).toBe(0);
  });

  it('refuses what is no lease, and more than 100,000', () => {
    const c = client('127.0.0.1:1');
    expect(() => c.keepAlive({ leaseIds: [0] })).toThrow(/lease_id/);
    const keeper = c.keepAlive({ leaseIds: Array.from({ length: 100_000 }, (_, i) => i + 1) });
    expect(() => keeper.add(100_001)).toThrow(/at most 100000/);
  });
});
