import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import {
  checkMembership,
  isVoter,
  keepsQuorum,
  leaveJoint,
  membersMax,
  membersOf,
  membershipProblem,
  noMembership,
  removedIdsMax,
  votersOnly,
} from '../../src/raft/membership.ts';
import type { Membership } from '../../src/raft/membership.ts';
import { planMembershipChange } from '../../src/raft/membership-plan.ts';
import type { MembershipChange } from '../../src/raft/membership-plan.ts';
import { learnerOf, membershipOf, membershipText, recordOf } from './memberships.ts';

const add = (id: string, autoPromote = false): MembershipChange => {
  return { kind: 'add-learner', member: recordOf(id), autoPromote };
};
const promote = (id: string): MembershipChange => ({ kind: 'promote', id });
const demote = (id: string): MembershipChange => ({ kind: 'demote', id });
const remove = (id: string): MembershipChange => ({ kind: 'remove', id });
const replace = (id: string, by: string): MembershipChange => ({ kind: 'replace', id, by: recordOf(by) });
const move = (id: string, peerAddress: string): MembershipChange => ({ kind: 'set-address', id, peerAddress });

/** What a plan comes to, as text. */
function planned(current: Membership, changes: readonly MembershipChange[], force = false): string {
  const plan = planMembershipChange(current, changes, { force });
  switch (plan.kind) {
    case 'unchanged':
      return 'unchanged';
    case 'refused':
      return `refused: ${[plan.reason, ...plan.ids].join(' ')}`;
    case 'changed':
      checkMembership(plan.next);
      return membershipText(plan.next);
  }
}

/** Names in order. */
const many = (count: number): string[] => Array.from({ length: count }, (_, at) => `m${100 + at}`);

const abc = membershipOf(['a', 'b', 'c']);
const withLearner = membershipOf(['a', 'b', 'c'], { learners: [learnerOf('d')] });
const removed = membershipOf(['a', 'b', 'c'], { removedIds: ['x'] });

