import type { Registry } from '../state-machine/interfaces.ts';
import type { Command, CommandResult, SessionChange } from '../state-machine/types.ts';
import type { MemberId, Role } from '../raft/types.ts';
import type { PeerStatus } from '../transport/types.ts';
import type { WatchTurn } from '../watch/types.ts';
import type { ClusterAdmin } from './cluster-admin.ts';

/** Renewal of one lease, as answered. */
export interface RenewResult {
  readonly leaseId: number;
  readonly status: 'renewed' | 'unknown' | 'unavailable';
  readonly ttlMs: number;
}

export interface ReplicaStatus {
  readonly clusterId: string;
  readonly memberId: MemberId;
  readonly directoryId: string;
  readonly boot: number;
  readonly phase: 'forming' | 'serving' | 'stopping' | 'failed';
  readonly waitingFor: string;
  readonly role: Role;
  readonly leader: MemberId;
  readonly term: number;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly durableIndex: number;
  readonly flushedIndex: number;
  readonly firstKeptIndex: number;
  readonly revision: number;
  readonly stateHash: string;
  readonly fenced: boolean;
  readonly diskFreeBytes: number;
  readonly logBytes: number;
  readonly uptimeMs: number;
  readonly peers: readonly (PeerStatus & { readonly matchIndex: number; readonly replicationState: string })[];
}

/** What happened in one turn, for the watch hub: applied changes and the revision reached. */
export interface AppliedTurn extends WatchTurn {
  /** What streams of sessions must be told. */
  readonly sessions: readonly SessionChange[];
}

/**
 * One member's running replica as the use cases (api) see it. Every promise rejects with RollcallError: reason
 * NO_LEADER, NOT_PROPOSED, OUTCOME_UNKNOWN, MEMBER_BEHIND, MEMBER_FENCED, NOT_SERVING, OVERLOADED or DEADLINE.
 * Nothing hangs: without a leader calls fail within two election timeouts.
 */
export interface Replica {
  readonly memberId: MemberId;
  /** The applied state of this member. Read it synchronously after a barrier; never keep what it returns mutable. */
  readonly state: Registry;
  /** What operators do to the cluster itself. */
  readonly admin: ClusterAdmin;
  /**
   * Proposes through the leader (handed on where that is another member) and resolves with what apply answered.
   *
   * @param deadlineMs By the monotonic clock; what is not proposed by then is refused with NOT_PROPOSED, also at the
   * leader. Absent: none but the replica's own.
   */
  execute(command: Command, deadlineMs?: number): Promise<CommandResult>;
  /** Renews leases at the leader behind a quorum round that began after they arrived there. */
  renew(leaseIds: readonly number[]): Promise<readonly RenewResult[]>;
  /** Resolves once this member has applied everything acknowledged anywhere before the call. */
  readBarrier(): Promise<void>;
  /** Resolves once `revision` is applied; MEMBER_BEHIND after one election timeout. */
  waitForRevision(revision: number): Promise<void>;
  /** How old a stale answer may be, ms; `unknownAgeMs` where it heard no leader since it started. */
  ageMs(): number;
  /** Throws what a stale read is refused with: NOT_SERVING or MEMBER_FENCED. The other calls see to it themselves. */
  assertServing(): void;
  /** Called once a turn with what was applied in it (also with no events where only the revision is confirmed). */
  onApplied(listener: (turn: AppliedTurn) => void): () => void;
  /** The state was replaced as a whole by a snapshot: every watch needs a reset at the new revision. */
  onReplaced(listener: (revision: number) => void): () => void;
  status(): ReplicaStatus;
  /** One election timeout at most, ms: the unit of waiting. */
  readonly electionTimeoutMs: number;
}
