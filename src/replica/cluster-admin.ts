import type { MemberId } from '../raft/types.ts';

/** A member as the cluster's own log records it. */
export interface RecordedMember {
  readonly memberId: MemberId;
  /** Random id of its data directory, 32 hex digits. */
  readonly directoryId: string;
  /** Where other members reach it. */
  readonly peerAddress: string;
  /**
   * `voter` counts in majorities; `learner` is fed and counts in none; `outgoing` is a voter on its way out while a
   * change is under way.
   */
  readonly kind: 'voter' | 'learner' | 'outgoing';
  /** A learner that becomes a voter by itself once it has caught up. */
  readonly autoPromote: boolean;
}

/** Who belongs to the cluster, as the log of one member has it. */
export interface RecordedMembership {
  readonly clusterId: string;
  /** Index of the entry that says so; 0: it is not committed yet, or as the cluster was formed. */
  readonly index: number;
  /** By id in code unit order. */
  readonly members: readonly RecordedMember[];
  /** A change is under way: both the former and the coming voters decide together. */
  readonly joint: boolean;
  /** Ids that were removed and are never used again. */
  readonly removedIds: readonly MemberId[];
}

/** One change of who belongs to the cluster. */
export type MembershipOrder =
  /**
   * Brings in the empty member that waits at this address (`serve --join`), as a learner. It is asked there for its id
   * and its directory. Of a member that belongs to the cluster already it records the address, where that is another.
   */
  | { readonly kind: 'add'; readonly peerAddress: string; readonly autoPromote: boolean }
  /** Makes a learner a voter; refused while it has not caught up, unless forced. */
  | { readonly kind: 'promote'; readonly memberId: MemberId }
  /** Takes a voter or a learner out for good. */
  | { readonly kind: 'remove'; readonly memberId: MemberId }
  /** A learner that has caught up takes the place of a voter, in one step. */
  | { readonly kind: 'replace'; readonly memberId: MemberId; readonly by: MemberId };

/**
 * What operators do to the cluster itself. On any member: what only the leader can do is handed to it. Rejects with
 * RollcallError: MEMBERSHIP_REFUSED (with the fact `problem`), QUORUM_AT_RISK (goes through with `force`),
 * CHANGE_UNDER_WAY (retry after the hint), TRANSFER_FAILED, NO_LEADER, NOT_PROPOSED, OUTCOME_UNKNOWN, NOT_SERVING. An
 * order whose outcome holds already is not an error: it may be given again.
 */
export interface ClusterAdmin {
  /** As the log of this member has it; at once, also without a leader. */
  membership(): RecordedMembership;
  /** Resolves once the change is committed and in force (of a joint change: once the former half is gone). */
  changeMembership(order: MembershipOrder, force: boolean): Promise<RecordedMembership>;
  /**
   * Hands leadership to this voter, or with '' to the one that is furthest. Resolves with who leads then. Rejects with
   * TRANSFER_FAILED where it did not come about within an election timeout: the old leader goes on.
   */
  transferLeadership(to: MemberId): Promise<MemberId>;
}
