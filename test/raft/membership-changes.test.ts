import { describe, expect, it } from 'vitest';
import type { MembershipChange } from '../../src/raft/membership-plan.ts';
import { add, committed, demote, inForce, promote, remove, replace } from './changes.ts';
import { learnerOf, membershipOf, membershipText, recordOf } from './memberships.ts';
import { Network } from './network.ts';

/** Voters a, b and c under leader a; d and e wait with empty disks. */
function threeOfFive(): Network {
  const net = new Network({ members: ['a', 'b', 'c', 'd', 'e'], membership: membershipOf(['a', 'b', 'c']) });
  net.elect('a');
  return net;
}

/** The same, with d as a learner that has caught up. */
function withLearner(): Network {
  const net = threeOfFive();
  net.change('a', [add('d')]);
  net.settle();
  net.run(4);
  return net;
}

describe('a change of the membership', () => {
  it('is in force on each member from the moment at which it holds the entry', () => {
    const net = threeOfFive();
    expect(net.change('a', [add('d')])).toEqual({ outcome: 'accepted', index: 2, term: 1 });
    expect([inForce(net, 'a'), committed(net, 'a')]).toEqual(['a b c + d', 'a b c']);
    net.deliverOne((message) => message.kind === 'append' && message.to === 'b');
    expect([inForce(net, 'b'), committed(net, 'b'), inForce(net, 'c')]).toEqual(['a b c + d', 'a b c', 'a b c']);
    net.settle();
    for (const id of ['a', 'b', 'c', 'd']) expect([id, inForce(net, id)]).toEqual([id, 'a b c + d']);
    net.run(2);
    for (const id of ['a', 'b', 'c', 'd']) expect([id, committed(net, id)]).toEqual([id, 'a b c + d']);
  });

  it('goes through a joint state by itself where voters change', () => {
    const net = withLearner();
    expect(net.change('a', [promote('d'), remove('b')])).toMatchObject({ outcome: 'accepted', index: 3 });
    expect(inForce(net, 'a')).toBe('a b c -> a c d');
    net.settle();
    net.run(2);
    expect(net.member('a').raft.status()).toMatchObject({ lastIndex: 4, commit: 4, membershipIndex: 4 });
    for (const id of ['a', 'c', 'd']) expect([id, committed(net, id)]).toEqual([id, 'a c d - b']);
    expect(membershipText(net.checkers.membership)).toBe('a c d - b');
  });

  it('replaces a dead member by a learner in one joint change', () => {
    const net = withLearner();
    net.crash('c');
    net.change('a', [replace('c', 'd')]);
    net.settle();
    net.run(2);
    expect([inForce(net, 'a'), committed(net, 'd')]).toEqual(['a b d - c', 'a b d - c']);
  });

  it('makes a voter at once of a new member where that is forced, and refuses it otherwise', () => {
    const net = threeOfFive();
    net.crash('c');
    expect(net.change('a', [replace('c', 'd')])).toEqual({ outcome: 'refused', reason: 'not-learner', ids: ['d'] });
    net.change('a', [replace('c', 'd')], true);
    net.settle();
    net.run(4);
    expect(committed(net, 'd')).toBe('a b d - c');
  });

  it('takes commands meanwhile, which the joint state commits', () => {
    const net = withLearner();
    net.change('a', [promote('d'), remove('c')]);
    expect(net.propose('a', 'x')).toMatchObject({ accepted: true, index: 4 });
    net.settle();
    net.run(2);
    for (const id of ['a', 'b', 'd']) expect([id, net.member(id).state]).toEqual([id, ['x']]);
  });

  it('hands the membership to the host when another is in force, and when another is committed', () => {
    const net = threeOfFive();
    const leader = net.member('a');
    expect([leader.membership, leader.committedMembership].map((each) => each && membershipText(each))).toEqual([
      'a b c',
      'a b c',
    ]);
    leader.raft.proposeMembershipChange([add('d')]);
    const handed = leader.raft.ready();
    expect(handed.membership && membershipText(handed.membership)).toBe('a b c + d');
    expect(handed.committedMembership).toBeUndefined();
    expect(leader.raft.ready().membership).toBeUndefined();
  });

  it('changes an address without a joint state, and hands it to the hosts', () => {
    const net = threeOfFive();
    const moved: MembershipChange = { kind: 'set-address', id: 'b', peerAddress: 'elsewhere:7401' };
    expect(net.change('a', [moved])).toMatchObject({ outcome: 'accepted' });
    net.settle();
    net.run(2);
    const known = net.member('c').committedMembership?.voters.find(({ id }) => id === 'b');
    expect(known?.peerAddress).toBe('elsewhere:7401');
    expect(inForce(net, 'c')).toBe('a b c');
  });

  it('grows one member to three and shrinks it back to one of the others', () => {
    const net = new Network({ members: ['a', 'b', 'c'], membership: membershipOf(['a']) });
    net.elect('a');
    net.change('a', [add('b', true), add('c', true)]);
    net.run(8);
    expect(committed(net, 'b')).toBe('a b c');
    net.change('a', [remove('a'), remove('b')]);
    net.settle();
    net.run(30);
    expect([net.leader?.id, committed(net, 'c')]).toEqual(['c', 'c - a b']);
    net.propose('c', 'x');
    net.settle();
    expect(net.member('c').state).toEqual(['x']);
  });
});

