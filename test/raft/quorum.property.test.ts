import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { Quorum } from '../../src/raft/quorum.ts';
import type { VoteResult } from '../../src/raft/quorum.ts';

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** Every subset of the voters that is more than half of them. */
function majoritiesOf(voters: readonly string[]): string[][] {
  const majorities: string[][] = [];
  for (let bits = 0; bits < 2 ** voters.length; bits++) {
    const chosen = voters.filter((_, at) => (bits & (1 << at)) !== 0);
    if (chosen.length * 2 > voters.length) majorities.push(chosen);
  }
  return majorities;
}

const reachedByVoters = fc
  .integer({ min: 1, max: names.length })
  .chain((size) =>
    fc.tuple(fc.shuffledSubarray(names, { minLength: size, maxLength: size }), fc.array(fc.nat(5), { minLength: 7 })),
  );

describe('Quorum', () => {
  it('agrees on the greatest number that every voter of some majority has reached', () => {
    fc.assert(
      fc.property(reachedByVoters, ([voters, numbers]) => {
        const reached = new Map(voters.map((voter, at) => [voter, numbers[at] ?? 0]));
        const dumb = Math.max(
          ...majoritiesOf(voters).map((majority) => Math.min(...majority.map((voter) => reached.get(voter) ?? 0))),
        );
        expect(new Quorum(voters).agreed((voter) => reached.get(voter) ?? 0)).toBe(dumb);
      }),
    );
  });

  it('is won when some majority granted, lost when none can any more', () => {
    fc.assert(
      fc.property(reachedByVoters, ([voters, numbers]) => {
        const answers = [true, false, undefined];
        const votes = new Map(voters.map((voter, at) => [voter, answers[(numbers[at] ?? 0) % 3]]));
        const majorities = majoritiesOf(voters);
        let dumb: VoteResult = 'pending';
        if (majorities.some((majority) => majority.every((voter) => votes.get(voter) === true))) dumb = 'won';
        else if (majorities.every((majority) => majority.some((voter) => votes.get(voter) === false))) dumb = 'lost';
        expect(new Quorum(voters).result((voter) => votes.get(voter))).toBe(dumb);
      }),
    );
  });

  it('lists its voters in the same order, however they were given', () => {
    expect(new Quorum(['c', 'a', 'b']).voters).toEqual(['a', 'b', 'c']);
    expect(new Quorum(['c', 'a', 'b']).has('b')).toBe(true);
    expect(new Quorum(['c', 'a', 'b']).has('d')).toBe(false);
  });

  it('is neither empty nor names a voter twice', () => {
    expect(() => new Quorum([])).toThrow(InvariantError);
    expect(() => new Quorum(['a', 'b', 'a'])).toThrow(InvariantError);
  });
});
