import type { Membership } from './membership.ts';

/**
 * What travels into and out of the Raft core: entries, messages between members, and the bundle (`Ready`) that the
 * core hands to its host. Everything here is a plain value; nothing here does I/O.
 */

/** Configured name of a member, never reused within a cluster. */
export type MemberId = string;

/**
 * Hash of the log's prefix up to and including an entry: 16 lowercase hex digits, the first 64 bits of a SHA-256 over
 * the previous prefix hash, the entry's index, term and data. Two logs that agree on (index, term, hash) agree on
 * every entry up to there.
 */
export type PrefixHash = string;

/** Where a log (or its kept part) begins: the last entry that is *not* in it any more. */
export interface LogBase {
  readonly index: number;
  readonly term: number;
  readonly hash: PrefixHash;
}

/** One entry of the log. Empty `data` is the entry by which a new leader opens its term. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly hash: PrefixHash;
  readonly data: Uint8Array;
}

/** What must be on disk before anything that depends on it leaves the member. `vote` is '' where none was given. */
export interface HardState {
  readonly term: number;
  readonly vote: MemberId;
}

/** Identity of one linearizable read, never reused: the asking member, its boot and a counter within that boot. */
export interface ReadContext {
  readonly member: MemberId;
  readonly boot: number;
  readonly counter: number;
  /** Starts no round of its own: it joins the next one, which begins with the next heartbeat at the latest. */
  readonly patient?: true;
}

interface MessageHead {
  readonly from: MemberId;
  readonly to: MemberId;
  /** Boot number of the sender. */
  readonly fromBoot: number;
  /** Boot number of the addressee as the sender last heard it; 0 = not heard yet (allowed on requests only). */
  readonly toBoot: number;
  readonly term: number;
}

/** `term` of a pre-vote request is the term that the sender would campaign in (its own plus one). */
export interface VoteRequest extends MessageHead {
  readonly kind: 'vote-request';
  readonly preVote: boolean;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** A real vote that the leader itself has asked for: answered although a leader is heard (thesis, section 4.2.3). */
  readonly transfer?: true;
}

/** A granted pre-vote reply repeats the asked term; a refused one carries the voter's own term. */
export interface VoteReply extends MessageHead {
  readonly kind: 'vote-reply';
  readonly preVote: boolean;
  readonly granted: boolean;
}

export interface AppendRequest extends MessageHead {
  readonly kind: 'append';
  readonly prevIndex: number;
  readonly prevTerm: number;
  readonly prevHash: PrefixHash;
  /** Contiguous from prevIndex + 1; may be empty (a probe). */
  readonly entries: readonly Entry[];
  readonly commit: number;
}

/** Accepted: the sender's log is durable and equal to the leader's up to `matchIndex`. */
export interface AppendReply extends MessageHead {
  readonly kind: 'append-reply';
  readonly accepted: boolean;
  /** Accepted only; otherwise 0. */
  readonly matchIndex: number;
  /** Refused only: the prevIndex that did not match. */
  readonly rejectedIndex: number;
  /** Refused only: the greatest index at which the logs may agree, and the term the follower has there. */
  readonly hintIndex: number;
  readonly hintTerm: number;
}

export interface Heartbeat extends MessageHead {
  readonly kind: 'heartbeat';
  /** min(leader's commit, what this follower is known to hold). */
  readonly commit: number;
  /** Number of the newest read round of this leader in this term; a reply confirms every round up to it. */
  readonly round: number;
}

export interface HeartbeatReply extends MessageHead {
  readonly kind: 'heartbeat-reply';
  readonly round: number;
}

/** Steps in only after the host holds the whole verified snapshot in a synced directory of its own. */
export interface SnapshotMessage extends MessageHead {
  readonly kind: 'snapshot';
  readonly snapshot: LogBase;
  /** In force at the snapshot's index. */
  readonly membership: Membership;
}

/** The leader hands over: the addressee, who holds all of its log, is to campaign at once (thesis, section 3.10). */
export interface TimeoutNow extends MessageHead {
  readonly kind: 'timeout-now';
}

export interface ReadIndexRequest extends MessageHead {
  readonly kind: 'read-index';
  readonly contexts: readonly ReadContext[];
}

/** `index` 0: the leader could not confirm; the contexts are void. */
export interface ReadIndexReply extends MessageHead {
  readonly kind: 'read-index-reply';
  readonly contexts: readonly ReadContext[];
  readonly index: number;
}

export type Message =
  | VoteRequest
  | VoteReply
  | AppendRequest
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | SnapshotMessage
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexReply;

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

/** What may change without being persisted; handed out whenever it differs from what was handed out before. */
export interface SoftState {
  readonly role: Role;
  readonly term: number;
  /** '' where unknown. */
  readonly leader: MemberId;
  /** Leader only: an entry of its own term is committed, so reads and leases may be served. */
  readonly ownTermCommitted: boolean;
}

/** One durable step. The host persists `hardState`, then `snapshot`, then `entries`, in the order of `sequence`. */
export interface Persist {
  readonly sequence: number;
  readonly hardState?: HardState;
  /** The log restarts at this base: everything before and after it in the log is dropped. */
  readonly snapshot?: LogBase;
  /** With a snapshot: the membership at its index. */
  readonly snapshotMembership?: Membership;
  /** Contiguous; the first may lie at or below the last index handed out before (it supersedes from there). */
  readonly entries: readonly Entry[];
  /** Commit index known when this was handed out; to be written into the frame. */
  readonly commit: number;
}

export interface ConfirmedRead {
  readonly context: ReadContext;
  /** Reading is linearizable once this index is applied. */
  readonly index: number;
}

/**
 * How an attempt to hand over ended. `transferred`: the addressee leads. `timed-out`: it did not within one election
 * timeout. `replaced`: another was asked to lead instead. `not-voter`: it lost its vote meanwhile. `other-leader`:
 * somebody else was elected.
 */
export interface TransferEnd {
  readonly to: MemberId;
  readonly outcome: 'transferred' | 'timed-out' | 'replaced' | 'not-voter' | 'other-leader';
}

export interface Ready {
  readonly softState?: SoftState;
  /** The membership in force, whenever it is another than was handed out before: whom to connect to. */
  readonly membership?: Membership;
  /** That of the newest committed entry that says one, whenever it is another than was handed out before. */
  readonly committedMembership?: Membership;
  readonly persist?: Persist;
  /** Safe to send at once: what depends on unsynced state is held back inside the core until `reportDurable`. */
  readonly messages: readonly Message[];
  /** Newly committed entries in order, each exactly once; bounded by `applyBytesMax` a call. */
  readonly committed: readonly Entry[];
  readonly confirmedReads: readonly ConfirmedRead[];
  readonly voidedReads: readonly ReadContext[];
  /** Peers that need a snapshot; the host streams one and answers with `reportSnapshot`. */
  readonly snapshotsWanted: readonly MemberId[];
  /** What became of `transferLeadership`, in order. */
  readonly transfersEnded: readonly TransferEnd[];
}

export type ProposeResult =
  | { readonly accepted: true; readonly index: number; readonly term: number }
  | { readonly accepted: false; readonly reason: 'not-leader' | 'uncommitted-full' | 'ineligible' | 'transferring' };
