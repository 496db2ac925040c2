import { describe, expect, it } from 'vitest';
import { bytesOf, Network } from './network.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, fromC, makeLeader } from './single.ts';

const preVote = { kind: 'vote-request', preVote: true, lastIndex: 9, lastTerm: 1 } as const;
const heartbeat = { kind: 'heartbeat', commit: 0, round: 0 } as const;

describe('pre-vote', () => {
  it('never raises the term by being asked or granted, only by a refusal of a higher term', () => {
    const core = coreWith();
    core.step({ ...preVote, ...fromB, term: 8 });
    expect(drain(core)).toMatchObject([{ kind: 'vote-reply', granted: true, term: 8 }]);
    core.step({ kind: 'vote-reply', ...fromB, term: 8, preVote: true, granted: true });
    expect(core.status()).toMatchObject({ term: 0, vote: '', role: 'follower' });
    core.step({ kind: 'vote-reply', ...fromB, term: 8, preVote: true, granted: false });
    expect(core.term).toBe(8);
  });

  it('is granted to several in the same term, for it promises nothing', () => {
    const core = coreWith();
    core.step({ ...preVote, ...fromB, term: 2 });
    core.step({ ...preVote, ...fromC, term: 2 });
    expect(drain(core)).toMatchObject([{ granted: true }, { granted: true }]);
  });

  it('is refused, and a vote not answered, while a live leader is heard', () => {
    const core = coreWith();
    core.step({ ...heartbeat, ...fromB, term: 1 });
    drain(core);
    for (let tick = 0; tick < 9; tick++) core.tick();
    core.step({ ...preVote, ...fromC, term: 2 });
    expect(drain(core)).toMatchObject([{ kind: 'vote-reply', to: 'c', granted: false, term: 1 }]);
    core.step({ ...preVote, ...fromC, preVote: false, term: 2 });
    expect(drain(core)).toEqual([]);
    expect(core.status()).toMatchObject({ term: 1, leader: 'b', dropped: { 'leader-alive': 2 } });
  });

  it('is granted once no leader was heard for the shortest timeout', () => {
    const core = coreWith([], {}, { electionTicksMax: 1000 });
    core.step({ ...heartbeat, ...fromB, term: 1 });
    drain(core);
    for (let tick = 0; tick < 10; tick++) core.tick();
    core.step({ ...preVote, ...fromC, term: 2 });
    expect(drain(core)).toMatchObject([{ granted: true, term: 2 }]);
  });

  it('ends at once when a majority refuses', () => {
    const core = coreWith();
    while (core.role === 'follower') core.tick();
    core.step({ kind: 'vote-reply', ...fromB, term: 0, preVote: true, granted: false });
    expect(core.role).toBe('pre-candidate');
    core.step({ kind: 'vote-reply', ...fromC, term: 0, preVote: true, granted: false });
    expect([core.role, core.term]).toEqual(['follower', 0]);
  });

  it('counts no grant of another term, and no real vote for it', () => {
    const core = coreWith();
    while (core.role === 'follower') core.tick();
    core.step({ kind: 'vote-reply', ...fromB, term: 5, preVote: true, granted: true });
    core.step({ kind: 'vote-reply', ...fromC, term: 0, preVote: false, granted: true });
    expect([core.role, core.status().dropped.unexpected]).toEqual(['pre-candidate', 2]);
  });
});

describe('a member whose term went ahead', () => {
  it('comes back: its answer to a heartbeat deposes the leader once, and no committed entry is lost', () => {
    const net = new Network();
    net.elect('a');
    // c wins pre-votes and is cut off before anybody hears of its term.
    net.tick('b', 10);
    net.lose();
    net.campaign('c');
    net.settle((message) => message.kind === 'vote-request' && message.preVote && message.to === 'b');
    net.settle((message) => message.kind === 'vote-reply');
    net.lose();
    net.isolate('c');
    net.run(4);
    net.propose('a', 'x');
    net.settle();
    expect(net.member('c').raft.term).toBe(2);
    net.heal();
    net.run(60);
    expect(net.leader?.raft.status()).toMatchObject({ term: 3, ownTermCommitted: true });
    for (const member of net.members) expect(member.state).toEqual(['x']);
  });
});

describe('check of the quorum', () => {
  it('lets a leader go on while a majority is heard, and ends it after the shortest timeout without one', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    for (let tick = 0; tick < 5; tick++) core.tick();
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 0 });
    for (let tick = 0; tick < 9; tick++) core.tick();
    expect(core.role).toBe('leader');
    core.tick();
    expect([core.role, core.leader, core.term]).toEqual(['follower', '', 1]);
  });

  it('says of each peer whether it was heard lately', () => {
    const core = coreWith();
    makeLeader(core);
    for (let tick = 0; tick < 9; tick++) core.tick();
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 0 });
    core.tick();
    expect(core.status().peers).toMatchObject([
      { id: 'b', recentlyActive: true },
      { id: 'c', recentlyActive: false },
    ]);
  });

  it('never deposes a single voter', () => {
    const net = new Network({ members: ['a'] });
    net.run(100);
    expect(net.member('a').raft.status()).toMatchObject({ role: 'leader', term: 1 });
  });
});

