import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/raft/types.ts';
import { entryText } from './format.ts';
import { Network } from './network.ts';
import { membershipOf } from './memberships.ts';
import { ackFromB, appendFrom, coreWith, drain, entriesOf, fromB, makeLeader } from './single.ts';

const membership = membershipOf(['a', 'b', 'c']);

// Sections 7 and 8. One test for each claim of "In Search of an Understandable Consensus Algorithm (Extended
// Version)", the section above it. Member a is the one under test; b and c are its peers, most often played by the
// test.

const kinds = (messages: readonly Message[]): string[] => messages.map((message) => message.kind);

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

  // 7: "Usually the snapshot will contain new information not already in the recipient's log. In this case, the
  // follower discards its entire log".
  it('restarts its log at a snapshot that it does not hold', () => {
    const core = coreWith([1, 1, 1, 1, 1]);
    core.step({ kind: 'snapshot', ...fromB, term: 3, snapshot: { ...base, index: 4 }, membership });
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
    core.step({ kind: 'snapshot', ...fromB, term: 1, snapshot: { index: 3, term: 1, hash: prefix.hash }, membership });
    expect(core.status()).toMatchObject({ lastIndex: 4, commit: 3, base: { index: 0 } });
    expect(drain(core)).toMatchObject([{ accepted: true, matchIndex: 3 }]);
  });

  // Figure 13, step 1: "Reply immediately if term < currentTerm".
  it('refuses a snapshot of an earlier term', () => {
    const core = coreWith([], { hardState: { term: 5, vote: '' } });
    core.step({ kind: 'snapshot', ...fromB, term: 4, snapshot: base, membership });
    expect(core.status()).toMatchObject({ lastIndex: 0, commit: 0 });
    expect(drain(core)).toMatchObject([{ kind: 'heartbeat-reply', term: 5 }]);
  });

  // 7, section 5.2 in figure 13: a snapshot, like an append, comes from the leader of its term.
  it('recognises the leader by its snapshot', () => {
    const core = coreWith();
    core.step({ kind: 'snapshot', ...fromB, term: 2, snapshot: base, membership });
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

  // 8: "a leader must check whether it has been deposed before processing a read-only request [...] by having the
  // leader exchange heartbeat messages with a majority of the cluster before responding".
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
