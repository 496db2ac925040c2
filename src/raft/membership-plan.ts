import { unreachable } from '../base/assert.ts';
import {
  holds,
  isDirectoryId,
  isJoint,
  isMemberAddress,
  isMemberId,
  leaveJoint,
  membersMax,
  removedIdsMax,
  sortedById,
  sortedIds,
} from './membership.ts';
import type { LearnerRecord, MemberRecord, Membership } from './membership.ts';
import type { MemberId } from './types.ts';

/**
 * One wish about the membership. `replace`: `by` takes the vote of `id`, which goes; `by` is a learner with this very
 * record, or new where that is forced. Repeating what holds already is no change and no fault.
 */
export type MembershipChange =
  | { readonly kind: 'add-learner'; readonly member: MemberRecord; readonly autoPromote: boolean }
  | { readonly kind: 'promote'; readonly id: MemberId }
  | { readonly kind: 'demote'; readonly id: MemberId }
  | { readonly kind: 'remove'; readonly id: MemberId }
  | { readonly kind: 'replace'; readonly id: MemberId; readonly by: MemberRecord }
  | { readonly kind: 'set-address'; readonly id: MemberId; readonly peerAddress: string };

/**
 * Why a change cannot be made. `removed-before`: the id was used and is never used again. `directory-differs`: a member
 * of this id exists with another data directory. `address-differs`: the same, with another address (`set-address`
 * changes it). `is-voter`, `not-voter`, `not-learner`: the change asks for another standing. `joint`: another change is
 * under way.
 */
export type PlanRefusal = (typeof planRefusals)[number];

export const planRefusals = [
  'joint',
  'bad-record',
  'unknown-id',
  'removed-before',
  'directory-differs',
  'address-differs',
  'is-voter',
  'not-voter',
  'not-learner',
  'no-voters-left',
  'too-many-members',
  'removed-ids-full',
] as const;

export type MembershipPlan =
  | { readonly kind: 'changed'; readonly next: Membership; readonly newVoters: readonly MemberId[] }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly reason: PlanRefusal; readonly ids: readonly MemberId[] };

export interface PlanOptions {
  /** Takes a new member as a voter at once, by `replace`. */
  readonly force: boolean;
}

/**
 * What the membership becomes by `changes`, made in their order and taking effect together: a joint membership where
 * the set of voters changes, otherwise the plain new one. Pure; says nothing about who is reachable (keepsQuorum).
 */
export function planMembershipChange(
  current: Membership,
  changes: readonly MembershipChange[],
  options: PlanOptions = { force: false },
): MembershipPlan {
  const draft = new Draft(current);
  for (const change of changes) {
    const refusal = draft.apply(change, options.force);
    if (refusal !== undefined) return { kind: 'refused', ...refusal };
  }
  if (!draft.differs(current)) return { kind: 'unchanged' };
  // What holds already needs no new entry, so that a repeat of the change under way is no fault either.
  if (isJoint(current)) return { kind: 'refused', reason: 'joint', ids: [] };
  return draft.plan(current);
}

interface Refusal {
  readonly reason: PlanRefusal;
  readonly ids: readonly MemberId[];
}

/** The membership as it will stand when all is done, while changes are made to it. */
class Draft {
  readonly #voters = new Map<MemberId, MemberRecord>();
  readonly #learners = new Map<MemberId, LearnerRecord>();
  readonly #removed: Set<MemberId>;

  constructor(current: Membership) {
    const goal = isJoint(current) ? leaveJoint(current) : current;
    for (const voter of goal.voters) this.#voters.set(voter.id, voter);
    for (const learner of goal.learners) this.#learners.set(learner.id, learner);
    this.#removed = new Set(goal.removedIds);
  }

  apply(change: MembershipChange, force: boolean): Refusal | undefined {
    switch (change.kind) {
      case 'add-learner':
        return this.#add(change.member, change.autoPromote);
      case 'promote':
        return this.#promote(change.id);
      case 'demote':
        return this.#demote(change.id);
      case 'remove':
        return this.#remove(change.id);
      case 'replace':
        return this.#replace(change.id, change.by, force);
      case 'set-address':
        return this.#setAddress(change.id, change.peerAddress);
      default:
        return unreachable(change);
    }
  }

