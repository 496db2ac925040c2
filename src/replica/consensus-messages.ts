// What the two sides of a member say to each other where they run on two threads; see ConsensusPort for the meaning.
import type { MembershipChange } from '../raft/membership-plan.ts';
import type { Entry, LogBase, MemberId, ReadContext, SnapshotMessage } from '../raft/types.ts';
import type { MembershipRecord } from '../storage/entry-log.ts';
import type { Forwarded, FormState, IncomingSnapshot } from '../transport/types.ts';
import { type ByteBatch, type ByteRange, bytesOf } from './byte-batch.ts';
import type { ConsensusTurn } from './consensus.ts';
import type { ConsensusPort, ConsensusStart, ConsensusStatus, FlushedState } from './consensus-port.ts';
import type { LateKind } from './lateness.ts';
import type { PlainError } from './plain-error.ts';

type Packed<T, Key extends keyof T> = Omit<T, Key> & Readonly<Record<Key, ByteRange>>;
export type PackedEntry = Packed<Entry, 'data'>;
export type PackedForwarded = Packed<Forwarded, 'body'>;
export type PackedTurn = Omit<ConsensusTurn, 'committed'> & { readonly committed: readonly PackedEntry[] };

/** To the consensus side, answered. */
export type ConsensusAsk =
  | { readonly kind: 'listen' }
  | { readonly kind: 'form'; readonly address: string; readonly own: FormState; readonly timeoutMs: number }
  | { readonly kind: 'create'; readonly membership: MembershipRecord }
  | { readonly kind: 'recover'; readonly state: FlushedState }
  | {
      readonly kind: 'send-snapshot';
      readonly to: MemberId;
      readonly term: number;
      readonly base: LogBase;
      readonly source: number;
    }
  | { readonly kind: 'offer-snapshot'; readonly message: SnapshotMessage }
  | { readonly kind: 'compactable'; readonly share: number; readonly upto: number }
  | { readonly kind: 'compact'; readonly base: LogBase }
  | { readonly kind: 'change-membership'; readonly changes: readonly MembershipChange[]; readonly force: boolean }
  | { readonly kind: 'transfer-leadership'; readonly to: MemberId }
  | { readonly kind: 'membership-at'; readonly index: number }
  | { readonly kind: 'settle' }
  | { readonly kind: 'close' }
  | { readonly kind: 'stop'; readonly graceMs: number };

/** To the consensus side, not answered. */
export type ConsensusTell =
  | { readonly kind: 'form-state'; readonly state: FormState }
  | { readonly kind: 'start'; readonly start: ConsensusStart }
  | { readonly kind: 'propose'; readonly id: number; readonly data: ByteRange }
  | { readonly kind: 'read-index'; readonly context: ReadContext }
  | { readonly kind: 'applied'; readonly index: number }
  | { readonly kind: 'eligible'; readonly eligible: boolean }
  | {
      readonly kind: 'forward';
      readonly to: MemberId;
      readonly boot: number;
      readonly forwarded: readonly PackedForwarded[];
    }
  | {
      readonly kind: 'snapshot-report';
      readonly peer: MemberId;
      readonly result: Parameters<ConsensusPort['reportSnapshot']>[1];
    }
  /** The serving side has taken a tick: it does not stand still. */
  | { readonly kind: 'beat' }
  | { readonly kind: 'halt' };

/** To the serving side, answered. */
export type ServingAsk =
  | { readonly kind: 'activate-snapshot'; readonly base: LogBase }
  | { readonly kind: 'snapshot'; readonly incoming: Omit<IncomingSnapshot, 'body'>; readonly source: number };

/** To the serving side, not answered. */
export type ServingTell =
  | { readonly kind: 'facts'; readonly durableIndex: number; readonly keptBytes: number }
  | { readonly kind: 'status'; readonly status: ConsensusStatus }
  | { readonly kind: 'turn'; readonly turn: PackedTurn }
  | { readonly kind: 'tick'; readonly stalled: boolean }
  | { readonly kind: 'state-replaced'; readonly base: LogBase }
  | { readonly kind: 'snapshot-durable'; readonly base: LogBase }
  | {
      readonly kind: 'forwarded';
      readonly from: MemberId;
      readonly boot: number;
      readonly forwarded: readonly PackedForwarded[];
    }
  | { readonly kind: 'connected'; readonly peer: MemberId }
  | { readonly kind: 'unreachable'; readonly peer: MemberId; readonly reason: string }
  | { readonly kind: 'suspected'; readonly leader: MemberId; readonly term: number }
  | { readonly kind: 'removed'; readonly by: MemberId; readonly text: string }
  /** What was to be forwarded to this peer was not sent. */
  | { readonly kind: 'unsent'; readonly peer: MemberId }
  | { readonly kind: 'late'; readonly what: LateKind; readonly ms: number }
  | { readonly kind: 'disk-write'; readonly path: string; readonly bytes: number; readonly ms: number }
  | { readonly kind: 'fatal'; readonly error: PlainError };

export function packTurn(turn: ConsensusTurn, bytes: ByteBatch): PackedTurn {
  const committed = turn.committed.map(({ index, term, hash, data }) => ({ index, term, hash, data: bytes.add(data) }));
  return { ...turn, committed };
}

export function unpackTurn(turn: PackedTurn, buffer: ArrayBuffer): ConsensusTurn {
  const committed = turn.committed.map((entry) => ({ ...entry, data: bytesOf(buffer, entry.data) }));
  return { ...turn, committed };
}

export function packForwarded(forwarded: readonly Forwarded[], bytes: ByteBatch): PackedForwarded[] {
  return forwarded.map(({ id, answer, body }) => ({ id, answer, body: bytes.add(body) }));
}

export function unpackForwarded(forwarded: readonly PackedForwarded[], buffer: ArrayBuffer): Forwarded[] {
  return forwarded.map((item) => ({ ...item, body: bytesOf(buffer, item.body) }));
}
