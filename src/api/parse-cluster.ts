import { invalidField } from '../base/errors.ts';
import type { MembershipOrder } from '../replica/cluster-admin.ts';
import { checkHostPort, checkMemberId, checkRequestBytes } from './field-checks.ts';
import {
  addMemberTable,
  listMembersTable,
  promoteMemberTable,
  removeMemberTable,
  replaceMemberTable,
  transferLeadershipTable,
} from './message-table.ts';
import { decodeStrictly } from './strict-decoder.ts';
import type { ChangeMembershipRequest } from './types.ts';

// Orders about the cluster itself, from the bytes of the call. Each function throws RollcallError INVALID_FIELD or
// MALFORMED_MESSAGE and nothing else, whatever the bytes are.

/** ListMembersRequest has no fields yet; only its form is checked. */
export function parseListMembers(bytes: Uint8Array): void {
  checkRequestBytes(bytes);
  decodeStrictly(listMembersTable, bytes);
}

export function parseAddMember(bytes: Uint8Array): ChangeMembershipRequest {
  checkRequestBytes(bytes);
  const { peer_address: peerAddress, learner_only: learnerOnly, force } = decodeStrictly(addMemberTable, bytes).values;
  checkHostPort('peer_address', peerAddress);
  return ordered({ kind: 'add', peerAddress, autoPromote: !learnerOnly }, force);
}

export function parsePromoteMember(bytes: Uint8Array): ChangeMembershipRequest {
  checkRequestBytes(bytes);
  const { member_id: memberId, force } = decodeStrictly(promoteMemberTable, bytes).values;
  checkMemberId('member_id', memberId);
  return ordered({ kind: 'promote', memberId }, force);
}

export function parseRemoveMember(bytes: Uint8Array): ChangeMembershipRequest {
  checkRequestBytes(bytes);
  const { member_id: memberId, force } = decodeStrictly(removeMemberTable, bytes).values;
  checkMemberId('member_id', memberId);
  return ordered({ kind: 'remove', memberId }, force);
}

export function parseReplaceMember(bytes: Uint8Array): ChangeMembershipRequest {
  checkRequestBytes(bytes);
  const { member_id: memberId, by_member_id: by, force } = decodeStrictly(replaceMemberTable, bytes).values;
  checkMemberId('member_id', memberId);
  checkMemberId('by_member_id', by);
  if (by === memberId) throw invalidField('by_member_id', 'is the same as member_id, allowed is another member');
  return ordered({ kind: 'replace', memberId, by }, force);
}

/** The member that is to lead; '': the one that is furthest. */
export function parseTransferLeadership(bytes: Uint8Array): string {
  checkRequestBytes(bytes);
  const { to_member_id: to } = decodeStrictly(transferLeadershipTable, bytes).values;
  checkMemberId('to_member_id', to, false);
  return to;
}

function ordered(order: MembershipOrder, force: boolean): ChangeMembershipRequest {
  return { order, force };
}
