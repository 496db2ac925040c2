import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkMembership, isVoter, keepsQuorum, leaveJoint, membersOf } from '../../src/raft/membership.ts';
import type { Membership } from '../../src/raft/membership.ts';
import { planMembershipChange } from '../../src/raft/membership-plan.ts';
import type { MembershipChange } from '../../src/raft/membership-plan.ts';
import { decodeMembership, encodeMembership } from '../../src/raft/system-entries.ts';
import { membershipOf, recordOf } from './memberships.ts';

/** ROLLCALL_RAFT_CASES runs that many of each. */
const numRuns = Number(process.env['ROLLCALL_RAFT_CASES'] ?? 500);
const timeout = 5_000 + numRuns * 20;

const names = ['a', 'b', 'c', 'd', 'e', 'f'];
const name = fc.constantFrom(...names);

const change: fc.Arbitrary<MembershipChange> = fc.oneof(
  fc.record({ kind: fc.constant('add-learner' as const), member: name.map(recordOf), autoPromote: fc.boolean() }),
  fc.record({ kind: fc.constant('promote' as const), id: name }),
  fc.record({ kind: fc.constant('demote' as const), id: name }),
  fc.record({ kind: fc.constant('remove' as const), id: name }),
  fc.record({ kind: fc.constant('replace' as const), id: name, by: name.map(recordOf) }),
);

/** Calls of several changes each, made one after the other from a cluster of three. */
const calls = fc.array(fc.tuple(fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean()), { maxLength: 6 });

/** The second version: one word for each member, `voter`, `learner`, `auto` or `removed`. */
type Standing = Map<string, 'voter' | 'learner' | 'auto' | 'removed'>;

/** Makes the change; false where it cannot be made. */
function make(standing: Standing, wanted: MembershipChange, force: boolean): boolean {
  const id = wanted.kind === 'add-learner' ? wanted.member.id : wanted.id;
  const now = standing.get(id);
  const learns = now === 'learner' || now === 'auto';
  switch (wanted.kind) {
    case 'add-learner':
      if (now === 'removed') return false;
      if (now !== 'voter') standing.set(id, wanted.autoPromote ? 'auto' : 'learner');
      return true;
    case 'promote':
      if (!learns && now !== 'voter') return false;
      standing.set(id, 'voter');
      return true;
    case 'demote':
      if (!learns && now !== 'voter') return false;
      standing.set(id, 'learner');
      return true;
    case 'remove':
      if (now === undefined) return false;
      standing.set(id, 'removed');
      return true;
    case 'replace': {
      const by = standing.get(wanted.by.id);
      if (now === 'removed' && by === 'voter') return true;
      if (now !== 'voter' || by === 'voter' || by === 'removed' || (by === undefined && !force)) return false;
      standing.set(id, 'removed');
      standing.set(wanted.by.id, 'voter');
      return true;
    }
    case 'set-address':
      return true;
  }
}

function standingOf(membership: Membership): Standing {
  const standing: Standing = new Map();
  for (const { id } of membership.voters) standing.set(id, 'voter');
  for (const { id, autoPromote } of membership.learners) standing.set(id, autoPromote ? 'auto' : 'learner');
  for (const id of membership.removedIds) standing.set(id, 'removed');
  return standing;
}

const textOf = (standing: Standing): string =>
  [...standing]
    .map((pair) => pair.join('='))
    .sort()
    .join(' ');
const votersIn = (standing: Standing): string => textOf(new Map([...standing].filter(([, word]) => word === 'voter')));

describe('planMembershipChange', () => {
  it('comes to what the changes come to one by one', { timeout }, () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(calls, (wanted) => {
        let current = membershipOf(['a', 'b', 'c']);
        for (const [changes, force] of wanted) {
          const standing = standingOf(current);
          const possible = changes.every((each) => make(standing, each, force));
          const plan = planMembershipChange(current, changes, { force });
          seen.add(plan.kind);
          if (!possible || votersIn(standing) === '') {
            expect(plan.kind).toBe('refused');
            continue;
          }
          if (plan.kind === 'refused') throw new Error(`refused for ${plan.reason}`);
          expect(plan.kind === 'unchanged').toBe(textOf(standing) === textOf(standingOf(current)));
          if (plan.kind === 'unchanged') continue;
          const { next } = plan;
          checkMembership(next);
          expect(decodeMembership(encodeMembership(next))).toEqual(next);
          // A joint state exactly where the set of voters changes, and then from the very voters there were.
          const joint = votersIn(standing) !== votersIn(standingOf(current));
          expect(next.outgoing).toEqual(joint ? current.voters : []);
          // Nobody is without the log on the way, and all who voted still do.
          for (const { id } of membersOf(current)) {
            if (isVoter(current, id)) expect(isVoter(next, id)).toBe(true);
          }
          const goal = joint ? leaveJoint(next) : next;
          checkMembership(goal);
          expect(textOf(standingOf(goal))).toBe(textOf(standing));
          expect(planMembershipChange(next, [], { force }).kind).toBe('unchanged');
          current = goal;
        }
      }),
      { numRuns },
    );
    expect([...seen].sort()).toEqual(['changed', 'refused', 'unchanged']);
  });
});

describe('keepsQuorum', () => {
  it('holds when the live ones contain a majority of each half', { timeout }, () => {
    const subset = fc.subarray(names);
    fc.assert(
      fc.property(fc.subarray(names, { minLength: 1 }), subset, subset, (voters, outgoing, live) => {
        const membership = membershipOf(voters, { outgoing: outgoing.map(recordOf) });
        const count = (half: readonly string[]): number => half.filter((id) => live.includes(id)).length;
        const dumb = [voters, outgoing].every((half) => half.length === 0 || count(half) > half.length - count(half));
        expect(keepsQuorum(membership, (id) => live.includes(id))).toBe(dumb);
      }),
      { numRuns },
    );
  });
});
