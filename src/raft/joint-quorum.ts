import { must } from '../base/assert.ts';
import { Quorum } from './quorum.ts';
import type { VoteResult } from './quorum.ts';
import type { MemberId } from './types.ts';

/**
 * The majorities that decide under one membership: one of the voters, and while it is joint one of the outgoing voters
 * as well, so that neither half can decide anything without the other (paper, section 6). Without voters nothing can
 * be decided: a member that has not heard of its cluster yet.
 */
export class JointQuorum {
  /** Of both halves, each once, in code unit order. */
  readonly voters: readonly MemberId[];
  readonly #incoming: Quorum | undefined;
  readonly #outgoing: Quorum | undefined;

  constructor(voters: readonly MemberId[], outgoing: readonly MemberId[]) {
    this.#incoming = voters.length === 0 ? undefined : new Quorum(voters);
    this.#outgoing = outgoing.length === 0 ? undefined : new Quorum(outgoing);
    const all = [...new Set([...voters, ...outgoing])];
    this.voters = all.length === 0 ? [] : new Quorum(all).voters;
  }

  /** Whether the member has a vote in either half. */
  has(id: MemberId): boolean {
    return this.#incoming?.has(id) === true || this.#outgoing?.has(id) === true;
  }

  /** The greatest number that a majority of each half has reached, when each voter has reached `reachedBy(voter)`. */
  agreed(reachedBy: (voter: MemberId) => number): number {
    const agreed = must(this.#incoming, 'voters of a leader').agreed(reachedBy);
    return this.#outgoing === undefined ? agreed : Math.min(agreed, this.#outgoing.agreed(reachedBy));
  }

  /** Counts votes; undefined is a voter that has not answered. */
  result(voteOf: (voter: MemberId) => boolean | undefined): VoteResult {
    const incoming = must(this.#incoming, 'voters of a candidate').result(voteOf);
    if (this.#outgoing === undefined) return incoming;
    const outgoing = this.#outgoing.result(voteOf);
    if (incoming === 'lost' || outgoing === 'lost') return 'lost';
    return incoming === 'won' ? outgoing : 'pending';
  }
}
