import { describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import type { RecordedMembership } from '../../src/replica/cluster-admin.ts';
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

function kinds({ members }: RecordedMembership): string {
  return members.map(({ memberId, kind }) => `${memberId}:${kind}`).join(' ');
}

function membershipOf(cluster: MemoryCluster, id: string): RecordedMembership {
  return cluster.replica(id).admin.membership();
}

async function untilKinds(cluster: MemoryCluster, id: string, wanted: string): Promise<void> {
  await cluster.until(`${wanted} on ${id}`, () => {
    const { phase } = cluster.replica(id);
    return phase === 'serving' && kinds(membershipOf(cluster, id)) === wanted ? true : undefined;
  });
}

async function refusal(cluster: MemoryCluster, call: Promise<unknown>): Promise<string> {
  try {
    await cluster.outcome(call);
    return 'no refusal';
  } catch (error) {
    if (!(error instanceof RollcallError)) return `not typed: ${String(error)}`;
    return [error.reason, error.facts['problem'] ?? ''].join(' ').trim();
  }
}

/** A new leader may have nothing committed yet: then again. */
async function removed(cluster: MemoryCluster, through: string, memberId: string): Promise<void> {
  for (;;) {
    const order = { kind: 'remove', memberId } as const;
    const told = await refusal(cluster, cluster.replica(through).admin.changeMembership(order, false));
    if (told === 'no refusal') return;
    expect(['CHANGE_UNDER_WAY', 'NO_LEADER', 'OUTCOME_UNKNOWN']).toContain(told);
    await cluster.run(100);
  }
}

const threeVoters = 'a:voter b:voter c:voter';

describe('a member that joins', () => {
  it('becomes a voter by itself, on every member, with the state of the others', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    for (let i = 0; i < 20; i++) await cluster.outcome(cluster.register(leader, `one-${i}`));
    await cluster.join('d', { sponsor: followerOf(cluster, leader) });
    for (const { id } of cluster.members) await untilKinds(cluster, id, `${threeVoters} d:voter`);
    await cluster.outcome(cluster.register('d', 'through-d'));
    expect(new Set(await cluster.hashes()).size).toBe(1);
    expect(cluster.replica('d').state.counts().instances).toBe(21);
    await cluster.stop();
    expect(cluster.members.flatMap(({ fatal }) => fatal)).toEqual([]);
  });

  it('stays a learner where that is asked for, until it is promoted', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    await cluster.join('d', { learner: true });
    await untilKinds(cluster, 'd', `${threeVoters} d:learner`);
    await cluster.run(3_000);
    expect(kinds(membershipOf(cluster, leader))).toBe(`${threeVoters} d:learner`);
    await cluster.outcome(cluster.replica('d').admin.changeMembership({ kind: 'promote', memberId: 'd' }, false));
    await untilKinds(cluster, 'd', `${threeVoters} d:voter`);
    await cluster.outcome(cluster.register('d', 'through-d'));
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });

  it('is fed by a snapshot where the log does not reach back any more', async () => {
    const cluster = new MemoryCluster({ logKeepBytes: 4 * 1024, segmentBytes: 64 * 1024 });
    const leader = await started(cluster);
    for (let i = 0; i < 200; i++) await cluster.outcome(cluster.register(leader, `one-${i % 7}`, 2_000));
    await cluster.until('a log that was cut', () =>
      cluster.replica(leader).status().firstKeptIndex > 1 ? true : undefined,
    );
    await cluster.join('d');
    await untilKinds(cluster, 'd', `${threeVoters} d:voter`);
    expect(cluster.member('d').events.some(({ kind }) => kind === 'snapshot-installed')).toBe(true);
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });

  it('finds its place again after a crash at any moment of joining', async () => {
    for (const afterMs of [0, 5, 10, 15, 20, 30, 50, 100, 200, 400]) {
      const cluster = new MemoryCluster({ seed: afterMs + 1 });
      await started(cluster);
      await cluster.join('d');
      await cluster.run(afterMs);
      cluster.crash('d');
      await cluster.run(300);
      await cluster.join('d');
      await untilKinds(cluster, 'd', `${threeVoters} d:voter`);
      expect(new Set(await cluster.hashes()).size).toBe(1);
      await cluster.stop();
      expect(cluster.members.flatMap(({ fatal }) => fatal)).toEqual([]);
    }
  });

  it('goes on without being told to join once it knows the others', async () => {
    const cluster = new MemoryCluster();
    await started(cluster);
    await cluster.join('d');
    await untilKinds(cluster, 'd', `${threeVoters} d:voter`);
    cluster.kill('d');
    await cluster.run(500);
    await cluster.start('d');
    await untilKinds(cluster, 'd', `${threeVoters} d:voter`);
    await cluster.outcome(cluster.register('d', 'through-d'));
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });

  it('is not taken in under an id that was removed', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const gone = followerOf(cluster, leader);
    await cluster.outcome(cluster.replica(leader).admin.changeMembership({ kind: 'remove', memberId: gone }, false));
    await cluster.run(3_000);
    cluster.kill(gone);
    cluster.wipe(gone);
    await cluster.join(gone);
    await cluster.run(2_000);
    const [fatal] = cluster.member(gone).fatal.slice(-1);
    expect(String(fatal)).toContain(`${gone} was removed from this cluster for good`);
    await cluster.stop();
  });
});

