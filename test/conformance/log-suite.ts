import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assert, InvariantError } from '../../src/base/assert.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { votersOnly } from '../../src/raft/membership.ts';
import type { RecoveredLog } from '../../src/storage/entry-log.ts';
import { entryDataBytesMax } from '../../src/storage/frame.ts';
import { SegmentedLog } from '../../src/storage/segmented-log.ts';
import { baseOf, emptyBase, entriesAfter, entryAfter, membership, pick, shown } from '../storage/log-entries.ts';
import type { DiskFixture } from './disk-suite.ts';

const segmentBytes = 16 * 4_096;

/** The log of one test and how to open it again. */
class LogHarness {
  readonly clock = new ManualClock();
  readonly fixture: DiskFixture;
  readonly failures: Error[] = [];
  log!: SegmentedLog;
  recovered!: RecoveredLog;

  constructor(fixture: DiskFixture) {
    this.fixture = fixture;
  }

  async open(bytes = segmentBytes): Promise<void> {
    const onFailure = (error: Error): void => void this.failures.push(error);
    const options = { clock: this.clock, appliedIndex: 0, segmentBytes: bytes, onFailure };
    const { log, recovered } = await SegmentedLog.open(this.fixture.disk, options);
    this.log = log;
    this.recovered = recovered;
  }

  async reopen(bytes = segmentBytes): Promise<void> {
    await this.log.close();
    await this.open(bytes);
  }
}

/** What the log must do on every Disk. */
export function logSuite(name: string, make: () => Promise<DiskFixture>): void {
  describe(`log: ${name}`, () => {
    let current: LogHarness;

    beforeEach(async () => {
      current = new LogHarness(await make());
      const { disk } = current.fixture;
      assert(!(await SegmentedLog.isInitialised(disk)), 'the disk is new');
      await SegmentedLog.initialise(disk, emptyBase, membership, segmentBytes);
      await current.open();
    });
    afterEach(async () => {
      await current.log.close();
      await current.fixture.dispose();
      assert(current.failures.length === 0, () => `the log failed: ${String(current.failures[0])}`);
    });

    appendCases(() => current);
    baseCases(() => current);
    refusalCases(() => current);
  });
}

function appendCases(current: () => LogHarness): void {
  it('is empty at first, and after closing so', async () => {
    const harness = current();
    for (let round = 0; round < 2; round++) {
      expect(harness.recovered).toEqual({ base: emptyBase, membership, entries: [], commit: 0, torn: undefined });
      expect([harness.log.durableIndex, harness.log.keptBytes]).toEqual([0, 0]);
      expect(await SegmentedLog.isInitialised(harness.fixture.disk)).toBe(true);
      await harness.reopen();
    }
  });

  it('keeps entries of every size over page, frame and segment borders', async () => {
    const harness = current();
    const sizes = [0, 1, 3_967, 3_968, 3_969, 4_071, 4_072, 4_073, 8_000, 40_000, 60_000, 100, 64_000, 0];
    let last = emptyBase;
    const all = sizes.map((bytes) => {
      const entry = entryAfter(last, 1, bytes);
      last = baseOf(entry);
      return entry;
    });
    for (const entry of all) await harness.log.append([entry], 0);
    expect(harness.log.durableIndex).toBe(sizes.length);
    await harness.reopen();
    expect(shown(harness.recovered.entries)).toEqual(shown(all));
  });

  it('spreads one call over as many frames as it takes', async () => {
    const harness = current();
    const all = entriesAfter(emptyBase, 50, 1, 10_000);
    await harness.log.append(all, 25);
    expect(harness.log.durableIndex).toBe(50);
    await harness.reopen();
    expect(shown(harness.recovered.entries)).toEqual(shown(all));
    expect(harness.recovered.commit).toBe(25);
  });

  it('merges what waits and resolves in order', async () => {
    const harness = current();
    const all = entriesAfter(emptyBase, 60, 1, 1_500);
    const order: number[] = [];
    const note = (index: number): void => void order.push(index);
    await Promise.all(all.map((entry) => harness.log.append([entry], entry.index - 1).then(() => note(entry.index))));
    expect(order).toEqual(all.map(({ index }) => index));
    await harness.reopen();
    expect(shown(harness.recovered.entries)).toEqual(shown(all));
    expect(harness.recovered.commit).toBe(59);
  });

  it('lets a later entry of a lower index supersede', async () => {
    const harness = current();
    const old = entriesAfter(emptyBase, 10, 1, 100);
    await harness.log.append(old, 4);
    const fork = entriesAfter(baseOf(pick(old, 5)), 2, 2, 100);
    const written = harness.log.append(fork, 5);
    expect(harness.log.durableIndex).toBe(6);
    await written;
    expect(harness.log.durableIndex).toBe(8);
    await harness.reopen();
    expect(shown(harness.recovered.entries)).toEqual(shown([...old.slice(0, 6), ...fork]));
    expect(harness.recovered.commit).toBe(5);
  });

  it('keeps a commit index that comes without entries', async () => {
    const harness = current();
    await harness.log.append(entriesAfter(emptyBase, 3, 1, 10), 0);
    await harness.log.append([], 2);
    await harness.reopen();
    expect(harness.recovered.commit).toBe(2);
  });
}

