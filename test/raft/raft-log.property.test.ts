import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { extendPrefixHash } from '../../src/base/hash.ts';
import { RaftLog } from '../../src/raft/raft-log.ts';
import type { Entry } from '../../src/raft/types.ts';
import { bytesOf } from './network.ts';
import { emptyBase, entriesOf } from './single.ts';

/** The dumb twin: every entry since the beginning in one array, nothing ever forgotten. */
class Twin {
  entries: Entry[] = [];
  base = 0;
  commit = 0;
  handed = 0;
  applied = 0;

  prefix(index: number): { term: number; hash: string } {
    return this.entries[index - 1] ?? emptyBase;
  }

  get last(): number {
    return Math.max(this.base, this.entries.length);
  }

  kept(): Entry[] {
    return this.entries.slice(this.base);
  }

  /** Walks down one by one. */
  agreementBelow(index: number, term: number): { index: number; term: number } {
    let at = Math.min(index, this.last);
    while (at > this.base && this.prefix(at).term > term) at -= 1;
    if (at < this.base || this.prefix(at).term > term)
      return { index: Math.max(0, Math.min(at, this.base - 1)), term: 0 };
    return { index: at, term: this.prefix(at).term };
  }
}

type Action =
  | { readonly kind: 'append'; readonly size: number; readonly raise: number }
  | { readonly kind: 'replace'; readonly at: number; readonly count: number }
  | { readonly kind: 'commit' | 'apply' | 'compact'; readonly at: number }
  | { readonly kind: 'take'; readonly bytes: number }
  | { readonly kind: 'restart'; readonly beyond: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), size: fc.nat(6), raise: fc.nat(1) }),
  fc.record({ kind: fc.constant('replace' as const), at: fc.nat(100), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constantFrom('commit' as const, 'apply' as const, 'compact' as const), at: fc.nat(100) }),
  fc.record({ kind: fc.constant('take' as const), bytes: fc.nat(12) }),
  fc.record({ kind: fc.constant('restart' as const), beyond: fc.integer({ min: 1, max: 3 }) }),
);

/** A point of [low, high], chosen by `at`. */
const within = (low: number, high: number, at: number): number => low + (at % (high - low + 1));

function entryAfter(twin: Twin, index: number, term: number, data: Uint8Array): Entry {
  return { index, term, hash: extendPrefixHash(twin.prefix(index - 1).hash, index, term, data), data };
}

function act(log: RaftLog, twin: Twin, step: Action): void {
  switch (step.kind) {
    case 'append': {
      const term = Math.max(1, twin.prefix(twin.last).term) + step.raise;
      const data = bytesOf('x'.repeat(step.size));
      twin.entries.push(entryAfter(twin, twin.last + 1, term, data));
      expect(log.append(term, data)).toEqual(twin.entries.at(-1));
      return;
    }
    case 'replace': {
      const first = within(twin.commit + 1, twin.last + 1, step.at);
      const term = twin.prefix(twin.last).term + 1;
      twin.entries.length = first - 1;
      const fresh: Entry[] = [];
      for (let index = first; index < first + step.count; index++) {
        const entry = entryAfter(twin, index, term, bytesOf(`r${index}`));
        twin.entries.push(entry);
        fresh.push(entry);
      }
      log.replaceFrom(fresh);
      return;
    }
    case 'commit':
      // A lower index than the present one must change nothing.
      twin.commit = Math.max(twin.commit, within(0, twin.last, step.at));
      log.commitTo(within(0, twin.last, step.at));
      return;
    case 'take':
      take(log, twin, step.bytes);
      return;
    case 'apply':
      twin.applied = Math.max(twin.applied, within(0, twin.handed, step.at));
      log.appliedTo(within(0, twin.handed, step.at));
      return;
    case 'compact':
      twin.base = within(twin.base, twin.applied, step.at);
      log.compact(twin.base);
      return;
    case 'restart':
      restart(log, twin, step.beyond);
      return;
    default:
      step satisfies never;
  }
}

function take(log: RaftLog, twin: Twin, bytesMax: number): void {
  const expected: Entry[] = [];
  let bytes = 0;
  for (const entry of twin.entries.slice(twin.handed, twin.commit)) {
    bytes += entry.data.length;
    if (expected.length > 0 && bytes > bytesMax) break;
    expected.push(entry);
  }
  expect(log.takeCommitted(bytesMax)).toEqual(expected);
  twin.handed += expected.length;
}

