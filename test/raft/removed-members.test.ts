import { describe, expect, it } from 'vitest';
import { add, committed, demote, inForce, promote, remove, replace } from './changes.ts';
import { learnerOf, membershipOf } from './memberships.ts';
import { Network } from './network.ts';
import { coreWith, drain, fromB, fromC } from './single.ts';

/** Leader a of as many voters, all up to date. */
function led(...members: string[]): Network {
  const net = new Network({ members });
  net.elect('a');
  net.run(2);
  return net;
}

describe('a leader that removes itself', () => {
  it('leads until that is committed, then hands over and steps down', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [remove('a')]);
    net.settle();
    // Both hold everything: the first of them is told to campaign.
    expect(net.leader?.id).toBe('b');
    expect([net.member('a').raft.role, net.member('a').raft.leader]).toEqual(['follower', '']);
    net.run(4);
    expect([committed(net, 'b'), committed(net, 'c')]).toEqual(['b c - a', 'b c - a']);
    // No tick was needed to find a successor.
    expect(net.leader?.raft.term).toBe(2);
  });

  it('does not count itself for what follows the joint state', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [remove('a')]);
    // The joint membership is committed by a and b, of both halves; c gets nothing.
    net.isolate('c');
    net.settle();
    // a and b hold the last entry; of b and c, who decide, only b does.
    expect(net.member('a').raft.status()).toMatchObject({ role: 'leader', commit: 1, lastIndex: 2 });
    net.heal();
    net.run(4);
    expect(committed(net, 'c')).toBe('b c - a');
  });

  it('goes on feeding the others until then, commands included', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [remove('a')]);
    expect(net.propose('a', 'x')).toMatchObject({ accepted: true, index: 3 });
    net.settle();
    net.run(4);
    expect([net.member('b').state, net.member('c').state]).toEqual([['x'], ['x']]);
  });

  it('steps down as well when it makes a learner of itself, and follows', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [demote('a')]);
    net.settle();
    net.run(4);
    expect(net.leader?.id).toMatch(/[bc]/);
    net.leader?.raft.propose(Buffer.from('x'));
    net.run(2);
    expect([net.member('a').state, net.member('a').raft.role]).toEqual([['x'], 'follower']);
  });

  it('leaves the others to their timeouts where its word to campaign is lost', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [remove('a')]);
    net.settle(({ kind }) => kind !== 'timeout-now');
    expect(net.lose(({ kind }) => kind === 'timeout-now')).toBe(1);
    expect(net.leader).toBeUndefined();
    net.run(20);
    expect(net.leader?.id).toMatch(/[bc]/);
  });

  it('is dead before it is committed: another completes the change', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [remove('a')]);
    net.settle(({ kind }) => kind === 'append');
    net.crash('a');
    net.lose();
    net.run(60);
    expect([net.leader?.id, committed(net, 'b')]).toEqual([expect.stringMatching(/[bc]/), 'b c - a']);
  });
});

describe('a member that loses its vote by an entry that only it holds', () => {
  /** Leader b of a and b has demoted itself, and stands alone with what follows the joint state. */
  function alone(): Network {
    const net = new Network({ members: ['a', 'b'] });
    net.elect('b');
    net.run(2);
    net.change('b', [demote('b')]);
    net.deliverOne(({ kind }) => kind === 'append');
    net.deliverOne(({ kind }) => kind === 'append-reply');
    expect([inForce(net, 'a'), inForce(net, 'b')]).toEqual(['a b -> a next b', 'a + b']);
    net.lose();
    net.restart('b');
    return net;
  }

  it('still campaigns, since the others cannot have its vote', () => {
    const net = alone();
    for (const id of net.ids) net.tick(id, 10);
    net.lose();
    // a needs b, which refuses: its own log is longer.
    net.campaign('a');
    net.settle();
    expect(net.leader).toBeUndefined();
    net.run(60);
    expect([net.leader?.id, committed(net, 'a'), committed(net, 'b')]).toEqual(['a', 'a + b', 'a + b']);
  });

  it('does not count its own vote, and leads until the entry is committed', () => {
    const net = alone();
    net.tick('a', 10);
    net.lose();
    net.campaign('b');
    // A pre-vote that only a decides.
    expect(net.member('b').raft.role).toBe('pre-candidate');
    net.settle(({ kind }) => kind === 'vote-request' || kind === 'vote-reply');
    expect(net.member('b').raft.role).toBe('leader');
    net.settle();
    expect([net.member('b').raft.role, net.leader?.id]).toEqual(['follower', 'a']);
  });

  it('campaigns no more once it knows that to be committed', () => {
    const net = alone();
    net.run(60);
    expect(net.leader?.id).toBe('a');
    net.crash('a');
    net.run(60);
    expect([net.member('b').raft.role, net.leader]).toEqual(['follower', undefined]);
  });
});

