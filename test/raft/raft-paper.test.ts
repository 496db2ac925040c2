import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import type { Message } from '../../src/raft/types.ts';
import { entryText } from './format.ts';
import { bytesOf, Network } from './network.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, fromC, makeLeader } from './single.ts';

// One test for each claim of "In Search of an Understandable Consensus Algorithm (Extended Version)", the section above
// it. Member a is the one under test; b and c are its peers, most often played by the test.

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

  // 5.2: "Once a candidate wins an election, it becomes leader. It then sends [...] messages to all of the other servers
  // to establish its authority and prevent new elections."
  it('speaks to all at once when it has won', () => {
    const core = coreWith();
    makeLeader(core);
    expect(drain(core).map((message) => [message.kind, message.to, message.term])).toEqual([
      ['append', 'b', 1],
      ['append', 'c', 1],
    ]);
  });

  // 5.2: "If the leader's term [...] is at least as large as the candidate's current term, then the candidate recognizes
  // the leader as legitimate and returns to follower state."
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

  // 5.2: "election timeouts are chosen randomly from a fixed interval"; "Each candidate restarts its randomized election
  // timeout at the start of an election".
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

describe('section 5.3, log replication', () => {
  // 5.3: "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel".
  it('appends a proposal and sends it to all followers, with the entry before it', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 1));
    core.step({ ...ackFromB(1, 1), from: 'c' });
    drain(core);
    expect(core.propose(bytesOf('x'))).toEqual({ accepted: true, index: 2, term: 1 });
    const messages = drain(core);
    expect(messages.map((message) => [message.kind, message.to])).toEqual([
      ['append', 'b'],
      ['append', 'c'],
    ]);
    expect(messages).toMatchObject([{ prevIndex: 1, prevTerm: 1, prevHash: core.prefixAt(1)?.hash }, {}]);
  });

  // 5.3: "When the entry has been safely replicated, the leader applies the entry to its state machine".
  it('hands an entry out to be applied when a majority holds it, not before', () => {
    const net = new Network();
    net.elect('a');
    net.propose('a', 'x');
    net.collect();
    expect(net.member('a').state).toEqual([]);
    net.deliverOne((message) => message.kind === 'append' && message.to === 'b');
    expect(net.member('a').state).toEqual([]);
    net.deliverOne((message) => message.kind === 'append-reply');
    expect(net.member('a').state).toEqual(['x']);
  });

  // 5.3: "If followers crash or run slowly, or if network packets are lost, the leader retries [...] indefinitely [...]
  // until all followers eventually store all log entries."
  it('retries until every follower has every entry', () => {
    const net = new Network();
    net.elect('a');
    net.isolate('c');
    for (const text of ['x', 'y', 'z']) net.propose('a', text);
    net.run(40);
    net.heal();
    net.run(4);
    expect(net.member('c').state).toEqual(['x', 'y', 'z']);
  });

  // 5.3: "Each log entry stores a state machine command along with the term number [...] also has an integer index".
  it('numbers entries without gaps and marks each with the term of its leader', () => {
    const net = new Network();
    net.elect('a');
    net.propose('a', 'x');
    net.settle();
    net.elect('b');
    net.propose('b', 'y');
    net.settle();
    for (const member of net.members) {
      expect(member.raft.entriesBetween(1, 5).map(entryText)).toEqual(['1/1', '2/1 "x"', '3/2', '4/2 "y"']);
    }
  });

  // 5.3: "This also commits all preceding entries in the leader's log, including entries created by previous leaders."
  it('commits what earlier leaders left along with the first entry of its own', () => {
    const core = coreWith([1, 2]);
    makeLeader(core);
    drain(core);
    core.step(ackFromB(3, 3));
    const ready = core.ready();
    expect(ready.committed.map((entry) => [entry.index, entry.term])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  // 5.3: "The leader keeps track of the highest index it knows to be committed, and it includes that index in future
  // AppendEntries RPCs (including heartbeats) so that the other servers eventually find out."
  it('tells followers how far is committed, and they apply it in log order', () => {
    const net = new Network();
    net.elect('a');
    net.propose('a', 'x');
    net.propose('a', 'y');
    net.settle((message) => message.kind !== 'append' || message.entries.length > 0);
    expect(net.member('b').state).toEqual([]);
    net.lose();
    net.tick('a', 2);
    net.settle((message) => message.kind === 'heartbeat');
    expect(net.member('b').state).toEqual(['x', 'y']);
  });

  // 5.3: "If the follower does not find an entry in its log with the same index and term, then it refuses the new
  // entries."
  it.each([
    { terms: [1, 1], prevIndex: 3, prevTerm: 1, accepted: false },
    { terms: [1, 1], prevIndex: 2, prevTerm: 2, accepted: false },
    { terms: [1, 1], prevIndex: 2, prevTerm: 1, accepted: true },
    { terms: [1, 1], prevIndex: 1, prevTerm: 1, accepted: true },
    { terms: [1, 1], prevIndex: 0, prevTerm: 0, accepted: true },
  ])('compares entry $prevIndex/$prevTerm with a log of terms $terms: $accepted', (row) => {
    const core = coreWith(row.terms);
    const hash = core.prefixAt(row.prevIndex)?.hash ?? '00000000000000ff';
    core.step(appendFrom(3, { index: row.prevIndex, term: row.prevTerm, hash }, []));
    expect(drain(core)).toMatchObject([{ kind: 'append-reply', accepted: row.accepted }]);
  });

  // 5.3: "a leader never overwrites or deletes entries in its log; it only appends new entries" (5.4, figure 3).
  it('only appends to its own log', () => {
    const core = coreWith([1, 2]);
    makeLeader(core);
    const before = core.entriesBetween(1, 4);
    core.step(appendFrom(core.term, emptyBase, entriesOf([1, 1])));
    core.propose(bytesOf('x'));
    drain(core);
    expect(core.entriesBetween(1, 4)).toEqual(before);
    expect(core.status().dropped['two-leaders']).toBe(1);
  });

  // 5.3: "conflicting entries in follower logs will be overwritten with entries from the leader's log" (figure 7).
  it.each([
    { name: '(a)', terms: [1, 1, 1, 4, 4, 5, 5, 6, 6] },
    { name: '(b)', terms: [1, 1, 1, 4] },
    { name: '(c)', terms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6] },
    { name: '(d)', terms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7] },
    { name: '(e)', terms: [1, 1, 1, 4, 4, 4, 4] },
    { name: '(f)', terms: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3] },
  ])('makes the log of follower $name of figure 7 equal to its own', ({ terms }) => {
    const leaderTerms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const leader = coreWith(leaderTerms, { hardState: { term: 7, vote: '' } });
    const follower = coreWith(terms, { hardState: { term: 7, vote: '' } }, { id: 'b' });
    makeLeader(leader);
    const exchange: Message[] = [];
    for (let round = 0; round < 20; round++) {
      for (const message of drain(leader)) if (message.to === 'b') follower.step(message);
      for (const message of drain(follower)) {
        exchange.push(message);
        leader.step(message);
      }
    }
    expect(follower.lastIndex).toBe(leader.lastIndex);
    expect(follower.entriesBetween(1, 12)).toEqual(leader.entriesBetween(1, 12));
    // End of 5.3: "one AppendEntries RPC will be required for each term with conflicting entries".
    const refusals = exchange.filter((message) => message.kind === 'append-reply' && !message.accepted).length;
    expect(refusals).toBeLessThanOrEqual(2);
  });

  // 5.3: "When a leader first comes to power, it initializes all nextIndex values to the index just after the last one in
  // its log."
  it('begins a term by asking each follower for the entry before its own first', () => {
    const core = coreWith([1, 1, 2]);
    makeLeader(core);
    expect(core.status().peers).toMatchObject([
      { id: 'b', next: 4, match: 0 },
      { id: 'c', next: 4, match: 0 },
    ]);
    expect(drain(core)).toMatchObject([{ prevIndex: 3, prevTerm: 2 }, { prevIndex: 3 }]);
  });

  // 5.3: "a new entry can be replicated with a single round of RPCs to a majority of the cluster; and a single slow
  // follower will not impact performance."
  it('commits with one exchange with a majority while another follower is silent', () => {
    const net = new Network();
    net.elect('a');
    net.isolate('c');
    net.propose('a', 'x');
    expect(net.deliverOne((message) => message.to === 'b')?.kind).toBe('append');
    expect(net.deliverOne((message) => message.to === 'a')?.kind).toBe('append-reply');
    expect(net.member('a').state).toEqual(['x']);
  });

  // 5.3, figure 2: a late or repeated AppendEntries changes nothing and never shortens the log; 5.5: "idempotent".
  it('is not moved by repeated appends, or late ones that end earlier', () => {
    const core = coreWith();
    const entries = entriesOf([1, 1, 1]);
    core.step(appendFrom(1, emptyBase, entries));
    core.step(appendFrom(1, emptyBase, entries.slice(0, 1)));
    core.step(appendFrom(1, emptyBase, []));
    core.step(appendFrom(1, emptyBase, entries));
    const last = drain(core).at(-1);
    expect(core.entriesBetween(1, 4)).toEqual(entries);
    expect(last).toMatchObject({ accepted: true, matchIndex: 3 });
  });

  // 5.3, figure 2: "set commitIndex = min(leaderCommit, index of last new entry)".
  it('commits no further than the append compared', () => {
    const core = coreWith([1, 1, 1]);
    const prev = core.prefixAt(1);
    if (prev === undefined) throw new Error('entry 1 is missing');
    core.step(appendFrom(2, { index: 1, ...prev }, [], 3));
    expect(core.commit).toBe(1);
  });
});

