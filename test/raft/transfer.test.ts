import { describe, expect, it } from 'vitest';
import { demote, inForce, remove } from './changes.ts';
import { learnerOf, membershipOf, recordOf } from './memberships.ts';
import { Network } from './network.ts';
import { ackFromB, coreWith, drain, fromB, fromC, makeLeader } from './single.ts';

/** Leader a of voters a, b and c. */
function led(): Network {
  const net = new Network();
  net.elect('a');
  net.run(2);
  return net;
}

const ends = (net: Network, id: string): string[] =>
  net.member(id).transfersEnded.map(({ to, outcome }) => `${to} ${outcome}`);

describe('handing over leadership', () => {
  it('makes the other the leader within one exchange, without a tick', () => {
    const net = led();
    expect(net.member('a').raft.transferLeadership('b')).toEqual({ accepted: true });
    net.settle();
    expect([net.leader?.id, net.member('b').raft.term, net.member('a').raft.leader]).toEqual(['b', 2, 'b']);
    expect(ends(net, 'a')).toEqual(['b transferred']);
    expect(net.member('a').raft.status().transfer).toBeUndefined();
    net.propose('b', 'x');
    net.settle();
    expect(net.member('a').state).toEqual(['x']);
  });

  it('tells the other to campaign at once when it holds everything', () => {
    const net = led();
    net.member('a').raft.transferLeadership('b');
    net.collect();
    expect(net.wire).toMatchObject([{ kind: 'timeout-now', from: 'a', to: 'b', term: 1 }]);
    expect(net.member('a').raft.status().transfer).toEqual({ to: 'b', sinceTick: expect.any(Number) });
  });

  it('lets the other campaign without a pre-vote, by requests that say who asked', () => {
    const net = led();
    net.member('a').raft.transferLeadership('b');
    net.deliverOne(({ kind }) => kind === 'timeout-now');
    const requests = net.wire.filter(({ kind }) => kind === 'vote-request');
    expect(requests).toMatchObject([
      { to: 'a', term: 2, preVote: false, transfer: true },
      { to: 'c', term: 2, preVote: false, transfer: true },
    ]);
  });

  it('brings a slow one up to date first', () => {
    const net = led();
    net.isolate('b');
    for (const text of ['x', 'y', 'z']) net.propose('a', text);
    net.settle();
    net.member('a').raft.transferLeadership('b');
    net.settle();
    expect(net.leader?.id).toBe('a');
    net.heal();
    net.run(4);
    expect([net.leader?.id, net.member('b').state]).toEqual(['b', ['x', 'y', 'z']]);
    expect(ends(net, 'a')).toEqual(['b transferred']);
  });

  it('waits for the entries that are on their way', () => {
    const net = led();
    net.propose('a', 'x');
    net.member('a').raft.transferLeadership('b');
    net.collect();
    expect(net.wire.some(({ kind }) => kind === 'timeout-now')).toBe(false);
    net.settle();
    expect([net.leader?.id, net.member('c').state]).toEqual(['b', ['x']]);
  });

  it('says it again with each heartbeat, since it may be lost', () => {
    const net = led();
    net.member('a').raft.transferLeadership('b');
    expect(net.lose(({ kind }) => kind === 'timeout-now')).toBe(1);
    net.run(2);
    expect(net.leader?.id).toBe('b');
  });

  it('refuses commands and changes meanwhile', () => {
    const net = led();
    net.isolate('b');
    net.member('a').raft.transferLeadership('b');
    expect(net.propose('a', 'x')).toEqual({ accepted: false, reason: 'transferring' });
    expect(net.change('a', [remove('c')])).toEqual({ outcome: 'refused', reason: 'transferring', ids: [] });
  });

  it('goes on confirming reads meanwhile', () => {
    const net = led();
    net.isolate('b');
    net.member('a').raft.transferLeadership('b');
    const context = net.member('a').read();
    net.checkers.readAsked(context);
    net.settle();
    expect(net.member('a').confirmed).toEqual([{ context, index: 1 }]);
  });

  it('gives up after one election timeout and takes commands again', () => {
    const net = led();
    net.isolate('b');
    net.member('a').raft.transferLeadership('b');
    net.run(9);
    expect(net.propose('a', 'x')).toMatchObject({ accepted: false });
    net.run(1);
    expect(ends(net, 'a')).toEqual(['b timed-out']);
    expect(net.propose('a', 'x')).toMatchObject({ accepted: true });
    net.settle();
    expect([net.leader?.id, net.member('c').state]).toEqual(['a', ['x']]);
  });

  it('does nothing when it is asked again for the same member', () => {
    const net = led();
    net.isolate('b');
    net.member('a').raft.transferLeadership('b');
    net.run(5);
    expect(net.member('a').raft.transferLeadership('b')).toEqual({ accepted: true });
    net.run(5);
    // The time counts from the first.
    expect(ends(net, 'a')).toEqual(['b timed-out']);
  });

  it('turns to another member when it is asked to', () => {
    const net = led();
    net.isolate('b');
    net.member('a').raft.transferLeadership('b');
    net.run(5);
    expect(net.member('a').raft.transferLeadership('c')).toEqual({ accepted: true });
    net.settle();
    expect(net.leader?.id).toBe('c');
    expect(ends(net, 'a')).toEqual(['b replaced', 'c transferred']);
  });

  it.each([
    ['who does not lead', 'b', 'a', 'not-leader'],
    ['to itself', 'a', 'a', 'is-leader'],
    ['to a stranger', 'a', 'z', 'not-voter'],
  ] as const)('is refused: %s', (_what, from, to, reason) => {
    expect(led().member(from).raft.transferLeadership(to)).toEqual({ accepted: false, reason });
  });

  it('is refused to a learner, and to who is about to lose its vote', () => {
    const learner = coreWith([], { membership: membershipOf(['a', 'b', 'c'], { learners: [learnerOf('d')] }) });
    makeLeader(learner);
    expect(learner.transferLeadership('d')).toEqual({ accepted: false, reason: 'not-voter' });
    const joint = coreWith([], { membership: membershipOf(['a', 'b'], { outgoing: ['a', 'b', 'c'].map(recordOf) }) });
    makeLeader(joint);
    expect(joint.transferLeadership('c')).toEqual({ accepted: false, reason: 'not-voter' });
    expect(joint.transferLeadership('b')).toEqual({ accepted: true });
  });

  it('ends when another is elected meanwhile', () => {
    const net = led();
    net.isolate('b');
    net.member('a').raft.transferLeadership('b');
    net.isolate('a');
    net.run(9);
    net.heal();
    net.isolate('a');
    net.elect('c');
    net.heal();
    net.run(2);
    expect(net.member('a').raft.leader).toBe('c');
    expect(ends(net, 'a').length).toBe(1);
    expect(ends(net, 'a')[0]).toMatch(/^b (timed-out|other-leader)$/);
  });

  it('tells that another was elected', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.transferLeadership('b');
    core.step({ kind: 'heartbeat', ...fromC, term: 2, commit: 0, round: 0 });
    expect(core.ready().transfersEnded).toEqual([{ to: 'b', outcome: 'other-leader' }]);
  });

  it('tells it also when this member is elected again', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.transferLeadership('b');
    // The other tries and fails.
    core.step({ kind: 'vote-request', ...fromB, term: 2, preVote: false, lastIndex: 1, lastTerm: 1, transfer: true });
    drain(core);
    expect(core.status()).toMatchObject({ role: 'follower', transfer: { to: 'b' } });
    core.setEligible(true);
    for (let tick = 0; tick < 9; tick++) core.tick();
    expect(core.status().transfer).toBeDefined();
    core.tick();
    expect(core.ready().transfersEnded).toEqual([{ to: 'b', outcome: 'timed-out' }]);
  });

  it('ends when the other loses its vote by a change that is under way', () => {
    const net = led();
    net.isolate('c');
    net.change('a', [demote('c')]);
    // c is a voter of the old half, and not of the new one.
    expect(net.member('a').raft.transferLeadership('c')).toMatchObject({ reason: 'not-voter' });
    net.settle();
    expect(inForce(net, 'a')).toBe('a b + c');
  });

  it('is kept from one that has not synced what it holds', () => {
    const net = led();
    net.member('b').writesAtOnce = false;
    net.propose('a', 'x');
    net.settle();
    net.member('a').raft.transferLeadership('b');
    net.settle();
    expect(net.leader?.id).toBe('a');
    net.member('b').writesAtOnce = true;
    net.member('b').write();
    net.settle();
    expect(net.leader?.id).toBe('b');
  });

  it('does not bring one to lead that may not', () => {
    const net = led();
    net.member('b').raft.setEligible(false);
    net.member('a').raft.transferLeadership('b');
    net.run(10);
    expect([net.leader?.id, ends(net, 'a')]).toEqual(['a', ['b timed-out']]);
  });

  it('leaves the leader in office when the other has died of it', () => {
    const net = led();
    net.member('a').raft.transferLeadership('b');
    net.crash('b');
    net.run(12);
    expect([net.leader?.id, ends(net, 'a')]).toEqual(['a', ['b timed-out']]);
  });

  it('loses nothing that was committed, however often it is done', () => {
    const net = led();
    const order = ['b', 'c', 'a', 'c', 'b', 'a'];
    for (const to of order) {
      const { leader } = net;
      if (leader === undefined) throw new Error('no leader');
      leader.raft.propose(Buffer.from(to));
      expect(leader.raft.transferLeadership(to)).toEqual({ accepted: true });
      net.settle();
      expect(net.leader?.id).toBe(to);
    }
    net.run(2);
    for (const id of net.ids) expect(net.member(id).state).toEqual(order);
  });
});

