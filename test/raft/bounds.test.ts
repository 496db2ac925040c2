import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { heldMessagesMax } from '../../src/raft/outbox.ts';
import type { Message } from '../../src/raft/types.ts';
import { bytesOf } from './network.ts';
import { membershipOf } from './memberships.ts';
import { ackFromB, appendFrom, coreWith, drain, emptyBase, entriesOf, fromB, makeLeader } from './single.ts';

const membership = membershipOf(['a', 'b', 'c']);

const dataSizes = (messages: readonly Message[]): number[][] =>
  messages.flatMap((message) =>
    message.kind === 'append' && message.to === 'b' ? [message.entries.map((entry) => entry.data.length)] : [],
  );

describe('uncommittedBytesMax', () => {
  it('takes proposals up to the bound exactly, and again after a commit', () => {
    const core = coreWith([], {}, { uncommittedBytesMax: 10 });
    makeLeader(core);
    expect(core.propose(bytesOf('123456'))).toMatchObject({ accepted: true });
    expect(core.propose(bytesOf('12345'))).toEqual({ accepted: false, reason: 'uncommitted-full' });
    expect(core.propose(bytesOf('1234'))).toMatchObject({ accepted: true });
    expect(core.propose(bytesOf('1'))).toEqual({ accepted: false, reason: 'uncommitted-full' });
    expect(core.status().uncommittedBytes).toBe(10);
    drain(core);
    core.step(ackFromB(1, 3));
    expect(core.status().uncommittedBytes).toBe(0);
    expect(core.propose(bytesOf('1'))).toMatchObject({ accepted: true });
  });

  it('takes one larger entry when nothing else is uncommitted, and an empty one always', () => {
    const core = coreWith([], {}, { uncommittedBytesMax: 10 });
    makeLeader(core);
    expect(core.propose(new Uint8Array(100))).toMatchObject({ accepted: true });
    expect(core.propose(bytesOf('1'))).toEqual({ accepted: false, reason: 'uncommitted-full' });
    expect(core.propose(new Uint8Array(0))).toMatchObject({ accepted: true });
  });

  it('counts what earlier leaders left uncommitted, and appends the empty entry of the term all the same', () => {
    const core = coreWith([1, 1, 1], {}, { uncommittedBytesMax: 3 });
    makeLeader(core);
    expect(core.status()).toMatchObject({ lastIndex: 4, uncommittedBytes: 3 });
    expect(core.propose(bytesOf('1'))).toEqual({ accepted: false, reason: 'uncommitted-full' });
  });
});

describe('the window and the size of appends', () => {
  it('fills each message up to appendBytesMax, and sends a larger entry alone', () => {
    const core = coreWith([], {}, { appendBytesMax: 10 });
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 1));
    drain(core);
    for (const size of [4, 6, 1, 30, 2]) core.propose(new Uint8Array(size));
    expect(dataSizes(drain(core))).toEqual([[4, 6], [1], [30], [2]]);
  });

  it('has no more than inflightMessagesMax messages on the way', () => {
    const core = coreWith([], {}, { inflightMessagesMax: 3, appendBytesMax: 1 });
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 1));
    drain(core);
    for (let count = 0; count < 5; count++) core.propose(bytesOf('1'));
    expect(dataSizes(drain(core))).toEqual([[1], [1], [1]]);
    core.step(ackFromB(1, 2));
    expect(dataSizes(drain(core)).filter((sizes) => sizes.length > 0)).toEqual([[1]]);
  });

  it('stops at inflightBytesMax, with the message that crosses it', () => {
    const core = coreWith([], {}, { inflightBytesMax: 10, appendBytesMax: 6 });
    makeLeader(core);
    drain(core);
    core.step(ackFromB(1, 1));
    drain(core);
    for (let count = 0; count < 5; count++) core.propose(new Uint8Array(6));
    expect(dataSizes(drain(core))).toEqual([[6], [6]]);
    expect(core.status().peers).toMatchObject([{ id: 'b', inflightMessages: 2, inflightBytes: 12 }, {}]);
  });
});

describe('applyBytesMax', () => {
  it('bounds what one Ready hands out, and nothing is left behind', () => {
    const core = coreWith([1, 1, 1, 1, 1], { commit: 5 }, { applyBytesMax: 2 });
    const handed: number[][] = [];
    while (core.hasReady()) handed.push(core.ready().committed.map((entry) => entry.index));
    expect(handed).toEqual([[1, 2], [3, 4], [5]]);
  });
});

