import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Membership } from '../raft/membership.ts';
import type { MembershipChange } from '../raft/membership-plan.ts';
import type { RaftCore } from '../raft/raft-core.ts';
import type { MembershipChangeResult } from '../raft/reconfigure.ts';
import type { TransferResult } from '../raft/transfer.ts';
import type {
  ConfirmedRead,
  Entry,
  LogBase,
  MemberId,
  Message,
  ProposeResult,
  ReadContext,
  Ready,
  SnapshotMessage,
  SoftState,
  TransferEnd,
} from '../raft/types.ts';
import type { Transport } from '../transport/types.ts';
import { type LateKind, SilenceWatch } from './lateness.ts';
import type { Persister } from './persister.ts';
import { SlowDisk } from './slow-disk.ts';

/** Election timeouts between two times that a leader leaves for its slow disk. */
const slowDiskRests = 10;

/** Outcome of one proposal: where it stands in the log, or why it is not in it. */
export interface ProposalOutcome {
  readonly id: number;
  readonly result: ProposeResult;
}

/** Who belongs to the cluster, as this member's log has it. */
export interface MembershipNews {
  /** By the newest entry that says it, committed or not. */
  readonly inForce: Membership;
  readonly committed: Membership;
  /** The entry that says what is committed, where nothing newer is in force; otherwise 0. */
  readonly committedIndex: number;
}

/** What one turn of the consensus side tells the serving side: bytes and numbers, in one batch. */
export interface ConsensusTurn {
  readonly softState: SoftState | undefined;
  readonly proposed: readonly ProposalOutcome[];
  /** In order; a restart of the state by a snapshot stands before the entries that follow it. */
  readonly committed: readonly Entry[];
  readonly commit: number;
  readonly confirmedReads: readonly ConfirmedRead[];
  readonly voidedReads: readonly ReadContext[];
  readonly snapshotsWanted: readonly MemberId[];
  /** Where either has changed. */
  readonly membership: MembershipNews | undefined;
  readonly transfersEnded: readonly TransferEnd[];
}

export interface ConsensusListener {
  onTurn(turn: ConsensusTurn): void;
  /** After each tick. `stalled`: the loop stood still for over half an election timeout; earlier rounds are void. */
  onTick(stalled: boolean): void;
  /** The persisted state is now that of this base: drop all and load it again. Before the turn that follows. */
  onStateReplaced(base: LogBase): void;
  /** Whom to be connected to. Before anything is sent to somebody new. */
  onMembership(news: MembershipNews): void;
  /** For metrics: something was this late, ms. */
  onLate(kind: LateKind, ms: number): void;
  /** A broken invariant or a failed write: the member must end. */
  onFatal(error: unknown): void;
}

export interface ConsensusOptions {
  readonly core: RaftCore;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  /** One election timeout at most. */
  readonly electionTicksMax: number;
  /** Half an election timeout, ms: a longer pause of the loop counts as a stall. */
  readonly stallMs: number;
  readonly listener: ConsensusListener;
}

interface OfferedSnapshot {
  readonly base: LogBase;
  taken: boolean;
}

/**
 * The consensus side of a member: core, log, peers and ticks. It meets the serving side only through batches, once a
 * turn of the loop, so that it could run on a thread of its own. Whatever comes in only marks work; the turn runs after
 * the sockets of this loop turn were read.
 */
export class Consensus {
  readonly #options: ConsensusOptions;
  readonly #core: RaftCore;
  #persister: Persister | undefined;
  #proposals: { readonly id: number; readonly data: Uint8Array }[] = [];
  #reads: ReadContext[] = [];
  #turnScheduled: Timer | undefined;
  #tickTimer: Timer | undefined;
  #lastTickMs = 0;
  #offered: OfferedSnapshot | undefined;
  #stopped = false;
  #stallNoticed = false;
  #commitTold = 0;
  /** Peers to which something could not be sent in this turn. */
  readonly #unsent = new Set<MemberId>();
  #inTurn = false;
  readonly #sentHeartbeats: SilenceWatch;
  readonly #heardHeartbeats: SilenceWatch;
  readonly #slowDisk: SlowDisk;

