import { describe, expect, it } from 'vitest';
import { add, committed, demote, inForce, promote } from './changes.ts';
import { learnerOf, membershipOf } from './memberships.ts';
import { Network } from './network.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, fromC, makeLeader } from './single.ts';

const voteRequest = { kind: 'vote-request', preVote: false, lastIndex: 9, lastTerm: 1, term: 2 } as const;
const withLearner = membershipOf(['a', 'b', 'c'], { learners: [learnerOf('d')] });

/** Member a is a learner of voters b, c and d, in term 1. */
const learner = () => coreWith([1], { membership: membershipOf(['b', 'c', 'd'], { learners: [learnerOf('a')] }) });

describe('a learner', () => {
  it('never campaigns, however long it hears nobody', () => {
    const core = learner();
    for (let tick = 0; tick < 100; tick++) core.tick();
    expect([core.role, core.term, drain(core)]).toEqual(['follower', 1, []]);
  });

  it('answers vote requests, since whoever asks may know that it is a voter', () => {
    const core = learner();
    core.step({ ...voteRequest, ...fromB, preVote: true });
    core.step({ ...voteRequest, ...fromB });
    expect(drain(core)).toMatchObject([
      { kind: 'vote-reply', preVote: true, granted: true, term: 2 },
      { kind: 'vote-reply', preVote: false, granted: true, term: 2 },
    ]);
    core.step({ ...voteRequest, ...fromC });
    expect(drain(core)).toMatchObject([{ granted: false }]);
  });

  it('keeps its vote over a restart like any other', () => {
    const membership = membershipOf(['b', 'c', 'd'], { learners: [learnerOf('a')] });
    const core = coreWith([1], { membership, hardState: { term: 2, vote: 'b' } });
    core.step({ ...voteRequest, ...fromC });
    expect(drain(core)).toMatchObject([{ granted: false }]);
  });

  it('does not disturb a live leader: it refuses as voters do', () => {
    const core = learner();
    core.step({ kind: 'heartbeat', ...fromB, term: 1, commit: 0, round: 0 });
    core.step({ ...voteRequest, ...fromC, preVote: true });
    expect(drain(core)).toMatchObject([{ kind: 'heartbeat-reply' }, { kind: 'vote-reply', granted: false }]);
  });

  it('follows, acknowledges and reads', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'], membership: withLearner });
    net.elect('a');
    net.propose('a', 'x');
    net.settle();
    net.run(4);
    const context = net.member('d').read();
    net.checkers.readAsked(context);
    net.settle();
    expect([net.member('d').state, net.member('d').confirmed.length]).toEqual([['x'], 1]);
  });

  it('forgets a leader that is silent, so that its reads do not wait for it', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'], membership: withLearner });
    net.elect('a');
    net.run(4);
    net.isolate('d');
    net.member('d').read();
    net.run(25);
    expect([net.member('d').raft.leader, net.member('d').voided.length]).toEqual(['', 1]);
    expect(net.member('d').raft.status()).toMatchObject({ role: 'follower', term: 1, pendingReads: 0 });
    net.heal();
    net.run(3);
    expect(net.member('d').raft.leader).toBe('a');
  });

  it('counts in no commit', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'], membership: withLearner });
    net.elect('a');
    net.isolate('b');
    net.isolate('c');
    net.propose('a', 'x');
    net.settle();
    expect(net.member('a').raft.status()).toMatchObject({ commit: 1, lastIndex: 2 });
    expect(net.member('a').raft.acknowledgedBy('d')).toBe(2);
  });

  it('counts in no election', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'], membership: withLearner });
    net.isolate('a', 'd');
    for (let times = 0; times < 5; times++) {
      net.campaign('a');
      net.settle();
    }
    expect([net.member('a').raft.role, net.member('a').raft.term]).not.toContain('leader');
    expect(net.member('a').raft.term).toBe(0);
  });

  it('is not asked for its vote', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'], membership: withLearner });
    net.campaign('a');
    expect(net.wire.map(({ to }) => to)).toEqual(['b', 'c']);
  });

  it('keeps no leader in office', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'], membership: withLearner });
    net.elect('a');
    net.isolate('a', 'd');
    net.run(11);
    expect(net.member('a').raft.role).toBe('follower');
  });

  it('confirms no read', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'], membership: withLearner });
    net.elect('a');
    net.run(2);
    net.isolate('a', 'd');
    net.checkers.readAsked(net.member('a').read());
    net.settle();
    net.run(4);
    expect(net.member('a').confirmed).toEqual([]);
  });

  it('hinders nobody when it is dead', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd'], membership: withLearner });
    net.elect('a');
    net.crash('d');
    net.propose('a', 'x');
    net.run(60);
    expect([net.leader?.id, net.member('c').state]).toEqual(['a', ['x']]);
  });

  it('that is alone with one voter elects and commits by that one alone', () => {
    const net = new Network({ members: ['a', 'b'], membership: membershipOf(['a'], { learners: [learnerOf('b')] }) });
    net.crash('b');
    net.campaign('a');
    net.propose('a', 'x');
    net.settle();
    expect(net.member('a').state).toEqual(['x']);
  });
});

