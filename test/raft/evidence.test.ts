import { describe, expect, it } from 'vitest';
import { candidaciesGivenUpMax } from '../../src/raft/elections.ts';
import { learnerOf, membershipOf } from './memberships.ts';
import { Network } from './network.ts';
import { appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, fromC, makeLeader } from './single.ts';

/** Leader a of voters a, b and c, just heard by all. */
function led(): Network {
  const net = new Network();
  net.elect('a');
  net.run(2);
  return net;
}

const heartbeat = { kind: 'heartbeat', ...fromB, term: 1, commit: 0, round: 0 } as const;
const preVote = { kind: 'vote-request', ...fromC, term: 2, preVote: true, lastIndex: 1, lastTerm: 1 } as const;

/** Member a, which has just heard leader b in term 1. */
function follower() {
  const core = coreWith([1]);
  core.step(heartbeat);
  drain(core);
  return core;
}

describe('a suspected leader', () => {
  it('is replaced without a tick once two of three suspect it', () => {
    const net = led();
    net.crash('a');
    expect(net.member('c').raft.suspectLeader(false)).toBe(true);
    expect(net.member('b').raft.suspectLeader()).toBe(true);
    net.settle();
    expect([net.leader?.id, net.member('b').raft.term]).toEqual(['b', 2]);
  });

  it('stays while only one suspects it: the others refuse', () => {
    const net = led();
    net.member('b').raft.suspectLeader();
    net.settle();
    expect([net.leader?.id, net.member('b').raft.term, net.member('c').raft.leader]).toEqual(['a', 1, 'a']);
  });

  it('is forgotten; term and vote stay', () => {
    const core = follower();
    const before = core.status();
    core.suspectLeader();
    expect(core.status()).toMatchObject({ term: 1, vote: before.vote, leader: '', role: 'pre-candidate' });
    expect(drain(core)).toMatchObject([
      { kind: 'vote-request', to: 'b', term: 2, preVote: true },
      { kind: 'vote-request', to: 'c', term: 2, preVote: true },
    ]);
  });

  it('keeps this member from granting no pre-votes any more', () => {
    const core = follower();
    core.step(preVote);
    core.suspectLeader(false);
    core.step(preVote);
    expect(drain(core)).toMatchObject([
      { kind: 'vote-reply', granted: false },
      { kind: 'vote-reply', granted: true },
    ]);
    expect(core.role).toBe('follower');
  });

  it.each([
    ['a heartbeat', heartbeat],
    ['entries', appendFrom(1, emptyBase, entriesOf([1]))],
    [
      'a snapshot',
      {
        kind: 'snapshot',
        ...fromB,
        term: 1,
        snapshot: { index: 5, term: 1, hash: '0123456789abcdef' },
        membership: membershipOf(['a', 'b', 'c']),
      } as const,
    ],
  ])('is believed again at %s, which ends the campaign', (_what, word) => {
    const core = follower();
    core.suspectLeader();
    drain(core);
    core.step(word);
    expect([core.role, core.leader]).toEqual(['follower', 'b']);
    drain(core);
    expect(core.retrySuspicion()).toBe(false);
    core.step(preVote);
    expect(drain(core)).toMatchObject([{ granted: false }]);
  });

  it('is suspected once a term', () => {
    const core = follower();
    expect(core.suspectLeader()).toBe(true);
    expect(core.suspectLeader()).toBe(false);
    core.step(heartbeat);
    expect([core.suspectLeader(), core.leader]).toEqual([false, 'b']);
    core.step({ ...heartbeat, term: 2 });
    expect(core.suspectLeader()).toBe(true);
  });

  it('is not of an earlier term: a word of one changes nothing', () => {
    const core = coreWith([1], { hardState: { term: 3, vote: '' } });
    core.step({ ...heartbeat, term: 3 });
    core.suspectLeader();
    core.step({ ...heartbeat, term: 2 });
    expect([core.role, core.leader]).toEqual(['pre-candidate', '']);
  });

  it('is not this member itself, nor nobody', () => {
    const leader = coreWith();
    makeLeader(leader);
    expect([leader.suspectLeader(), leader.retrySuspicion(), leader.role]).toEqual([false, false, 'leader']);
    const fresh = coreWith();
    expect([fresh.suspectLeader(), fresh.retrySuspicion(), fresh.role]).toEqual([false, false, 'follower']);
  });

  it('voids the reads that were sent to it', () => {
    const net = led();
    const context = net.member('b').read();
    net.checkers.readAsked(context);
    net.collect();
    net.lose();
    net.member('b').raft.suspectLeader();
    net.collect();
    expect(net.member('b').voided).toEqual([context]);
  });
});