describe('planMembershipChange', () => {
  it.each<[string, Membership, MembershipChange[], string]>([
    ['adds a learner without a joint state', abc, [add('d')], 'a b c + d'],
    ['notes who is to be promoted by itself', abc, [add('d', true)], 'a b c + d*'],
    ['adds several at once', abc, [add('e'), add('d', true)], 'a b c + d* e'],
    ['promotes a learner through a joint state', withLearner, [promote('d')], 'a b c -> a b c d'],
    ['demotes a voter, which stays in the old half', abc, [demote('c')], 'a b c -> a b next c'],
    ['removes a voter, whose id is used up when it is gone', abc, [remove('c')], 'a b c -> a b'],
    ['removes a learner at once', withLearner, [remove('d')], 'a b c - d'],
    ['replaces a voter by a learner in one step', withLearner, [replace('c', 'd')], 'a b c -> a b d'],
    ['makes several changes in one step', withLearner, [promote('d'), remove('a')], 'a b c -> b c d'],
    ['adds and removes in one step', abc, [add('d'), remove('a')], 'a b c -> b c + d'],
    ['exchanges two voters', withLearner, [promote('d'), demote('a'), remove('b')], 'a b c -> c d next a'],
    ['goes from three to one', abc, [remove('b'), remove('c')], 'a b c -> a'],
  ])('%s', (_what, current, changes, expected) => {
    expect(planned(current, changes)).toBe(expected);
  });

  it.each<[string, Membership, MembershipChange[]]>([
    ['adding a learner that is one', withLearner, [add('d')]],
    ['adding a member that votes by now', abc, [add('c')]],
    ['adding a member that votes by now, to be promoted by itself', abc, [add('c', true)]],
    ['promoting a voter', abc, [promote('a')]],
    ['demoting a learner', withLearner, [demote('d')]],
    ['removing who is removed', removed, [remove('x')]],
    ['replacing who is replaced', removed, [replace('x', 'c')]],
    ['an address that is so', abc, [move('a', 'a:7401')]],
    ['nothing at all', abc, []],
    ['what one change does and the next undoes', abc, [demote('a'), promote('a')]],
    ['removing in a joint state who is leaving', membershipOf(['a'], { outgoing: abc.voters }), [remove('b')]],
    ['promoting in a joint state who is coming', membershipOf(['a', 'b'], { outgoing: abc.voters }), [promote('b')]],
  ])('finds no change in %s', (_what, current, changes) => {
    expect(planned(current, changes)).toBe('unchanged');
  });

  it.each<[string, Membership, MembershipChange[], string]>([
    ['an id that was removed', removed, [add('x')], 'removed-before x'],
    ['a promotion of who was removed', removed, [promote('x')], 'removed-before x'],
    ['a successor that was removed', removed, [replace('a', 'x')], 'removed-before x'],
    ['an id that the same call removes', abc, [remove('c'), add('c')], 'removed-before c'],
    ['a promotion of nobody', abc, [promote('z')], 'unknown-id z'],
    ['a demotion of nobody', abc, [demote('z')], 'unknown-id z'],
    ['the removal of nobody', abc, [remove('z')], 'unknown-id z'],
    ['an address of nobody', abc, [move('z', 'z:1')], 'unknown-id z'],
    ['the replacement of nobody', withLearner, [replace('z', 'd')], 'unknown-id z'],
    ['the replacement of a learner', withLearner, [add('e'), replace('d', 'e')], 'not-voter d'],
    ['a successor that votes already', abc, [replace('a', 'b')], 'is-voter b'],
    ['a member in its own place', abc, [replace('a', 'a')], 'is-voter a'],
    ['a successor that is no learner yet', abc, [replace('a', 'd')], 'not-learner d'],
    ['to leave no voters', membershipOf(['a']), [remove('a')], 'no-voters-left'],
    ['to demote the last voter', membershipOf(['a']), [demote('a')], 'no-voters-left'],
    ['a second change before the first has ended', membershipOf(['a'], { outgoing: abc.voters }), [add('d')], 'joint'],
  ])('refuses %s', (_what, current, changes, expected) => {
    expect(planned(current, changes)).toBe(`refused: ${expected}`);
  });

  it('refuses another directory or address under a known id', () => {
    const elsewhere = { ...recordOf('d'), directoryId: 'f'.repeat(32) };
    const moved = { ...recordOf('d'), peerAddress: 'd:9' };
    const change = (member: typeof moved): MembershipChange => ({ kind: 'add-learner', member, autoPromote: false });
    expect(planned(withLearner, [change(elsewhere)])).toBe('refused: directory-differs d');
    expect(planned(withLearner, [change(moved)])).toBe('refused: address-differs d');
    expect(planned(withLearner, [{ kind: 'replace', id: 'a', by: elsewhere }])).toBe('refused: directory-differs d');
    expect(planned(withLearner, [{ kind: 'replace', id: 'a', by: moved }], true)).toBe('refused: address-differs d');
  });

  it.each([
    ['id', { id: '' }],
    ['id with a blank', { id: 'a b' }],
    ['long id', { id: 'a'.repeat(129) }],
    ['directory id', { directoryId: 'X'.repeat(32) }],
    ['address', { peerAddress: '' }],
    ['long address', { peerAddress: 'a'.repeat(257) }],
  ])('refuses a record with a bad %s', (_what, wrong) => {
    const member = { ...recordOf('d'), ...wrong };
    expect(planned(abc, [{ kind: 'add-learner', member, autoPromote: true }])).toBe(`refused: bad-record ${member.id}`);
    expect(planned(abc, [{ kind: 'replace', id: 'a', by: member }], true)).toBe(`refused: bad-record ${member.id}`);
  });

  it('refuses an address that is none', () => {
    expect(planned(abc, [move('a', '')])).toBe('refused: bad-record a');
    expect(planned(abc, [move('a', 'x'.repeat(257))])).toBe('refused: bad-record a');
    expect(planned(abc, [move('a', 'x'.repeat(256))])).toBe('a b c');
  });

  it('takes a new successor where it is forced', () => {
    expect(planned(abc, [replace('c', 'd')], true)).toBe('a b c -> a b d');
  });

  it('changes an address in both halves, so that nobody is told in two ways', () => {
    const plan = planMembershipChange(abc, [remove('c'), move('a', 'a:9'), move('b', 'b:9')]);
    if (plan.kind !== 'changed') throw new Error(plan.kind);
    expect(plan.next.voters.map(({ peerAddress }) => peerAddress)).toEqual(['a:9', 'b:9']);
    expect(plan.next.outgoing.map(({ peerAddress }) => peerAddress)).toEqual(['a:9', 'b:9', 'c:7401']);
    checkMembership(plan.next);
  });

  it('changes the address of who is demoted', () => {
    const plan = planMembershipChange(abc, [demote('c'), move('c', 'c:9')]);
    if (plan.kind !== 'changed') throw new Error(plan.kind);
    checkMembership(plan.next);
    expect(membersOf(plan.next).map(({ peerAddress }) => peerAddress)).toEqual(['a:7401', 'b:7401', 'c:9']);
  });

  it('changes only who is promoted by itself', () => {
    expect(planned(withLearner, [add('d', true)])).toBe('a b c + d*');
    expect(planned(membershipOf(['a'], { learners: [learnerOf('d', true)] }), [demote('d')])).toBe('a + d');
  });

  it('names the new voters', () => {
    const plan = planMembershipChange(withLearner, [promote('d'), remove('b')]);
    expect(plan).toMatchObject({ kind: 'changed', newVoters: ['d'] });
    expect(planMembershipChange(abc, [add('d')])).toMatchObject({ newVoters: [] });
  });

  it(`takes ${membersMax} members and no more`, () => {
    const names = Array.from({ length: membersMax + 1 }, (_, number) => `m${String(number).padStart(2, '0')}`);
    const full = membershipOf(names.slice(0, 20), { learners: names.slice(20, -1).map((id) => learnerOf(id)) });
    checkMembership(full);
    expect(planned(full, [add(names.at(-1) ?? '')])).toBe('refused: too-many-members');
    // One goes as another comes.
    expect(planned(full, [add(names.at(-1) ?? ''), remove('m30')])).toMatch(/m31 - m30$/);
  });

  it(`remembers ${removedIdsMax} removed ids and no more`, () => {
    const ids = Array.from({ length: removedIdsMax }, (_, number) => `x${String(number).padStart(3, '0')}`);
    const nearly = membershipOf(['a', 'b', 'c'], { removedIds: ids.slice(1) });
    const full = membershipOf(['a', 'b', 'c'], { removedIds: ids });
    checkMembership(full);
    expect(planned(nearly, [remove('a')])).toMatch(/^a b c -> b c/);
    expect(planned(nearly, [remove('a'), remove('b')])).toBe('refused: removed-ids-full');
    expect(planned(full, [remove('a')])).toBe('refused: removed-ids-full');
    expect(planned(full, [demote('a')])).toMatch(/^a b c -> b c next a/);
    expect(membershipProblem(membershipOf(['a'], { removedIds: [...ids, 'y'] }))).toMatch(/257 removed ids/);
  });
});

