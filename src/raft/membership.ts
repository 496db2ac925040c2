import { assert } from '../base/assert.ts';
import type { MemberId } from './types.ts';

/** One member as the replicated membership knows it. */
export interface MemberRecord {
  readonly id: MemberId;
  /** Random id of the member's data directory, 32 lowercase hex digits. */
  readonly directoryId: string;
  /** host:port of its peer listener. */
  readonly peerAddress: string;
}

/** A member that is fed with the log and counts in no majority. */
export interface LearnerRecord extends MemberRecord {
  /** The leader makes it a voter by itself once it has caught up. */
  readonly autoPromote: boolean;
}

/**
 * Who belongs to the cluster, as one entry of the log says it (thesis, chapter 4; joint consensus of section 4.3). Each
 * list is in code unit order of the ids. While `outgoing` is not empty the membership is joint: whatever is decided
 * needs a majority of `voters` and one of `outgoing`.
 *
 * Without any voter it is that of a member which has not heard of its cluster yet.
 */
export interface Membership {
  readonly voters: readonly MemberRecord[];
  /** The voters that were before, while joint; otherwise empty. */
  readonly outgoing: readonly MemberRecord[];
  readonly learners: readonly LearnerRecord[];
  /** Those of `outgoing` that become learners when the joint state ends. */
  readonly learnersNext: readonly LearnerRecord[];
  /** Never to be used again, at most `removedIdsMax`. */
  readonly removedIds: readonly MemberId[];
}

/** Voters and learners together, outside of a joint state. */
export const membersMax = 31;
/** Ids that are remembered as used up. A cluster that has removed more is brought into a new one. */
export const removedIdsMax = 256;
/** Characters of an id, and of an address; printable ASCII without blanks. */
export const memberIdMax = 128;
export const memberAddressMax = 256;

const textPattern = /^[\x21-\x7e]+$/;
const directoryIdPattern = /^[0-9a-f]{32}$/;

/** The membership of a cluster that nobody has changed yet. The voters may come in any order. */
export function votersOnly(voters: readonly MemberRecord[]): Membership {
  return { voters: sortedById(voters), outgoing: [], learners: [], learnersNext: [], removedIds: [] };
}

/** What a member knows that has yet to hear of its cluster. */
export const noMembership: Membership = votersOnly([]);

export function isJoint(membership: Membership): boolean {
  return membership.outgoing.length > 0;
}

/** Every member once, by id in code unit order: voters of both halves and learners. */
export function membersOf(membership: Membership): MemberRecord[] {
  const { voters, outgoing, learners } = membership;
  const byId = new Map<MemberId, MemberRecord>();
  // A voter of both halves has the same record in both.
  for (const { id, directoryId, peerAddress } of [...voters, ...outgoing, ...learners]) {
    byId.set(id, { id, directoryId, peerAddress });
  }
  return sortedById([...byId.values()]);
}

/** Whether the member has a vote, in either half. */
export function isVoter(membership: Membership, id: MemberId): boolean {
  return holds(membership.voters, id) || holds(membership.outgoing, id);
}

/** The membership that follows a joint one: the old half is gone. */
export function leaveJoint(membership: Membership): Membership {
  const { voters, outgoing, learners, learnersNext, removedIds } = membership;
  assert(outgoing.length > 0, 'a membership that is not joint has nothing to leave');
  const gone = outgoing.filter(({ id }) => !holds(voters, id) && !holds(learnersNext, id)).map(({ id }) => id);
  return {
    voters,
    outgoing: [],
    learners: sortedById([...learners, ...learnersNext]),
    learnersNext: [],
    removedIds: sortedIds([...removedIds, ...gone]),
  };
}

/**
 * Whether those that are live can decide under `next`, alone and through the joint state that leads to it. For whoever
 * is about to change the membership: the core itself does not refuse what would lose the quorum.
 */
