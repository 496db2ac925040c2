import { describe, expect, it } from 'vitest';
import { StorageError } from '../../src/base/errors.ts';
import type { Entry } from '../../src/storage/log-types.ts';
import type { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { keepNothing } from '../../src/storage/memory-disk.ts';
import { segmentPath } from '../../src/storage/segment.ts';
import { baseOf, emptyBase, entriesAfter, entryAfter, pick, shown } from './log-entries.ts';
import { damageOf, newLogDisk, openLog, pageBytes } from './log-fixture.ts';

interface Unfinished {
  readonly disk: MemoryDisk;
  readonly acknowledged: readonly Entry[];
  readonly pending: readonly Entry[];
  readonly path: string;
  /** Byte at which the frame in flight begins. */
  readonly at: number;
}

/** Data of one entry that fills a frame of so many pages. */
function dataFor(pages: number): number {
  return pages * 4_072 - 60 - 20;
}

/**
 * A log with acknowledged entries and one frame of `pages` pages whose write never returned.
 *
 * @param place `same`: behind the others. `next`: the first frame of a new segment. `fork`: superseding some entries.
 */
async function unfinished(pages: number, place: 'same' | 'next' | 'fork'): Promise<Unfinished> {
  const disk = await newLogDisk();
  const { log } = await openLog(disk);
  const acknowledged = entriesAfter(emptyBase, 4, 1, 5_000);
  for (const entry of acknowledged) await log.append([entry], Math.min(2, entry.index));
  let last = pick(acknowledged, 3);
  if (place === 'next') {
    // Leaves no room for a single page in the first segment.
    const filler = entryAfter(baseOf(last), 1, dataFor(16));
    await log.append([filler], 3);
    acknowledged.push(filler);
    last = filler;
  }
  const previous = place === 'fork' ? pick(acknowledged, 1) : last;
  const pending = entriesAfter(baseOf(previous), 1, 2, dataFor(pages));
  const path = segmentPath(place === 'next' ? 2 : 1);
  const hold = disk.holdNext('sync', path);
  void log.append(pending, 2);
  await hold.reached;
  return { disk, acknowledged, pending, path, at: place === 'next' ? 0 : 8 * pageBytes };
}

/** Opens, checks that nothing acknowledged is gone, writes on, and opens once more after a loss of power. */
async function checkOpens(found: Unfinished, disk: MemoryDisk, expectWhole: boolean): Promise<number | undefined> {
  const { acknowledged, pending } = found;
  const opened = await openLog(disk, { appliedIndex: 2 });
  const first = pick(pending, 0).index;
  const kept = expectWhole ? [...acknowledged.slice(0, first - 1), ...pending] : acknowledged;
  expect(shown(opened.recovered.entries)).toEqual(shown(kept));
  expect(opened.recovered.commit).toBe(acknowledged.length === 4 ? 2 : 3);
  const more = entriesAfter(baseOf(pick(kept, -1)), 2, 3, 6_000);
  for (const entry of more) await opened.log.append([entry], 3);
  const again = await openLog(disk.crash(keepNothing), { appliedIndex: 3 });
  expect(shown(again.recovered.entries)).toEqual(shown([...kept, ...more]));
  expect(again.recovered.torn).toBeUndefined();
  return opened.recovered.torn?.pages;
}

describe('the last frame, not acknowledged', () => {
  for (const place of ['same', 'next', 'fork'] as const) {
    it(`opens with every subset of its pages on disk: ${place}`, async () => {
      const pagesMax = place === 'same' ? 8 : 5;
      let torn = 0;
      for (let pages = 1; pages <= pagesMax; pages++) {
        const found = await unfinished(pages, place);
        expect(found.disk.unsyncedPages(found.path).length).toBe(pages);
        const all = 2 ** pages - 1;
        for (let subset = 0; subset <= all; subset++) {
          const keep = (page: number): boolean => ((subset >> (page - found.at / pageBytes)) & 1) === 1;
          const disk = found.disk.fork().crash({ page: (_path, page) => keep(page), change: () => true });
          const wiped = await checkOpens(found, disk, subset === all);
          // From the frame's begin to the last page of it that is there.
          expect(wiped).toBe(subset === 0 || subset === all ? undefined : 32 - Math.clz32(subset));
          if (wiped !== undefined) torn += 1;
        }
      }
      expect(torn).toBe(2 ** (pagesMax + 1) - 2 - 2 * pagesMax);
    });
  }

  for (const [pages, step] of [
    [3, 1],
    [8, 2],
  ] as const) {
    it(`of ${pages} pages, cut at any byte: opens, or is named where the cut is inside a page`, async () => {
      const found = await unfinished(pages, 'same');
      const whole = found.disk.crash({ page: () => true, change: () => true });
      const end = found.at + pages * pageBytes;
      const content = whole.contentOf(found.path);
      for (let cut = found.at; cut <= end; cut += cut % pageBytes < 100 ? 1 : step) {
        const disk = whole.fork();
        disk.overwrite(found.path, cut, Buffer.alloc(end - cut));
        // Nothing but zeros was cut off: the rest of the last page, or of a page that ends in them.
        const pageAt = cut - (cut % pageBytes);
        const pageIsWhole = content.subarray(cut, pageAt + pageBytes).every((byte) => byte === 0);
        if (cut % pageBytes === 0 || pageIsWhole) {
          const { recovered } = await openLog(disk, { appliedIndex: 2 });
          const frameIsWhole = cut === end || (pageIsWhole && pageAt + pageBytes === end);
          const kept = frameIsWhole ? [...found.acknowledged, ...found.pending] : found.acknowledged;
          expect(shown(recovered.entries)).toEqual(shown(kept));
        } else {
          expect(await damageOf(disk)).toMatchObject({ file: found.path, offset: pageAt });
        }
      }
    });
  }

  it('is named where the whole of it is missing, but entries of it were applied', async () => {
    const found = await unfinished(3, 'same');
    const disk = found.disk.crash(keepNothing);
    expect(await damageOf(disk.fork(), { appliedIndex: 5 })).toMatchObject({ file: found.path, offset: found.at });
    const { recovered } = await openLog(disk.fork(), { appliedIndex: 4 });
    expect(recovered.entries.length).toBe(4);
  });

  it('may end before the applied index where a snapshot was installed and the log not yet restarted', async () => {
    const found = await unfinished(3, 'same');
    const disk = found.disk.crash({ page: (_path, page) => page % 2 === 1, change: () => true });
    await expect(openLog(disk.fork(), { appliedIndex: 90 })).rejects.toBeInstanceOf(StorageError);
    const { recovered } = await openLog(disk.fork(), { appliedIndex: 90, installedIndex: 80 });
    expect(recovered.entries.length).toBe(4);
    // Had the log been restarted there, it would not end before.
    await expect(openLog(disk.fork(), { appliedIndex: 90, installedIndex: 4 })).rejects.toBeInstanceOf(StorageError);
  });

  it('is wiped so that no page of it can ever join a later frame', async () => {
    const found = await unfinished(6, 'same');
    const disk = found.disk.crash({ page: (_path, page) => page % 2 === 1, change: () => true });
    const { recovered } = await openLog(disk);
    expect(recovered.torn).toEqual({ file: found.path, offset: found.at, pages: 6 });
    const after = disk.crash(keepNothing);
    expect(
      after
        .contentOf(found.path)
        .subarray(found.at)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  it('opens after a crash in the middle of the wiping', async () => {
    const found = await unfinished(6, 'same');
    const torn = found.disk.crash({ page: (_path, page) => page % 2 === 1, change: () => true });
    for (let subset = 0; subset < 64; subset++) {
      const disk = torn.fork();
      const hold = disk.holdNext('sync', found.path);
      void openLog(disk);
      await hold.reached;
      const keep = (page: number): boolean => ((subset >> (page - found.at / pageBytes)) & 1) === 1;
      const after = disk.crash({ page: (_path, page) => keep(page), change: () => false });
      // Pages 1, 3 and 5 were there; a page of the subset was wiped before the crash.
      const left = [1, 3, 5].filter((page) => ((subset >> page) & 1) === 0);
      const last = left.at(-1);
      expect(await checkOpens(found, after, false)).toBe(last === undefined ? undefined : last + 1);
    }
  });
});