describe('eligibility', () => {
  it('makes a leader step down and refuse proposals, and keeps log and vote', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.setEligible(false);
    expect(core.status()).toMatchObject({ role: 'follower', leader: '', term: 1, vote: 'a', lastIndex: 1 });
    expect(core.propose(bytesOf('x'))).toEqual({ accepted: false, reason: 'ineligible' });
  });

  it('does not campaign before it is given back, but votes and follows', () => {
    const core = coreWith();
    core.setEligible(false);
    for (let tick = 0; tick < 100; tick++) core.tick();
    expect(core.role).toBe('follower');
    core.step({ kind: 'vote-request', ...fromB, term: 1, preVote: false, lastIndex: 0, lastTerm: 0 });
    core.step(appendFrom(1, emptyBase, entriesOf([1])));
    expect(drain(core)).toMatchObject([
      { kind: 'vote-reply', granted: true },
      { kind: 'append-reply', accepted: true },
    ]);
    core.setEligible(true);
    for (let tick = 0; tick < 20; tick++) core.tick();
    expect(core.role).toBe('pre-candidate');
  });

  it('ends a campaign', () => {
    const core = coreWith();
    while (core.role === 'follower') core.tick();
    core.setEligible(false);
    core.step({ kind: 'vote-reply', ...fromB, term: 1, preVote: true, granted: true });
    expect([core.role, core.term]).toEqual(['follower', 0]);
  });
});

describe('a follower', () => {
  it('believes a heartbeat about commit only as far as it has compared logs with that leader', () => {
    const core = coreWith([1, 1, 1]);
    core.step({ ...heartbeat, ...fromB, term: 2, commit: 3 });
    expect(core.commit).toBe(0);
    core.step(appendFrom(2, { ...emptyBase, ...entriesOf([1, 1])[1] }, []));
    core.step({ ...heartbeat, ...fromB, term: 2, commit: 3 });
    expect(core.commit).toBe(2);
    // Another leader, another comparison.
    core.step({ ...heartbeat, ...fromC, term: 3, commit: 3 });
    expect(core.commit).toBe(2);
  });

  it('counts and ignores a second leader of the same term', () => {
    const core = coreWith();
    core.step({ ...heartbeat, ...fromB, term: 1 });
    core.step({ ...heartbeat, ...fromC, term: 1 });
    expect([core.leader, core.status().dropped['two-leaders']]).toEqual(['b', 1]);
  });
});

describe('a leader', () => {
  it('tells a follower no more of the commit in a heartbeat than it surely holds', () => {
    const core = coreWith([1, 1, 1]);
    makeLeader(core);
    drain(core);
    core.step(ackFromB(2, 4));
    drain(core);
    expect(core.commit).toBe(4);
    core.tick();
    core.tick();
    expect(drain(core)).toMatchObject([
      { to: 'b', commit: 4 },
      { to: 'c', commit: 0 },
    ]);
  });

  it('goes back to a probe when told that messages were lost', () => {
    const net = new Network();
    net.elect('a');
    net.propose('a', 'x');
    net.lose((message) => message.to === 'c');
    net.member('a').raft.reportUnreachable('c');
    net.settle();
    expect(net.member('c').raft.lastIndex).toBe(2);
    net.member('a').raft.reportUnreachable('nobody');
  });

  it('asks its host once for a snapshot, and again only after a report', () => {
    const net = new Network();
    net.elect('a');
    net.isolate('c');
    net.propose('a', 'x');
    net.settle();
    net.member('a').compact(2);
    net.heal();
    net.run(20);
    expect(net.member('a').snapshotsWanted).toEqual(['c']);
    net.member('a').raft.reportSnapshot('c', { ok: false });
    net.run(4);
    expect(net.member('a').snapshotsWanted).toEqual(['c', 'c']);
    net.sendSnapshot('a', 'c', 2);
    net.run(4);
    expect(net.member('a').raft.status().peers).toMatchObject([{}, { id: 'c', state: 'replicate', match: 2 }]);
    // Too late: c does not need one any more.
    net.member('a').raft.reportSnapshot('c', { ok: true, index: 1 });
    expect(net.member('a').raft.status().peers).toMatchObject([{}, { id: 'c', state: 'replicate', match: 2 }]);
  });
});