describe('section 5.4, safety', () => {
  // 5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate", with the definition.
  it.each([
    { own: [1, 1], lastIndex: 2, lastTerm: 1, granted: true },
    { own: [1, 1], lastIndex: 1, lastTerm: 1, granted: false },
    { own: [1, 1], lastIndex: 3, lastTerm: 1, granted: true },
    { own: [1, 1], lastIndex: 1, lastTerm: 2, granted: true },
    { own: [1, 2], lastIndex: 5, lastTerm: 1, granted: false },
    { own: [], lastIndex: 0, lastTerm: 0, granted: true },
  ])('with terms $own grants $lastIndex/$lastTerm: $granted', ({ own, lastIndex, lastTerm, granted }) => {
    for (const preVote of [true, false]) {
      const core = coreWith(own);
      core.step({ kind: 'vote-request', ...fromB, term: 9, preVote, lastIndex, lastTerm });
      expect(drain(core)).toMatchObject([{ kind: 'vote-reply', preVote, granted }]);
    }
  });

  // 5.4.1: "prevents a candidate from winning an election unless its log contains all committed entries".
  it('elects nobody who lacks a committed entry', () => {
    const net = new Network();
    net.elect('a');
    net.isolate('c');
    net.propose('a', 'x');
    net.settle();
    net.crash('a');
    net.heal();
    net.lose();
    net.tick('b', 10);
    net.lose();
    net.campaign('c');
    net.settle();
    expect(net.leader).toBeUndefined();
    net.run(40);
    expect(net.leader?.id).toBe('b');
    expect(net.member('c').state).toEqual(['x']);
  });

  // 5.4.2: "Raft never commits log entries from previous terms by counting replicas" (figure 8; see testdata/figure-8).
  it('does not commit an entry of an earlier term that is on a majority', () => {
    const core = coreWith([1, 2]);
    makeLeader(core);
    drain(core);
    core.step(ackFromB(3, 2));
    expect(core.commit).toBe(0);
    // 5.4.2: "once an entry from the current term has been committed in this way, then all prior entries are committed
    // indirectly".
    core.step(ackFromB(3, 3));
    expect(core.commit).toBe(3);
  });

  // 5.4.3, leader completeness: "if a log entry is committed in a given term, that entry will be present in the logs of
  // the leaders for all higher-numbered terms".
  it('keeps a committed entry through every later leader', () => {
    const net = new Network({ members: ['a', 'b', 'c', 'd', 'e'] });
    net.elect('a');
    net.propose('a', 'x');
    net.settle();
    for (const id of ['b', 'c', 'd', 'e', 'a']) {
      net.elect(id);
      expect(net.leader?.id).toBe(id);
      expect(net.member(id).raft.entriesBetween(2, 3).map(entryText)).toEqual(['2/1 "x"']);
    }
  });

  // 5.4.3, state machine safety: "if a server has applied a log entry at a given index to its state machine, no other
  // server will ever apply a different log entry for the same index".
  it('applies the same at every index, also on members that held something else there', () => {
    const net = new Network();
    net.elect('a');
    net.isolate('a');
    net.propose('a', 'lost');
    net.collect();
    net.lose();
    net.elect('b');
    net.propose('b', 'kept');
    net.settle();
    net.heal();
    net.run(4);
    for (const member of net.members) expect(member.state).toEqual(['kept']);
  });
});

