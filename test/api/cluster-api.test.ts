import { describe, expect, it } from 'vitest';
import { ReplicaClusterApi } from '../../src/api/cluster-api.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { ReplicaDouble } from './replica-double.ts';
import { recordedMember } from './scripted-admin.ts';

function setUp(): { readonly replica: ReplicaDouble; readonly api: ReplicaClusterApi } {
  const replica = new ReplicaDouble();
  const { clock, hub } = replica;
  const addresses = { peerAddress: 'a:7401', clientAddress: 'a:7400' };
  return {
    replica,
    api: new ReplicaClusterApi({ replica, hub, clock, sessionStreams: () => 0, version: '0.1.0', ...addresses }),
  };
}

describe('the status of a member', () => {
  it('says of each whether it votes, and names those that it has only heard of', () => {
    const { replica, api } = setUp();
    const learner = recordedMember('d', { kind: 'learner', peerAddress: 'd:9', autoPromote: true });
    const members = [recordedMember('a'), recordedMember('b', { kind: 'outgoing' }), recordedMember('c'), learner];
    replica.admin.current = { ...replica.admin.current, members };
    expect(api.status().members.map(({ memberId, kind }) => [memberId, kind])).toEqual([
      ['a', 'voter'],
      ['b', 'outgoing'],
      ['c', 'voter'],
      ['d', 'learner'],
    ]);
    expect(api.status().members[3]).toEqual({
      memberId: 'd',
      peerAddress: 'd:9',
      clientAddress: '',
      reachable: false,
      matchIndex: 0,
      replicationState: '',
      lastContactMs: 5_000,
      kind: 'learner',
    });
  });

  it('is told also where no cluster is known yet', () => {
    const { replica, api } = setUp();
    replica.admin.unreadable = new RollcallError('NOT_SERVING', 'the member is starting', { retryAfterMs: 500 });
    expect(api.status().members.map(({ kind }) => kind)).toEqual([undefined, undefined, undefined]);
  });
});

describe('orders about the cluster', () => {
  it('go to the replica as they are, and what it refuses goes back', async () => {
    const { replica, api } = setUp();
    const remove = { order: { kind: 'remove', memberId: 'c' }, force: true } as const;
    const left = await api.changeMembership(remove);
    expect(replica.admin.orders).toEqual([remove]);
    expect(await api.listMembers()).toEqual(left);
    expect(left).toMatchObject({ index: 6, removedIds: ['c'], members: [{ memberId: 'a' }, { memberId: 'b' }] });
    expect([await api.transferLeadership('b'), await api.transferLeadership('')]).toEqual(['b', 'b']);
    const refusal = new RollcallError('CHANGE_UNDER_WAY', 'another change is under way', { retryAfterMs: 100 });
    replica.admin.refusals.push(refusal, refusal);
    await expect(api.changeMembership(remove)).rejects.toBe(refusal);
    await expect(api.transferLeadership('')).rejects.toBe(refusal);
    replica.admin.unreadable = refusal;
    await expect(api.listMembers()).rejects.toBe(refusal);
  });
});
