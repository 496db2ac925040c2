import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import type { Message } from '../../src/raft/types.ts';
import { Network } from './network.ts';
import { appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, fromC, makeLeader } from './single.ts';

// Sections 5.1 and 5.2. One test for each claim of "In Search of an Understandable Consensus Algorithm (Extended
// Version)", the section above it. Member a is the one under test; b and c are its peers, most often played by the
// test.

const heartbeat = { kind: 'heartbeat', commit: 0, round: 0 } as const;
const voteRequest = { kind: 'vote-request', preVote: false, lastIndex: 0, lastTerm: 0 } as const;
const kinds = (messages: readonly Message[]): string[] => messages.map((message) => message.kind);

describe('section 5.1, Raft basics', () => {
  // 5.1: "if one server's current term is smaller than the other's, then it updates its current term to the larger".
  it('takes over a larger term from any message that is not a pre-vote', () => {
    const core = coreWith();
    core.step({ ...heartbeat, ...fromB, term: 4 });
    expect(core.term).toBe(4);
    core.step({ kind: 'heartbeat-reply', ...fromC, term: 7, round: 0 });
    expect(core.term).toBe(7);
  });

  // 5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state."
  it('turns leader and candidate into followers when a larger term is heard', () => {
    const leader = coreWith();
    makeLeader(leader);
    leader.step({ kind: 'heartbeat-reply', ...fromB, term: 5, round: 0 });
    expect([leader.role, leader.term, leader.leader]).toEqual(['follower', 5, '']);
    const candidate = coreWith();
    while (candidate.role === 'follower') candidate.tick();
    candidate.step({ kind: 'vote-reply', ...fromB, term: 1, preVote: true, granted: true });
    expect(candidate.role).toBe('candidate');
    candidate.step({ kind: 'vote-reply', ...fromB, term: 5, preVote: false, granted: false });
    expect([candidate.role, candidate.term]).toEqual(['follower', 5]);
  });

  // 5.1: "If a server receives a request with a stale term number, it rejects the request."
  it('refuses requests of an earlier term and answers with its own', () => {
    const core = coreWith([], { hardState: { term: 5, vote: '' } });
    core.step({ ...voteRequest, ...fromB, term: 4 });
    core.step(appendFrom(4, emptyBase, entriesOf([4])));
    const [vote, append] = drain(core);
    expect(vote).toMatchObject({ kind: 'vote-reply', granted: false, term: 5 });
    expect(append).toMatchObject({ kind: 'heartbeat-reply', term: 5 });
    expect([core.lastIndex, core.leader]).toEqual([0, '']);
  });

  // 5.1: "Current terms are exchanged whenever servers communicate."
  it('sends its term with every message', () => {
    const core = coreWith();
    makeLeader(core);
    const messages = drain(core);
    for (let tick = 0; tick < 2; tick++) core.tick();
    messages.push(...drain(core));
    expect(new Set(kinds(messages))).toEqual(new Set(['append', 'heartbeat']));
    for (const message of messages) expect(message.term).toBe(1);
  });

  // 5.1: "Each server stores a current term number, which increases monotonically over time", across restarts too.
  it('keeps its term and vote over a restart', () => {
    const net = new Network();
    net.elect('a');
    net.elect('b');
    expect(net.member('c').raft.status()).toMatchObject({ term: 2, vote: 'b' });
    net.restart('c');
    expect(net.member('c').raft.status()).toMatchObject({ term: 2, vote: 'b', role: 'follower' });
  });

  // 5.1: "In some situations an election will result in a split vote. In this case the term will end with no leader."
  it('lets a term end without a leader', () => {
    const net = new Network({ members: ['a', 'b'] });
    net.campaign('a');
    net.campaign('b');
    net.settle();
    expect(net.leader).toBeUndefined();
    expect(net.members.map((member) => [member.raft.term, member.raft.status().vote])).toEqual([
      [1, 'a'],
      [1, 'b'],
    ]);
  });
});

