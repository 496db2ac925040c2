import { afterEach, describe, expect, it } from 'vitest';
import type { ClientOptions } from '../../src/client/client.ts';
import { RollcallClient } from '../../src/client/client.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { Answer, Behaviour } from './fake-member.ts';
import { deadAddress, FakeMember, v1 } from './fake-member.ts';

const members: FakeMember[] = [];
const clients: RollcallClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const member of members.splice(0)) member.kill();
});

async function setUp(unary: Behaviour['unary'] & object, options: Partial<ClientOptions> = {}) {
  const member = await FakeMember.start({ unary });
  members.push(member);
  const client = new RollcallClient({ servers: member.address, spread: false, callTimeoutMs: 2_000, ...options });
  clients.push(client);
  return { member, cluster: client.cluster };
}

async function failureOf(call: Promise<unknown>): Promise<ClientError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(outcome instanceof ClientError)) throw new Error(`no ClientError: ${String(outcome)}`);
  return outcome;
}

const membership = {
  clusterId: 'c1',
  index: 7,
  joint: true,
  removedIds: ['x'],
  members: [
    { memberId: 'a', directoryId: 'd1', peerAddress: 'a:1', kind: 1, autoPromote: false },
    { memberId: 'b', directoryId: 'd2', peerAddress: 'b:1', kind: 2, autoPromote: true },
    { memberId: 'c', directoryId: 'd3', peerAddress: 'c:1', kind: 3, autoPromote: false },
    { memberId: 'd', directoryId: 'd4', peerAddress: 'd:1', kind: 9, autoPromote: false },
  ],
};
const told = (): Answer => v1.ListMembersResponse.encode({ membership });

/** As protobufjs writes it, without the fields that are at their default. */
function hexOf(request: { finish(): Uint8Array }): string {
  return Buffer.from(request.finish()).toString('hex');
}

describe('orders of a cluster', () => {
  it('ask for the members, and tell a kind of a newer version as unknown', async () => {
    const { cluster } = await setUp(told);
    const kinds = ['voter', 'learner', 'outgoing', 'unknown'];
    expect(await cluster.members()).toEqual({
      ...membership,
      members: membership.members.map((member, i) => ({ ...member, kind: kinds[i] })),
    });
  });

  it('send what was asked for, without force unless it is said', async () => {
    const { member, cluster } = await setUp(told);
    await cluster.addMember({ peerAddress: 'd:1' });
    await cluster.addMember({ peerAddress: 'd:1', learnerOnly: true, force: true });
    await cluster.promoteMember({ memberId: 'd' });
    await cluster.removeMember({ memberId: 'c', force: true });
    await cluster.replaceMember({ memberId: 'c', byMemberId: 'd' });
    expect(member.seen.map(({ method, request }) => [method, request.toString('hex')])).toEqual(
      [
        ['addMember', v1.AddMemberRequest.encode({ peerAddress: 'd:1' })] as const,
        ['addMember', v1.AddMemberRequest.encode({ peerAddress: 'd:1', learnerOnly: true, force: true })] as const,
        ['promoteMember', v1.PromoteMemberRequest.encode({ memberId: 'd' })] as const,
        ['removeMember', v1.RemoveMemberRequest.encode({ memberId: 'c', force: true })] as const,
        ['replaceMember', v1.ReplaceMemberRequest.encode({ memberId: 'c', byMemberId: 'd' })] as const,
      ].map(([method, request]) => [method, hexOf(request)]),
    );
  });

  it('wait for another change, and say in the end that nothing was done', async () => {
    const busy = { reason: 'CHANGE_UNDER_WAY', retryAfterMs: 20 } as const;
    const { member, cluster } = await setUp((_method, _request, n) => (n < 3 ? busy : told()));
    expect(await cluster.removeMember({ memberId: 'c' })).toMatchObject({ index: 7 });
    expect(member.seen).toHaveLength(4);
    const always = await setUp(() => busy, { callTimeoutMs: 150 });
    const error = await failureOf(always.cluster.removeMember({ memberId: 'c' }));
    expect([error.reason, error.mayHaveApplied]).toEqual(['CHANGE_UNDER_WAY', false]);
  });

  it('repeat a change of which nobody knows whether it was taken: what holds already is no error', async () => {
    const { member, cluster } = await setUp((_method, _request, n) =>
      n === 0 ? { reason: 'OUTCOME_UNKNOWN' } : told(),
    );
    await cluster.promoteMember({ memberId: 'b' });
    expect(member.seen).toHaveLength(2);
  });

  it('hand over once: a second time it could go on to yet another member', async () => {
    for (const reason of ['OUTCOME_UNKNOWN', 'TRANSFER_FAILED'] as const) {
      const { member, cluster } = await setUp(() => ({ reason, retryAfterMs: 1 }));
      const error = await failureOf(cluster.transferLeadership());
      const unknown = reason === 'OUTCOME_UNKNOWN';
      expect([error.reason, error.mayHaveApplied, member.seen.length]).toEqual([reason, unknown, 1]);
    }
    const done = (): Answer => v1.TransferLeadershipResponse.encode({ leaderId: 'b' });
    const { member, cluster } = await setUp((_method, _request, n) => (n === 0 ? { reason: 'NO_LEADER' } : done()));
    expect([await cluster.transferLeadership('b'), member.seen.length]).toEqual(['b', 2]);
  });

  it('reach a member that is there, and tell what it refused with its facts', async () => {
    const refusal = { reason: 'MEMBERSHIP_REFUSED', facts: { problem: 'not-caught-up' } } as const;
    const { member } = await setUp(() => refusal);
    const client = new RollcallClient({ servers: [await deadAddress(), member.address], spread: false });
    clients.push(client);
    const error = await failureOf(client.cluster.promoteMember({ memberId: 'b' }));
    expect([error.reason, error.facts, error.mayHaveApplied]).toEqual([refusal.reason, refusal.facts, false]);
  });
});
