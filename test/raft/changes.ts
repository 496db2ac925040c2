import type { MembershipChange } from '../../src/raft/membership-plan.ts';
import type { MemberId } from '../../src/raft/types.ts';
import { membershipText, recordOf } from './memberships.ts';
import type { Network } from './network.ts';

export const add = (id: MemberId, autoPromote = false): MembershipChange => {
  return { kind: 'add-learner', member: recordOf(id), autoPromote };
};
export const promote = (id: MemberId): MembershipChange => ({ kind: 'promote', id });
export const demote = (id: MemberId): MembershipChange => ({ kind: 'demote', id });
export const remove = (id: MemberId): MembershipChange => ({ kind: 'remove', id });
export const replace = (id: MemberId, by: MemberId): MembershipChange => ({ kind: 'replace', id, by: recordOf(by) });

/** The membership in force on a member, as text. */
export function inForce(net: Network, id: MemberId): string {
  return membershipText(net.member(id).raft.membership);
}

/** What a member knows to be committed, as text. */
export function committed(net: Network, id: MemberId): string {
  const { committedMembership } = net.member(id);
  return committedMembership === undefined ? 'none' : membershipText(committedMembership);
}