  constructor(options: ConsensusOptions) {
    this.#options = options;
    this.#core = options.core;
    const heartbeatMs = options.tickMs * options.heartbeatTicks;
    this.#sentHeartbeats = new SilenceWatch(heartbeatMs);
    this.#heardHeartbeats = new SilenceWatch(heartbeatMs);
    this.#slowDisk = new SlowDisk(options.electionTicksMax, slowDiskRests * options.electionTicksMax);
  }

  get core(): RaftCore {
    return this.#core;
  }

  /** Starts to tick. The persister reports to `reportDurable`. */
  start(persister: Persister): void {
    this.#persister = persister;
    this.#lastTickMs = this.#options.clock.monotonicMs();
    this.#armTick();
    this.#schedule();
  }

  /** Answered by `ConsensusTurn.proposed` with the same id, in order. */
  propose(id: number, data: Uint8Array): void {
    this.#proposals.push({ id, data });
    this.#schedule();
  }

  /** Answered by `confirmedReads` or `voidedReads`. */
  readIndex(context: ReadContext): void {
    this.#reads.push(context);
    this.#schedule();
  }

  receive(messages: readonly Message[]): void {
    if (this.#stopped) return;
    this.#guard(() => {
      this.#noticeStall();
      for (const message of messages) this.#core.step(message);
    });
    if (messages.some(({ kind }) => kind === 'heartbeat')) this.#late('heartbeat-heard', this.#heardHeartbeats);
    this.#schedule();
  }

  unreachable(peer: MemberId): void {
    if (this.#stopped) return;
    this.#guard(() => this.#core.reportUnreachable(peer));
    this.#schedule();
  }

  reportDurable(sequence: number): void {
    if (this.#stopped) return;
    this.#guard(() => this.#core.reportDurable(sequence));
    this.#schedule();
  }

  reportApplied(index: number): void {
    if (this.#stopped) return;
    this.#guard(() => this.#core.reportApplied(index));
    this.#schedule();
  }

  reportSnapshot(peer: MemberId, result: { ok: true; index: number } | { ok: false }): void {
    if (this.#stopped) return;
    this.#guard(() => this.#core.reportSnapshot(peer, result));
    this.#schedule();
  }

  /** Drops kept entries up to `index` from memory, after the log on disk has. */
  compact(index: number): void {
    this.#guard(() => this.#core.compact(index));
  }

  /** False: a fenced member neither leads nor campaigns. */
  setEligible(eligible: boolean): void {
    this.#guard(() => this.#core.setEligible(eligible));
    this.#schedule();
  }

  /** See RaftCore.proposeMembershipChange. */
  changeMembership(changes: readonly MembershipChange[], force: boolean): MembershipChangeResult {
    let result: MembershipChangeResult = { outcome: 'refused', reason: 'not-leader', ids: [] };
    if (this.#stopped) return result;
    this.#guard(() => {
      result = this.#core.proposeMembershipChange(changes, { force });
    });
    this.#schedule();
    return result;
  }

  /** See RaftCore.transferLeadership. */
  transferLeadership(to: MemberId): TransferResult {
    let result: TransferResult = { accepted: false, reason: 'not-leader' };
    if (this.#stopped) return result;
    this.#guard(() => {
      result = this.#core.transferLeadership(to);
    });
    this.#schedule();
    return result;
  }

  /** See RaftCore.suspectLeader. */
  suspectLeader(campaigns: boolean): boolean {
    return this.#suspicion(() => this.#core.suspectLeader(campaigns));
  }

  /** See RaftCore.retrySuspicion. */
  retrySuspicion(): boolean {
    return this.#suspicion(() => this.#core.retrySuspicion());
  }

  /**
   * Offers a received, sealed snapshot to the core. True: the core took it, and the persist step that activates it is
   * under way. False: it is of an earlier term or not ahead of this member; the caller discards it.
   */
  offerSnapshot(message: SnapshotMessage): boolean {
    assert(this.#offered === undefined, 'one snapshot is offered at a time');
    const offered: OfferedSnapshot = { base: message.snapshot, taken: false };
    this.#offered = offered;
    this.#guard(() => this.#core.step(message));
    this.#turn();
    if (!offered.taken) this.#offered = undefined;
    return offered.taken;
  }

  /** A persist step activates this base: it must be the one that was offered. Another may be offered now. */
  takeOffered(base: LogBase): void {
    const offered = this.#offered;
    assert(offered !== undefined, 'a snapshot is activated that was not offered');
    assert(
      offered.base.index === base.index && offered.base.term === base.term && offered.base.hash === base.hash,
      () => `offered snapshot is at ${offered.base.index}, the core took one at ${base.index}`,
    );
    this.#offered = undefined;
  }

  stop(): void {
    this.#stopped = true;
    this.#tickTimer?.cancel();
    this.#turnScheduled?.cancel();
  }

  #armTick(ms = this.#options.tickMs): void {
    // The tick itself waits for the sockets: after a pause Node runs due timers before it reads them, and a member
    // would campaign although the leader's heartbeat lies in the buffer.
    this.#tickTimer = this.#options.clock.setTimer(ms, () => {
      this.#tickTimer = this.#options.clock.nextTurn(() => this.#tick());
    });
  }

  #tick(): void {
    if (this.#stopped) return;
    const now = this.#options.clock.monotonicMs();
    const shortMs = this.#options.tickMs - (now - this.#lastTickMs);
    if (shortMs > 0) {
      // Timers of Node may fire up to a millisecond early. A tick is never shorter than its length, so that leases,
      // which count ticks, never end early.
      this.#armTick(shortMs);
      return;
    }
    this.#options.listener.onLate('tick', -shortMs);
    const stalled = now - this.#lastTickMs > this.#options.stallMs;
    this.#guard(() => {
      this.#noticeStall();
      this.#core.tick();
      this.#leaveSlowDisk();
    });
    this.#lastTickMs = now;
    this.#stallNoticed = false;
    if (this.#stopped) return;
    this.#options.listener.onTick(stalled);
    this.#turn();
    if (!this.#stopped) this.#armTick();
  }

  /**
   * After a stall the sockets are read before the first tick: what they hold answers rounds of before the stall, and
   * must confirm nothing (design section 9).
   */
  #noticeStall(): void {
    if (this.#stallNoticed) return;
    if (this.#options.clock.monotonicMs() - this.#lastTickMs <= this.#options.stallMs) return;
    this.#stallNoticed = true;
    this.#core.restartRounds();
  }

  /** The voter that is there and holds most is to lead in place of a member whose own disk is behind. */
  #leaveSlowDisk(): void {
    const { role, durableIndex, commit } = this.#core;
    if (!this.#slowDisk.tick({ leads: role === 'leader', durableIndex, commit })) return;
    const { successor } = this.#core.status();
    if (successor !== '') this.#core.transferLeadership(successor);
  }

  #suspicion(ask: () => boolean): boolean {
    let stands = false;
    if (this.#stopped) return stands;
    this.#guard(() => {
      stands = ask();
    });
    this.#schedule();
    return stands;
  }

  #schedule(): void {
    if (this.#stopped || this.#turnScheduled !== undefined || this.#persister === undefined) return;
    this.#turnScheduled = this.#options.clock.nextTurn(() => {
      this.#turnScheduled = undefined;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#stopped || this.#inTurn) return;
    this.#inTurn = true;
    this.#guard(() => {
      const proposed = this.#proposeAll();
      for (const context of this.#reads.splice(0)) this.#core.readIndex(context);
      const collected = new CollectedTurn();
      collected.proposed.push(...proposed);
      // Each ready may unlock another (a single voter commits at once), but never without end: the core hands out
      // every entry once.
      while (this.#core.hasReady()) this.#handle(this.#core.ready(), collected);
      // Behind the loop: the core would hand out at once what it could not send, and the loop would never end.
      for (const peer of this.#unsent) this.#core.reportUnreachable(peer);
      this.#unsent.clear();
      this.#deliver(collected, this.#core.commit);
    });
    this.#inTurn = false;
  }

  #proposeAll(): ProposalOutcome[] {
    return this.#proposals.splice(0).map(({ id, data }) => ({ id, result: this.#core.propose(data) }));
  }

  #handle(ready: Ready, collected: CollectedTurn): void {
    if (ready.persist?.snapshot !== undefined) {
      assert(this.#offered !== undefined, 'the core took a snapshot that was not offered');
      this.#offered.taken = true;
      // What was committed before the snapshot goes out before it: the serving side applies in the order it is told.
      this.#deliver(collected, this.#commitTold);
      this.#options.listener.onStateReplaced(ready.persist.snapshot);
    }
    if (ready.softState !== undefined) {
      this.#sentHeartbeats.reset();
      this.#heardHeartbeats.reset();
    }
    if (ready.membership !== undefined || ready.committedMembership !== undefined) {
      const news = this.#membershipNews();
      collected.membership = news;
      this.#options.listener.onMembership(news);
    }
    this.#send(ready.messages);
    if (ready.persist !== undefined) this.#persister?.persist(ready.persist);
    collected.add(ready);
  }

  #membershipNews(): MembershipNews {
    const inForce = this.#core.membership;
    const committed = this.#core.committedMembership;
    const committedIndex = inForce === committed ? this.#core.status().membershipIndex : 0;
    return { inForce, committed, committedIndex };
  }

  /** @param commit As the turn sees it: what a snapshot commits does not hold for the log before it. */
  #deliver(collected: CollectedTurn, commit: number): void {
    if (collected.empty) return;
    this.#commitTold = commit;
    this.#persister?.noteCommit(commit);
    this.#options.listener.onTurn(collected.take(commit));
  }

  #send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const byPeer = new Map<MemberId, Message[]>();
    for (const message of messages) {
      const list = byPeer.get(message.to);
      if (list === undefined) byPeer.set(message.to, [message]);
      else list.push(message);
    }
    for (const [peer, list] of byPeer) {
      if (!this.#options.transport.send(peer, list, [])) this.#unsent.add(peer);
    }
    if (messages.some(({ kind }) => kind === 'heartbeat')) this.#late('heartbeat-sent', this.#sentHeartbeats);
  }

  #late(kind: LateKind, watch: SilenceWatch): void {
    const ms = watch.heard(this.#options.clock.monotonicMs());
    if (ms !== undefined) this.#options.listener.onLate(kind, ms);
  }

  /** A breach of an invariant in the core ends the member: nothing it says could be believed. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.stop();
      this.#options.listener.onFatal(error);
    }
  }
}

/** Gathers what several `Ready` of one turn hand out. */
class CollectedTurn {
  proposed: ProposalOutcome[] = [];
  #committed: Entry[] = [];
  #confirmedReads: ConfirmedRead[] = [];
  #voidedReads: ReadContext[] = [];
  #snapshotsWanted: MemberId[] = [];
  #transfersEnded: TransferEnd[] = [];
  #softState: SoftState | undefined;
  membership: MembershipNews | undefined;