describe('a leader', () => {
  it('takes one change at a time', () => {
    const net = threeOfFive();
    net.change('a', [add('d')]);
    expect(net.change('a', [add('e')])).toEqual({ outcome: 'refused', reason: 'change-under-way', ids: [] });
    net.settle();
    expect(net.change('a', [add('e')])).toMatchObject({ outcome: 'accepted', index: 3 });
  });

  it('takes none while a joint state lasts, nor before what follows it is committed', () => {
    const net = withLearner();
    net.change('a', [promote('d')]);
    expect(net.change('a', [add('e')])).toMatchObject({ reason: 'change-under-way' });
    // Everybody gets the joint membership, nobody what follows it.
    for (const to of ['b', 'c', 'd']) {
      net.deliverOne((message) => message.kind === 'append' && message.to === to);
      net.deliverOne((message) => message.kind === 'append-reply' && message.from === to);
    }
    expect(net.member('a').raft.status()).toMatchObject({ commit: 3, lastIndex: 4 });
    expect(inForce(net, 'a')).toBe('a b c d');
    expect(net.change('a', [add('e')])).toMatchObject({ reason: 'change-under-way' });
    net.settle();
    expect(net.change('a', [add('e')])).toMatchObject({ outcome: 'accepted' });
  });

  it('takes none before an entry of its own term is committed', () => {
    const net = threeOfFive();
    net.tick('b', 10);
    net.tick('c', 10);
    net.lose();
    net.campaign('b');
    net.settle(({ kind }) => kind === 'vote-request' || kind === 'vote-reply');
    expect(net.member('b').raft.role).toBe('leader');
    expect(net.change('b', [add('d')])).toEqual({ outcome: 'refused', reason: 'own-term-uncommitted', ids: [] });
    net.settle();
    expect(net.change('b', [add('d')])).toMatchObject({ outcome: 'accepted' });
  });

  it('finds no change in what holds already, be it committed or not', () => {
    const net = threeOfFive();
    expect(net.change('a', [add('b'), promote('c')])).toEqual({ outcome: 'unchanged', index: 0 });
    net.change('a', [add('d')]);
    expect(net.change('a', [add('d')])).toEqual({ outcome: 'unchanged', index: 2 });
    net.settle();
    net.run(4);
    net.change('a', [promote('d')]);
    // The joint membership leads where this wants to go.
    expect(net.change('a', [promote('d')])).toEqual({ outcome: 'unchanged', index: 3 });
    net.settle();
    expect(net.change('a', [promote('d')])).toEqual({ outcome: 'unchanged', index: 4 });
    expect(net.member('a').raft.lastIndex).toBe(4);
  });

  it('does not promote a learner that lags, unless it is forced', () => {
    const net = threeOfFive();
    net.isolate('d');
    net.change('a', [add('d')]);
    net.settle();
    expect(net.change('a', [promote('d')])).toEqual({ outcome: 'refused', reason: 'not-caught-up', ids: ['d'] });
    expect(net.change('a', [replace('c', 'd')])).toMatchObject({ reason: 'not-caught-up' });
    expect(net.change('a', [promote('d')], true)).toMatchObject({ outcome: 'accepted' });
  });

  it('refuses a plan that cannot be, with its reason and ids', () => {
    const net = threeOfFive();
    expect(net.change('a', [remove('z')])).toEqual({ outcome: 'refused', reason: 'unknown-id', ids: ['z'] });
    const everybody = ['a', 'b', 'c'].map(remove);
    expect(net.change('a', everybody, true)).toEqual({ outcome: 'refused', reason: 'no-voters-left', ids: [] });
    expect(net.member('a').raft.lastIndex).toBe(1);
  });

  it('alone takes changes', () => {
    const net = threeOfFive();
    expect(net.change('b', [add('d')])).toEqual({ outcome: 'refused', reason: 'not-leader', ids: [] });
    net.member('a').raft.setEligible(false);
    expect(net.change('a', [add('d')])).toEqual({ outcome: 'refused', reason: 'ineligible', ids: [] });
  });

  it('that is elected in a joint state leaves it', () => {
    const net = withLearner();
    net.change('a', [promote('d'), demote('c')]);
    // The joint membership reaches all but is not known to be committed.
    net.settle(({ kind }) => kind === 'append');
    net.crash('a');
    net.lose();
    for (const id of ['c', 'd']) net.tick(id, 10);
    net.lose();
    net.campaign('b');
    net.settle();
    expect(net.leader?.id).toBe('b');
    net.run(2);
    expect(committed(net, 'b')).toBe('a b d + c');
    net.restart('a');
    net.run(4);
    expect(committed(net, 'a')).toBe('a b d + c');
  });

  it('takes commands up to its bound, and changes beyond it', () => {
    const net = new Network({
      members: ['a', 'b', 'c', 'd'],
      membership: membershipOf(['a', 'b', 'c']),
      settings: { uncommittedBytesMax: 10 },
    });
    net.elect('a');
    net.isolate('a');
    expect(net.propose('a', '0123456789')).toMatchObject({ accepted: true });
    expect(net.propose('a', 'x')).toMatchObject({ accepted: false, reason: 'uncommitted-full' });
    // One that removes a dead member may be what lets anything be committed again.
    expect(net.change('a', [remove('c')])).toMatchObject({ outcome: 'accepted' });
  });
});