describe('section 5.2, leader election', () => {
  // 5.2: "When servers start up, they begin as followers."
  it('starts as a follower', () => {
    expect(coreWith([1, 2]).status()).toMatchObject({ role: 'follower', leader: '', term: 2 });
  });

  // 5.2: "A server remains in follower state as long as it receives valid RPCs from a leader or candidate."
  it('does not campaign while a leader is heard, or just after it gave its vote', () => {
    const core = coreWith();
    for (let tick = 0; tick < 100; tick++) {
      core.tick();
      if (tick % 9 === 0) core.step({ ...heartbeat, ...fromB, term: 1 });
    }
    expect(core.role).toBe('follower');
    const voter = coreWith([], {}, { random: new SeededRandom(2) });
    for (let tick = 0; tick < 9; tick++) voter.tick();
    voter.step({ ...voteRequest, ...fromB, term: 1 });
    for (let tick = 0; tick < 9; tick++) voter.tick();
    expect([voter.role, voter.status().vote]).toEqual(['follower', 'b']);
  });

  // 5.2: "Leaders send periodic heartbeats to all followers in order to maintain their authority."
  it('sends heartbeats to all followers at every interval', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    for (let interval = 0; interval < 3; interval++) {
      core.tick();
      expect(drain(core)).toEqual([]);
      core.tick();
      expect(drain(core).map((message) => [message.kind, message.to])).toEqual([
        ['heartbeat', 'b'],
        ['heartbeat', 'c'],
      ]);
    }
  });

  // 5.2: "If a follower receives no communication over [...] the election timeout, then it [...] begins an election";
  // "increments its current term [...] votes for itself and issues RequestVote RPCs in parallel". Pre-vote comes first.
  it('campaigns after the timeout: a pre-vote, then its own vote and requests to all in the next term', () => {
    const core = coreWith([1, 1]);
    while (core.role === 'follower') core.tick();
    const asked = drain(core);
    expect(asked.map((message) => [message.kind, message.to, message.term])).toEqual([
      ['vote-request', 'b', 2],
      ['vote-request', 'c', 2],
    ]);
    expect(asked).toMatchObject([{ preVote: true }, { preVote: true }]);
    expect(core.term).toBe(1);
    core.step({ kind: 'vote-reply', ...fromB, term: 2, preVote: true, granted: true });
    const voted = drain(core);
    expect(core.status()).toMatchObject({ role: 'candidate', term: 2, vote: 'a' });
    expect(voted).toMatchObject([
      { kind: 'vote-request', preVote: false, to: 'b', term: 2, lastIndex: 2, lastTerm: 1 },
      { kind: 'vote-request', preVote: false, to: 'c', term: 2, lastIndex: 2, lastTerm: 1 },
    ]);
  });

  // 5.2: "A candidate wins an election if it receives votes from a majority of the servers in the full cluster".
  it.each([
    { voters: 1, grants: 0, wins: true },
    { voters: 3, grants: 0, wins: false },
    { voters: 3, grants: 1, wins: true },
    { voters: 5, grants: 1, wins: false },
    { voters: 5, grants: 2, wins: true },
    { voters: 4, grants: 1, wins: false },
    { voters: 4, grants: 2, wins: true },
  ])('wins with its own vote and $grants of $voters others: $wins', ({ voters, grants, wins }) => {
    const names = ['a', 'b', 'c', 'd', 'e'].slice(0, voters);
    const core = coreWith([], {}, { voters: names });
    while (core.role === 'follower') core.tick();
    drain(core);
    const grant = (preVote: boolean, count: number): void => {
      for (const from of names.slice(1, count + 1)) {
        core.step({ kind: 'vote-reply', ...fromB, from, term: 1, preVote, granted: true });
      }
      drain(core);
    };
    grant(true, voters - 1);
    grant(false, grants);
    expect(core.role).toBe(wins ? 'leader' : 'candidate');
  });

  // 5.2: "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis".
  it('votes once per term, for the first who asks, and repeats that vote', () => {
    const core = coreWith();
    core.step({ ...voteRequest, ...fromB, term: 1 });
    core.step({ ...voteRequest, ...fromC, term: 1 });
    core.step({ ...voteRequest, ...fromB, term: 1 });
    expect(drain(core)).toMatchObject([
      { to: 'b', granted: true },
      { to: 'c', granted: false },
      { to: 'b', granted: true },
    ]);
    core.step({ ...voteRequest, ...fromC, term: 2 });
    expect(drain(core)).toMatchObject([{ to: 'c', granted: true, term: 2 }]);
  });

  // 5.2: "Once a candidate wins an election, it becomes leader. It then sends [...] messages to all of the other
  // servers to establish its authority and prevent new elections."
  it('speaks to all at once when it has won', () => {
    const core = coreWith();
    makeLeader(core);
    expect(drain(core).map((message) => [message.kind, message.to, message.term])).toEqual([
      ['append', 'b', 1],
      ['append', 'c', 1],
    ]);
  });

  // 5.2: "If the leader's term [...] is at least as large as the candidate's current term, then the candidate
  // recognizes the leader as legitimate and returns to follower state."
  it.each([1, 2])('returns to follower when a leader of term %i speaks to the candidate of term 1', (term) => {
    const core = coreWith();
    while (core.role === 'follower') core.tick();
    core.step({ kind: 'vote-reply', ...fromB, term: 1, preVote: true, granted: true });
    expect(core.role).toBe('candidate');
    core.step({ ...heartbeat, ...fromC, term });
    expect([core.role, core.leader, core.term]).toEqual(['follower', 'c', term]);
  });

  // 5.2: "If the term in the RPC is smaller than the candidate's current term, then the candidate rejects the RPC and
  // continues in candidate state."
  it('stays a candidate when a leader of an earlier term speaks', () => {
    const core = coreWith([], { hardState: { term: 3, vote: '' } });
    while (core.role === 'follower') core.tick();
    core.step({ kind: 'vote-reply', ...fromB, term: 4, preVote: true, granted: true });
    drain(core);
    core.step({ ...heartbeat, ...fromC, term: 3 });
    expect([core.role, core.term]).toEqual(['candidate', 4]);
    expect(drain(core)).toMatchObject([{ kind: 'heartbeat-reply', to: 'c', term: 4, round: 0 }]);
  });

  // 5.2: "each candidate will time out and start a new election by incrementing its term".
  it('starts a new election in the next term when one ends without a winner', () => {
    const core = coreWith();
    const ask = (term: number): void => {
      while (core.role !== 'pre-candidate') core.tick();
      drain(core);
      core.step({ kind: 'vote-reply', ...fromB, term, preVote: true, granted: true });
      drain(core);
      expect([core.role, core.term]).toEqual(['candidate', term]);
    };
    ask(1);
    ask(2);
  });

  // 5.2: "election timeouts are chosen randomly from a fixed interval"; "Each candidate restarts its randomized
  // election timeout at the start of an election".
  it('draws the timeout anew from [min, max) for every election', () => {
    const core = coreWith();
    const lengths = new Set<number>();
    for (let election = 0; election < 200; election++) {
      let ticks = 0;
      drain(core);
      do {
        core.tick();
        ticks += 1;
      } while (drain(core).length === 0);
      lengths.add(ticks);
    }
    expect(Math.min(...lengths)).toBe(10);
    expect(Math.max(...lengths)).toBe(19);
    expect(lengths.size).toBe(10);
  });

  // 5.2: "split votes are rare [...] and resolved quickly".
  it('elects a leader soon even if all campaign together, for every one of many seeds', () => {
    for (let seed = 0; seed < 50; seed++) {
      const net = new Network({ randomOf: (id) => new SeededRandom(seed * 10 + id.charCodeAt(0)) });
      net.run(150);
      expect(net.leader?.raft.status().ownTermCommitted).toBe(true);
    }
  });
});
