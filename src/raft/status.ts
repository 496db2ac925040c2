import type { CoreState, Transfer } from './core-state.ts';
import type { DropReason } from './drops.ts';
import type { Membership } from './membership.ts';
import type { ProgressState } from './progress.ts';
import { isActive, isCaughtUp, successorOf } from './reconfigure.ts';
import type { LogBase, MemberId, Role } from './types.ts';

/** What a leader knows of one peer. */
export interface PeerStatus {
  readonly id: MemberId;
  readonly state: ProgressState;
  readonly match: number;
  readonly next: number;
  /** Heard within the last `electionTicksMin` ticks. */
  readonly recentlyActive: boolean;
  readonly inflightMessages: number;
  readonly inflightBytes: number;
  readonly learner: boolean;
  /** Could vote without holding up any commit: a learner that keeps pace, a voter that holds what is committed. */
  readonly caughtUp: boolean;
}

/** A snapshot of one core, for metrics and operators. */
export interface RaftStatus {
  readonly id: MemberId;
  readonly boot: number;
  readonly role: Role;
  readonly term: number;
  /** '' where none was given in this term. */
  readonly vote: MemberId;
  /** '' where unknown. */
  readonly leader: MemberId;
  readonly eligible: boolean;
  /** In force, and the index of the entry that says it. */
  readonly membership: Membership;
  readonly membershipIndex: number;
  /** Leadership on its way to another member, since a tick of this core; undefined where it stays. */
  readonly transfer: Transfer | undefined;
  /** Leader only: who is to lead in its place where nobody is named; '' where no other voter is there. */
  readonly successor: MemberId;
  readonly ownTermCommitted: boolean;
  readonly base: LogBase;
  readonly applied: number;
  readonly commit: number;
  readonly durableIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** Data bytes of kept entries, and of those above the commit index. */
  readonly keptBytes: number;
  readonly uncommittedBytes: number;
  readonly pendingReads: number;
  /** Leader only, in a fixed order. */
  readonly peers: readonly PeerStatus[];
  /** Greatest boot heard of each peer, 0 where none was. */
  readonly peerBoots: Readonly<Record<MemberId, number>>;
  readonly dropped: Readonly<Record<DropReason, number>>;
}

export function statusOf(core: CoreState): RaftStatus {
  const { log } = core;
  return {
    id: core.id,
    boot: core.config.boot,
    role: core.role,
    term: core.term,
    vote: core.vote,
    leader: core.leader,
    eligible: core.eligible,
    membership: core.memberships.inForce,
    membershipIndex: core.memberships.index,
    transfer: core.transfer,
    successor: successorOf(core) ?? '',
    ownTermCommitted: core.ownTermCommitted,
    base: log.base,
    applied: log.applied,
    commit: log.commit,
    durableIndex: core.durability.durableIndex,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    keptBytes: log.bytes,
    uncommittedBytes: log.uncommittedBytes,
    pendingReads: core.rounds.size + core.forwards.size,
    peers: peersOf(core),
    peerBoots: Object.fromEntries(core.peers.map((peer) => [peer, core.boots.of(peer)])),
    dropped: core.drops.all(),
  };
}

function peersOf(core: CoreState): PeerStatus[] {
  return [...core.progress].map(([id, progress]) => ({
    id,
    state: progress.state,
    match: progress.match,
    next: progress.next,
    recentlyActive: isActive(core, progress),
    inflightMessages: progress.inflights.count,
    inflightBytes: progress.inflights.bytes,
    learner: !core.quorum.has(id),
    caughtUp: isCaughtUp(core, id),
  }));
}