function restart(log: RaftLog, twin: Twin, beyond: number): void {
  const index = twin.commit + beyond;
  const term = twin.prefix(twin.last).term + 1;
  // What the snapshot covers above the twin's entries is unknown; any entries do.
  twin.entries.length = twin.commit;
  while (twin.entries.length < index) {
    twin.entries.push(entryAfter(twin, twin.entries.length + 1, term, bytesOf('s')));
  }
  twin.base = index;
  twin.commit = index;
  twin.handed = index;
  twin.applied = index;
  log.restartAt({ index, term, hash: twin.prefix(index).hash });
}

function compare(log: RaftLog, twin: Twin): void {
  const sum = (entries: readonly Entry[]): number => entries.reduce((bytes, entry) => bytes + entry.data.length, 0);
  log.check();
  expect({
    base: log.base.index,
    last: log.lastIndex,
    lastTerm: log.lastTerm,
    lastHash: log.lastHash,
    commit: log.commit,
    applied: log.applied,
    waits: log.hasCommitted,
    bytes: log.bytes,
    uncommitted: log.uncommittedBytes,
    entries: log.between(log.base.index + 1, log.lastIndex + 1),
  }).toEqual({
    base: twin.base,
    last: twin.last,
    lastTerm: twin.prefix(twin.last).term,
    lastHash: twin.prefix(twin.last).hash,
    commit: twin.commit,
    applied: twin.applied,
    waits: twin.handed < twin.commit,
    bytes: sum(twin.kept()),
    uncommitted: sum(twin.entries.slice(twin.commit)),
    entries: twin.kept(),
  });
  for (const index of [0, twin.base - 1, twin.base, twin.base + 1, twin.last, twin.last + 1]) {
    const held = twin.base <= index && index <= twin.last;
    expect(log.prefixAt(index)?.hash).toBe(held ? twin.prefix(index).hash : undefined);
    for (const term of [0, 1, 2, 3, 100]) {
      if (index >= 0) expect(log.agreementBelow(index, term)).toEqual(twin.agreementBelow(index, term));
    }
  }
}

describe('RaftLog', () => {
  it('behaves like an array that never forgets', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const log = new RaftLog(emptyBase, [], 0, 0);
        const twin = new Twin();
        for (const step of actions) {
          act(log, twin, step);
          compare(log, twin);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('hands out at least one entry however small the bound, and no more bytes than the bound otherwise', () => {
    const log = new RaftLog(emptyBase, entriesOf([1, 1, 1, 1]), 4, 0);
    expect(log.takeCommitted(1)).toHaveLength(1);
    expect(log.takeCommitted(2)).toHaveLength(2);
    expect(log.takeCommitted(100)).toHaveLength(1);
    expect(log.takeCommitted(100)).toHaveLength(0);
  });

  it('refuses what would break it', () => {
    const entries = entriesOf([1, 1, 2]);
    const make = (): RaftLog => new RaftLog(emptyBase, entries, 2, 1);
    expect(() => new RaftLog(emptyBase, entries.slice(1), 0, 0)).toThrow(InvariantError);
    expect(() => new RaftLog(emptyBase, entries, 4, 0)).toThrow(InvariantError);
    expect(() => new RaftLog(emptyBase, entries, 1, 2)).toThrow(InvariantError);
    expect(() => make().replaceFrom(entries.slice(1, 2))).toThrow(InvariantError);
    expect(() => make().replaceFrom(entriesOf([1, 1, 2, 2, 2]).slice(4))).toThrow(InvariantError);
    expect(() => make().commitTo(4)).toThrow(InvariantError);
    expect(() => make().appliedTo(2)).toThrow(InvariantError);
    expect(() => make().compact(2)).toThrow(InvariantError);
    expect(() => make().restartAt({ index: 2, term: 1, hash: '' })).toThrow(InvariantError);
    expect(() => make().append(1, bytesOf('x'))).toThrow(InvariantError);
    expect(() => make().between(0, 2)).toThrow(InvariantError);
  });
});
