import { holds, isJoint, type Membership, membersOf } from '../raft/membership.ts';
import type { RecordedMember, RecordedMembership } from './cluster-admin.ts';

/** The membership as operators see it. */
export function recordedMembership(clusterId: string, membership: Membership, index: number): RecordedMembership {
  return {
    clusterId,
    index,
    joint: isJoint(membership),
    removedIds: membership.removedIds,
    members: membersOf(membership).map((record) => recordedMember(membership, record)),
  };
}

function recordedMember(
  { voters, learners }: Membership,
  { id, directoryId, peerAddress }: Membership['voters'][number],
): RecordedMember {
  const learner = learners.find((one) => one.id === id);
  const kind = holds(voters, id) ? 'voter' : learner === undefined ? 'outgoing' : 'learner';
  return { memberId: id, directoryId, peerAddress, kind, autoPromote: learner?.autoPromote ?? false };
}