describe('a change of the members', () => {
  it('removes a member, which is told and ends', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const gone = followerOf(cluster, leader);
    const left = cluster.members.map(({ id }) => id).filter((id) => id !== gone);
    await cluster.outcome(cluster.replica(gone).admin.changeMembership({ kind: 'remove', memberId: gone }, false));
    for (const id of left) await untilKinds(cluster, id, left.map((one) => `${one}:voter`).join(' '));
    const fatal = await cluster.until('its end', () => cluster.member(gone).fatal[0]);
    expect(String(fatal)).toContain('for good');
    await cluster.outcome(cluster.register(leader, 'after'));
    cluster.kill(gone);
    await cluster.stop();
  });

  it('removes the leader, which has seen to a successor', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const sent = cluster.clock.monotonicMs();
    await cluster.outcome(cluster.replica(leader).admin.changeMembership({ kind: 'remove', memberId: leader }, false));
    const others = cluster.members.map(({ id }) => id).filter((id) => id !== leader);
    await cluster.until('another leader', () =>
      others.some((id) => cluster.replica(id).status().role === 'leader') ? true : undefined,
    );
    // No election timeout has passed: the successor was told to campaign.
    expect(cluster.clock.monotonicMs() - sent).toBeLessThan(500);
    await cluster.until('its end', () => cluster.member(leader).fatal[0]);
    cluster.kill(leader);
    await cluster.outcome(cluster.register(others[0] ?? '', 'after'));
    await cluster.stop();
  });

  it('replaces a dead member by one that has caught up, in one step', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const dead = followerOf(cluster, leader);
    cluster.kill(dead);
    await cluster.join('d', { learner: true, sponsor: leader });
    await cluster.until('a learner that has caught up', () =>
      cluster.replica('d').phase === 'serving' && cluster.replica('d').status().applied > 0 ? true : undefined,
    );
    const order = { kind: 'replace', memberId: dead, by: 'd' } as const;
    await cluster.run(1_000);
    const after = await cluster.outcome(cluster.replica(leader).admin.changeMembership(order, false));
    const expected = cluster.members.map(({ id }) => id).filter((id) => id !== dead);
    expect(kinds(after)).toBe(expected.map((id) => `${id}:voter`).join(' '));
    expect(after.removedIds).toEqual([dead]);
    // Again: it is so already.
    expect(await cluster.outcome(cluster.replica(leader).admin.changeMembership(order, false))).toEqual(after);
    await cluster.stop();
  });

  it('refuses what would leave too few that are there, unless it is forced', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const [dead = '', live = ''] = cluster.members.map(({ id }) => id).filter((id) => id !== leader);
    cluster.kill(dead);
    await cluster.run(2_000);
    const { admin } = cluster.replica(leader);
    const order = { kind: 'remove', memberId: live } as const;
    expect(await refusal(cluster, admin.changeMembership(order, false))).toBe('QUORUM_AT_RISK');
    expect(kinds(admin.membership())).toBe(threeVoters);
    await cluster.outcome(admin.changeMembership({ kind: 'remove', memberId: dead }, false));
    await cluster.stop();
  });

  it('records where a member is that has moved, on order', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const moved = followerOf(cluster, leader);
    cluster.kill(moved);
    await cluster.start(moved, undefined, 7);
    await cluster.run(2_000);
    expect(
      cluster
        .replica(leader)
        .status()
        .peers.find(({ memberId }) => memberId === moved)?.connected,
    ).toBe(false);
    const order = { kind: 'add', peerAddress: `${moved}:7`, autoPromote: true } as const;
    const after = await cluster.outcome(cluster.replica(leader).admin.changeMembership(order, false));
    expect(kinds(after)).toBe(threeVoters);
    expect(after.members.find(({ memberId }) => memberId === moved)?.peerAddress).toBe(`${moved}:7`);
    await cluster.leader();
    await cluster.outcome(cluster.register(moved, 'moved'));
    expect(new Set(await cluster.hashes()).size).toBe(1);
    await cluster.stop();
  });

  it('comes back by itself where all members have moved and each is told where the others are', async () => {
    const cluster = new MemoryCluster();
    await started(cluster);
    await cluster.outcome(cluster.register('a', 'before'));
    for (const { id } of cluster.members) cluster.kill(id);
    for (const { id } of cluster.members) await cluster.start(id, undefined, 7, 7);
    const leader = await cluster.leader();
    await cluster.outcome(cluster.register(leader, 'after'));
    await cluster.until('the new addresses in the log', () => {
      const { members } = membershipOf(cluster, leader);
      return members.every(({ peerAddress }) => peerAddress.endsWith(':7')) ? true : undefined;
    });
    expect(cluster.replica(leader).state.counts().instances).toBe(2);
    await cluster.stop();
  });

  it('names what is not possible', async () => {
    const cluster = new MemoryCluster();
    const leader = await started(cluster);
    const { admin } = cluster.replica(followerOf(cluster, leader));
    const asked = async (order: Parameters<typeof admin.changeMembership>[0]): Promise<string> =>
      refusal(cluster, admin.changeMembership(order, false));
    expect(await asked({ kind: 'promote', memberId: 'x' })).toBe('MEMBERSHIP_REFUSED unknown-id');
    expect(await asked({ kind: 'remove', memberId: 'x' })).toBe('MEMBERSHIP_REFUSED unknown-id');
    expect(await asked({ kind: 'replace', memberId: 'a', by: 'b' })).toBe('MEMBERSHIP_REFUSED is-voter');
    expect(await asked({ kind: 'add', peerAddress: 'nobody:1', autoPromote: true })).toBe(
      'MEMBERSHIP_REFUSED unreachable',
    );
    await cluster.stop();
  });

  it('goes from one to three to five and back to three, with none of the first members left', async () => {
    const cluster = new MemoryCluster({ ids: ['a'] });
    await started(cluster);
    await cluster.outcome(cluster.register('a', 'kept'));
    for (const id of ['b', 'c', 'd', 'e']) {
      await cluster.join(id);
      await cluster.until(`${id} as a voter`, () => {
        const { phase, admin } = cluster.replica(id);
        const own =
          phase === 'serving' ? admin.membership().members.find(({ memberId }) => memberId === id) : undefined;
        return own?.kind === 'voter' ? true : undefined;
      });
    }
    for (const id of ['a', 'b']) {
      await removed(cluster, 'e', id);
      await cluster.until('its end', () => cluster.member(id).fatal[0]);
      cluster.kill(id);
    }
    await untilKinds(cluster, 'c', 'c:voter d:voter e:voter');
    await cluster.outcome(cluster.register('c', 'after'));
    expect(new Set(await cluster.hashes()).size).toBe(1);
    expect(cluster.replica('e').state.counts().instances).toBe(2);
    await cluster.stop();
  });
});