describe('a member that was removed', () => {
  it('never campaigns once it holds the entry', () => {
    const membership = membershipOf(['b', 'c'], { removedIds: ['a'] });
    const core = coreWith([1], { membership });
    for (let tick = 0; tick < 100; tick++) core.tick();
    expect([core.role, drain(core)]).toEqual(['follower', []]);
  });

  it('disturbs nobody while a leader is heard, whatever its log and term', () => {
    const net = led('a', 'b', 'c', 'd');
    net.isolate('d');
    net.change('a', [remove('d')]);
    net.settle();
    net.run(2);
    // It knows nothing of its removal and campaigns for ever.
    net.heal();
    net.run(100);
    expect([net.leader?.id, net.leader?.raft.term]).toEqual(['a', 1]);
    expect(inForce(net, 'd')).toBe('a b c d');
  });

  it('wins no election of those that removed it', () => {
    const net = led('a', 'b', 'c', 'd');
    net.isolate('d');
    net.change('a', [remove('d')]);
    net.settle();
    net.run(2);
    net.heal();
    net.crash('a');
    for (const id of ['b', 'c']) net.tick(id, 10);
    net.lose();
    net.campaign('d');
    net.settle();
    expect(net.member('d').raft.role).not.toBe('leader');
    // Its requests are those of a used-up id.
    expect(net.member('b').raft.status().dropped['unknown-member']).toBeGreaterThan(0);
    net.run(60);
    expect(net.leader?.id).toMatch(/[bc]/);
  });

  it('confirms nobody and commits nothing', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [remove('c')]);
    net.settle();
    net.run(2);
    net.isolate('b');
    net.propose('a', 'x');
    net.run(5);
    expect(net.member('a').raft.status()).toMatchObject({ commit: 3, lastIndex: 4 });
    net.run(6);
    expect(net.member('a').raft.role).toBe('follower');
  });

  it('is fed no more', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [remove('c')]);
    net.settle();
    net.propose('a', 'x');
    net.collect();
    expect(net.wire.filter(({ to }) => to === 'c')).toEqual([]);
    expect(
      net
        .member('a')
        .raft.status()
        .peers.map(({ id }) => id),
    ).toEqual(['b']);
  });

  it('never comes back under the same id', () => {
    const net = led('a', 'b', 'c');
    net.change('a', [remove('c')]);
    net.settle();
    net.run(2);
    for (const change of [add('c'), promote('c'), demote('c'), replace('b', 'c')]) {
      expect(net.change('a', [change], true)).toEqual({ outcome: 'refused', reason: 'removed-before', ids: ['c'] });
    }
  });
});