describe('leaveJoint', () => {
  it('makes learners of those that were demoted and uses up the ids of those that are gone', () => {
    const joint = membershipOf(['a', 'e'], {
      outgoing: ['a', 'b', 'c', 'd'].map(recordOf),
      learners: [learnerOf('f', true)],
      learnersNext: [learnerOf('c')],
      removedIds: ['x'],
    });
    checkMembership(joint);
    expect(membershipText(leaveJoint(joint))).toBe('a e + c f* - b d x');
    checkMembership(leaveJoint(joint));
  });

  it('is asked of joint memberships alone', () => {
    expect(() => leaveJoint(abc)).toThrow(InvariantError);
  });
});

describe('keepsQuorum', () => {
  const joint = membershipOf(['c', 'd', 'e'], { outgoing: abc.voters });
  it.each<[string, Membership, string, boolean]>([
    ['a majority', abc, 'ab', true],
    ['less than a majority', abc, 'a', false],
    ['half of an even number', membershipOf(['a', 'b']), 'a', false],
    ['learners alone', withLearner, 'ad', false],
    ['a majority of both halves', joint, 'acd', true],
    ['a majority of the new half alone', joint, 'de', false],
    ['a majority of the old half alone', joint, 'ab', false],
  ])('%s: %#', (_what, membership, live, expected) => {
    expect(keepsQuorum(membership, (id) => live.includes(id))).toBe(expected);
  });
});

