import { describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import { MemoryCluster } from './memory-cluster.ts';

async function started(cluster: MemoryCluster): Promise<string> {
  await cluster.startAll();
  return cluster.leader();
}

function followerOf(cluster: MemoryCluster, leader: string): string {
  const follower = cluster.members.find(({ id, replica }) => id !== leader && replica !== undefined);
  if (follower === undefined) throw new Error('no follower');
  return follower.id;
}

function othersOf(cluster: MemoryCluster, leader: string): string[] {
  return cluster.members.map(({ id }) => id).filter((id) => id !== leader);
}

/** How long it takes until one of these leads, in virtual ms. */
async function untilOneLeads(cluster: MemoryCluster, ids: readonly string[], msMax: number = 10_000): Promise<number> {
  const startMs = cluster.clock.monotonicMs();
  const isLeader = (id: string): boolean => cluster.replica(id).status().role === 'leader';
  await cluster.until('another leader', () => (ids.some(isLeader) ? true : undefined), msMax);
  return cluster.clock.monotonicMs() - startMs;
}

async function refusal(cluster: MemoryCluster, call: Promise<unknown>): Promise<string> {
  try {
    await cluster.outcome(call);
    return 'no refusal';
  } catch (error) {
    return error instanceof RollcallError ? error.reason : `not typed: ${String(error)}`;
  }
}

describe('leadership', () => {
  it('is handed over on order, from any member, to the one that is named or to the furthest', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const to = followerOf(cluster, leader);
    const term = cluster.replica(leader).status().term;
    expect(await cluster.outcome(cluster.replica(to).admin.transferLeadership(to))).toBe(to);
    expect(await cluster.leader()).toBe(to);
    expect(cluster.replica(to).status().term).toBe(term + 1);
    const next = await cluster.outcome(cluster.replica(to).admin.transferLeadership(''));
    expect(next).not.toBe(to);
    expect(await cluster.leader()).toBe(next);
    await cluster.stop();
  });

  it('stays where the other does not take over within an election timeout', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const dead = followerOf(cluster, leader);
    cluster.kill(dead);
    expect(await refusal(cluster, cluster.replica(leader).admin.transferLeadership(dead))).toBe('TRANSFER_FAILED');
    await cluster.outcome(cluster.register(leader, 'after'));
    await cluster.stop();
  });

  it('passes on before a leader stops, and nobody waits for an election timeout', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const others = cluster.members.map(({ id }) => id).filter((id) => id !== leader);
    const startMs = cluster.clock.monotonicMs();
    const stopped = cluster.outcome(cluster.replica(leader).stop(5_000));
    await cluster.until('another leader', () =>
      others.some((id) => cluster.replica(id).status().role === 'leader') ? true : undefined,
    );
    expect(cluster.clock.monotonicMs() - startMs).toBeLessThan(100);
    await stopped;
    cluster.member(leader).replica = undefined;
    await cluster.stop();
  });

  it('is taken over on evidence within a tenth of an election timeout where the leader is killed', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const others = cluster.members.map(({ id }) => id).filter((id) => id !== leader);
    await cluster.run(1_000);
    const startMs = cluster.clock.monotonicMs();
    cluster.kill(leader);
    await cluster.until('another leader', () =>
      others.some((id) => cluster.replica(id).status().role === 'leader') ? true : undefined,
    );
    expect(cluster.clock.monotonicMs() - startMs).toBeLessThan(100);
    await cluster.outcome(cluster.register(others[0] ?? '', 'after'));
    await cluster.stop();
  });

  it('goes to another where the disk of the leader hangs, and writes go on', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const follower = followerOf(cluster, leader);
    const release = await cluster.holdLog(leader);
    await cluster.outcome(cluster.register(follower, 'while-it-hangs'));
    const next = await cluster.until(
      'another leader',
      () => {
        const { leader: now } = cluster.replica(follower).status();
        return now !== '' && now !== leader ? now : undefined;
      },
      2_500,
    );
    await cluster.outcome(cluster.register(follower, 'behind-it'));
    release();
    expect(await cluster.leader()).toBe(next);
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });

  it('is not touched where only the way between two members breaks', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    await cluster.run(1_000);
    const term = cluster.replica(leader).status().term;
    const other = followerOf(cluster, leader);
    for (let i = 0; i < 5; i++) {
      cluster.network.breakStreams(leader, other);
      await cluster.run(300);
    }
    expect(cluster.replica(leader).status()).toMatchObject({ role: 'leader', term });
    await cluster.stop();
  });

  it('stays through a follower whose disk hangs for five seconds: heartbeats and writes go on', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const { term } = cluster.replica(leader).status();
    const release = await cluster.holdLog(followerOf(cluster, leader));
    for (let i = 0; i < 10; i++) {
      await cluster.outcome(cluster.register(leader, `one-${i}`), 100);
      await cluster.run(500);
    }
    expect(cluster.replica(leader).status()).toMatchObject({ role: 'leader', term });
    release();
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });
});

describe('a leader that fails', () => {
  it.each([
    ['stands still', (cluster: MemoryCluster, leader: string) => cluster.freeze(leader)],
    [
      'is cut off in both directions',
      (cluster: MemoryCluster, leader: string) => {
        for (const id of othersOf(cluster, leader)) cutBoth(cluster, id, leader);
      },
    ],
    [
      'is not heard any more',
      (cluster: MemoryCluster, leader: string) => {
        for (const id of othersOf(cluster, leader)) cluster.network.cut(leader, id);
      },
    ],
    [
      'hears nobody any more',
      (cluster: MemoryCluster, leader: string) => {
        for (const id of othersOf(cluster, leader)) cluster.network.cut(id, leader);
      },
    ],
  ] as const)('and %s is replaced when the election timeout says so, and not sooner', async (_how, fail) => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    await cluster.run(1_000);
    fail(cluster, leader);
    const tookMs = await untilOneLeads(cluster, othersOf(cluster, leader), 4_000);
    expect(tookMs).toBeGreaterThan(300);
    await cluster.outcome(cluster.register(othersOf(cluster, leader)[0] ?? '', 'after'));
    for (const id of othersOf(cluster, leader)) healBoth(cluster, id, leader);
    cluster.kill(leader);
    await cluster.stop();
  });

  it('by a reset of all its streams, again and again, is still the leader', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    await cluster.run(1_000);
    const { term } = cluster.replica(leader).status();
    for (let i = 0; i < 10; i++) {
      for (const id of othersOf(cluster, leader)) cluster.network.breakStreams(leader, id);
      await cluster.run(150);
    }
    expect(cluster.replica(leader).status()).toMatchObject({ role: 'leader', term });
    await cluster.stop();
  });

  it('by a kill that only one of the others sees is replaced all the same', async () => {
    const cluster = new MemoryCluster({ ids: ['a', 'b', 'c', 'd', 'e'] });
    const leader = await started(cluster);
    await cluster.run(1_000);
    const [blind = '', ...others] = othersOf(cluster, leader);
    // What ends there it does not hear of: it goes on believing in the leader until its timeout.
    cutBoth(cluster, blind, leader);
    cluster.kill(leader);
    expect(await untilOneLeads(cluster, others)).toBeLessThan(500);
    await cluster.stop();
  });
});

function cutBoth(cluster: MemoryCluster, one: string, other: string): void {
  cluster.network.cut(one, other);
  cluster.network.cut(other, one);
}

function healBoth(cluster: MemoryCluster, one: string, other: string): void {
  cluster.network.heal(one, other);
  cluster.network.heal(other, one);
}
