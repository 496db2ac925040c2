import type { LogBase, MemberId, Role, TransferEnd } from '../raft/types.ts';
import type { LateKind } from './lateness.ts';

/** What happened in a replica that operators want to read of, or count. */
export type ReplicaEvent =
  | { readonly kind: 'forming'; readonly waitingFor: string }
  | { readonly kind: 'formed'; readonly clusterId: string }
  | {
      readonly kind: 'recovered';
      readonly boot: number;
      readonly index: number;
      readonly revision: number;
      readonly entries: number;
      readonly ms: number;
      readonly torn: string;
    }
  | { readonly kind: 'role'; readonly role: Role; readonly term: number; readonly leader: MemberId }
  | { readonly kind: 'leading'; readonly term: number; readonly leases: number }
  /** Who belongs to the cluster has changed, for good. */
  | { readonly kind: 'membership'; readonly index: number; readonly voters: string; readonly learners: string }
  | { readonly kind: 'transferred'; readonly to: MemberId; readonly outcome: TransferEnd['outcome'] }
  | { readonly kind: 'joined'; readonly clusterId: string }
  /** This member was removed from its cluster; it ends soon. */
  | { readonly kind: 'removed'; readonly by: MemberId }
  /** The leader's streams have ended and its port refuses: an election begins before the timeout. */
  | { readonly kind: 'suspected'; readonly leader: MemberId; readonly term: number }
  | { readonly kind: 'stalled'; readonly stallMsMin: number }
  | { readonly kind: 'connected'; readonly peer: MemberId }
  | { readonly kind: 'unreachable'; readonly peer: MemberId; readonly reason: string }
  | { readonly kind: 'expired'; readonly leases: number }
  | { readonly kind: 'flushed'; readonly index: number; readonly keys: number; readonly ms: number }
  | { readonly kind: 'compacted'; readonly index: number }
  | { readonly kind: 'snapshot-sent'; readonly peer: MemberId; readonly base: LogBase; readonly ms: number }
  | { readonly kind: 'snapshot-failed'; readonly peer: MemberId; readonly reason: string }
  | { readonly kind: 'snapshot-receiving'; readonly from: MemberId; readonly base: LogBase }
  | { readonly kind: 'snapshot-installed'; readonly index: number; readonly revision: number }
  | { readonly kind: 'hashes-compared'; readonly index: number; readonly answers: number }
  | { readonly kind: 'fenced'; readonly index: number; readonly own: string; readonly majority: string }
  | { readonly kind: 'hash-split'; readonly index: number; readonly hashes: string }
  | { readonly kind: 'malformed-forward'; readonly from: MemberId; readonly problem: string };

export interface ReplicaObserver {
  event(event: ReplicaEvent): void;
  /** For metrics, often: something of the consensus side was this late, ms. */
  late?(kind: LateKind, ms: number): void;
  /**
   * The member cannot go on: a write failed, data is damaged, or an invariant is broken. Called once; end the process.
   */
  fatal(error: unknown): void;
}