describe('section 7, log compaction', () => {
  const base = { index: 3, term: 2, hash: '0123456789abcdef' };

  // 7: "the last included index [...] and the last included term [...] are preserved to support the AppendEntries
  // consistency check for the first log entry following the snapshot".
  it('compares the first append after the base with the base', () => {
    const core = coreWith([], { base, hardState: { term: 2, vote: '' }, commit: 3, applied: 3 });
    core.step(appendFrom(2, base, entriesOf([2], base)));
    expect(drain(core)).toMatchObject([{ accepted: true, matchIndex: 4 }]);
    expect(core.lastIndex).toBe(4);
  });

  // 7: "each server takes snapshots independently".
  it('forgets applied entries on its own, and still tells term and hash of the last of them', () => {
    const net = new Network();
    net.elect('a');
    net.propose('a', 'x');
    net.settle();
    const prefix = net.member('b').raft.prefixAt(2);
    net.member('b').compact(2);
    expect(net.member('b').raft.status()).toMatchObject({ base: { index: 2, term: 1 }, lastIndex: 2, keptBytes: 0 });
    expect(net.member('b').raft.prefixAt(2)).toMatchObject({ term: prefix?.term, hash: prefix?.hash });
    expect(net.member('b').raft.prefixAt(1)).toBeUndefined();
    expect(net.member('a').raft.status().base.index).toBe(0);
    net.propose('a', 'y');
    net.settle();
    expect(net.member('b').raft.entriesBetween(3, 4).map(entryText)).toEqual(['3/1 "y"']);
  });

  // 7: "the leader must occasionally send snapshots to followers that lag behind [...] when the leader has already
  // discarded the next log entry that it needs to send".
  it('asks its host for a snapshot where the next entry is gone', () => {
    const net = new Network();
    net.elect('a');
    net.isolate('c');
    net.propose('a', 'x');
    net.settle();
    net.member('a').compact(2);
    net.heal();
    net.run(4);
    expect(net.member('a').snapshotsWanted).toEqual(['c']);
    net.sendSnapshot('a', 'c', 2);
    net.run(4);
    expect(net.member('c').raft.status()).toMatchObject({ base: { index: 2 }, commit: 2, applied: 2 });
  });

  // 7: "Usually the snapshot will contain new information not already in the recipient's log. In this case, the follower
  // discards its entire log".
  it('restarts its log at a snapshot that it does not hold', () => {
    const core = coreWith([1, 1, 1, 1, 1]);
    core.step({ kind: 'snapshot', ...fromB, term: 3, snapshot: { ...base, index: 4 } });
    expect(core.status()).toMatchObject({ lastIndex: 4, commit: 4, applied: 4, base: { index: 4, hash: base.hash } });
    const ready = core.ready();
    expect(ready.persist).toMatchObject({ snapshot: { index: 4 }, entries: [] });
    expect(kinds(ready.messages)).toEqual([]);
    core.reportDurable(ready.persist?.sequence ?? 0);
    expect(core.ready().messages).toMatchObject([{ kind: 'append-reply', accepted: true, matchIndex: 4 }]);
  });

  // 7: "If instead the follower receives a snapshot that describes a prefix of its log [...] entries following the
  // snapshot are still valid and must be retained."
  it('keeps its log when it holds what the snapshot ends with', () => {
    const core = coreWith([1, 1, 1, 1]);
    const prefix = core.prefixAt(3);
    if (prefix === undefined) throw new Error('entry 3 is missing');
    core.step({ kind: 'snapshot', ...fromB, term: 1, snapshot: { index: 3, term: 1, hash: prefix.hash } });
    expect(core.status()).toMatchObject({ lastIndex: 4, commit: 3, base: { index: 0 } });
    expect(drain(core)).toMatchObject([{ accepted: true, matchIndex: 3 }]);
  });

  // Figure 13, step 1: "Reply immediately if term < currentTerm".
  it('refuses a snapshot of an earlier term', () => {
    const core = coreWith([], { hardState: { term: 5, vote: '' } });
    core.step({ kind: 'snapshot', ...fromB, term: 4, snapshot: base });
    expect(core.status()).toMatchObject({ lastIndex: 0, commit: 0 });
    expect(drain(core)).toMatchObject([{ kind: 'heartbeat-reply', term: 5 }]);
  });

  // 7, section 5.2 in figure 13: a snapshot, like an append, comes from the leader of its term.
  it('recognises the leader by its snapshot', () => {
    const core = coreWith();
    core.step({ kind: 'snapshot', ...fromB, term: 2, snapshot: base });
    expect([core.leader, core.term]).toEqual(['b', 2]);
  });
});