describe('a suspicion that stands', () => {
  it('asks again, and wins once another member suspects too', () => {
    const net = led();
    net.crash('a');
    net.member('b').raft.suspectLeader();
    net.settle();
    // c has refused, since its own evidence comes later; a will never answer.
    expect(net.member('b').raft.role).toBe('pre-candidate');
    net.member('c').raft.suspectLeader(false);
    expect(net.leader).toBeUndefined();
    expect(net.member('b').raft.retrySuspicion()).toBe(true);
    net.settle();
    expect(net.leader?.id).toBe('b');
  });

  it('asks again also while answers are due', () => {
    const core = follower();
    core.suspectLeader();
    expect(drain(core)).toHaveLength(2);
    expect(core.retrySuspicion()).toBe(true);
    expect([core.role, drain(core).length]).toEqual(['pre-candidate', 2]);
  });

  it('outlasts its own campaign: its votes may have been split with another that has seen the same', () => {
    const core = follower();
    core.suspectLeader();
    drain(core);
    core.step({ kind: 'vote-reply', ...fromC, term: 2, preVote: true, granted: true });
    expect([core.role, core.term]).toEqual(['candidate', 2]);
    drain(core);
    expect([core.retrySuspicion(), core.role, core.term]).toEqual([true, 'pre-candidate', 2]);
    expect(drain(core).every((message) => message.kind === 'vote-request' && message.term === 3)).toBe(true);
  });

  it('waits for its own vote to be on disk, before which nobody is asked', () => {
    const core = follower();
    core.suspectLeader();
    drain(core);
    core.step({ kind: 'vote-reply', ...fromC, term: 2, preVote: true, granted: true });
    const { persist } = core.ready();
    for (let times = 0; times < 10; times++) expect(core.retrySuspicion()).toBe(true);
    expect([core.role, core.term]).toEqual(['candidate', 2]);
    core.reportDurable(persist?.sequence ?? 0);
    expect(drain(core).map(({ kind, term }) => `${kind} ${term}`)).toEqual(['vote-request 2', 'vote-request 2']);
    expect([core.retrySuspicion(), core.role]).toEqual([true, 'pre-candidate']);
  });

  it(`gives up ${candidaciesGivenUpMax} candidacies, then the timeouts hold: the votes may only be late`, () => {
    const core = follower();
    core.suspectLeader();
    for (let times = 0; times <= candidaciesGivenUpMax; times++) {
      drain(core);
      core.step({ kind: 'vote-reply', ...fromC, term: core.term + 1, preVote: true, granted: true });
      drain(core);
      expect(core.role).toBe('candidate');
      expect(core.retrySuspicion()).toBe(times < candidaciesGivenUpMax);
    }
    expect([core.role, core.retrySuspicion()]).toEqual(['candidate', false]);
    core.step({ kind: 'vote-reply', ...fromC, term: core.term, preVote: false, granted: true });
    expect(core.role).toBe('leader');
  });

  it('ends its own campaign with the first word of a new leader', () => {
    const core = follower();
    core.suspectLeader();
    core.step({ kind: 'vote-reply', ...fromC, term: 2, preVote: true, granted: true });
    drain(core);
    core.step({ kind: 'heartbeat', ...fromC, term: 2, commit: 0, round: 0 });
    expect([core.role, core.leader, core.retrySuspicion()]).toEqual(['follower', 'c', false]);
  });

  it('ends with its term', () => {
    const core = follower();
    core.suspectLeader(false);
    core.step({ kind: 'heartbeat-reply', ...fromC, term: 4, round: 0 });
    expect([core.role, core.retrySuspicion()]).toEqual(['follower', false]);
  });

  it('ends where another leads by now', () => {
    const net = led();
    net.crash('a');
    net.member('b').raft.suspectLeader(false);
    net.member('c').raft.suspectLeader();
    net.settle();
    expect([net.leader?.id, net.member('b').raft.retrySuspicion()]).toEqual(['c', false]);
  });

  it('waits where the host campaigns later, by rank', () => {
    const core = follower();
    expect(core.suspectLeader(false)).toBe(true);
    expect([core.role, core.leader, drain(core)]).toEqual(['follower', '', []]);
    expect(core.retrySuspicion()).toBe(true);
    expect(core.role).toBe('pre-candidate');
  });

  it('leaves the election timeout as it is: without evidence the member campaigns as always', () => {
    const core = follower();
    core.suspectLeader(false);
    for (let tick = 0; tick < 20; tick++) core.tick();
    expect(core.role).toBe('pre-candidate');
  });

  it('never makes a candidate of one that may not campaign', () => {
    const ineligible = follower();
    ineligible.setEligible(false);
    expect([ineligible.suspectLeader(), ineligible.retrySuspicion(), ineligible.role]).toEqual([
      true,
      false,
      'follower',
    ]);
    const membership = membershipOf(['b', 'c'], { learners: [learnerOf('a')] });
    const learner = coreWith([1], { membership });
    learner.step(heartbeat);
    drain(learner);
    expect([learner.suspectLeader(), learner.leader, learner.role]).toEqual([true, '', 'follower']);
    // It grants pre-votes as the others do.
    learner.step(preVote);
    expect(drain(learner)).toMatchObject([{ granted: true }]);
  });

  it('is not there after a restart', () => {
    const net = led();
    net.member('b').raft.suspectLeader(false);
    net.restart('b');
    expect(net.member('b').raft.retrySuspicion()).toBe(false);
  });
});

describe('a leader that was suspected wrongly', () => {
  it('goes on leading its term', () => {
    const net = led();
    net.member('b').raft.suspectLeader();
    net.run(30);
    expect([net.leader?.id, net.member('a').raft.term, net.member('b').raft.leader]).toEqual(['a', 1, 'a']);
  });

  it('loses the election that both others begin, and no entry that it committed', () => {
    const net = led();
    net.propose('a', 'x');
    net.settle();
    net.isolate('a');
    net.propose('a', 'lost');
    net.member('c').raft.suspectLeader(false);
    net.member('b').raft.suspectLeader();
    net.settle();
    net.propose('b', 'y');
    net.settle();
    net.heal();
    net.run(4);
    expect(net.member('a').state).toEqual(['x', 'y']);
  });
});
