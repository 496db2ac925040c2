import { assert, assertSafeInteger } from '../base/assert.ts';
import type { RaftConfig, RaftInitial } from './config.ts';
import { checkConfig, checkInitial } from './config-check.ts';
import { CoreState } from './core-state.ts';
import { campaign, countOwnVote, retrySuspicion, suspectLeader } from './elections.ts';
import { checkInvariants, watermarksOf } from './invariants.ts';
import type { Watermarks } from './invariants.ts';
import type { Membership } from './membership.ts';
import type { MembershipChange } from './membership-plan.ts';
import type { Prefix } from './raft-log.ts';
import { isReady, takeReady } from './ready.ts';
import { beat, requestRead } from './reads.ts';
import { changeMembership, noteCatchUp, promoteLearners, settleMembership } from './reconfigure.ts';
import type { MembershipChangeResult } from './reconfigure.ts';
import { advanceCommit } from './replication.ts';
import { becomeFollower, loseLeader } from './roles.ts';
import { statusOf } from './status.ts';
import type { RaftStatus } from './status.ts';
import { acknowledgeDurable } from './step-follower.ts';
import { stepMessage } from './step.ts';
import { isFeatureLevelData, isSystemData } from './system-entries.ts';
import { expireTransfer, startTransfer, urgeTransfer } from './transfer.ts';
import type { TransferResult } from './transfer.ts';
import type { Entry, MemberId, Message, ProposeResult, ReadContext, Ready, Role, SoftState } from './types.ts';

/** What became of a snapshot that a leader's host was asked to stream to a peer. `index`: the snapshot's. */
export type SnapshotReport = { readonly ok: true; readonly index: number } | { readonly ok: false };

/**
 * The Raft algorithm of one member (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm",
 * extended version; Ongaro's thesis for pre-vote and reads) as a pure state machine: no clock, no I/O, no randomness
 * but that of the configuration. The host calls the verbs, then `ready()`, and does what it says in any order that
 * respects this: messages of a `Ready` may leave before its `persist` is written, everything that must not has been
 * kept back. Persist steps are written in order; several may be under way.
 *
 * Not to be called from within itself; every call returns at once. Whoever sees an InvariantError from any method ends
 * the process: nothing that this core would say after it can be trusted.
 */
export class RaftCore {
  readonly #core: CoreState;
  #handedSoftState: SoftState | undefined;
  #watermarks: Watermarks;

