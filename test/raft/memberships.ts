import { isVoter, votersOnly } from '../../src/raft/membership.ts';
import type { LearnerRecord, MemberRecord, Membership } from '../../src/raft/membership.ts';
import type { RaftCore } from '../../src/raft/raft-core.ts';
import { decodeMembership, isMembershipData } from '../../src/raft/system-entries.ts';
import type { MemberId } from '../../src/raft/types.ts';

/** The record that a member of this name always has in the tests. */
export function recordOf(id: MemberId): MemberRecord {
  const directoryId = Buffer.from(id.padEnd(16, '-')).toString('hex').slice(0, 32);
  return { id, directoryId, peerAddress: `${id}:7401` };
}

export function learnerOf(id: MemberId, autoPromote = false): LearnerRecord {
  return { ...recordOf(id), autoPromote };
}

/** A membership of these voters, and what else is given. */
export function membershipOf(voters: readonly MemberId[], more: Partial<Membership> = {}): Membership {
  return { ...votersOnly(voters.map(recordOf)), ...more };
}

/** `a b -> c + d* - e`: voters, in a joint state after the old ones; learners, `*` promoted by themselves; removed. */
export function membershipText(membership: Membership): string {
  const { voters, outgoing, learners, learnersNext, removedIds } = membership;
  const ids = (records: readonly MemberRecord[]): string => records.map(({ id }) => id).join(' ');
  const marked = (records: readonly LearnerRecord[]): string =>
    records.map(({ id, autoPromote }) => `${id}${autoPromote ? '*' : ''}`).join(' ');
  const parts = [outgoing.length === 0 ? ids(voters) : `${ids(outgoing)} -> ${ids(voters)}`];
  if (learners.length > 0) parts.push(`+ ${marked(learners)}`);
  if (learnersNext.length > 0) parts.push(`next ${marked(learnersNext)}`);
  if (removedIds.length > 0) parts.push(`- ${removedIds.join(' ')}`);
  return parts.join(' ');
}

/** Has a vote under the membership in force, or under one of its log that it need not know to be over. */
export function mayHaveVote(core: RaftCore, id: MemberId): boolean {
  const { commit, lastIndex, membership } = core.status();
  const all = [membership, core.membershipAt(commit) ?? membership];
  for (const { data } of core.entriesBetween(commit + 1, lastIndex + 1)) {
    if (isMembershipData(data)) all.push(decodeMembership(data));
  }
  return all.some((each) => isVoter(each, id));
}
