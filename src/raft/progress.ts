import { assert } from '../base/assert.ts';
import type { CatchUp } from './catch-up.ts';
import { Inflights } from './inflights.ts';

/**
 * How a leader sends to one follower. `probe`: one append at a time, to find where the logs agree. `replicate`: a
 * pipeline of appends, `next` moved on as they are sent. `snapshot`: the follower needs entries that are compacted
 * away; only heartbeats go out until the host has reported on the snapshot.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export interface ProgressLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

/**
 * What a leader knows of one follower (the paper's nextIndex and matchIndex, figure 2, and more).
 *
 * Invariant: 0 <= match < next.
 */
export class Progress {
  readonly inflights: Inflights;
  /** Learners only. */
  catchUp: CatchUp | undefined = undefined;
  #state: ProgressState = 'probe';
  /** The follower's log is durable and equal to the leader's up to here. */
  #match = 0;
  /** Index of the next entry to send. Equal to match + 1 or the guess of a probe; ahead of match in `replicate`. */
  #next: number;
  /** `probe` only: an append is under way, none follows it before an answer. */
  #probeSent = false;
  /** An append is due even when there is no entry to send: it asks the follower where its log stands. */
  #emptyDue = true;
  /** Greatest commit index told by an append. */
  #sentCommit = 0;
  #heardTick: number;
  #roundAcked = 0;

  constructor(limits: ProgressLimits, next: number, tick: number) {
    assert(next >= 1, () => `next index is ${next}`);
    this.inflights = new Inflights(limits.inflightMessagesMax, limits.inflightBytesMax);
    this.#next = next;
    this.#heardTick = tick;
  }

  get state(): ProgressState {
    return this.#state;
  }

  get match(): number {
    return this.#match;
  }

  get next(): number {
    return this.#next;
  }

  /** Tick at which the follower was last heard in this term. */
  get heardTick(): number {
    return this.#heardTick;
  }

  /** Greatest read round of this term that the follower has answered in its present boot. */
  get roundAcked(): number {
    return this.#roundAcked;
  }

  /** Nothing but heartbeats may be sent now. */
  get paused(): boolean {
    return this.#state === 'snapshot' || (this.#state === 'probe' && this.#probeSent);
  }

  /** Entries may go out now: not paused and the window has room. */
  get open(): boolean {
    return !this.paused && !(this.#state === 'replicate' && this.inflights.full);
  }

  /** An append without entries is due: one is owed, or the follower could commit more than it was told. */
  emptyAppendDue(commit: number): boolean {
    if (this.paused) return false;
    return this.#emptyDue || (commit > this.#sentCommit && this.#sentCommit < this.#next - 1);
  }

  heard(tick: number): void {
    assert(tick >= this.#heardTick, () => `heard at tick ${tick} after tick ${this.#heardTick}`);
    this.#heardTick = tick;
  }

  roundAnswered(round: number): void {
    // Answers may overtake each other; an old one says nothing new.
    if (round > this.#roundAcked) this.#roundAcked = round;
  }

  /** Notes an append of `count` entries (0: an empty one) with `bytes` of data, which told the commit index. */
  sent(count: number, bytes: number, commit: number): void {
    assert(!this.paused, () => `an append was sent while ${this.#state} is paused`);
    this.#emptyDue = false;
    this.#sentCommit = commit;
    if (this.#state === 'probe') {
      // Where a probe fails nothing was learned by sending more, so it goes alone and next stays.
      this.#probeSent = true;
      return;
    }
    if (count === 0) return;
    this.#next += count;
    this.inflights.add(this.#next - 1, bytes);
  }

  /**
   * The follower acknowledged `match`; `baseIndex` is that of the leader's log. Returns whether match rose, and hence
   * the leader may commit more.
   */
  acknowledged(match: number, baseIndex: number): boolean {
    const raised = match > this.#match;
    if (raised) {
      this.#match = match;
      this.#next = Math.max(this.#next, match + 1);
    }
    this.inflights.freeTo(match);
    if (this.#state === 'probe' && match === this.#match) this.#becomeReplicate();
    // The kept log reaches down to what the follower holds, so the snapshot is not needed (any more).
    if (this.#state === 'snapshot' && this.#match >= baseIndex) this.#becomeReplicate();
    return raised;
  }

  /**
   * The follower refused an append at `rejected`; the logs may agree at `hint`, at the earliest. Returns whether that
   * was news; a late refusal says nothing about what was sent since.
   */
  refused(rejected: number, hint: number): boolean {
    if (this.#state === 'snapshot') return false;
    if (this.#state === 'replicate') {
      if (rejected <= this.#match) return false;
      // Something in the pipeline was lost: go on from what is certain.
      this.becomeProbe();
      return true;
    }
    if (rejected !== this.#next - 1) return false;
    this.#next = Math.max(Math.min(rejected, hint + 1), this.#match + 1);
    this.#probeSent = false;
    this.#emptyDue = true;
    return true;
  }

  /** A heartbeat was answered: the follower is there, so whatever was held back for its silence may go. */
  answered(lastIndex: number): void {
    this.#probeSent = false;
    // Asks where the follower's log stands. If messages were lost, its refusal leads back to a probe, also out of a
    // window that is full of them.
    if (this.#match < lastIndex || this.#state === 'probe') this.#emptyDue = true;
  }

  /** Messages to the follower were lost. */
  unreachable(): void {
    // In a probe nothing is resent before the follower answers a heartbeat: reporting each lost message must not
    // produce the next one.
    if (this.#state === 'replicate') this.becomeProbe();
  }

  becomeProbe(): void {
    this.#enter('probe');
    this.#next = this.#match + 1;
    this.#emptyDue = true;
  }

  becomeSnapshot(): void {
    this.#enter('snapshot');
  }

  /** The follower has installed a snapshot at `index`; its own acknowledgement is still to come. */
  snapshotInstalled(index: number): void {
    assert(this.#state === 'snapshot', () => `a snapshot ended in state ${this.#state}`);
    this.becomeProbe();
    this.#next = Math.max(this.#match, index) + 1;
    this.#probeSent = true;
  }

  /** The snapshot did not arrive; the next try waits for a sign of life. */
  snapshotFailed(): void {
    assert(this.#state === 'snapshot', () => `a snapshot ended in state ${this.#state}`);
    this.becomeProbe();
    this.#probeSent = true;
  }

  /** The follower has started anew: what it acknowledged before counts no more, since it may have lost it. */
  restart(next: number): void {
    this.#enter('probe');
    this.#match = 0;
    this.#next = next;
    this.#sentCommit = 0;
    this.#roundAcked = 0;
    this.#emptyDue = true;
  }

  /** Asserts what holds between any two calls; `lastIndex` is that of the leader's log. */
  check(lastIndex: number): void {
    assert(
      this.#match < this.#next && this.#next <= lastIndex + 1,
      () => `match ${this.#match}, next ${this.#next}, last index ${lastIndex}`,
    );
    assert(this.#state === 'replicate' || this.inflights.count === 0, () => `messages in flight in ${this.#state}`);
  }

  #becomeReplicate(): void {
    this.#enter('replicate');
    this.#next = this.#match + 1;
  }

  #enter(state: ProgressState): void {
    this.#state = state;
    this.#probeSent = false;
    this.inflights.clear();
  }
}