describe('a membership', () => {
  it('counts voters of both halves as voters, learners as none', () => {
    const joint = membershipOf(['b', 'c'], { outgoing: ['a', 'b'].map(recordOf), learners: [learnerOf('d')] });
    expect(['a', 'b', 'c', 'd', 'e'].filter((id) => isVoter(joint, id))).toEqual(['a', 'b', 'c']);
    expect(membersOf(joint)).toEqual(['a', 'b', 'c', 'd'].map(recordOf));
  });

  it('puts voters in the order of their ids', () => {
    expect(votersOnly(['b', 'B', 'a'].map(recordOf)).voters.map(({ id }) => id)).toEqual(['B', 'a', 'b']);
  });

  it.each<[string, Membership, RegExp]>([
    ['voters out of order', { ...abc, voters: ['b', 'a'].map(recordOf) }, /order/],
    ['a voter twice', { ...abc, voters: ['a', 'a'].map(recordOf) }, /order/],
    ['removed ids out of order', membershipOf(['a'], { removedIds: ['y', 'x'] }), /order/],
    ['a bad record', { ...abc, voters: [{ ...recordOf('a'), directoryId: '' }] }, /cannot be/],
    ['a learner that votes', membershipOf(['a'], { learners: [learnerOf('a')] }), /voter and learner/],
    [
      'a learner of the old half',
      membershipOf(['a'], { outgoing: [recordOf('b')], learners: [learnerOf('b')] }),
      /learner/,
    ],
    [
      'a learner to be that goes on voting',
      membershipOf(['a'], { outgoing: [recordOf('a')], learnersNext: [learnerOf('a')] }),
      /without leaving/,
    ],
    ['a learner to be from nowhere', membershipOf(['a'], { learnersNext: [learnerOf('b')] }), /without leaving/],
    ['a removed voter', membershipOf(['a'], { removedIds: ['a'] }), /removed before/],
    ['a removed learner', membershipOf(['a'], { learners: [learnerOf('b')], removedIds: ['b'] }), /removed before/],
    ['no voter', membershipOf([], { learners: [learnerOf('b')] }), /no voter/],
    ['too many members', membershipOf(many(31), { learners: [learnerOf('z')] }), /more than 31 members/],
    ['too many outgoing voters', membershipOf(['a'], { outgoing: many(32).map(recordOf) }), /more than 31 outgoing/],
    [
      'two directories of one id',
      membershipOf(['a'], { outgoing: [{ ...recordOf('a'), directoryId: 'e'.repeat(32) }] }),
      /two ways/,
    ],
    [
      'two addresses of one id',
      membershipOf(['a'], { outgoing: [{ ...recordOf('a'), peerAddress: 'z:1' }] }),
      /two ways/,
    ],
  ])('has not %s', (_what, membership, expected) => {
    expect(membershipProblem(membership)).toMatch(expected);
    expect(() => checkMembership(membership)).toThrow(InvariantError);
  });

  it('may be that of a member that knows of no cluster yet', () => {
    expect(membershipProblem(noMembership)).toBeUndefined();
  });
});
