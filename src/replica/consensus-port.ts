import type { Membership } from '../raft/membership.ts';
import type { MembershipChange } from '../raft/membership-plan.ts';
import type { MembershipChangeResult } from '../raft/reconfigure.ts';
import type { RaftStatus } from '../raft/status.ts';
import type { TransferResult } from '../raft/transfer.ts';
import type { LogBase, MemberId, ReadContext, SnapshotMessage } from '../raft/types.ts';
import type { MembershipRecord, RecoveredLog } from '../storage/entry-log.ts';
import type {
  Forwarded,
  FormState,
  IncomingSnapshot,
  LocalIdentity,
  PeerAddress,
  PeerStatus,
} from '../transport/types.ts';
import type { ConsensusTurn } from './consensus.ts';
import type { LateKind } from './lateness.ts';

/** What the consensus side must know of the flushed state to judge its log by. */
export interface FlushedState {
  readonly index: number;
  readonly prefixHash: string;
  /** The base that an installed snapshot demands: the log restarts there where it is behind it. */
  readonly installed: { readonly base: LogBase; readonly membership: MembershipRecord } | undefined;
}

/** What the consensus side found on its disk. */
export interface RecoveredConsensus {
  /** Raised for this start, and durable. */
  readonly boot: number;
  /** By the newest entry of the log that says it, committed or not. */
  readonly membership: MembershipRecord;
  readonly entries: number;
  /** Of the log as it was found. */
  readonly lastIndex: number;
  readonly torn: RecoveredLog['torn'];
}

export interface ConsensusStart {
  readonly identity: LocalIdentity;
  /**
   * Where the configuration says that members are. It goes before the address that is recorded at this start, until
   * another is.
   */
  readonly addresses: ReadonlyMap<MemberId, string>;
  /** Of a member that joins and knows nobody yet: who may speak to it, and where they are. */
  readonly sponsors: readonly PeerAddress[];
}

/** How the consensus side stands, for operators and for the flusher. */
export interface ConsensusStatus {
  /** undefined before the start. */
  readonly core: RaftStatus | undefined;
  readonly logBytes: number;
  readonly peers: readonly PeerStatus[];
}

/**
 * What the consensus side tells the serving side, in this order of time. Everything comes on the serving side's loop.
 */
export interface ConsensusEvents {
  onTurn(turn: ConsensusTurn): void;
  /**
   * Time has passed on both sides: a tick is at least its length here too, and is taken after what the consensus side
   * had read from its sockets has come. `stalled`: either side stood still for over half an election timeout.
   */
  onTick(stalled: boolean): void;
  /** This side stood still: what the consensus side has confirmed meanwhile confirms no read asked before. */
  onStall(): void;
  /** The persisted state is to be that of this base: drop all, load it once durable. Before the turn that follows. */
  onStateReplaced(base: LogBase): void;
  /** Makes the offered snapshot with this base the active state; resolves when that is durable. */
  activateSnapshot(base: LogBase): Promise<MembershipRecord>;
  /** State and log both stand at this base, durably. */
  onSnapshotDurable(base: LogBase): void;
  /** `boot`: of the peer that sent them. */
  onForwarded(from: MemberId, boot: number, forwarded: readonly Forwarded[]): void;
  onConnected(peer: MemberId): void;
  onUnreachable(peer: MemberId, reason: string): void;
  /** There is evidence that the leader of this term is gone. */
  onSuspected(leader: MemberId, term: number): void;
  /** A peer says that this member was removed from the cluster for good. */
  onRemoved(by: MemberId, text: string): void;
  /** Calls handed to `forward` found this peer away: what is asked of it has no answer. */
  onUnsent(peer: MemberId): void;
  onSnapshot(incoming: IncomingSnapshot): Promise<number>;
  /** For metrics: something was this late, ms. */
  onLate(kind: LateKind, ms: number): void;
  /** A broken invariant or a failed write: the member must end. */
  onFatal(error: unknown): void;
}

