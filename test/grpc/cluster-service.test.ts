import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { recordedMember } from '../api/scripted-admin.ts';
import type { RawClient } from './grpc-harness.ts';
import { detailsOf, failureOf, Harness } from './grpc-harness.ts';

const { v1 } = rollcall;
const { MEMBER_KIND_VOTER, MEMBER_KIND_LEARNER, MEMBER_KIND_OUTGOING } = v1.MemberKind;

let harness: Harness;
let client: RawClient;

beforeEach(async () => {
  harness = await Harness.start();
  client = harness.client();
});

afterEach(() => harness.stop());

const call = (method: string, request: { finish(): Uint8Array }): Promise<Buffer> =>
  client.unary(`/rollcall.v1.Cluster/${method}`, request.finish());

/** Without the zeros that the wire leaves out. */
function shown(bytes: Buffer): unknown {
  const answer: Readonly<Record<string, unknown>> = v1.ListMembersResponse.toObject(
    v1.ListMembersResponse.decode(bytes),
  );
  return answer['membership'];
}

describe('the members of a cluster', () => {
  it('are told with all that the log has of them', async () => {
    harness.admin.current = {
      clusterId: 'c1',
      index: 9,
      joint: true,
      removedIds: ['x', 'y'],
      members: [
        recordedMember('a', { kind: 'outgoing' }),
        recordedMember('b'),
        recordedMember('d', { kind: 'learner', autoPromote: true, peerAddress: '127.0.0.1:7441' }),
      ],
    };
    expect(shown(await call('ListMembers', v1.ListMembersRequest.encode({})))).toEqual({
      clusterId: 'c1',
      index: 9,
      members: [
        { memberId: 'a', directoryId: `${'0'.repeat(31)}a`, peerAddress: 'a:7401', kind: MEMBER_KIND_OUTGOING },
        { memberId: 'b', directoryId: `${'0'.repeat(31)}b`, peerAddress: 'b:7401', kind: MEMBER_KIND_VOTER },
        {
          memberId: 'd',
          directoryId: `${'0'.repeat(31)}d`,
          peerAddress: '127.0.0.1:7441',
          kind: MEMBER_KIND_LEARNER,
          autoPromote: true,
        },
      ],
      joint: true,
      removedIds: ['x', 'y'],
    });
  });

  it('change as they are told to, and every change answers with them', async () => {
    const { admin } = harness;
    admin.waiting.set('d:7401', 'd').set('e:7401', 'e');
    const ids = (bytes: Buffer) =>
      v1.ListMembersResponse.decode(bytes).membership?.members?.map(({ memberId, kind }) => `${memberId} ${kind}`);
    const added = await call('AddMember', v1.AddMemberRequest.encode({ peerAddress: 'd:7401' }));
    expect(ids(added)).toEqual(['a 1', 'b 1', 'c 1', 'd 2']);
    await call('AddMember', v1.AddMemberRequest.encode({ peerAddress: 'e:7401', learnerOnly: true }));
    const promoted = await call('PromoteMember', v1.PromoteMemberRequest.encode({ memberId: 'd', force: true }));
    expect(ids(promoted)).toEqual(['a 1', 'b 1', 'c 1', 'd 1', 'e 2']);
    const replaced = await call('ReplaceMember', v1.ReplaceMemberRequest.encode({ memberId: 'c', byMemberId: 'e' }));
    expect(ids(replaced)).toEqual(['a 1', 'b 1', 'd 1', 'e 1']);
    const removed = await call('RemoveMember', v1.RemoveMemberRequest.encode({ memberId: 'a', force: true }));
    expect(ids(removed)).toEqual(['b 1', 'd 1', 'e 1']);
    expect(admin.orders.map(({ order, force }) => [order.kind, force])).toEqual([
      ['add', false],
      ['add', false],
      ['promote', true],
      ['replace', false],
      ['remove', true],
    ]);
    expect(harness.observer.calls.map(({ method }) => method)).toContain('ReplaceMember');
  });

  it('hand over to who is named, or to who is furthest', async () => {
    const transfer = async (toMemberId: string) =>
      v1.TransferLeadershipResponse.decode(
        await call('TransferLeadership', v1.TransferLeadershipRequest.encode({ toMemberId })),
      ).leaderId;
    expect([await transfer('b'), await transfer('')]).toEqual(['b', 'b']);
    expect(harness.admin.transfers).toEqual(['b', '']);
  });

  it('are refused with the reason, its facts, and when to try again', async () => {
    const { admin } = harness;
    admin.refusals.push(
      new RollcallError('MEMBERSHIP_REFUSED', 'd has not caught up', { facts: { problem: 'not-caught-up' } }),
      new RollcallError('QUORUM_AT_RISK', 'a and b would be left, and b is not there'),
      new RollcallError('CHANGE_UNDER_WAY', 'another change is under way', { retryAfterMs: 200 }),
    );
    const promote = v1.PromoteMemberRequest.encode({ memberId: 'd' });
    const lagging = await failureOf(call('PromoteMember', promote));
    expect([lagging.code, lagging.details]).toEqual([status.FAILED_PRECONDITION, 'd has not caught up']);
    expect(detailsOf(lagging).errorInfo).toMatchObject({
      reason: 'MEMBERSHIP_REFUSED',
      metadata: { problem: 'not-caught-up' },
    });
    const remove = v1.RemoveMemberRequest.encode({ memberId: 'c' });
    expect(detailsOf(await failureOf(call('RemoveMember', remove))).errorInfo?.reason).toBe('QUORUM_AT_RISK');
    const busy = await failureOf(call('RemoveMember', remove));
    expect([busy.code, detailsOf(busy).retryInfo?.retryDelay?.nanos]).toEqual([status.UNAVAILABLE, 200_000_000]);
    const wrong = await failureOf(call('AddMember', v1.AddMemberRequest.encode({ peerAddress: 'd' })));
    expect(detailsOf(wrong).badRequest?.fieldViolations[0]?.field).toBe('peer_address');
    expect(admin.orders).toHaveLength(3);
  });
});
