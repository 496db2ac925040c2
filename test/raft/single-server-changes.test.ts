import { describe, expect, it } from 'vitest';
import { add, inForce, promote, remove } from './changes.ts';
import { learnerOf, membershipOf, membershipText } from './memberships.ts';
import { Network } from './network.ts';

// The published schedules by which changes of one server at a time lost committed entries (raft-dev, 10 July 2015,
// "bug in single-server membership changes"): a leader begins a change, another leader of a later term begins and
// commits one from the old membership without knowing the first, and the first comes back with its own. Here a leader
// must have committed an entry of its own term before it begins a change, and voters change through a joint state.

/** Voters a to d under leader a; learners e and f have caught up. */
function fourAndTwo(): Network {
  const net = new Network({
    members: ['a', 'b', 'c', 'd', 'e', 'f'],
    membership: membershipOf(['a', 'b', 'c', 'd'], { learners: ['e', 'f'].map((id) => learnerOf(id)) }),
  });
  net.elect('a');
  net.run(4);
  return net;
}

/** After everything is healed all agree on what one of them leads. */
function expectOneCluster(net: Network): void {
  net.heal();
  net.run(80);
  const { leader } = net;
  if (leader === undefined) throw new Error('no leader');
  for (const { id } of leader.raft.membership.voters) {
    expect([id, net.member(id).raft.leader, net.member(id).state]).toEqual([id, leader.id, leader.state]);
  }
}

describe('two leaders that change the membership one after the other', () => {
  it('add and add: the first, which reached the new member alone, is undone', () => {
    const net = fourAndTwo();
    // a makes a voter of e; only e hears of it.
    net.isolate('a', 'e');
    net.change('a', [promote('e')]);
    net.settle();
    expect(inForce(net, 'e')).toBe('a b c d -> a b c d e + f');
    // b is elected by the old membership, and adds f.
    net.elect('b');
    expect(net.leader?.id).toBe('b');
    expect(net.change('b', [promote('f')])).toMatchObject({ outcome: 'accepted' });
    net.propose('b', 'x');
    net.settle();
    expect(net.member('b').state).toEqual(['x']);
    // a comes back with e: two of the old voters are not enough for it.
    net.heal();
    net.isolate('a', 'e', 'd');
    net.run(60);
    expect(net.member('a').raft.role).not.toBe('leader');
    expectOneCluster(net);
    expect(membershipText(net.checkers.membership)).toBe('a b c d f + e');
  });

  it('remove and remove: the first, of which nobody heard, is undone', () => {
    const net = fourAndTwo();
    net.isolate('a');
    net.change('a', [remove('d')]);
    net.settle();
    net.elect('b');
    net.change('b', [remove('a')]);
    net.propose('b', 'x');
    net.settle();
    expect(net.member('b').state).toEqual(['x']);
    // With d alone a would be two of the three voters that it believes in.
    net.heal();
    net.isolate('a', 'd');
    net.run(60);
    expect(net.member('a').raft.role).not.toBe('leader');
    expectOneCluster(net);
    expect(membershipText(net.checkers.membership)).toBe('b c d + e f - a');
  });

  it('add and remove: neither commits without those that know the other', () => {
    const net = fourAndTwo();
    net.isolate('a', 'e');
    net.change('a', [promote('e')]);
    net.settle();
    net.elect('b');
    net.change('b', [remove('a')]);
    net.propose('b', 'x');
    net.settle();
    expect(net.member('c').raft.commit).toBeGreaterThan(1);
    net.heal();
    net.isolate('a', 'e', 'd');
    net.run(60);
    expect(net.member('a').raft.role).not.toBe('leader');
    expectOneCluster(net);
    expect(membershipText(net.checkers.membership)).toBe('b c d + e f - a');
  });

  it('the mended rule: a leader of a new term takes no change before it has committed in it', () => {
    const net = fourAndTwo();
    net.isolate('a');
    net.change('a', [remove('d')]);
    net.settle();
    for (const id of ['b', 'c', 'd']) net.tick(id, 10);
    net.lose();
    net.campaign('b');
    net.settle(({ kind }) => kind === 'vote-request' || kind === 'vote-reply');
    expect(net.member('b').raft.role).toBe('leader');
    expect(net.change('b', [remove('a')])).toMatchObject({ outcome: 'refused', reason: 'own-term-uncommitted' });
    expect(net.change('b', [add('g')])).toMatchObject({ outcome: 'refused', reason: 'own-term-uncommitted' });
  });

  it('a leader that comes back to an unfinished change of its own cannot commit it beside another', () => {
    const net = fourAndTwo();
    // a's change reaches b, which does not answer in time.
    net.change('a', [promote('e'), promote('f'), remove('c'), remove('d')]);
    net.deliverOne(({ kind, to }) => kind === 'append' && to === 'b');
    net.lose();
    net.isolate('a', 'b');
    // c and d alone are no majority of the old half, which they still believe in.
    net.run(60);
    expect(net.leader).toBeUndefined();
    expectOneCluster(net);
    expect(membershipText(net.checkers.membership)).toMatch(/^(a b e f - c d|a b c d \+ e f)$/);
  });
});