/**
 * The consensus side of a member as the serving side sees it: core, log, hard state, peers and ticks, on the same
 * thread (local-consensus.ts) or on another (remote-consensus.ts). Only bytes and numbers pass, in batches; no call
 * waits. Order of use: `attach`; `listen`, `create` where the cluster forms, and `recover`; `start`, then the rest;
 * `settle`, `close` and `stop` at the end. Bytes handed over must not be changed afterwards.
 */
export interface ConsensusPort {
  /** Who is told of everything. First, and once. */
  attach(events: ConsensusEvents): void;
  /** Listens for peers; resolves with the port. */
  listen(): Promise<number>;
  /** What members that ask are told of how this one is formed. Before `listen`, and whenever it changes. */
  setFormState(state: FormState): void;
  /** Asks an address for its form state; rejects with RollcallError UNAVAILABLE. */
  askForm(address: string, own: FormState, timeoutMs: number): Promise<FormState>;
  /** Makes an empty log and hard state for a new cluster. */
  create(membership: MembershipRecord): Promise<void>;
  /** Opens log and hard state, and raises the boot. Rejects with StorageError: the member must not start. */
  recover(state: FlushedState): Promise<RecoveredConsensus>;
  start(start: ConsensusStart): void;

  /** Answered by `ConsensusTurn.proposed` with the same id, in order. */
  propose(id: number, data: Uint8Array): void;
  /** Answered by `confirmedReads` or `voidedReads`. */
  readIndex(context: ReadContext): void;
  reportApplied(index: number): void;
  /** Leader: proposes what these lead to. What became of it is told by `ConsensusTurn.membership`. */
  changeMembership(changes: readonly MembershipChange[], force: boolean): Promise<MembershipChangeResult>;
  /** Leader: begins to hand over. How it ends is told by `ConsensusTurn.transfersEnded`. */
  transferLeadership(to: MemberId): Promise<TransferResult>;
  /** As of a committed index that is kept; undefined outside of these. */
  membershipAt(index: number): Promise<Membership | undefined>;
  /** False: a fenced member neither leads nor campaigns. */
  setEligible(eligible: boolean): void;
  /**
   * Hands calls or answers of this side to a peer's. False: not sent. What is lost later is told by `onUnreachable`.
   *
   * @param boot Only to this life of the peer; 0 = whichever.
   */
  forward(to: MemberId, boot: number, forwarded: readonly Forwarded[]): boolean;
  /** As Transport.sendSnapshot; the outcome is also the caller's to report by `reportSnapshot`. */
  sendSnapshot(to: MemberId, term: number, base: LogBase, body: AsyncIterable<Uint8Array>): Promise<number>;
  reportSnapshot(peer: MemberId, result: { readonly ok: true; readonly index: number } | { readonly ok: false }): void;
  /**
   * Offers a received, sealed snapshot to the core. True: it was taken, and `activateSnapshot` comes or has come.
   * False: it is of an earlier term or not ahead of this member. One at a time.
   */
  offerSnapshot(message: SnapshotMessage): Promise<boolean>;
  /** Where the log may begin, at most behind `upto`, with this share (0 to 1) of it left; undefined: as it is. */
  compactable(share: number, upto: number): Promise<LogBase | undefined>;
  /** Drops the log up to `base`, durably; the state that covers it is flushed and durable. */
  compact(base: LogBase): Promise<void>;

  /** Last index durable here of a log that holds all that was committed, as last told. */
  readonly durableIndex: number;
  /** Bytes of the log on disk, as last told. */
  readonly keptBytes: number;
  /** As last told: at most a tick old. */
  status(): ConsensusStatus;

  /** No tick, no message, no proposal any more, at once: the member ends. */
  halt(): void;
  /** Halts, and resolves once all that was handed to the log is durable. */
  settle(): Promise<void>;
  /** Closes log and hard state, where they were opened. */
  close(): Promise<void>;
  /** Sends what is queued where it can within `graceMs`, then closes the way to the peers. */
  stop(graceMs: number): Promise<void>;
}
