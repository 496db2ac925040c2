import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { contextsPerMessageMax, ReadForwards } from '../../src/raft/read-forwards.ts';
import { ReadRounds } from '../../src/raft/read-rounds.ts';
import type { ReadContext } from '../../src/raft/types.ts';

const read = (counter: number, member = 'a', boot = 1): ReadContext => ({ member, boot, counter });
const counters = (contexts: readonly ReadContext[]): number[] => contexts.map((context) => context.counter);

describe('ReadRounds', () => {
  it('puts what waits into one round, and what comes later into the next', () => {
    const rounds = new ReadRounds(100, 2);
    rounds.add(read(1));
    rounds.add(read(2));
    rounds.start(5);
    rounds.add(read(3));
    expect([rounds.newest, rounds.underWay, rounds.size]).toEqual([1, 1, 3]);
    expect(rounds.confirm(1)).toEqual([
      { context: read(1), index: 5 },
      { context: read(2), index: 5 },
    ]);
    rounds.start(6);
    expect(rounds.confirm(1)).toEqual([]);
    expect(rounds.confirm(2)).toEqual([{ context: read(3), index: 6 }]);
    expect(rounds.size).toBe(0);
  });

  it('confirms all rounds up to the one that was answered, each at its own commit index', () => {
    const rounds = new ReadRounds(100, 4);
    for (const commit of [5, 7, 7]) {
      rounds.add(read(rounds.newest + 1));
      rounds.start(commit);
    }
    expect(rounds.confirm(2).map((confirmed) => confirmed.index)).toEqual([5, 7]);
    expect(rounds.underWay).toBe(1);
  });

  it('starts no more rounds than its bound', () => {
    const rounds = new ReadRounds(100, 2);
    for (const counter of [1, 2, 3]) {
      rounds.add(read(counter));
      if (rounds.canStart) rounds.start(0);
    }
    expect([rounds.underWay, rounds.canStart]).toEqual([2, false]);
    expect(() => rounds.start(0)).toThrow(InvariantError);
    rounds.confirm(1);
    expect(rounds.canStart).toBe(true);
  });

  it('takes no more reads than its bound, those under way included', () => {
    const rounds = new ReadRounds(2, 1);
    expect(rounds.add(read(1))).toBe('added');
    rounds.start(0);
    expect(rounds.add(read(2))).toBe('added');
    expect(rounds.add(read(3))).toBe('full');
    rounds.confirm(1);
    expect(rounds.add(read(3))).toBe('added');
  });

  it('begins no round for patient reads alone, and takes them along with any', () => {
    const rounds = new ReadRounds(100, 2);
    const patient: ReadContext = { ...read(1), patient: true };
    rounds.add(patient);
    expect([rounds.canStart, rounds.canJoin]).toEqual([false, true]);
    rounds.add(read(2));
    expect(rounds.canStart).toBe(true);
    rounds.start(4);
    expect([rounds.canStart, rounds.canJoin]).toEqual([false, false]);
    expect(counters(rounds.confirm(1).map(({ context }) => context))).toEqual([1, 2]);
  });

  it('remembers after a restart which of its reads are patient', () => {
    const rounds = new ReadRounds(100, 2);
    rounds.add({ ...read(1), patient: true });
    rounds.start(4);
    rounds.restart();
    expect([rounds.canStart, rounds.canJoin]).toEqual([false, true]);
    rounds.add(read(2));
    rounds.forget('a');
    expect([rounds.canStart, rounds.canJoin]).toEqual([false, false]);
  });

  it('ignores a read that is pending already', () => {
    const rounds = new ReadRounds(10, 1);
    rounds.add(read(1));
    expect(rounds.add(read(1))).toBe('repeated');
    expect(rounds.add(read(1, 'b'))).toBe('added');
    expect(rounds.add(read(1, 'a', 2))).toBe('added');
  });

  it('lets the reads of void rounds wait for a new one, first', () => {
    const rounds = new ReadRounds(10, 4);
    rounds.add(read(1));
    rounds.start(5);
    rounds.add(read(2));
    rounds.restart();
    expect(rounds.confirm(1)).toEqual([]);
    rounds.start(8);
    expect(rounds.newest).toBe(2);
    expect(rounds.confirm(2).map((confirmed) => [confirmed.context.counter, confirmed.index])).toEqual([
      [1, 8],
      [2, 8],
    ]);
  });

  it('forgets the reads of a member that has started anew', () => {
    const rounds = new ReadRounds(10, 4);
    rounds.add(read(1, 'b'));
    rounds.add(read(1, 'a'));
    rounds.start(5);
    rounds.add(read(2, 'b'));
    rounds.forget('b');
    expect(rounds.size).toBe(1);
    expect(rounds.confirm(1)).toEqual([{ context: read(1, 'a'), index: 5 }]);
    expect(rounds.canStart).toBe(false);
  });

  it('gives everything back when the term is over, and counts anew', () => {
    const rounds = new ReadRounds(10, 4);
    rounds.add(read(1));
    rounds.start(5);
    rounds.add(read(2));
    expect(counters(rounds.clear())).toEqual([1, 2]);
    expect([rounds.size, rounds.newest, rounds.underWay]).toEqual([0, 0, 0]);
  });
});

describe('ReadForwards', () => {
  it('sends what is queued once, and knows its answers', () => {
    const forwards = new ReadForwards(10);
    forwards.add(read(1));
    forwards.add(read(2));
    expect(forwards.send(0).map(counters)).toEqual([[1, 2]]);
    expect(forwards.send(0)).toEqual([]);
    expect(forwards.answered(read(1))).toBe(true);
    expect(forwards.answered(read(1))).toBe(false);
    expect(forwards.answered(read(7))).toBe(false);
    expect(forwards.size).toBe(1);
  });

  it('sends again what is not answered in time', () => {
    const forwards = new ReadForwards(10);
    forwards.add(read(1));
    forwards.send(5);
    forwards.add(read(2));
    forwards.send(8);
    forwards.resendSince(4);
    expect(forwards.hasQueued).toBe(false);
    forwards.resendSince(5);
    forwards.add(read(3));
    expect(forwards.send(15).map(counters)).toEqual([[1, 3]]);
    expect(forwards.size).toBe(3);
  });

  it('takes no more than its bound, sent ones included', () => {
    const forwards = new ReadForwards(2);
    forwards.add(read(1));
    forwards.send(0);
    expect(forwards.add(read(2))).toBe('added');
    expect(forwards.add(read(2))).toBe('repeated');
    expect(forwards.add(read(1))).toBe('repeated');
    expect(forwards.add(read(3))).toBe('full');
    forwards.check();
  });

  it('puts no more than the bound of a message into one', () => {
    const forwards = new ReadForwards(contextsPerMessageMax + 1);
    for (let counter = 0; counter <= contextsPerMessageMax; counter++) forwards.add(read(counter));
    expect(forwards.send(0).map((batch) => batch.length)).toEqual([contextsPerMessageMax, 1]);
  });

  it('gives everything back when there is nobody to answer', () => {
    const forwards = new ReadForwards(10);
    forwards.add(read(1));
    forwards.send(0);
    forwards.add(read(2));
    expect(counters(forwards.clear())).toEqual([1, 2]);
    expect(forwards.size).toBe(0);
  });
});
