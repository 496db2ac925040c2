/**
 * Whether a learner has caught up (thesis, section 4.2.1): what the leader holds is sent in rounds, each of what had
 * come to the log when the one before was done. A round that takes less than an election timeout says that making it a
 * voter would hold up no commit for longer than an election does.
 */
export class CatchUp {
  /** The round ends when the learner holds this. */
  #target: number;
  #sinceTick: number;
  /** The learner holds all there is; a round begins with the next entry. */
  #idle = false;
  #fast = false;

  /** @param lastIndex Of the leader's log. */
  constructor(lastIndex: number, tick: number) {
    this.#target = lastIndex;
    this.#sinceTick = tick;
  }

  /** To be called at each tick and acknowledgement: the learner holds `match` of a log that ends at `lastIndex`. */
  note(match: number, lastIndex: number, tick: number, roundTicksMax: number): void {
    if (match < this.#target) return;
    // Where nothing is left, the next round would end as it begins.
    if (!this.#idle) this.#fast = tick - this.#sinceTick < roundTicksMax || match >= lastIndex;
    this.#idle = lastIndex <= this.#target;
    this.#target = lastIndex;
    this.#sinceTick = tick;
  }

  /** The last whole round was fast, and the one under way is not slow by now. */
  isCaughtUp(match: number, tick: number, roundTicksMax: number): boolean {
    return this.#fast && (match >= this.#target || tick - this.#sinceTick < roundTicksMax);
  }
}
