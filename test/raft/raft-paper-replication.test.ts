import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/raft/types.ts';
import { entryText } from './format.ts';
import { bytesOf, Network } from './network.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, makeLeader } from './single.ts';

// Sections 5.3 and 5.4. One test for each claim of "In Search of an Understandable Consensus Algorithm (Extended
// Version)", the section above it. Member a is the one under test; b and c are its peers, most often played by the
// test.

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

  // 5.3: "When a leader first comes to power, it initializes all nextIndex values to the index just after the last
  // one in its log."
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
  // 5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate", with the
  // definition.
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