  /**
   * @param initial What was found on disk, and is durable by now. The core keeps the entries; nobody may change them.
   * @throws InvariantError if settings or disk contradict themselves.
   */
  constructor(config: RaftConfig, initial: RaftInitial) {
    checkConfig(config);
    checkInitial(initial);
    this.#core = new CoreState(config, initial);
    this.#watermarks = watermarksOf(this.#core);
    // Committed entries that are not yet applied are handed out by the first ready().
    checkInvariants(this.#core, this.#watermarks);
  }

  /** Greatest term seen. */
  get term(): number {
    return this.#core.term;
  }

  get role(): Role {
    return this.#core.role;
  }

  /** Who leads the present term; '' where unknown. */
  get leader(): MemberId {
    return this.#core.leader;
  }

  get commit(): number {
    return this.#core.log.commit;
  }

  get lastIndex(): number {
    return this.#core.log.lastIndex;
  }

  /** The log as it is in memory is durable here up to this index. */
  get durableIndex(): number {
    return this.#core.durability.durableIndex;
  }

  /**
   * One unit of time has passed. Followers and candidates count to the next election; a leader sends heartbeats, and
   * steps down when it has heard no quorum for `electionTicksMin` ticks (thesis, section 6.2).
   */
  tick(): void {
    const core = this.#core;
    core.ticks += 1;
    expireTransfer(core);
    if (core.role === 'leader') {
      this.#tickLeader();
      return;
    }
    core.electionElapsedTicks += 1;
    core.forwards.resendSince(core.ticks - core.config.electionTicksMin);
    if (core.electionElapsedTicks < core.electionTimeoutTicks) return;
    if (core.mayCampaign) campaign(core);
    // A learner, or who was removed: somebody else will lead, and its reads must not wait for who does no more.
    else if (core.leader !== '' && !core.quorum.has(core.id)) loseLeader(core);
  }

  /**
   * Takes a message from a peer. One that is malformed, late, repeated or not for this member is dropped and counted
   * in `status().dropped`. The core keeps the entries' data.
   *
   * @throws InvariantError if the sender's log contradicts this one: equal index and term with another prefix hash, a
   *   hash that does not fit the content, or an entry in place of a committed one.
   */
  step(message: Message): void {
    stepMessage(this.#core, message);
  }

  /**
   * Appends an entry to the leader's log. Accepted does not mean committed: it is when `Ready.committed` holds an entry
   * with this index and this term, and never will be if one with this index and another term comes. The core keeps
   * `data`; nobody may change it. The first byte is not one of a system entry (system-entries.ts), but that of a
   * feature level.
   */
  propose(data: Uint8Array): ProposeResult {
    const core = this.#core;
    assert(!isSystemData(data) || isFeatureLevelData(data), () => `commands begin with byte ${data[0]}`);
    if (!core.eligible) return { accepted: false, reason: 'ineligible' };
    if (core.role !== 'leader') return { accepted: false, reason: 'not-leader' };
    if (core.transfer !== undefined) return { accepted: false, reason: 'transferring' };
    const { uncommittedBytes } = core.log;
    // What is larger than the bound goes when nothing else waits, or it could never go.
    if (uncommittedBytes > 0 && data.length > 0 && uncommittedBytes + data.length > core.config.uncommittedBytesMax) {
      return { accepted: false, reason: 'uncommitted-full' };
    }
    const { index, term } = core.log.append(core.term, data);
    return { accepted: true, index, term };
  }

  /**
   * Appends the membership that `changes` lead to, all of them together, through a joint state where the voters change;
   * that state the leader leaves by itself. Done when `Ready.committedMembership` is the one that was wanted.
   *
   * @param options.force Also makes voters of members that have not caught up. Whether enough voters are reachable is
   *   for the caller to judge (`keepsQuorum`): nothing is refused for that here.
   */
  proposeMembershipChange(
    changes: readonly MembershipChange[],
    options: { readonly force: boolean } = { force: false },
  ): MembershipChangeResult {
    return changeMembership(this.#core, changes, options.force);
  }

  /**
   * Leader: hands over to a voter. Proposals are refused from now on until `Ready.transfersEnded` tells how it ended,
   * after `electionTicksMin` ticks at the latest. Asked again for the same member it changes nothing; for another one,
   * that takes the place of the first.
   */
  transferLeadership(to: MemberId): TransferResult {
    return startTransfer(this.#core, to);
  }

  /**
   * The host has evidence that the leader is gone. Forgets it, so that this member grants pre-votes to others that
   * suspect it too, and asks for pre-votes at once unless `campaigns` is false (`retrySuspicion` does it later). Term
   * and vote stay, and any word of the leader ends it. Once for the leader of a term: returns false where it was
   * suspected before, and where none is known.
   */
  suspectLeader(campaigns = true): boolean {
    return suspectLeader(this.#core, campaigns);
  }

  /**
   * The evidence still stands: asks for pre-votes again, or for the first time. Returns false where no suspicion stands
   * any more, or this member may not campaign.
   */
  retrySuspicion(): boolean {
    return retrySuspicion(this.#core);
  }

  /** The membership in force: that of the newest entry which says one, committed or not. */
  get membership(): Membership {
    return this.#core.memberships.inForce;
  }

  /** That of the newest entry known to be committed which says one; of no voters on a member that has none yet. */
  get committedMembership(): Membership {
    const { log, memberships } = this.#core;
    return memberships.at(log.commit);
  }

  /**
   * The membership as of an index that is committed and kept, the base included; undefined outside of these. Undefined
   * also where a member that joined was fed with entries from the first one on, up to the first that says a membership:
   * what the cluster began with stands in no entry. It can neither compact to there nor send a snapshot of it.
   */
  membershipAt(index: number): Membership | undefined {
    const { log, memberships } = this.#core;
    if (index < log.base.index || index > log.commit) return undefined;
    const membership = memberships.at(index);
    return membership.voters.length === 0 ? undefined : membership;
  }

  /**
   * Asks for an index from which a read is linearizable (thesis, section 6.4), on any member. The answer comes in
   * `Ready.confirmedReads`, or in `Ready.voidedReads` when no leader is known, leader or term changed, or more than
   * `pendingReadsMax` wait: then ask anew with another context. A context that is pending already is ignored. A patient
   * one costs no messages of its own and waits for the next heartbeat of the leader at most.
   */
  readIndex(context: ReadContext): void {
    const { id, config } = this.#core;
    assert(
      context.member === id && context.boot === config.boot && Number.isSafeInteger(context.counter),
      () => `read ${context.member}/${context.boot}/${context.counter} on ${id}/${config.boot}`,
    );
    assert(context.counter >= 0, () => `read counter is ${context.counter}`);
    requestRead(this.#core, context);
  }

  /** Whether `ready()` would hand out anything. Changes nothing. */
  hasReady(): boolean {
    return isReady(this.#core, this.#handedSoftState);
  }

  /** Hands out what there is to do since the last call, each thing once. The host owns the arrays, not the entries. */
  ready(): Ready {
    const ready = takeReady(this.#core, this.#handedSoftState);
    this.#handedSoftState = ready.softState ?? this.#handedSoftState;
    this.#watermarks = checkInvariants(this.#core, this.#watermarks);
    return ready;
  }

  /** Every persist step up to `sequence` is on disk. Releases what waited: votes, acknowledgements, commits. */
  reportDurable(sequence: number): void {
    const core = this.#core;
    core.durability.report(sequence);
    countOwnVote(core);
    acknowledgeDurable(core);
    if (core.role !== 'leader') return;
    advanceCommit(core);
    settleMembership(core);
  }

  /** The state machine has applied everything up to `index`, all of which was handed out. */
  reportApplied(index: number): void {
    this.#core.log.appliedTo(index);
  }

  /** Messages to the peer were lost, or its stream broke: nothing sent to it can be counted on. */
  reportUnreachable(peer: MemberId): void {
    const core = this.#core;
    core.progress.get(peer)?.unreachable();
    if (peer === core.leader) core.forwards.resendSince(core.ticks);
  }

  /** Ends what `Ready.snapshotsWanted` began. Ignored when the peer does not need the snapshot any more. */
  reportSnapshot(peer: MemberId, report: SnapshotReport): void {
    const core = this.#core;
    const progress = core.progress.get(peer);
    if (progress?.state !== 'snapshot') return;
    if (!report.ok) {
      progress.snapshotFailed();
      return;
    }
    assert(
      report.index >= 1 && report.index <= core.log.lastIndex,
      () => `snapshot at ${report.index} of a log to ${core.log.lastIndex}`,
    );
    progress.snapshotInstalled(report.index);
  }

  /**
   * After a stall of the host: read rounds begun before it confirm nothing any more, since their answers may have
   * waited as long as the stall; their reads join a new round.
   */
  restartRounds(): void {
    this.#core.rounds.restart();
  }

  /** A member that is not eligible neither campaigns nor leads; it keeps log and vote, follows and votes. */
  setEligible(eligible: boolean): void {
    const core = this.#core;
    core.eligible = eligible;
    if (!eligible && core.role !== 'follower') becomeFollower(core, core.term, '');
  }

  /**
   * Forgets the entries up to `index`, which are applied and durable. Peers that need them will need a snapshot. An
   * index that is not kept any more is no error: a snapshot may have restarted the log above it meanwhile.
   */
  compact(index: number): void {
    assertSafeInteger(index, 'index of a compaction');
    if (index <= this.#core.log.base.index) return;
    const { durableIndex } = this.#core.durability;
    assert(index <= durableIndex, () => `compaction to ${index}, durable is ${durableIndex}`);
    assert(this.membershipAt(index) !== undefined, () => `compaction to ${index}, of a membership that is not known`);
    this.#core.log.compact(index);
    this.#core.memberships.compactTo(index);
  }

  /** What this peer has acknowledged to this member as the leader of the present term; 0 where it does not lead. */
  acknowledgedBy(peer: MemberId): number {
    return this.#core.role === 'leader' ? (this.#core.progress.get(peer)?.match ?? 0) : 0;
  }

  /** Term and prefix hash at an index of the kept log, its base included; undefined outside it. */
  prefixAt(index: number): Prefix | undefined {
    return this.#core.log.prefixAt(index);
  }

  /** Kept entries of [from, to). The entries are shared: nobody may change them. */
  entriesBetween(from: number, to: number): Entry[] {
    return this.#core.log.between(from, to);
  }

  status(): RaftStatus {
    return statusOf(this.#core);
  }

  #tickLeader(): void {
    const core = this.#core;
    const heardTick = core.quorum.agreed((voter) => {
      return voter === core.id ? core.ticks : (core.progress.get(voter)?.heardTick ?? 0);
    });
    if (core.ticks - heardTick >= core.config.electionTicksMin) {
      becomeFollower(core, core.term, '');
      return;
    }
    for (const progress of core.progress.values()) noteCatchUp(core, progress);
    promoteLearners(core);
    core.heartbeatElapsedTicks += 1;
    if (core.heartbeatElapsedTicks < core.config.heartbeatTicks) return;
    beat(core);
    urgeTransfer(core);
  }
}
