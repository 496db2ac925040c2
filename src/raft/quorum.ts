import { assert } from '../base/assert.ts';
import type { MemberId } from './types.ts';

/** What a set of voters has decided so far: a majority for, a majority that can no longer be reached, or neither. */
export type VoteResult = 'won' | 'lost' | 'pending';

/**
 * A fixed, non-empty set of voters and its majorities. Any two majorities share a voter, which is all that the safety
 * of elections and commits rests on (paper, sections 5.2 and 5.4).
 */
export class Quorum {
  /** In code unit order, so that whatever walks them does so in the same order on every member. */
  readonly voters: readonly MemberId[];
  /** Least number of voters that make a majority. */
  readonly majority: number;
  readonly #members: ReadonlySet<MemberId>;

  constructor(voters: readonly MemberId[]) {
    assert(voters.length > 0, 'a quorum needs at least one voter');
    this.#members = new Set(voters);
    assert(this.#members.size === voters.length, () => `voters are named twice: ${voters.join(', ')}`);
    this.voters = [...voters].sort(byCodeUnit);
    this.majority = Math.floor(voters.length / 2) + 1;
  }

  has(id: MemberId): boolean {
    return this.#members.has(id);
  }

  /** The greatest number that a majority of the voters has reached, when each has reached `reachedBy(voter)`. */
  agreed(reachedBy: (voter: MemberId) => number): number {
    const reached = this.voters.map(reachedBy).sort((left, right) => right - left);
    const agreed = reached[this.majority - 1];
    assert(agreed !== undefined, 'a majority is never larger than the set');
    return agreed;
  }

  /** Counts votes; undefined is a voter that has not answered. */
  result(voteOf: (voter: MemberId) => boolean | undefined): VoteResult {
    let granted = 0;
    let refused = 0;
    for (const voter of this.voters) {
      const vote = voteOf(voter);
      if (vote === true) granted += 1;
      if (vote === false) refused += 1;
    }
    if (granted >= this.majority) return 'won';
    // With so many against, those still silent cannot make a majority any more.
    return refused > this.voters.length - this.majority ? 'lost' : 'pending';
  }
}

function byCodeUnit(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
