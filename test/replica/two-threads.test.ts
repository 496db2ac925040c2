// What is of its own where the two sides of a member run on two threads: each may stand still alone.
import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { MemoryCluster } from './memory-cluster.ts';

async function started(cluster: MemoryCluster): Promise<{ leader: string; follower: string }> {
  await cluster.startAll();
  const leader = await cluster.leader();
  const follower = must(
    cluster.members.map(({ id }) => id).find((id) => id !== leader),
    'a follower',
  );
  return { leader, follower };
}

function fatal(cluster: MemoryCluster): unknown[] {
  return cluster.members.flatMap((member) => member.fatal);
}

describe('members on two threads', () => {
  it('form, take writes and reads anywhere, and keep what was acknowledged over a restart of all', async () => {
    const cluster = new MemoryCluster({ twoThreads: true });
    await started(cluster);
    for (const { id } of cluster.members) {
      expect(await cluster.outcome(cluster.register(id, `one-${id}`))).toMatchObject({ kind: 'registered' });
    }
    await cluster.stop();
    for (const { id } of cluster.members) cluster.kill(id);
    await cluster.startAll();
    await cluster.leader();
    for (const { id } of cluster.members) await cluster.outcome(cluster.replica(id).readBarrier());
    expect(cluster.members.map(({ id }) => cluster.replica(id).state.counts().instances)).toEqual([3, 3, 3]);
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
    expect(fatal(cluster)).toEqual([]);
  });

  it('go on leading through a pause of the serving side that is not too long', async () => {
    const cluster = new MemoryCluster({ twoThreads: true });
    const { leader, follower } = await started(cluster);
    const { term } = cluster.replica(follower).status();
    cluster.freeze(leader, 'serving');
    await cluster.run(1_900);
    cluster.thaw(leader);
    await cluster.outcome(cluster.register(follower, 'after'));
    expect(cluster.replica(follower).status()).toMatchObject({ leader, term });
    expect(cluster.member(leader).events.some(({ kind }) => kind === 'stalled')).toBe(true);
    await cluster.stop();
  });

  it('give up leading when the serving side stands still for too long, and lead again when it is back', async () => {
    const cluster = new MemoryCluster({ twoThreads: true });
    const { leader, follower } = await started(cluster);
    cluster.freeze(leader, 'serving');
    const next = await cluster.until('another leader', () => {
      const { leader: now } = cluster.replica(follower).status();
      return now !== '' && now !== leader ? now : undefined;
    });
    await cluster.outcome(cluster.register(follower, 'meanwhile'));
    cluster.thaw(leader);
    await cluster.outcome(cluster.replica(leader).readBarrier());
    expect(cluster.replica(leader).state.counts().instances).toBe(1);
    await cluster.run(500);
    expect(await cluster.outcome(cluster.replica(next).admin.transferLeadership(leader))).toBe(leader);
    expect(await cluster.leader()).toBe(leader);
    await cluster.stop();
    expect(fatal(cluster)).toEqual([]);
  });

  it.each(['serving', 'consensus', 'both'] as const)('end no lease for a pause of %s', async (side) => {
    const cluster = new MemoryCluster({ twoThreads: true });
    const { leader, follower } = await started(cluster);
    await cluster.outcome(cluster.execute(follower, { kind: 'grant-lease', ttlMs: 1_000 }));
    await cluster.run(900);
    cluster.freeze(leader, side);
    // On its way when the leader stands still: it must count, whichever side it waits on.
    const renewed = cluster.replica(follower).renew([1]);
    await cluster.run(side === 'serving' ? 1_500 : 450);
    cluster.thaw(leader);
    await cluster.outcome(renewed);
    await cluster.run(300);
    await cluster.outcome(cluster.replica(follower).readBarrier());
    expect(cluster.replica(follower).state.lease(1)).toBeDefined();
    expect(cluster.replica(follower).status().leader).toBe(leader);
    await cluster.until('the lease to end', () =>
      cluster.replica(follower).state.lease(1) === undefined ? true : undefined,
    );
    await cluster.stop();
    expect(fatal(cluster)).toEqual([]);
  });

  it('say that they know no leader, and stop in time, where the consensus side does not answer any more', async () => {
    const cluster = new MemoryCluster({ twoThreads: true });
    const { leader } = await started(cluster);
    cluster.freeze(leader, 'consensus');
    await cluster.run(1_000);
    expect(cluster.replica(leader).status()).toMatchObject({ role: 'leader', leader });
    await cluster.run(2_000);
    expect(cluster.replica(leader).status()).toMatchObject({ role: 'follower', leader: '' });
    await expect(cluster.outcome(cluster.replica(leader).stop(500))).rejects.toThrow('does not answer within 500 ms');
  });

  it('bring a member back by a snapshot', async () => {
    const options = { twoThreads: true, logKeepBytes: 64 * 1024, segmentBytes: 256 * 1024 };
    const cluster = new MemoryCluster(options);
    const { leader, follower } = await started(cluster);
    cluster.kill(follower);
    for (let i = 0; i < 60; i++) await cluster.outcome(cluster.register(leader, `large-${i}`, 10_000));
    await cluster.until('a compaction', () =>
      cluster.member(leader).events.some(({ kind }) => kind === 'compacted') ? true : undefined,
    );
    await cluster.start(follower);
    await cluster.until(
      'the snapshot',
      () => (cluster.member(follower).replaced.length > 1 ? true : undefined),
      30_000,
    );
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.outcome(cluster.register(follower, 'after'));
    await cluster.stop();
    expect(fatal(cluster)).toEqual([]);
  }, 30_000);

  it('end as a whole where the disk of the consensus side fails, by the name of the file', async () => {
    const cluster = new MemoryCluster({ twoThreads: true });
    const { follower } = await started(cluster);
    const { disk, fatal: told } = cluster.member(follower);
    const segments = (await disk.list('log')).filter((name) => name.endsWith('.seg'));
    for (const name of segments) disk.failNext('write', `log/${name}`, 'ENOSPC');
    cluster.register(follower, 'one').catch(() => undefined);
    await cluster.until('the failure', () => (told.length > 0 ? true : undefined));
    expect(told).toMatchObject([{ name: 'StorageError', kind: 'io', file: expect.stringMatching(/^log\/.*\.seg$/) }]);
  });
});
