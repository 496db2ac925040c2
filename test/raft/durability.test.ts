import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { Durability } from '../../src/raft/durability.ts';

describe('Durability', () => {
  it('moves on with the reports, each of which covers all before it', () => {
    const durability = new Durability(4);
    expect([durability.durableIndex, durability.handedIndex]).toEqual([4, 4]);
    const first = durability.handOut(6, false);
    const second = durability.handOut(9, false);
    const third = durability.handOut(9, false);
    expect([first, second, third]).toEqual([1, 2, 3]);
    durability.report(first);
    expect([durability.durableIndex, durability.handedIndex]).toEqual([6, 9]);
    durability.report(third);
    expect(durability.durableIndex).toBe(9);
    durability.report(second);
    expect(durability.durableIndex).toBe(9);
  });

  it('never lets a late report raise the index over a truncation, even when the indexes come back (A-B-A)', () => {
    const durability = new Durability(4);
    const first = durability.handOut(9, false);
    durability.cutTo(5);
    const second = durability.handOut(9, false);
    durability.cutTo(6);
    const third = durability.handOut(9, false);
    durability.check(9);
    durability.report(first);
    expect(durability.durableIndex).toBe(5);
    durability.report(second);
    expect(durability.durableIndex).toBe(6);
    durability.report(third);
    expect(durability.durableIndex).toBe(9);
  });

  it('takes back what was durable when it is replaced', () => {
    const durability = new Durability(9);
    durability.cutTo(6);
    expect([durability.durableIndex, durability.handedIndex]).toEqual([6, 6]);
    durability.cutTo(8);
    expect(durability.durableIndex).toBe(6);
  });

  it('counts nothing above the old commit index until a snapshot is on disk', () => {
    const durability = new Durability(20);
    const before = durability.handOut(25, false);
    durability.restartAt(22, 7);
    expect(durability.durableIndex).toBe(7);
    const snapshot = durability.handOut(24, true);
    expect(durability.snapshotUnderWay).toBe(true);
    durability.check(24);
    durability.report(before);
    expect(durability.durableIndex).toBe(7);
    durability.report(snapshot);
    expect([durability.durableIndex, durability.snapshotUnderWay]).toEqual([24, false]);
  });

  it('follows the version of term and vote', () => {
    const durability = new Durability(0);
    durability.hardStateChanged();
    expect(durability.hardStateUnhanded).toBe(true);
    const first = durability.handOut(0, false);
    expect(durability.hardStateUnhanded).toBe(false);
    durability.hardStateChanged();
    durability.report(first);
    expect([durability.durableHardVersion, durability.hardVersion]).toEqual([1, 2]);
  });

  it('refuses a report of what was never handed out', () => {
    const durability = new Durability(0);
    durability.handOut(1, false);
    expect(() => durability.report(2)).toThrow(InvariantError);
    expect(() => durability.report(-1)).toThrow(InvariantError);
    expect(() => durability.report(0.5)).toThrow(InvariantError);
  });
});