describe('section 8, client interaction', () => {
  // 8: "If the client's first choice is not the leader, that server will reject the client's request and supply
  // information about the most recent leader it has heard from".
  it('refuses proposals where it does not lead, and knows who does', () => {
    const net = new Network();
    net.elect('b');
    expect(net.propose('a', 'x')).toEqual({ accepted: false, reason: 'not-leader' });
    expect(net.member('a').raft.leader).toBe('b');
  });

  // 8: "a leader must have the latest information on which entries are committed [...] each leader commit[s] a blank
  // no-op entry into the log at the start of its term".
  it('opens its term with an empty entry', () => {
    const core = coreWith([1]);
    makeLeader(core);
    expect(core.entriesBetween(2, 3)).toMatchObject([{ index: 2, term: 2, data: new Uint8Array(0) }]);
    expect(core.status().ownTermCommitted).toBe(false);
    drain(core);
    core.step(ackFromB(2, 2));
    expect(core.status().ownTermCommitted).toBe(true);
  });

  // 8: "at the start of its term, it may not know which those are" - so no read before that entry is committed.
  it('holds reads back until an entry of its own term is committed', () => {
    const core = coreWith([1]);
    makeLeader(core);
    drain(core);
    core.readIndex({ member: 'a', boot: 1, counter: 1 });
    expect(core.hasReady()).toBe(false);
    core.step(ackFromB(2, 2));
    expect(kinds(drain(core)).filter((kind) => kind === 'heartbeat')).toHaveLength(2);
  });

  // 8: "a leader must check whether it has been deposed before processing a read-only request [...] by having the leader
  // exchange heartbeat messages with a majority of the cluster before responding".
  it('confirms a read only by heartbeats that a majority answers after the read came', () => {
    const core = coreWith();
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 1));
    drain(core);
    const context = { member: 'a', boot: 1, counter: 1 };
    core.readIndex(context);
    const first = core.ready();
    expect(first.messages).toMatchObject([
      { kind: 'heartbeat', round: 1 },
      { kind: 'heartbeat', round: 1 },
    ]);
    expect(first.confirmedReads).toEqual([]);
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 0 });
    expect(core.ready().confirmedReads).toEqual([]);
    core.step({ kind: 'heartbeat-reply', ...fromB, term: 1, round: 1 });
    expect(core.ready().confirmedReads).toEqual([{ context, index: 1 }]);
  });

  // 8: a deposed leader "could risk returning stale data", so its reads end without an answer.
  it('never answers a read of a leader that was deposed meanwhile', () => {
    const net = new Network();
    net.elect('a');
    net.isolate('a');
    const context = net.member('a').read();
    net.checkers.readAsked(context);
    net.elect('b');
    net.propose('b', 'x');
    net.settle();
    net.run(20);
    expect(net.member('a').confirmed).toEqual([]);
    expect(net.member('a').voided).toEqual([context]);
  });

  // 8: "Raft as described so far can execute a command multiple times": the core does not look into commands. What it
  // owes to the state machine, which tells repeats by their serial numbers, is the same order everywhere, each once.
  it('hands out each entry once and in the same order everywhere, also a command that was proposed twice', () => {
    const net = new Network();
    net.elect('a');
    net.propose('a', 'x#1');
    net.settle();
    net.elect('b');
    net.propose('b', 'x#1');
    net.settle();
    for (const member of net.members) expect(member.state).toEqual(['x#1', 'x#1']);
  });

  // 8: whether a proposal took effect is known by index and term: another term at its index means that it never will.
  it('tells the fate of a proposal by index and term', () => {
    const net = new Network();
    net.elect('a');
    net.isolate('a');
    const lost = net.propose('a', 'lost');
    expect(lost).toMatchObject({ accepted: true, index: 2, term: 1 });
    net.collect();
    net.elect('b');
    net.heal();
    net.run(4);
    expect(net.member('a').raft.prefixAt(2)?.term).toBe(2);
  });
});
