import { afterEach, describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { openHardState } from '../../../src/storage/hard-state-file.ts';
import { keepNothing, MemoryDisk } from '../../../src/storage/memory-disk.ts';
import type { SegmentedLog } from '../../../src/storage/segmented-log.ts';
import { baseOf, emptyBase, entriesAfter, membership } from '../../storage/log-entries.ts';
import { newLogDisk, openLog } from '../../storage/log-fixture.ts';
import { SyncedDisk } from './synced-disk.ts';

let open: SegmentedLog | undefined;

afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function opened(disk: MemoryDisk): Promise<SegmentedLog> {
  return (open = (await openLog(disk)).log);
}

/** Where the log ends for whoever finds the disk behind a loss of power. */
async function foundAfterCrash(disk: MemoryDisk): Promise<number> {
  const { log, recovered } = await openLog(disk.fork().crash(keepNothing));
  await log.close();
  return recovered.base.index + recovered.entries.length;
}

describe('what is synced on the disk of a member', () => {
  it('is what a start finds behind a loss of power, over many frames, segments and superseded entries', async () => {
    const disk = await newLogDisk();
    const log = await opened(disk);
    const early = new SyncedDisk(disk);
    expect(early.hasEntry(1)).toBe(false);
    let all = entriesAfter(emptyBase, 3, 1, 100);
    await log.append(all, 0);
    for (let term = 2; term < 20; term++) {
      // Each time the last one is superseded, and more bytes come than a segment has room for over a few rounds.
      const kept = all.slice(0, -1);
      const added = entriesAfter(baseOf(must(kept.at(-1), 'entry')), 4, term, 7_000);
      await log.append(added, kept.length);
      all = [...kept, ...added];
      expect([early.hasEntry(all.length), early.hasEntry(all.length + 1)]).toEqual([true, false]);
    }
    expect(early.lastIndex).toBe(await foundAfterCrash(disk));
    const late = new SyncedDisk(disk);
    expect([late.hasEntry(all.length), late.hasEntry(all.length + 1)]).toEqual([true, false]);
  });

  it('ends before what is written and not synced', async () => {
    const disk = await newLogDisk();
    const log = await opened(disk);
    const entries = entriesAfter(emptyBase, 4, 1, 100);
    await log.append(entries.slice(0, 3), 0);
    const path = must(
      (await disk.list('log')).find((name) => name.endsWith('.seg')),
      'segment',
    );
    const hold = disk.holdNext('sync', `log/${path}`);
    const done = log.append(entries.slice(3), 0);
    await hold.reached;
    const synced = new SyncedDisk(disk);
    expect([synced.hasEntry(3), synced.hasEntry(4)]).toEqual([true, false]);
    expect(await foundAfterCrash(disk)).toBe(3);
    expect(synced.settledEnd()).toBeUndefined();
    hold.release();
    await done;
    expect(synced.hasEntry(4)).toBe(true);
    expect(synced.settledEnd()).toBe(4);
  });

  it('follows a log that is restarted behind a snapshot, and one whose prefix is dropped', async () => {
    const disk = await newLogDisk();
    const log = await opened(disk);
    const synced = new SyncedDisk(disk);
    const entries = entriesAfter(emptyBase, 40, 1, 4_000);
    for (const entry of entries) await log.append([entry], entry.index - 1);
    expect(synced.hasEntry(2)).toBe(true);
    await log.compact(baseOf(must(entries[34], 'entry')), membership);
    expect([synced.hasEntry(40), synced.hasEntry(41)]).toEqual([true, false]);
    const base = { index: 100, term: 2, hash: 'ab'.repeat(8) };
    await log.restart(base, membership);
    expect([synced.hasEntry(100), synced.hasEntry(101)]).toEqual([true, false]);
    await log.append(entriesAfter(base, 1, 2, 50), 100);
    expect([synced.hasEntry(101), synced.hasEntry(102)]).toEqual([true, false]);
  });

  it('has the hard state that a start would find', async () => {
    const disk = new MemoryDisk();
    expect(new SyncedDisk(disk).hardState()).toBeUndefined();
    const file = await openHardState(disk, { isNewDirectory: true });
    await file.write({ term: 3, vote: 'b', boot: 1 });
    const hold = disk.holdNext('sync', 'hard-state');
    void file.write({ term: 4, vote: 'c', boot: 1 });
    await hold.reached;
    const synced = new SyncedDisk(disk);
    expect(synced.hardState()).toEqual({ term: 3, vote: 'b', boot: 1 });
    const found = await openHardState(disk.fork().crash(keepNothing), { isNewDirectory: false });
    expect(found.current).toEqual(synced.hardState());
    hold.release();
    await new Promise<void>((resolve) => void setImmediate(resolve));
    expect(synced.hardState()).toEqual({ term: 4, vote: 'c', boot: 1 });
  });
});