describe('a vote that the leader asked for', () => {
  const request = { kind: 'vote-request', ...fromC, term: 2, preVote: false, lastIndex: 1, lastTerm: 1 } as const;
  const heartbeat = { kind: 'heartbeat', ...fromB, term: 1, commit: 0, round: 0 } as const;

  it('is given although a leader is heard', () => {
    const core = coreWith([1]);
    core.step(heartbeat);
    drain(core);
    core.step(request);
    expect([core.term, core.status().dropped['leader-alive']]).toEqual([1, 1]);
    core.step({ ...request, transfer: true });
    expect(drain(core)).toMatchObject([{ kind: 'vote-reply', term: 2, granted: true }]);
  });

  it('is refused to one whose log is behind', () => {
    const core = coreWith([1, 1]);
    core.step(heartbeat);
    drain(core);
    core.step({ ...request, transfer: true });
    expect(drain(core)).toMatchObject([{ kind: 'vote-reply', term: 2, granted: false }]);
  });

  it('is still one vote a term', () => {
    const core = coreWith([1], { hardState: { term: 2, vote: 'b' } });
    core.step({ ...request, transfer: true });
    expect(drain(core)).toMatchObject([{ granted: false }]);
  });
});

describe('the word to campaign', () => {
  it('is taken from the leader of the present term alone', () => {
    const core = coreWith([1], { hardState: { term: 3, vote: '' } });
    core.step({ kind: 'timeout-now', ...fromB, term: 2 });
    expect([core.role, core.status().dropped['stale-term']]).toEqual(['follower', 1]);
    core.step({ kind: 'heartbeat', ...fromB, term: 3, commit: 0, round: 0 });
    core.step({ kind: 'timeout-now', ...fromC, term: 3 });
    expect([core.role, core.status().dropped['two-leaders']]).toEqual(['follower', 1]);
    core.step({ kind: 'timeout-now', ...fromB, term: 3 });
    expect([core.role, core.term]).toEqual(['candidate', 4]);
  });

  it('of a later term makes that the present one first', () => {
    const core = coreWith([1]);
    core.step({ kind: 'timeout-now', ...fromB, term: 5 });
    expect([core.role, core.term]).toEqual(['candidate', 6]);
  });

  it('ends a campaign of its own', () => {
    const core = coreWith([1]);
    while (core.role === 'follower') core.tick();
    expect(core.role).toBe('pre-candidate');
    core.step({ kind: 'timeout-now', ...fromB, term: 1 });
    expect([core.role, core.term]).toEqual(['candidate', 2]);
  });

  it('is of no use to a leader', () => {
    const core = coreWith();
    makeLeader(core);
    core.step({ kind: 'timeout-now', ...fromB, term: 1 });
    expect([core.role, core.status().dropped['two-leaders']]).toEqual(['leader', 1]);
  });

  it('is not said to who acknowledged less than all', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 1));
    core.propose(Buffer.from('x'));
    core.transferLeadership('b');
    const sent = drain(core).map(({ kind }) => kind);
    expect(sent).not.toContain('timeout-now');
    core.step(ackFromB(1, 2));
    expect(drain(core).map(({ kind }) => kind)).toContain('timeout-now');
  });
});