describe('a change that is not committed', () => {
  it('is undone when another leader replaces its entry', () => {
    const net = threeOfFive();
    net.isolate('a');
    net.change('a', [add('d')]);
    net.change('a', [remove('c')]);
    net.settle();
    expect(inForce(net, 'a')).toBe('a b c + d');
    net.elect('b');
    net.propose('b', 'x');
    net.settle();
    net.heal();
    net.run(4);
    expect([inForce(net, 'a'), net.member('a').raft.role]).toEqual(['a b c', 'follower']);
    expect(net.member('a').membership && membershipText(net.member('a').membership ?? membershipOf([]))).toBe('a b c');
    expect(net.member('a').state).toEqual(['x']);
  });

  it('is undone together with the joint state that it opened', () => {
    const net = withLearner();
    net.isolate('a');
    net.change('a', [promote('d'), remove('b')]);
    net.settle();
    expect(inForce(net, 'a')).toBe('a b c -> a c d');
    net.elect('b');
    net.heal();
    net.run(4);
    expect(inForce(net, 'a')).toBe('a b c + d');
    expect(inForce(net, 'd')).toBe('a b c + d');
  });

  it('survives a restart and is undone afterwards', () => {
    const net = threeOfFive();
    net.isolate('a');
    net.change('a', [remove('c')]);
    net.settle();
    net.restart('a');
    expect(inForce(net, 'a')).toBe('a b c -> a b');
    expect(committed(net, 'a')).toBe('none');
    net.collect();
    expect(committed(net, 'a')).toBe('a b c');
    net.elect('b');
    net.heal();
    net.run(4);
    expect(inForce(net, 'a')).toBe('a b c');
  });

  it('is committed by a later leader that holds its entry', () => {
    const net = threeOfFive();
    net.change('a', [add('d')]);
    net.settle(({ kind, to }) => kind === 'append' && to === 'b');
    net.crash('a');
    net.lose();
    net.tick('c', 10);
    net.campaign('b');
    net.settle();
    net.run(4);
    expect([net.leader?.id, committed(net, 'c'), committed(net, 'd')]).toEqual(['b', 'a b c + d', 'a b c + d']);
  });
});

