import type { ClusterStatus, MemberStatus } from '../api/types.ts';
import { unreachable } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { Role } from '../raft/types.ts';
import type { RecordedMember, RecordedMembership } from '../replica/cluster-admin.ts';
import type { ReplicaStatus } from '../replica/types.ts';

const writer = new WireWriter();

/** StatusResponse of proto/rollcall/v1/cluster.proto as bytes. */
export function renderStatus(status: ClusterStatus): Uint8Array {
  const { replica } = status;
  writer.reset();
  writer.string(1, replica.clusterId).string(2, replica.memberId).string(3, replica.directoryId);
  writer.uint(4, replica.boot).uint(5, roleNumber(replica)).string(6, replica.leader).uint(7, replica.term);
  writer.uint(8, replica.commit).uint(9, replica.applied).uint(10, replica.lastIndex).uint(11, replica.durableIndex);
  writer.uint(12, replica.flushedIndex).uint(13, replica.firstKeptIndex).uint(14, replica.revision);
  writer.string(15, replica.stateHash).bool(16, replica.fenced);
  for (const member of status.members) writeMember(member);
  writer.string(18, status.version).uint(19, Math.floor(replica.uptimeMs));
  writer.uint(20, status.instances).uint(21, status.services).uint(22, status.leases).uint(23, status.watches);
  writer.uint(24, replica.diskFreeBytes).uint(25, replica.logBytes).string(26, replica.waitingFor);
  writer.uint(27, status.sessionStreams).uint(28, status.sessions);
  return writer.finish();
}

/** ListMembersResponse as bytes, and the answers to the changes, which are alike. */
export function renderMembership(membership: RecordedMembership): Uint8Array {
  writer.reset();
  writer.beginMessage(1).string(1, membership.clusterId).uint(2, membership.index);
  for (const { memberId, directoryId, peerAddress, kind, autoPromote } of membership.members) {
    writer.beginMessage(3).string(1, memberId).string(2, directoryId).string(3, peerAddress);
    writer.uint(4, numberOfKind(kind)).bool(5, autoPromote).endMessage();
  }
  writer.bool(4, membership.joint);
  for (const id of membership.removedIds) writer.stringPresent(5, id);
  writer.endMessage();
  return writer.finish();
}

/** TransferLeadershipResponse as bytes. */
export function renderTransfer(leader: string): Uint8Array {
  writer.reset();
  return writer.string(1, leader).finish();
}

function writeMember(member: MemberStatus): void {
  writer.beginMessage(17);
  writer.string(1, member.memberId).string(2, member.peerAddress).string(3, member.clientAddress);
  writer.bool(4, member.reachable).uint(5, member.matchIndex).string(6, member.replicationState);
  writer.uint(7, Math.ceil(member.lastContactMs));
  if (member.kind !== undefined) writer.uint(8, numberOfKind(member.kind));
  writer.endMessage();
}

function roleNumber(replica: ReplicaStatus): number {
  return replica.phase === 'forming' ? 4 : numberOfRole(replica.role);
}

function numberOfRole(role: Role): number {
  switch (role) {
    case 'follower':
      return 1;
    case 'pre-candidate':
    case 'candidate':
      return 2;
    case 'leader':
      return 3;
    default:
      return unreachable(role);
  }
}

function numberOfKind(kind: RecordedMember['kind']): number {
  switch (kind) {
    case 'voter':
      return 1;
    case 'learner':
      return 2;
    case 'outgoing':
      return 3;
    default:
      return unreachable(kind);
  }
}
