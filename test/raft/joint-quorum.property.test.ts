import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { JointQuorum } from '../../src/raft/joint-quorum.ts';
import type { VoteResult } from '../../src/raft/quorum.ts';

/** ROLLCALL_RAFT_CASES runs that many of each. */
const numRuns = Number(process.env['ROLLCALL_RAFT_CASES'] ?? 500);
const timeout = 5_000 + numRuns * 20;
const names = ['a', 'b', 'c', 'd', 'e', 'f'];

const halves = fc.tuple(fc.shuffledSubarray(names, { minLength: 1 }), fc.shuffledSubarray(names));
const numbers = fc.array(fc.nat(5), { minLength: names.length, maxLength: names.length });

/** Every set of members that holds more than half of each half. */
function decidingSets([voters, outgoing]: readonly [readonly string[], readonly string[]]): string[][] {
  const sets: string[][] = [];
  for (let bits = 0; bits < 2 ** names.length; bits++) {
    const chosen = names.filter((_, at) => (bits & (1 << at)) !== 0);
    const decides = (half: readonly string[]): boolean =>
      half.length === 0 || half.filter((id) => chosen.includes(id)).length * 2 > half.length;
    if (decides(voters) && decides(outgoing)) sets.push(chosen.filter((id) => [...voters, ...outgoing].includes(id)));
  }
  return sets;
}

describe('JointQuorum', () => {
  it('agrees on the greatest number that all of some deciding set have reached', { timeout }, () => {
    fc.assert(
      fc.property(halves, numbers, (both, reached) => {
        const of = (id: string): number => reached[names.indexOf(id)] ?? 0;
        const dumb = Math.max(...decidingSets(both).map((set) => Math.min(...set.map(of))));
        expect(new JointQuorum(...both).agreed(of)).toBe(dumb);
      }),
      { numRuns },
    );
  });

  it('is won when some deciding set granted, lost when none can any more', { timeout }, () => {
    const seen = new Set<VoteResult>();
    fc.assert(
      fc.property(halves, numbers, (both, reached) => {
        const answers = [true, true, true, false, false, undefined];
        const of = (id: string): boolean | undefined => answers[reached[names.indexOf(id)] ?? 0];
        const sets = decidingSets(both);
        let dumb: VoteResult = 'pending';
        if (sets.some((set) => set.every((id) => of(id) === true))) dumb = 'won';
        else if (sets.every((set) => set.some((id) => of(id) === false))) dumb = 'lost';
        seen.add(dumb);
        expect(new JointQuorum(...both).result(of)).toBe(dumb);
      }),
      { numRuns },
    );
    expect(seen.size).toBe(3);
  });

  it('asks each voter once, whichever half it is in, in the same order on every member', { timeout }, () => {
    fc.assert(
      fc.property(halves, ([voters, outgoing]) => {
        const quorum = new JointQuorum(voters, outgoing);
        expect(quorum.voters).toEqual(names.filter((id) => voters.includes(id) || outgoing.includes(id)));
        for (const id of names) expect(quorum.has(id)).toBe(quorum.voters.includes(id));
      }),
      { numRuns },
    );
  });

  it('decides nothing without voters', () => {
    const quorum = new JointQuorum([], []);
    expect([quorum.voters, quorum.has('a')]).toEqual([[], false]);
    expect(() => quorum.agreed(() => 1)).toThrow(InvariantError);
    expect(() => quorum.result(() => true)).toThrow(InvariantError);
  });

  it('lets any two deciding sets of neighbouring memberships meet', { timeout }, () => {
    fc.assert(
      fc.property(halves, ([voters, outgoing]) => {
        if (outgoing.length === 0) return;
        const joint = decidingSets([voters, outgoing]);
        for (const side of [voters, outgoing]) {
          for (const set of decidingSets([side, []])) {
            expect(joint.every((other) => other.some((id) => set.includes(id)))).toBe(true);
          }
        }
      }),
      { numRuns: Math.min(numRuns, 100) },
    );
  });
});