export function keepsQuorum(next: Membership, isLive: (id: MemberId) => boolean): boolean {
  return hasMajority(next.voters, isLive) && (next.outgoing.length === 0 || hasMajority(next.outgoing, isLive));
}

/** Names what cannot be a membership about `membership`; undefined where it can be one. */
export function membershipProblem(membership: Membership): string | undefined {
  const { voters, outgoing, learners, learnersNext, removedIds } = membership;
  const lists = [voters, outgoing, learners, learnersNext];
  for (const records of lists) {
    const odd = records.find((record) => !isRecord(record));
    if (odd !== undefined) return `a member cannot be ${JSON.stringify(odd)}`;
    if (!ascend(records.map(({ id }) => id))) return 'members are not in the order of their ids';
  }
  if (!removedIds.every(isMemberId) || !ascend(removedIds)) return 'removed ids are not in order';
  if (removedIds.length > removedIdsMax) return `${removedIds.length} removed ids, at most ${removedIdsMax}`;
  const everybody = voters.length + outgoing.length + learners.length;
  if (voters.length === 0 && everybody + removedIds.length > 0) return 'no voter is left';
  if (voters.length + learners.length + learnersNext.length > membersMax) return `more than ${membersMax} members`;
  if (outgoing.length > membersMax) return `more than ${membersMax} outgoing voters`;
  return relationProblem(membership);
}

/** Asserts that `membership` can be one. */
export function checkMembership(membership: Membership): void {
  const problem = membershipProblem(membership);
  assert(problem === undefined, () => `membership: ${problem}`);
}

/** By id in code unit order, so that every member walks them in the same order. */
export function sortedById<T extends { readonly id: MemberId }>(records: readonly T[]): T[] {
  return [...records].sort((left, right) => byCodeUnit(left.id, right.id));
}

export function sortedIds(ids: readonly MemberId[]): MemberId[] {
  return [...ids].sort(byCodeUnit);
}

export function holds(records: readonly { readonly id: MemberId }[], id: MemberId): boolean {
  return records.some((record) => record.id === id);
}

function relationProblem({ voters, outgoing, learners, learnersNext, removedIds }: Membership): string | undefined {
  const votes = (id: MemberId): boolean => holds(voters, id) || holds(outgoing, id);
  const both = learners.find(({ id }) => votes(id));
  if (both !== undefined) return `${both.id} is voter and learner`;
  const astray = learnersNext.find(({ id }) => !holds(outgoing, id) || holds(voters, id));
  if (astray !== undefined) return `${astray.id} becomes a learner without leaving the voters`;
  const back = removedIds.find((id) => votes(id) || holds(learners, id));
  if (back !== undefined) return `${back} was removed before`;
  for (const old of [...outgoing, ...learnersNext]) {
    const record = [...voters, ...outgoing].find(({ id }) => id === old.id);
    if (record?.directoryId !== old.directoryId || record.peerAddress !== old.peerAddress) {
      return `${old.id} is told in two ways`;
    }
  }
  return undefined;
}

function hasMajority(voters: readonly MemberRecord[], isLive: (id: MemberId) => boolean): boolean {
  return voters.filter(({ id }) => isLive(id)).length * 2 > voters.length;
}

function isRecord({ id, directoryId, peerAddress }: MemberRecord): boolean {
  return isMemberId(id) && isDirectoryId(directoryId) && isMemberAddress(peerAddress);
}

export function isMemberId(text: string): boolean {
  return text.length <= memberIdMax && textPattern.test(text);
}

export function isMemberAddress(text: string): boolean {
  return text.length <= memberAddressMax && textPattern.test(text);
}

export function isDirectoryId(text: string): boolean {
  return directoryIdPattern.test(text);
}

function ascend(ids: readonly MemberId[]): boolean {
  let previous = '';
  for (const id of ids) {
    if (id <= previous) return false;
    previous = id;
  }
  return true;
}

function byCodeUnit(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