describe('a vote or acknowledgement', () => {
  it('of who has none counts for nothing', () => {
    const core = coreWith([], { membership: withLearner });
    while (core.role === 'follower') core.tick();
    drain(core);
    const vote = { kind: 'vote-reply', ...fromB, term: 1, preVote: true, granted: true } as const;
    core.step({ ...vote, from: 'd' });
    core.step({ ...vote, from: 'e' });
    expect(core.role).toBe('pre-candidate');
    core.step(vote);
    drain(core);
    core.step({ ...vote, from: 'd', preVote: false });
    core.step({ ...vote, from: 'e', preVote: false });
    expect(core.role).toBe('candidate');
    core.step({ ...vote, preVote: false });
    expect(core.role).toBe('leader');
    drain(core);
    core.step({ ...ackFromB(1, 1), from: 'd' });
    core.step({ ...ackFromB(1, 1), from: 'e' });
    expect(core.commit).toBe(0);
    core.step(ackFromB(1, 1));
    expect(core.commit).toBe(1);
    // d is a member and is heard; e is none.
    expect(core.status().dropped['unknown-member']).toBe(3);
  });

  it('that was given before a removal counts no more after it', () => {
    const core = coreWith([], {}, { voters: ['a', 'b', 'c', 'd', 'e'] });
    while (core.role === 'follower') core.tick();
    for (const preVote of [true, false]) {
      drain(core);
      for (const from of ['b', 'c']) core.step({ kind: 'vote-reply', ...fromB, from, term: 1, preVote, granted: true });
    }
    drain(core);
    for (const from of ['b', 'c', 'd', 'e']) core.step({ ...ackFromB(1, 1), from });
    // d and e leave. Their acknowledgements of the final entry are those of strangers.
    core.proposeMembershipChange([
      { kind: 'remove', id: 'd' },
      { kind: 'remove', id: 'e' },
    ]);
    drain(core);
    for (const from of ['b', 'd', 'e']) core.step({ ...ackFromB(1, 2), from });
    expect(core.status()).toMatchObject({ commit: 2, lastIndex: 3 });
    drain(core);
    for (const from of ['d', 'e']) core.step({ ...ackFromB(1, 3), from });
    expect(core.commit).toBe(2);
    core.step(ackFromB(1, 3));
    expect(core.commit).toBe(3);
  });
});

