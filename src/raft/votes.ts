import type { MemberId } from './types.ts';

/** Answers to the vote or pre-vote under way. The first answer of a voter counts; it may not change its mind. */
export class Votes {
  readonly #answers = new Map<MemberId, boolean>();

  clear(): void {
    this.#answers.clear();
  }

  record(voter: MemberId, granted: boolean): void {
    if (!this.#answers.has(voter)) this.#answers.set(voter, granted);
  }

  /** The voter has started anew: its answer was one of an earlier life. */
  forget(voter: MemberId): void {
    this.#answers.delete(voter);
  }

  /** Undefined while the voter has not answered. */
  of(voter: MemberId): boolean | undefined {
    return this.#answers.get(voter);
  }
}