  get empty(): boolean {
    const { proposed } = this;
    const reads = this.#confirmedReads.length + this.#voidedReads.length;
    const others =
      proposed.length + this.#committed.length + this.#snapshotsWanted.length + this.#transfersEnded.length;
    return this.#softState === undefined && this.membership === undefined && reads + others === 0;
  }

  add(ready: Ready): void {
    if (ready.softState !== undefined) this.#softState = ready.softState;
    for (const entry of ready.committed) this.#committed.push(entry);
    for (const read of ready.confirmedReads) this.#confirmedReads.push(read);
    for (const read of ready.voidedReads) this.#voidedReads.push(read);
    for (const peer of ready.snapshotsWanted) this.#snapshotsWanted.push(peer);
    for (const end of ready.transfersEnded) this.#transfersEnded.push(end);
  }

  /** What was gathered, and begins anew. */
  take(commit: number): ConsensusTurn {
    const turn: ConsensusTurn = {
      softState: this.#softState,
      proposed: this.proposed,
      committed: this.#committed,
      commit,
      confirmedReads: this.#confirmedReads,
      voidedReads: this.#voidedReads,
      snapshotsWanted: this.#snapshotsWanted,
      membership: this.membership,
      transfersEnded: this.#transfersEnded,
    };
    this.#softState = undefined;
    this.membership = undefined;
    this.#transfersEnded = [];
    this.proposed = [];
    this.#committed = [];
    this.#confirmedReads = [];
    this.#voidedReads = [];
    this.#snapshotsWanted = [];
    return turn;
  }
}