  differs(current: Membership): boolean {
    const goal = isJoint(current) ? leaveJoint(current) : current;
    return JSON.stringify(this.#goal()) !== JSON.stringify(ordered(goal));
  }

  plan(current: Membership): MembershipPlan {
    const goal = this.#goal();
    const refused = (reason: PlanRefusal, ids: readonly MemberId[] = []): MembershipPlan => {
      return { kind: 'refused', reason, ids };
    };
    if (goal.voters.length === 0) return refused('no-voters-left');
    if (goal.voters.length + goal.learners.length > membersMax) return refused('too-many-members');
    if (goal.removedIds.length > removedIdsMax) return refused('removed-ids-full');
    const newVoters = goal.voters.map(({ id }) => id).filter((id) => !holds(current.voters, id));
    const lost = current.voters.filter(({ id }) => !this.#voters.has(id));
    // Majorities of one and the same set of voters always meet: no joint state is needed to get there.
    if (newVoters.length === 0 && lost.length === 0) return { kind: 'changed', next: goal, newVoters };
    const leaving = lost.map(({ id }) => id);
    const outgoing = current.voters.map((record) => this.#voters.get(record.id) ?? this.#demoted(record));
    const next: Membership = {
      voters: goal.voters,
      outgoing,
      learners: goal.learners.filter(({ id }) => !leaving.includes(id)),
      learnersNext: goal.learners.filter(({ id }) => leaving.includes(id)),
      removedIds: goal.removedIds.filter((id) => !leaving.includes(id)),
    };
    return { kind: 'changed', next, newVoters };
  }

  /** A voter that leaves keeps its record in the old half; its address may have been changed along with it. */
  #demoted(record: MemberRecord): MemberRecord {
    const { id, directoryId, peerAddress } = this.#learners.get(record.id) ?? record;
    return { id, directoryId, peerAddress };
  }

  #goal(): Membership {
    return ordered({
      voters: sortedById([...this.#voters.values()]),
      outgoing: [],
      learners: sortedById([...this.#learners.values()]),
      learnersNext: [],
      removedIds: sortedIds([...this.#removed]),
    });
  }

  #add(member: MemberRecord, autoPromote: boolean): Refusal | undefined {
    const { id, directoryId, peerAddress } = member;
    const bad = this.#unusable(member);
    if (bad !== undefined) return bad;
    const known = this.#member(id);
    if (known === undefined) {
      this.#learners.set(id, { id, directoryId, peerAddress, autoPromote });
      return undefined;
    }
    const differs = recordDiffers(known, member);
    if (differs !== undefined) return differs;
    if (this.#learners.has(id)) this.#learners.set(id, { id, directoryId, peerAddress, autoPromote });
    return undefined;
  }

  #promote(id: MemberId): Refusal | undefined {
    if (this.#voters.has(id)) return undefined;
    const learner = this.#learners.get(id);
    if (learner === undefined) return this.#missing(id);
    const { directoryId, peerAddress } = learner;
    this.#learners.delete(id);
    this.#voters.set(id, { id, directoryId, peerAddress });
    return undefined;
  }

  #demote(id: MemberId): Refusal | undefined {
    const learner = this.#learners.get(id);
    if (learner !== undefined) {
      // Whoever wants it to stay a learner does not want it promoted by itself.
      this.#learners.set(id, { ...learner, autoPromote: false });
      return undefined;
    }
    const voter = this.#voters.get(id);
    if (voter === undefined) return this.#missing(id);
    const { directoryId, peerAddress } = voter;
    this.#voters.delete(id);
    this.#learners.set(id, { id, directoryId, peerAddress, autoPromote: false });
    return undefined;
  }

  #remove(id: MemberId): Refusal | undefined {
    if (this.#removed.has(id)) return undefined;
    if (this.#member(id) === undefined) return { reason: 'unknown-id', ids: [id] };
    this.#voters.delete(id);
    this.#learners.delete(id);
    this.#removed.add(id);
    return undefined;
  }

  #replace(id: MemberId, by: MemberRecord, force: boolean): Refusal | undefined {
    const bad = this.#unusable(by);
    if (bad !== undefined) return bad;
    const successor = this.#member(by.id);
    const differs = successor === undefined ? undefined : recordDiffers(successor, by);
    if (differs !== undefined) return differs;
    if (this.#removed.has(id) && this.#voters.has(by.id)) return undefined;
    if (this.#voters.has(by.id)) return { reason: 'is-voter', ids: [by.id] };
    if (!this.#voters.has(id)) return this.#learners.has(id) ? { reason: 'not-voter', ids: [id] } : this.#missing(id);
    if (successor === undefined && !force) return { reason: 'not-learner', ids: [by.id] };
    this.#remove(id);
    this.#learners.delete(by.id);
    this.#voters.set(by.id, { id: by.id, directoryId: by.directoryId, peerAddress: by.peerAddress });
    return undefined;
  }

  #setAddress(id: MemberId, peerAddress: string): Refusal | undefined {
    if (!isMemberAddress(peerAddress)) return { reason: 'bad-record', ids: [id] };
    const voter = this.#voters.get(id);
    const learner = this.#learners.get(id);
    if (voter !== undefined) this.#voters.set(id, { ...voter, peerAddress });
    else if (learner !== undefined) this.#learners.set(id, { ...learner, peerAddress });
    else return this.#missing(id);
    return undefined;
  }

  #member(id: MemberId): MemberRecord | undefined {
    return this.#voters.get(id) ?? this.#learners.get(id);
  }

  #unusable({ id, directoryId, peerAddress }: MemberRecord): Refusal | undefined {
    if (!isMemberId(id) || !isDirectoryId(directoryId) || !isMemberAddress(peerAddress)) {
      return { reason: 'bad-record', ids: [id] };
    }
    return this.#removed.has(id) ? { reason: 'removed-before', ids: [id] } : undefined;
  }

  #missing(id: MemberId): Refusal {
    return { reason: this.#removed.has(id) ? 'removed-before' : 'unknown-id', ids: [id] };
  }
}

function recordDiffers(known: MemberRecord, wanted: MemberRecord): Refusal | undefined {
  if (known.directoryId !== wanted.directoryId) return { reason: 'directory-differs', ids: [known.id] };
  return known.peerAddress === wanted.peerAddress ? undefined : { reason: 'address-differs', ids: [known.id] };
}

/** With its fields in one order, wherever it comes from, so that equal ones have equal text. */
function ordered({ voters, learners, removedIds }: Membership): Membership {
  const plain = ({ id, directoryId, peerAddress }: MemberRecord): MemberRecord => ({ id, directoryId, peerAddress });
  return {
    voters: voters.map(plain),
    outgoing: [],
    learners: learners.map((learner) => ({ ...plain(learner), autoPromote: learner.autoPromote })),
    learnersNext: [],
    removedIds,
  };
}