describe('a joint state', () => {
  it('commits with a majority of both halves, and with nothing less', () => {
    const net = new Network({
      members: ['a', 'b', 'c', 'd', 'e'],
      membership: membershipOf(['a', 'b', 'c'], { learners: [learnerOf('d'), learnerOf('e')] }),
    });
    net.elect('a');
    net.run(4);
    // a and b are a majority of the old half; d and e are needed for the new one, of a, d and e.
    net.isolate('d');
    net.isolate('e');
    net.change('a', [promote('d'), promote('e'), remove('b'), remove('c')]);
    net.settle();
    expect(net.member('a').raft.status()).toMatchObject({ commit: 1, lastIndex: 2 });
    net.heal();
    net.isolate('b');
    net.isolate('c');
    net.run(4);
    // Now b's answer is there, which it gave before, and d and e's.
    expect(net.member('a').raft.commit).toBeGreaterThanOrEqual(2);
  });

  it('does not commit with the new half alone', () => {
    const net = new Network({
      members: ['a', 'b', 'c', 'd', 'e'],
      membership: membershipOf(['a', 'b', 'c'], { learners: [learnerOf('d'), learnerOf('e')] }),
    });
    net.elect('a');
    net.run(4);
    net.isolate('b');
    net.isolate('c');
    net.change('a', [promote('d'), promote('e'), remove('b'), remove('c')]);
    net.settle();
    expect(net.member('a').raft.status()).toMatchObject({ commit: 1, lastIndex: 2 });
    net.heal();
    net.run(4);
    expect(committed(net, 'a')).toBe('a d e - b c');
  });

  it('elects with a majority of both halves', () => {
    const joint = membershipOf(['c', 'd', 'e'], { outgoing: ['a', 'b', 'c'].map(recordOf) });
    const net = new Network({ members: ['a', 'b', 'c', 'd', 'e'], membership: joint });
    net.isolate('a', 'b', 'c');
    net.run(60);
    // Three of five, and all of the old half: one of the new half is too little.
    expect(net.leader).toBeUndefined();
    net.heal();
    net.isolate('c', 'd', 'e');
    net.run(60);
    expect(net.leader).toBeUndefined();
    net.heal();
    net.isolate('b', 'e');
    net.run(60);
    expect(net.leader?.id).toMatch(/[acd]/);
    expect(committed(net, 'd')).toBe('c d e - a b');
  });

  it('lets voters of the old half campaign', () => {
    const joint = membershipOf(['c', 'd', 'e'], { outgoing: ['a', 'b', 'c'].map(recordOf) });
    const net = new Network({ members: ['a', 'b', 'c', 'd', 'e'], membership: joint });
    net.campaign('a');
    net.settle(({ kind }) => kind === 'vote-request' || kind === 'vote-reply');
    expect(net.member('a').raft.role).toBe('leader');
    net.settle();
    net.run(20);
    // It led out of the state in which it had a vote.
    expect(net.leader?.id).toMatch(/[cde]/);
    expect(committed(net, 'c')).toBe('c d e - a b');
  });

  it('confirms a leader, and its reads, by both halves', () => {
    const net = new Network({
      members: ['a', 'b', 'c', 'd', 'e'],
      membership: membershipOf(['a', 'b', 'c'], { learners: [learnerOf('d'), learnerOf('e')] }),
    });
    net.elect('a');
    net.run(4);
    net.isolate('d');
    net.isolate('e');
    net.change('a', [promote('d'), promote('e'), remove('b'), remove('c')]);
    const context = net.member('a').read();
    net.checkers.readAsked(context);
    net.settle();
    // b and c answer, which was enough before.
    expect(net.member('a').confirmed).toEqual([]);
    net.run(9);
    expect(net.member('a').raft.role).toBe('leader');
    net.run(1);
    expect([net.member('a').raft.role, net.member('a').voided]).toEqual(['follower', [context]]);
  });

  it('confirms waiting reads as soon as the voters that are left have answered', () => {
    const net = new Network({ members: ['a', 'b'] });
    net.elect('a');
    net.run(2);
    net.change('a', [remove('b')]);
    net.settle(({ kind }) => kind === 'append' || kind === 'append-reply');
    net.isolate('b');
    const context = net.member('a').read();
    net.checkers.readAsked(context);
    net.settle();
    expect([inForce(net, 'a'), net.member('a').confirmed]).toEqual(['a - b', [{ context, index: 3 }]]);
  });
});