describe('a learner that catches up', () => {
  /** Voters a, b and c under a, whose log holds 20 entries; d is to join. */
  function longLog(): Network {
    const net = new Network({ settings: { appendBytesMax: 4, inflightMessagesMax: 1 } });
    net.elect('a');
    for (let count = 0; count < 20; count++) net.propose('a', `${count}`.padEnd(4, '.'));
    net.settle();
    net.join('d');
    return net;
  }

  it('is promoted by the leader itself where it was to be', () => {
    const net = longLog();
    net.change('a', [add('d', true)]);
    net.run(8);
    expect([committed(net, 'a'), committed(net, 'd')]).toEqual(['a b c d', 'a b c d']);
  });

  it('stays a learner where it was not to be', () => {
    const net = longLog();
    net.change('a', [add('d')]);
    net.run(40);
    expect(committed(net, 'a')).toBe('a b c + d');
    const [, , known] = net.member('a').raft.status().peers;
    expect(known).toMatchObject({ id: 'd', learner: true, caughtUp: true, match: 22 });
  });

  it('is promoted together with others that are ready', () => {
    const net = longLog();
    net.join('e');
    net.change('a', [add('d', true), add('e', true)]);
    net.settle();
    net.run(8);
    expect(committed(net, 'e')).toBe('a b c d e');
    // Into the joint state and out of it.
    expect(net.checkers.membershipChanges).toBe(3);
  });

  it('is not promoted while it is silent', () => {
    const net = longLog();
    net.crash('d');
    net.change('a', [add('d', true)]);
    net.run(50);
    expect(committed(net, 'a')).toBe('a b c + d*');
    net.restart('d');
    net.run(20);
    expect(committed(net, 'd')).toBe('a b c d');
  });

  it('waits for a quorum to become a voter', () => {
    const net = longLog();
    net.change('a', [add('d', true)]);
    net.settle();
    // Nothing more of b and c is heard: the promotion goes on as far as the joint state.
    net.isolate('b');
    net.isolate('c');
    net.run(5);
    expect(inForce(net, 'a')).toBe('a b c -> a b c d');
    net.heal();
    net.run(5);
    expect(committed(net, 'a')).toBe('a b c d');
  });

  it('has to show its pace again after a restart', () => {
    const net = longLog();
    net.change('a', [add('d')]);
    net.settle();
    net.run(4);
    expect(net.member('a').raft.status().peers.at(-1)).toMatchObject({ id: 'd', caughtUp: true });
    net.restart('d');
    // The leader hears of the new boot, and nothing yet of what it holds.
    net.tick('a', 2);
    net.deliverOne(({ kind, to }) => kind === 'heartbeat' && to === 'd');
    net.deliverOne(({ kind, from }) => kind === 'heartbeat-reply' && from === 'd');
    expect(net.member('a').raft.status().peers.at(-1)).toMatchObject({ match: 0, caughtUp: false });
    net.run(4);
    expect(net.member('a').raft.status().peers.at(-1)).toMatchObject({ match: 22, caughtUp: true });
  });

  it('is promoted by a later leader, too', () => {
    const net = longLog();
    net.isolate('d');
    net.change('a', [add('d', true)]);
    net.settle();
    net.crash('a');
    net.elect('b');
    net.heal();
    net.run(10);
    expect(committed(net, 'd')).toBe('a b c d');
  });

  it('is told apart by its pace and not by its length', () => {
    const net = longLog();
    net.change('a', [add('d')]);
    // It answers heartbeats but gets no entries.
    for (let tick = 0; tick < 20; tick++) {
      for (const member of net.running) member.raft.tick();
      net.lose((message) => message.kind === 'append' && message.to === 'd');
      net.settle((message) => message.kind !== 'append' || message.to !== 'd');
      net.lose((message) => message.kind === 'append' && message.to === 'd');
    }
    expect(net.member('a').raft.status().peers.at(-1)).toMatchObject({ recentlyActive: true, caughtUp: false });
    expect(net.change('a', [promote('d')])).toMatchObject({ reason: 'not-caught-up' });
    net.run(4);
    expect(net.member('a').raft.status().peers.at(-1)).toMatchObject({ caughtUp: true });
  });

  it('can be made of a voter and become one again', () => {
    const net = new Network();
    net.elect('a');
    net.change('a', [demote('c')]);
    net.run(4);
    expect(committed(net, 'c')).toBe('a b + c');
    net.run(60);
    expect(net.member('c').raft.role).toBe('follower');
    net.change('a', [promote('c')]);
    net.run(4);
    expect(committed(net, 'c')).toBe('a b c');
  });
});

describe('a member that knows of no cluster yet', () => {
  const joining = () => coreWith([], { membership: membershipOf([]) });

  it('waits: it neither campaigns nor leads', () => {
    const core = joining();
    for (let tick = 0; tick < 100; tick++) core.tick();
    expect([core.role, drain(core)]).toEqual(['follower', []]);
    expect(core.suspectLeader()).toBe(false);
  });

  it('takes the log of whoever leads, although it knows nobody', () => {
    const core = joining();
    core.step({ kind: 'heartbeat', ...fromB, term: 3, commit: 0, round: 0 });
    core.step(appendFrom(3, emptyBase, entriesOf([1, 1])));
    expect(core.status()).toMatchObject({ term: 3, leader: 'b', lastIndex: 2 });
    expect(drain(core)).toMatchObject([{ kind: 'heartbeat-reply' }, { kind: 'append-reply', matchIndex: 2 }]);
  });

  it('votes, since a candidate may know it as a voter', () => {
    const core = joining();
    core.step({ ...voteRequest, ...fromB });
    expect(drain(core)).toMatchObject([{ kind: 'vote-reply', granted: true }]);
  });

  it('learns of its cluster by the entry that added it', () => {
    const net = new Network();
    net.elect('a');
    net.join('d');
    net.change('a', [add('d')]);
    net.settle();
    net.restart('d');
    expect(inForce(net, 'd')).toBe('a b c + d');
  });

  it('cannot be brought to lead by who hands over', () => {
    const core = joining();
    core.step({ kind: 'heartbeat', ...fromB, term: 1, commit: 0, round: 0 });
    core.step({ kind: 'timeout-now', ...fromB, term: 1 });
    expect(core.role).toBe('follower');
  });

  it('remembers a bounded number of strangers', () => {
    const core = joining();
    for (let number = 0; number < 1100; number++) {
      core.step({ ...voteRequest, ...fromB, from: `s${number}`, preVote: true });
    }
    expect(core.status().dropped['unknown-member']).toBe(1100 - 1024);
    expect(drain(core)).toHaveLength(1024);
  });
});

describe('a leader with a learner', () => {
  it('is told apart from the voters in its status', () => {
    const core = coreWith([], { membership: withLearner });
    makeLeader(core);
    const { peers } = core.status();
    expect(peers.map(({ id, learner }) => [id, learner])).toEqual([
      ['b', false],
      ['c', false],
      ['d', true],
    ]);
  });
});
