import { assert } from '../base/assert.ts';
import type { RaftConfig, RaftInitial } from './config.ts';
import { DropCounter } from './drops.ts';
import type { DropReason } from './drops.ts';
import { Durability } from './durability.ts';
import { Outbox } from './outbox.ts';
import { PeerBoots } from './peer-boots.ts';
import { CatchUp } from './catch-up.ts';
import { JointQuorum } from './joint-quorum.ts';
import { isVoter, membersOf } from './membership.ts';
import type { Membership } from './membership.ts';
import { MembershipLog } from './membership-log.ts';
import { Progress } from './progress.ts';
import { RaftLog } from './raft-log.ts';
import { ReadForwards } from './read-forwards.ts';
import { ReadRounds } from './read-rounds.ts';
import type { ConfirmedRead, Entry, LogBase, MemberId, Message, ReadContext, Role, TransferEnd } from './types.ts';
import { Votes } from './votes.ts';

/** A message as the roles write it; sender and boots are added when it is sent. */
export type Draft = Message extends infer M
  ? M extends Message
    ? Omit<M, 'from' | 'fromBoot' | 'toBoot'>
    : never
  : never;

/** Leadership on its way to another member. */
export interface Transfer {
  readonly to: MemberId;
  readonly sinceTick: number;
}

/**
 * Everything that one core knows. The rules live in the files of the roles, which work on this; outside src/raft nobody
 * sees it.
 */
export class CoreState {
  readonly config: RaftConfig;
  readonly log: RaftLog;
  readonly memberships: MembershipLog;
  /** Of the membership in force. */
  quorum: JointQuorum;
  /** All members of the membership in force but this one, learners among them, in a fixed order. */
  peers: readonly MemberId[];
  readonly durability: Durability;
  readonly boots = new PeerBoots();
  readonly drops = new DropCounter();
  readonly votes = new Votes();
  readonly rounds: ReadRounds;
  readonly forwards: ReadForwards;
  readonly #outbox = new Outbox();

  /** Changed only through changeHardState. */
  #term: number;
  #vote: MemberId;
  role: Role = 'follower';
  /** '' where unknown. This member's own id exactly when it leads. */
  leader: MemberId = '';
  /** May campaign and lead. */
  eligible = true;

  /** Ticks since the start. */
  ticks = 0;
  /** Ticks since the leader was last heard, a vote was given, or the last campaign began. */
  electionElapsedTicks = 0;
  electionTimeoutTicks = 0;
  heartbeatElapsedTicks = 0;

  /** Leader only, otherwise empty: what is known of each peer. */
  readonly progress = new Map<MemberId, Progress>();

  /**
   * Follower: the log in memory is equal to that of the leader of this term up to here; 0 before its first append. What
   * it says about commit counts up to here, and what is durable up to here is acknowledged to it.
   */
  verifiedIndex = 0;
  /** Follower: the greatest index acknowledged to the leader of this term. */
  acknowledgedIndex = 0;

  /** The leader of this term was suspected, which may happen once a term: it is not tried again when it was wrong. */
  suspectedTerm = 0;
  /** The suspicion stands: nothing was heard of the leader since. */
  suspects = false;
  /** How often it may still give up a candidacy for a new one. */
  candidaciesLeft = 0;

  /** Leadership is being handed over; after this leader has stepped down, until it is known who leads. */
  transfer: Transfer | undefined = undefined;
  transfersEnded: TransferEnd[] = [];

  /** As handed to the host. */
  handedMembership: Membership | undefined = undefined;
  handedCommittedMembership: Membership | undefined = undefined;

  /** A snapshot at which the log has restarted, not yet handed to the host. */
  snapshotToPersist: LogBase | undefined = undefined;
  confirmedReads: ConfirmedRead[] = [];
  voidedReads: ReadContext[] = [];
  snapshotsWanted: MemberId[] = [];