describe('messages kept back for a disk that hangs', () => {
  it('are bounded, the rest is lost and counted', () => {
    const core = coreWith();
    core.step({ kind: 'heartbeat', ...fromB, term: 1, commit: 0, round: 0 });
    for (let count = 1; count < heldMessagesMax; count++) {
      core.step({ kind: 'heartbeat', ...fromB, term: 1, commit: 0, round: 0 });
    }
    expect(core.status().dropped['outbox-full']).toBe(0);
    core.step({ kind: 'heartbeat', ...fromB, term: 1, commit: 0, round: 0 });
    expect(core.status().dropped['outbox-full']).toBe(1);
    const { persist, messages } = core.ready();
    expect(messages).toEqual([]);
    core.reportDurable(persist?.sequence ?? 0);
    expect(core.ready().messages).toHaveLength(heldMessagesMax);
  });
});

describe('a breach of the prefix hash', () => {
  const entries = entriesOf([1, 1, 2]);
  const other = 'ffffffffffffffff';
  const second = { index: 2, term: 1, hash: entries[1]?.hash ?? '' };

  it('stops the member before anything is taken: at the previous entry, naming both hashes', () => {
    const core = coreWith([1, 1]);
    const append = appendFrom(2, { ...second, hash: other }, entries.slice(2), 2);
    expect(() => core.step(append)).toThrow(InvariantError);
    expect(() => core.step(append)).toThrow(new RegExp(`${second.hash}.*${other}`));
    expect(core.status()).toMatchObject({ lastIndex: 2, commit: 0 });
  });

  it('stops the member at an entry that it holds with another hash', () => {
    const core = coreWith([1, 1]);
    const damaged = entries.map((entry) => (entry.index === 2 ? { ...entry, hash: other } : entry));
    expect(() => core.step(appendFrom(2, emptyBase, damaged, 2))).toThrow(new RegExp(`${second.hash}.*${other}`));
    expect(core.status()).toMatchObject({ lastIndex: 2, commit: 0 });
  });

  it('stops the member at an entry whose content does not give its hash', () => {
    const core = coreWith([1, 1]);
    const damaged = entries.map((entry) => (entry.index === 3 ? { ...entry, data: bytesOf('damaged') } : entry));
    expect(() => core.step(appendFrom(2, emptyBase, damaged, 2))).toThrow(/entry 3 of term 2 .* its content gives/);
    expect(core.status()).toMatchObject({ lastIndex: 2, commit: 0 });
  });

  it('stops the member at a snapshot that ends with another hash than its log holds there', () => {
    const core = coreWith([1, 1]);
    const snapshot = { ...second, hash: other };
    expect(() => core.step({ kind: 'snapshot', ...fromB, term: 2, snapshot, membership })).toThrow(InvariantError);
  });

  it('stops the member at an entry in place of a committed one', () => {
    const core = coreWith([1, 1], { commit: 2 });
    const conflicting = entriesOf([1, 2]);
    expect(() => core.step(appendFrom(3, emptyBase, conflicting))).toThrow(/would replace entry 2/);
    expect(() => core.step(appendFrom(3, { ...second, term: 2 }, []))).toThrow(/committed entry 2/);
    expect(core.lastIndex).toBe(2);
  });

  it('takes an append that begins below its base, if it agrees at the base', () => {
    const base = { index: 2, term: 1, hash: second.hash };
    const initial = { base, entries: [], commit: 2, applied: 2, hardState: { term: 1, vote: '' } };
    const core = coreWith([], initial);
    core.step(appendFrom(2, emptyBase, entries.slice(0, 1)));
    core.step(appendFrom(2, emptyBase, entries));
    expect(drain(core)).toMatchObject([
      { accepted: true, matchIndex: 2 },
      { accepted: true, matchIndex: 3 },
    ]);
    const damaged = entries.map((entry) => (entry.index === 2 ? { ...entry, hash: other } : entry));
    expect(() => coreWith([], initial).step(appendFrom(2, emptyBase, damaged))).toThrow(InvariantError);
  });
});

describe('settings and disk', () => {
  it.each([
    { heartbeatTicks: 10 },
    { heartbeatTicks: 0 },
    { electionTicksMin: 20 },
    { electionTicksMax: 10.5 },
    { voters: ['a', 'a'] },
    { boot: 0 },
    { inflightMessagesMax: 0 },
    { appendBytesMax: 0 },
    { readRoundsMax: 0 },
    { pendingReadsMax: 0 },
  ])('refuses %j', (config) => {
    expect(() => coreWith([], {}, config)).toThrow(InvariantError);
  });

  it.each([
    { hardState: { term: 1, vote: '' } },
    { commit: 3 },
    { applied: 1 },
    { commit: -1 },
    { hardState: { term: 2 ** 53, vote: '' } },
  ])('refuses a disk with terms 2, 2 and %j', (initial) => {
    expect(() => coreWith([2, 2], initial)).toThrow(InvariantError);
  });
});
