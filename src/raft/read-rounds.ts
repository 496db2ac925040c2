import { assert } from '../base/assert.ts';
import type { ConfirmedRead, MemberId, ReadContext } from './types.ts';

interface Round {
  readonly number: number;
  /** Commit index when the round began: every write acknowledged before its reads arrived lies at or below it. */
  readonly commit: number;
  readonly contexts: readonly ReadContext[];
}

/** One string per read, for sets of them. */
export function contextKey(context: ReadContext): string {
  return `${context.member}/${context.boot}/${context.counter}`;
}

/**
 * The reads of a leader (thesis, section 6.4): they wait, join a round, and are confirmed when a quorum has answered a
 * heartbeat of that round or a later one. A read joins only a round whose heartbeats go out after the read arrived;
 * joining one under way would let it miss what another leader has committed meanwhile. Patient reads begin no round of
 * their own: they go with the next one, or with the next heartbeat, which goes out anyway.
 */
export class ReadRounds {
  readonly #pendingMax: number;
  readonly #roundsMax: number;
  #waiting: ReadContext[] = [];
  /** How many of those waiting are not patient. */
  #urgent = 0;
  // Invariant: numbers rise strictly, commits never fall.
  #rounds: Round[] = [];
  #keys = new Set<string>();
  #newest = 0;

  constructor(pendingMax: number, roundsMax: number) {
    assert(pendingMax >= 1 && roundsMax >= 1, () => `bounds of ${pendingMax} reads and ${roundsMax} rounds`);
    this.#pendingMax = pendingMax;
    this.#roundsMax = roundsMax;
  }

  /** Reads that wait or are in a round. */
  get size(): number {
    return this.#keys.size;
  }

  /** Number of the newest round of this term, 0 before the first. */
  get newest(): number {
    return this.#newest;
  }

  /** Rounds that a quorum has not answered yet. */
  get underWay(): number {
    return this.#rounds.length;
  }

  /** Reads wait that want a round of their own, and one more may be started for them. */
  get canStart(): boolean {
    return this.#urgent > 0 && this.#rounds.length < this.#roundsMax;
  }

  /** Reads wait, patient ones or not, that a round which begins now would take along. */
  get canJoin(): boolean {
    return this.#waiting.length > 0 && this.#rounds.length < this.#roundsMax;
  }

  add(context: ReadContext): 'added' | 'repeated' | 'full' {
    const key = contextKey(context);
    if (this.#keys.has(key)) return 'repeated';
    if (this.#keys.size >= this.#pendingMax) return 'full';
    this.#keys.add(key);
    this.#waiting.push(context);
    if (context.patient !== true) this.#urgent += 1;
    return 'added';
  }

  /** Starts a round with all waiting reads. Its number must go out with heartbeats from now on. */
  start(commit: number): void {
    assert(this.canJoin, () => `no round for ${this.#waiting.length} reads, ${this.#rounds.length} under way`);
    assert(commit >= (this.#rounds.at(-1)?.commit ?? 0), () => `commit fell to ${commit}`);
    this.#newest += 1;
    this.#rounds.push({ number: this.#newest, commit, contexts: this.#waiting });
    this.#wait([]);
  }

  /** A quorum has answered round `answered`: it and all before it are confirmed. */
  confirm(answered: number): ConfirmedRead[] {
    const confirmed: ConfirmedRead[] = [];
    let done = 0;
    for (const round of this.#rounds) {
      if (round.number > answered) break;
      for (const context of round.contexts) {
        this.#keys.delete(contextKey(context));
        confirmed.push({ context, index: round.commit });
      }
      done += 1;
    }
    if (done > 0) this.#rounds = this.#rounds.slice(done);
    return confirmed;
  }

  /** Rounds under way are void; their reads wait for a new one, before those that came later. */
  restart(): void {
    this.#wait([...this.#rounds.flatMap((round) => round.contexts), ...this.#waiting]);
    this.#rounds = [];
  }

  /** The member has started anew: nobody waits for the reads of its earlier boots. */
  forget(member: MemberId): void {
    const remains = (context: ReadContext): boolean => context.member !== member;
    this.#wait(this.#waiting.filter(remains));
    this.#rounds = this.#rounds.map((round) => ({ ...round, contexts: round.contexts.filter(remains) }));
    this.#keys = new Set(this.#all().map(contextKey));
  }

  /** Takes out every read, and starts numbering again: the term of this leader is over. */
  clear(): ReadContext[] {
    const contexts = this.#all();
    this.#wait([]);
    this.#rounds = [];
    this.#keys.clear();
    this.#newest = 0;
    return contexts;
  }

  /** Asserts the invariant of the class. */
  check(): void {
    assert(this.#keys.size <= this.#pendingMax, () => `${this.#keys.size} reads are pending`);
    assert(this.#rounds.length <= this.#roundsMax, () => `${this.#rounds.length} rounds are under way`);
    let previous = 0;
    for (const round of this.#rounds) {
      assert(previous < round.number && round.number <= this.#newest, () => `round ${round.number} after ${previous}`);
      previous = round.number;
    }
  }

  #wait(waiting: ReadContext[]): void {
    this.#waiting = waiting;
    this.#urgent = waiting.reduce((count, { patient }) => (patient === true ? count : count + 1), 0);
  }

  #all(): ReadContext[] {
    return [...this.#rounds.flatMap((round) => round.contexts), ...this.#waiting];
  }
}
