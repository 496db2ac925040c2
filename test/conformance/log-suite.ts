import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { RecoveredLog } from '../../src/storage/entry-log.ts';
import { entryDataBytesMax } from '../../src/storage/frame.ts';
import { SegmentedLog } from '../../src/storage/segmented-log.ts';
import { baseOf, emptyBase, entriesAfter, entryAfter, membership, pick, shown } from '../storage/log-entries.ts';
import type { DiskFixture } from './disk-suite.ts';

const segmentBytes = 16 * 4_096;

/** What the log must do on every Disk. */
export function logSuite(name: string, make: () => Promise<DiskFixture>): void {
  describe(`log: ${name}`, () => {
    let fixture: DiskFixture;
    let clock: ManualClock;
    let log: SegmentedLog;
    let recovered: RecoveredLog;
    const failures: Error[] = [];

    const open = async (appliedIndex = 0, bytes = segmentBytes): Promise<void> => {
      const onFailure = (error: Error): void => void failures.push(error);
      const options = { clock, appliedIndex, segmentBytes: bytes, onFailure };
      ({ log, recovered } = await SegmentedLog.open(fixture.disk, options));
    };
    const reopen = async (): Promise<void> => {
      await log.close();
      await open();
    };

    beforeEach(async () => {
      failures.length = 0;
      clock = new ManualClock();
      fixture = await make();
      expect(await SegmentedLog.isInitialised(fixture.disk)).toBe(false);
      await SegmentedLog.initialise(fixture.disk, emptyBase, membership, segmentBytes);
      await open();
    });
    afterEach(async () => {
      await log.close();
      await fixture.dispose();
      expect(failures).toEqual([]);
    });

    it('is empty at first, and after closing so', async () => {
      for (let round = 0; round < 2; round++) {
        expect(recovered).toEqual({ base: emptyBase, membership, entries: [], commit: 0, torn: undefined });
        expect([log.durableIndex, log.keptBytes]).toEqual([0, 0]);
        expect(await SegmentedLog.isInitialised(fixture.disk)).toBe(true);
        await reopen();
      }
    });

    it('keeps entries of every size over page, frame and segment borders', async () => {
      const sizes = [0, 1, 3_967, 3_968, 3_969, 4_071, 4_072, 4_073, 8_000, 40_000, 60_000, 100, 64_000, 0];
      let last = emptyBase;
      const all = sizes.map((bytes) => {
        const entry = entryAfter(last, 1, bytes);
        last = baseOf(entry);
        return entry;
      });
      for (const entry of all) await log.append([entry], 0);
      expect(log.durableIndex).toBe(sizes.length);
      await reopen();
      expect(shown(recovered.entries)).toEqual(shown(all));
    });

    it('spreads one call over as many frames as it takes', async () => {
      const all = entriesAfter(emptyBase, 50, 1, 10_000);
      await log.append(all, 25);
      expect(log.durableIndex).toBe(50);
      await reopen();
      expect(shown(recovered.entries)).toEqual(shown(all));
      expect(recovered.commit).toBe(25);
    });

    it('merges what waits and resolves in order', async () => {
      const all = entriesAfter(emptyBase, 60, 1, 1_500);
      const order: number[] = [];
      const note = (index: number): void => void order.push(index);
      await Promise.all(all.map((entry) => log.append([entry], entry.index - 1).then(() => note(entry.index))));
      expect(order).toEqual(all.map(({ index }) => index));
      await reopen();
      expect(shown(recovered.entries)).toEqual(shown(all));
      expect(recovered.commit).toBe(59);
    });

    it('lets a later entry of a lower index supersede', async () => {
      const old = entriesAfter(emptyBase, 10, 1, 100);
      await log.append(old, 4);
      const fork = entriesAfter(baseOf(pick(old, 5)), 2, 2, 100);
      const written = log.append(fork, 5);
      expect(log.durableIndex).toBe(6);
      await written;
      expect(log.durableIndex).toBe(8);
      await reopen();
      expect(shown(recovered.entries)).toEqual(shown([...old.slice(0, 6), ...fork]));
      expect(recovered.commit).toBe(5);
    });

    it('keeps a commit index that comes without entries', async () => {
      await log.append(entriesAfter(emptyBase, 3, 1, 10), 0);
      await log.append([], 2);
      await reopen();
      expect(recovered.commit).toBe(2);
    });

    it('compacts: whole segments go, entries after the base stay', async () => {
      const all = entriesAfter(emptyBase, 40, 1, 6_000);
      for (const entry of all) await log.append([entry], entry.index);
      const before = log.keptBytes;
      const base = baseOf(pick(all, 29));
      await log.compact(base, membership);
      expect(log.keptBytes).toBeLessThan(before / 2);
      await log.compact(baseOf(pick(all, 10)), membership);
      await reopen();
      expect(recovered.base).toEqual(base);
      expect(shown(recovered.entries)).toEqual(shown(all.slice(30)));
      expect(recovered.commit).toBe(40);
      const more = entriesAfter(baseOf(pick(all, 39)), 1, 2, 10);
      await log.append(more, 41);
      await log.compact(baseOf(pick(more, 0)), membership);
      await reopen();
      expect(recovered).toMatchObject({ base: baseOf(pick(more, 0)), entries: [], commit: 41 });
    });

    it('restarts behind a snapshot, with what was queued and what follows', async () => {
      const old = entriesAfter(emptyBase, 20, 1, 2_000);
      const queued = log.append(old, 3);
      const base = { index: 1_000, term: 7, hash: 'fedcba9876543210' };
      const other = { voters: membership.voters.slice(0, 1) };
      const restarted = log.restart(base, other);
      expect(log.durableIndex).toBe(0);
      const next = entriesAfter(base, 3, 8, 50);
      const appended = log.append(next, 1_001);
      await Promise.all([queued, restarted, appended]);
      expect(log.durableIndex).toBe(1_003);
      await reopen();
      expect(recovered).toMatchObject({ base, membership: other, commit: 1_001 });
      expect(shown(recovered.entries)).toEqual(shown(next));
    });

    it('opens with segments of another size than the new ones', async () => {
      const all = entriesAfter(emptyBase, 30, 1, 5_000);
      for (const entry of all.slice(0, 10)) await log.append([entry], 0);
      await log.close();
      await open(0, 4 * segmentBytes);
      for (const entry of all.slice(10, 20)) await log.append([entry], 0);
      await log.close();
      await open(0, segmentBytes / 2);
      for (const entry of all.slice(20)) await log.append([entry], 0);
      await reopen();
      expect(shown(recovered.entries)).toEqual(shown(all));
    });

    it('refuses calls after closing, and closes twice', async () => {
      await log.close();
      await log.close();
      await expect(log.append([], 0)).rejects.toMatchObject({ kind: 'refused' });
      await expect(log.restart(emptyBase, membership)).rejects.toMatchObject({ kind: 'refused' });
      await expect(log.compact(emptyBase, membership)).rejects.toMatchObject({ kind: 'refused' });
    });

    it('stops at appends that break the order of a log, without writing them', async () => {
      const all = entriesAfter(emptyBase, 5, 2, 10);
      await log.append(all, 3);
      const after = entriesAfter(baseOf(pick(all, 4)), 2, 1, 10);
      const refused: readonly (readonly [Parameters<SegmentedLog['append']>, string])[] = [
        [[entriesAfter(baseOf(pick(all, 4)), 2, 2, 10).slice(1), 3], 'no entry 6'],
        [[after, 3], 'term 1 of entry 6 after 2'],
        [[entriesAfter(baseOf(pick(all, 1)), 1, 2, 10), 3], 'committed up to 3'],
        [[[], 6], 'the last entry is 5'],
        [[[pick(all, 4), pick(all, 4)], 3], 'out of order'],
      ];
      for (const [call, text] of refused) {
        await expect(log.append(...call)).rejects.toThrow(text);
        await expect(log.append(...call)).rejects.toBeInstanceOf(InvariantError);
      }
      await expect(log.restart({ ...emptyBase, index: 2 }, membership)).rejects.toThrow('committed up to 3');
      expect(log.durableIndex).toBe(5);
    });

    it('takes the largest entry that fits into a segment, and none larger', async () => {
      const room = 16 * 4_072 - 60 - 20;
      const largest = entryAfter(emptyBase, 1, room);
      const tooLarge = entryAfter(emptyBase, 1, room + 1);
      expect(entryDataBytesMax).toBe(1_024 * 4_072 - 60 - 20);
      await expect(log.append([tooLarge], 0)).rejects.toThrow(InvariantError);
      await log.append([largest], 0);
      await reopen();
      expect(recovered.entries[0]?.data.byteLength).toBe(room);
    });
  });
}