function baseCases(current: () => LogHarness): void {
  it('carries the commit index that it was told of in its next frame, at the latest in its seal', async () => {
    const harness = current();
    await harness.log.append(entriesAfter(emptyBase, 3, 1, 10), 1);
    harness.log.noteCommit(3);
    harness.log.noteCommit(2);
    expect(() => harness.log.noteCommit(4)).toThrow(InvariantError);
    await harness.reopen();
    expect(harness.recovered.commit).toBe(3);
  });

  it('compacts: whole segments go, entries after the base stay', async () => {
    const harness = current();
    const all = entriesAfter(emptyBase, 40, 1, 6_000);
    for (const entry of all) await harness.log.append([entry], entry.index);
    const before = harness.log.keptBytes;
    const base = baseOf(pick(all, 29));
    await harness.log.compact(base, membership);
    expect(harness.log.keptBytes).toBeLessThan(before / 2);
    await harness.log.compact(baseOf(pick(all, 10)), membership);
    await harness.reopen();
    expect(harness.recovered.base).toEqual(base);
    expect(shown(harness.recovered.entries)).toEqual(shown(all.slice(30)));
    expect(harness.recovered.commit).toBe(40);
    const more = entriesAfter(baseOf(pick(all, 39)), 1, 2, 10);
    await harness.log.append(more, 41);
    await harness.log.compact(baseOf(pick(more, 0)), membership);
    await harness.reopen();
    expect(harness.recovered).toMatchObject({ base: baseOf(pick(more, 0)), entries: [], commit: 41 });
  });

  it('restarts behind a snapshot, with what was queued and what follows', async () => {
    const harness = current();
    const old = entriesAfter(emptyBase, 20, 1, 2_000);
    const queued = harness.log.append(old, 3);
    const base = { index: 1_000, term: 7, hash: 'fedcba9876543210' };
    const other = votersOnly(membership.voters.slice(0, 1));
    const restarted = harness.log.restart(base, other);
    expect(harness.log.durableIndex).toBe(0);
    const next = entriesAfter(base, 3, 8, 50);
    const appended = harness.log.append(next, 1_001);
    await Promise.all([queued, restarted, appended]);
    expect(harness.log.durableIndex).toBe(1_003);
    await harness.reopen();
    expect(harness.recovered).toMatchObject({ base, membership: other, commit: 1_001 });
    expect(shown(harness.recovered.entries)).toEqual(shown(next));
  });

  it('opens with segments of another size than the new ones', async () => {
    const harness = current();
    const all = entriesAfter(emptyBase, 30, 1, 5_000);
    for (const entry of all.slice(0, 10)) await harness.log.append([entry], 0);
    await harness.reopen(4 * segmentBytes);
    for (const entry of all.slice(10, 20)) await harness.log.append([entry], 0);
    await harness.reopen(segmentBytes / 2);
    for (const entry of all.slice(20)) await harness.log.append([entry], 0);
    await harness.reopen();
    expect(shown(harness.recovered.entries)).toEqual(shown(all));
  });
}

function refusalCases(current: () => LogHarness): void {
  it('refuses calls after closing, and closes twice', async () => {
    const harness = current();
    await harness.log.close();
    await harness.log.close();
    await expect(harness.log.append([], 0)).rejects.toMatchObject({ kind: 'refused' });
    await expect(harness.log.restart(emptyBase, membership)).rejects.toMatchObject({ kind: 'refused' });
    await expect(harness.log.compact(emptyBase, membership)).rejects.toMatchObject({ kind: 'refused' });
  });

  it('stops at appends that break the order of a log, without writing them', async () => {
    const harness = current();
    const all = entriesAfter(emptyBase, 5, 2, 10);
    await harness.log.append(all, 3);
    const after = entriesAfter(baseOf(pick(all, 4)), 2, 1, 10);
    const refused: readonly (readonly [Parameters<SegmentedLog['append']>, string])[] = [
      [[entriesAfter(baseOf(pick(all, 4)), 2, 2, 10).slice(1), 3], 'no entry 6'],
      [[after, 3], 'term 1 of entry 6 after 2'],
      [[entriesAfter(baseOf(pick(all, 1)), 1, 2, 10), 3], 'committed up to 3'],
      [[[], 6], 'the last entry is 5'],
      [[[pick(all, 4), pick(all, 4)], 3], 'out of order'],
    ];
    for (const [call, text] of refused) {
      await expect(harness.log.append(...call)).rejects.toThrow(text);
      await expect(harness.log.append(...call)).rejects.toBeInstanceOf(InvariantError);
    }
    await expect(harness.log.restart({ ...emptyBase, index: 2 }, membership)).rejects.toThrow('committed up to 3');
    expect(harness.log.durableIndex).toBe(5);
  });

  it('takes the largest entry that fits into a segment, and none larger', async () => {
    const harness = current();
    const room = 16 * 4_072 - 60 - 20;
    const largest = entryAfter(emptyBase, 1, room);
    const tooLarge = entryAfter(emptyBase, 1, room + 1);
    expect(entryDataBytesMax).toBe(1_024 * 4_072 - 60 - 20);
    await expect(harness.log.append([tooLarge], 0)).rejects.toThrow(InvariantError);
    await harness.log.append([largest], 0);
    await harness.reopen();
    expect(harness.recovered.entries[0]?.data.byteLength).toBe(room);
  });
}