describe('a member that others do not know yet', () => {
  it('may lead: its entries are taken by one whose log ends before it came', () => {
    const net = led('a', 'b', 'c');
    net.join('d');
    net.isolate('c');
    net.change('a', [add('d')]);
    net.settle();
    net.run(2);
    net.change('a', [promote('d')]);
    net.settle();
    net.run(2);
    expect([inForce(net, 'd'), inForce(net, 'c')]).toEqual(['a b c d', 'a b c']);
    net.member('a').raft.transferLeadership('d');
    net.settle();
    expect(net.leader?.id).toBe('d');
    net.heal();
    net.run(4);
    expect([net.member('c').raft.leader, inForce(net, 'c')]).toEqual(['d', 'a b c d']);
  });

  it('gets the vote without which nobody could be elected', () => {
    const net = led('a', 'b', 'c');
    net.join('d');
    net.isolate('c');
    net.change('a', [add('d')]);
    net.settle();
    net.run(2);
    net.change('a', [promote('d')]);
    net.settle();
    net.run(2);
    // Of a, b, c and d three must vote; a and b are gone for a while, c has never heard of d.
    net.crash('a');
    net.heal();
    net.tick('c', 10);
    net.tick('b', 10);
    net.lose();
    net.campaign('d');
    net.settle();
    expect(net.leader?.id).toBe('d');
  });

  it('is not counted by one who does not know it', () => {
    const core = coreWith();
    while (core.role === 'follower') core.tick();
    drain(core);
    core.step({ kind: 'vote-reply', ...fromB, from: 'd', term: 1, preVote: true, granted: true });
    expect([core.role, core.status().dropped['unknown-member']]).toEqual(['pre-candidate', 1]);
  });
});

describe('a rejoiner', () => {
  it('of a long partition does not disturb, by its pre-vote', () => {
    const net = led('a', 'b', 'c', 'd', 'e');
    net.isolate('e');
    net.run(100);
    expect(net.member('e').raft.term).toBe(1);
    net.heal();
    net.run(40);
    expect([net.leader?.id, net.leader?.raft.term, net.member('e').raft.leader]).toEqual(['a', 1, 'a']);
  });

  it('with a term ahead is taken back, and the leader leads a later term or another does', () => {
    const net = led('a', 'b', 'c');
    net.isolate('c');
    net
      .member('c')
      .raft.step({ kind: 'heartbeat-reply', from: 'b', to: 'c', fromBoot: 1, toBoot: 1, term: 7, round: 0 });
    net.run(2);
    net.heal();
    net.run(60);
    expect(net.leader?.raft.term).toBeGreaterThan(7);
    for (const id of net.ids) expect(net.member(id).raft.leader).toBe(net.leader?.id);
  });
});

describe('a split vote', () => {
  it('with two candidates of four voters ends in a later term', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'] });
    for (const id of ['a', 'b']) {
      net.campaign(id);
    }
    // Each gets the pre-votes, and then one vote of another.
    net.settle(({ kind }) => kind === 'vote-request' || kind === 'vote-reply');
    net.run(60);
    expect(net.leader).toBeDefined();
    for (const id of net.ids) expect(net.member(id).raft.leader).toBe(net.leader?.id);
  });

  it('is not made by learners', () => {
    const net = new Network({
      members: ['a', 'b', 'c', 'd', 'e'],
      membership: membershipOf(['a', 'b', 'c'], { learners: ['d', 'e'].map((id) => learnerOf(id)) }),
    });
    net.run(60);
    expect(net.leader?.id).toBe('a');
    expect(net.checkers.leadersSeen).toBe(1);
  });
});

describe('a voter', () => {
  it('of an even number is needed together with half of the others', () => {
    const net = led('a', 'b', 'c', 'd');
    net.isolate('a', 'b');
    net.propose('a', 'x');
    net.run(8);
    expect(net.member('a').raft.commit).toBe(1);
    expect(net.member('c').raft.role).not.toBe('leader');
  });

  it('that was demoted has its vote until the joint state ends', () => {
    const net = led('a', 'b', 'c');
    net.isolate('b');
    net.change('a', [demote('c')]);
    net.settle();
    // Of a, b and c a and c decide for the old half; of a and b only a is there.
    expect(net.member('a').raft.status()).toMatchObject({ commit: 1, lastIndex: 2 });
    net.heal();
    net.isolate('c');
    net.run(4);
    expect(committed(net, 'b')).toBe('a b + c');
  });

  it('does not answer twice for both halves', () => {
    const core = coreWith([], {}, { voters: ['a', 'b', 'c'] });
    while (core.role === 'follower') core.tick();
    drain(core);
    core.step({ kind: 'vote-reply', ...fromC, term: 1, preVote: true, granted: true });
    core.step({ kind: 'vote-reply', ...fromC, term: 1, preVote: true, granted: false });
    expect(core.role).toBe('candidate');
  });
});
