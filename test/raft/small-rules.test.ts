import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { raftDefaults } from '../../src/raft/config.ts';
import { Durability } from '../../src/raft/durability.ts';
import { Inflights } from '../../src/raft/inflights.ts';
import type { RaftCore } from '../../src/raft/raft-core.ts';
import { ReadForwards } from '../../src/raft/read-forwards.ts';
import type { Message, ReadContext } from '../../src/raft/types.ts';
import { bytesOf } from './network.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, fromC, makeLeader } from './single.ts';

// Rules that a small change of the core would break without any other test noticing: each of these was found by making
// that change.

const heartbeat = { kind: 'heartbeat', commit: 0, round: 0 } as const;
const contextOf = (member: string, counter: number): ReadContext => ({ member, boot: 1, counter });

/** A leader of term 1 whose first entry is committed, b in `replicate`. */
function servingLeader(): RaftCore {
  const core = coreWith();
  makeLeader(core);
  drain(core);
  core.step(ackFromB(1, 1));
  drain(core);
  return core;
}

describe('the defaults', () => {
  it('are those that are written beside them', () => {
    expect(raftDefaults).toEqual({
      heartbeatTicks: 2,
      electionTicksMin: 10,
      electionTicksMax: 20,
      inflightMessagesMax: 64,
      inflightBytesMax: 8_388_608,
      appendBytesMax: 1_048_576,
      uncommittedBytesMax: 67_108_864,
      applyBytesMax: 4_194_304,
      readRoundsMax: 4,
      pendingReadsMax: 65_536,
    });
  });
});

describe('a window', () => {
  it('has room for something on both counts', () => {
    expect(() => new Inflights(0, 1)).toThrow(InvariantError);
    expect(() => new Inflights(1, 0)).toThrow(InvariantError);
    expect(new Inflights(1, 1).full).toBe(false);
  });
});

describe('bounds of one', () => {
  it('are the least for reads that wait', () => {
    expect(() => new ReadForwards(0)).toThrow(InvariantError);
    expect(new ReadForwards(1).size).toBe(0);
  });
});

describe('a report of what is durable', () => {
  it('may cover nothing, and never less', () => {
    const durability = new Durability(3);
    durability.report(0);
    expect(durability.durableIndex).toBe(3);
    expect(() => durability.report(-1)).toThrow(InvariantError);
  });
});

describe('a candidate', () => {
  it('takes what the leader of its own term sends, and does not only follow it', () => {
    const core = coreWith();
    while (core.role === 'follower') core.tick();
    drain(core);
    core.step({ kind: 'vote-reply', ...fromB, term: 1, preVote: true, granted: true });
    drain(core);
    expect([core.role, core.term]).toEqual(['candidate', 1]);
    core.step(appendFrom(1, emptyBase, entriesOf([1])));
    expect(drain(core)).toMatchObject([{ kind: 'append-reply', to: 'b', accepted: true, matchIndex: 1 }]);
    expect([core.role, core.leader, core.lastIndex]).toEqual(['follower', 'b', 1]);
  });
});

describe('a follower', () => {
  it('counts nothing as dropped where it refuses the reads of a peer', () => {
    const core = coreWith();
    core.step({ ...heartbeat, ...fromB, term: 1 });
    drain(core);
    const before = core.status().dropped;
    core.step({ kind: 'read-index', ...fromC, term: 1, contexts: [contextOf('c', 1)] });
    expect(core.status().dropped).toEqual(before);
    expect(drain(core)).toMatchObject([{ kind: 'read-index-reply', to: 'c', index: 0 }]);
  });
});

describe('a member whose term rises', () => {
  it('still sends what it said before and what waits for no disk', () => {
    const core = coreWith();
    core.step({ ...heartbeat, ...fromB, term: 1 });
    drain(core);
    core.step({ ...heartbeat, ...fromB, term: 1 });
    core.step({ ...heartbeat, ...fromC, term: 2 });
    expect(drain(core)).toMatchObject([
      { kind: 'heartbeat-reply', to: 'b', term: 1 },
      { kind: 'heartbeat-reply', to: 'c', term: 2 },
    ]);
  });
});

describe('a leader', () => {
  it('answers all reads that a peer asked for together in one message', () => {
    const core = servingLeader();
    const contexts = [contextOf('b', 0), contextOf('b', 1), contextOf('b', 2)];
    core.step({ kind: 'read-index', ...fromB, term: 1, contexts });
    drain(core);
    core.step({ kind: 'heartbeat-reply', ...fromC, term: 1, round: 1 });
    const answers = drain(core).filter(({ kind }) => kind === 'read-index-reply');
    expect(answers).toMatchObject([{ to: 'b', index: 1, contexts }]);
  });

  it('asks at once where a follower stands when messages to it were lost', () => {
    const core = servingLeader();
    core.propose(bytesOf('x'));
    expect(drain(core)).toMatchObject([{ kind: 'append', to: 'b', entries: [{ index: 2 }] }]);
    core.reportUnreachable('b');
    expect(drain(core)).toMatchObject([{ kind: 'append', to: 'b', prevIndex: 1, entries: [{ index: 2 }] }]);
  });

  it('goes on behind a snapshot that has arrived, and from the begin where it has not', () => {
    const { index, term, hash } = entriesOf([1, 1, 1, 1, 1])[4] ?? emptyBase;
    const base = { index, term, hash };
    const hardState = { term: 1, vote: '' };
    const core = coreWith([], { base, hardState, commit: 5, applied: 5 });
    makeLeader(core);
    drain(core);
    const refusal = { ...ackFromB(2, 0), accepted: false, rejectedIndex: 5, hintIndex: 0, hintTerm: 0 } as Message;
    core.step(refusal);
    drain(core);
    expect(core.status().peers[0]).toMatchObject({ id: 'b', state: 'snapshot' });
    core.reportSnapshot('b', { ok: true, index: 5 });
    expect(core.status().peers[0]).toMatchObject({ id: 'b', state: 'probe', match: 0, next: 6 });
  });
});

describe('the status', () => {
  it('counts the reads that wait here, whoever leads', () => {
    const core = coreWith();
    core.step({ ...heartbeat, ...fromB, term: 1 });
    core.readIndex(contextOf('a', 1));
    core.readIndex(contextOf('a', 2));
    expect(core.status().pendingReads).toBe(2);
  });
});