  constructor(config: RaftConfig, initial: RaftInitial) {
    this.config = config;
    this.log = new RaftLog(initial.base, initial.entries, initial.commit, initial.applied);
    this.memberships = new MembershipLog(initial.base.index, initial.membership, initial.entries);
    this.quorum = quorumOf(this.memberships.inForce);
    this.peers = othersOf(this.memberships.inForce, config.id);
    this.durability = new Durability(this.log.lastIndex);
    this.rounds = new ReadRounds(config.pendingReadsMax, config.readRoundsMax);
    this.forwards = new ReadForwards(config.pendingReadsMax);
    this.#term = initial.hardState.term;
    this.#vote = initial.hardState.vote;
    assert(this.#term >= this.log.lastTerm, () => `term ${this.#term} with a log of term ${this.log.lastTerm}`);
    this.drawElectionTimeout();
  }

  get id(): MemberId {
    return this.config.id;
  }

  get term(): number {
    return this.#term;
  }

  get vote(): MemberId {
    return this.#vote;
  }

  /** An entry of the own term is committed, so everything committed before it is known to be (paper, section 8). */
  get ownTermCommitted(): boolean {
    return this.role === 'leader' && this.log.prefixAt(this.log.commit)?.term === this.#term;
  }

  /** Sets term and vote. What is sent from now on waits until they are durable. */
  changeHardState(term: number, vote: MemberId): void {
    assert(
      term > this.#term || (term === this.#term && this.#vote === ''),
      () => `vote for ${vote} in term ${term} after one for ${this.#vote} in term ${this.#term}`,
    );
    const termChanged = term !== this.#term;
    this.#term = term;
    this.#vote = vote;
    if (termChanged) {
      this.#outbox.dropHeld(this.durability.durableHardVersion);
      this.verifiedIndex = 0;
      this.acknowledgedIndex = 0;
      this.suspects = false;
    }
    this.durability.hardStateChanged();
  }

  /** Starts the count to the next election anew, with another length so that split votes are rare (section 5.2). */
  drawElectionTimeout(): void {
    const { electionTicksMin, electionTicksMax, random } = this.config;
    this.electionElapsedTicks = 0;
    this.electionTimeoutTicks =
      electionTicksMin + random.below('election-timeout', electionTicksMax - electionTicksMin);
  }

  /** Queues a message. It leaves once the hard state is durable, which it is but for the start of a term. */
  send(draft: Draft): void {
    const { durableHardVersion, hardVersion } = this.durability;
    const head = { from: this.id, fromBoot: this.config.boot, toBoot: this.boots.of(draft.to) };
    const queued = this.#outbox.push({ ...draft, ...head }, hardVersion, durableHardVersion);
    if (!queued) this.drop('outbox-full');
  }

  get hasMessages(): boolean {
    return this.#outbox.hasReleased(this.durability.durableHardVersion);
  }

  takeMessages(): Message[] {
    return this.#outbox.release(this.durability.durableHardVersion);
  }

  drop(reason: DropReason): void {
    this.drops.add(reason);
  }

  /**
   * May campaign: a voter; and one that has lost its vote by an entry which it does not know to be committed (thesis,
   * section 4.2.2). The others may need its vote and not get it, since their logs end before that entry: then nobody
   * could be elected but this member, by the votes of those that remain and without its own.
   */
  get mayCampaign(): boolean {
    return this.eligible && (this.quorum.has(this.id) || this.losesVote);
  }

  /** Has no vote under the membership in force, had one under that before, and the change is not known committed. */
  get losesVote(): boolean {
    const { memberships } = this;
    if (this.quorum.has(this.id) || memberships.index <= this.log.commit) return false;
    return isVoter(memberships.at(memberships.index - 1), this.id);
  }

  newProgress(peer: MemberId): Progress {
    const progress = new Progress(this.config, this.log.lastIndex + 1, this.ticks);
    if (!this.quorum.has(peer)) progress.catchUp = new CatchUp(this.log.lastIndex, this.ticks);
    return progress;
  }

  /** The peer has started anew. A learner has to show its pace again. */
  restartProgress(peer: MemberId): void {
    const progress = this.progress.get(peer);
    if (progress === undefined) return;
    progress.restart(this.log.lastIndex + 1);
    if (progress.catchUp !== undefined) progress.catchUp = new CatchUp(this.log.lastIndex, this.ticks);
  }

  /** Replaces the log from the first of `entries` on, and with it what it says of the membership. */
  replaceEntries(entries: readonly Entry[]): void {
    const before = this.memberships.inForce;
    this.memberships.cutTo((entries[0]?.index ?? this.log.lastIndex + 1) - 1);
    this.log.replaceFrom(entries);
    this.memberships.append(entries);
    if (this.memberships.inForce !== before) this.adoptMembership();
  }

  /** The log restarts at a snapshot. */
  restartLog(base: LogBase, membership: Membership): void {
    this.durability.restartAt(base.index, this.log.commit);
    this.log.restartAt(base);
    this.memberships.restartAt(base.index, membership);
    this.snapshotToPersist = base;
    this.adoptMembership();
  }

  /** The membership in force has changed: who counts, and whom a leader feeds. */
  adoptMembership(): void {
    const { inForce } = this.memberships;
    this.quorum = quorumOf(inForce);
    this.peers = othersOf(inForce, this.id);
    if (this.role !== 'leader') return;
    for (const peer of this.progress.keys()) if (!this.peers.includes(peer)) this.progress.delete(peer);
    this.snapshotsWanted = this.snapshotsWanted.filter((peer) => this.peers.includes(peer));
    for (const peer of this.peers) {
      const known = this.progress.get(peer);
      if (known === undefined) this.progress.set(peer, this.newProgress(peer));
      else if (this.quorum.has(peer)) known.catchUp = undefined;
      else known.catchUp ??= new CatchUp(this.log.lastIndex, this.ticks);
    }
  }
}

function quorumOf({ voters, outgoing }: Membership): JointQuorum {
  return new JointQuorum(
    voters.map(({ id }) => id),
    outgoing.map(({ id }) => id),
  );
}

function othersOf(membership: Membership, id: MemberId): MemberId[] {
  return membersOf(membership)
    .map((member) => member.id)
    .filter((member) => member !== id);
}
