import { assert } from '../base/assert.ts';
import type { RaftConfig, RaftInitial } from './config.ts';
import { DropCounter } from './drops.ts';
import type { DropReason } from './drops.ts';
import { Durability } from './durability.ts';
import { Outbox } from './outbox.ts';
import { PeerBoots } from './peer-boots.ts';
import { Progress } from './progress.ts';
import { Quorum } from './quorum.ts';
import { RaftLog } from './raft-log.ts';
import { ReadForwards } from './read-forwards.ts';
import { ReadRounds } from './read-rounds.ts';
import type { ConfirmedRead, LogBase, MemberId, Message, ReadContext, Role } from './types.ts';
import { Votes } from './votes.ts';

/** A message as the roles write it; sender and boots are added when it is sent. */
export type Draft = Message extends infer M
  ? M extends Message
    ? Omit<M, 'from' | 'fromBoot' | 'toBoot'>
    : never
  : never;

/**
 * Everything that one core knows. The rules live in the files of the roles, which work on this; outside src/raft nobody
 * sees it.
 */
export class CoreState {
  readonly config: RaftConfig;
  readonly quorum: Quorum;
  /** All voters but this member, in a fixed order. */
  readonly peers: readonly MemberId[];
  readonly log: RaftLog;
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

  /** A snapshot at which the log has restarted, not yet handed to the host. */
  snapshotToPersist: LogBase | undefined = undefined;
  confirmedReads: ConfirmedRead[] = [];
  voidedReads: ReadContext[] = [];
  snapshotsWanted: MemberId[] = [];

  constructor(config: RaftConfig, initial: RaftInitial) {
    this.config = config;
    this.quorum = new Quorum(config.voters);
    this.peers = this.quorum.voters.filter((voter) => voter !== config.id);
    this.log = new RaftLog(initial.base, initial.entries, initial.commit, initial.applied);
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

  newProgress(): Progress {
    return new Progress(this.config, this.log.lastIndex + 1, this.ticks);
  }
}
