import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { assertEqual, must } from '../../src/base/assert.ts';
import { StorageError } from '../../src/base/errors.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { CompactionMark } from '../../src/storage/compaction-mark.ts';
import { markPath, readMark, writeMark } from '../../src/storage/compaction-mark.ts';
import { LogScan } from '../../src/storage/log-scan.ts';
import type { Entry } from '../../src/storage/log-types.ts';
import { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { NodeDisk } from '../../src/storage/node-disk.ts';
import { segmentNumber, segmentPath } from '../../src/storage/segment.ts';
import { SegmentedLog } from '../../src/storage/segmented-log.ts';
import { baseOf, emptyBase, entryAfter, membership, pick } from './log-entries.ts';
import { damageOf, newLogDisk, openLog, pageBytes, segmentBytes } from './log-fixture.ts';
import { scale, scaledTimeoutMs } from './scale.ts';

/** Heads of page and frame in the first page of a frame. */
const headBytes = 84;

describe('damage in the log', () => {
  let disk: MemoryDisk;
  const all: Entry[] = [];
  /** Byte up to which each segment is written. */
  const usedBytes = new Map<number, number>();
  /** Of those segments, changed in place and back by `expectNamed`. */
  const contents = new Map<number, Buffer>();
  let mark: CompactionMark;

  beforeAll(async () => {
    disk = await newLogDisk();
    const { log } = await openLog(disk);
    const sizes = [10, 10_000, 4_000, 0, 30_000, 9_000, 20_000, 25_000, 8_000, 12_000];
    for (const [position, bytes] of sizes.entries()) {
      const last = all.at(-1);
      const entry = entryAfter(last === undefined ? emptyBase : baseOf(last), 1 + (position >> 2), bytes);
      all.push(entry);
      await log.append([entry], position);
    }
    await log.close();
    for (const name of await disk.list('log')) {
      const number = segmentNumber(name);
      if (number === undefined) continue;
      const written = disk.contentOf(segmentPath(number)).findLastIndex((byte) => byte !== 0);
      if (written >= 0) usedBytes.set(number, Math.ceil((written + 1) / pageBytes) * pageBytes);
    }
    assertEqual(usedBytes.size, 2, 'segments with frames');
    for (const number of usedBytes.keys()) contents.set(number, disk.contentOf(segmentPath(number)));
    mark = must(await readMark(disk), 'mark');
    const { recovered } = await openLog(disk.fork());
    assertEqual(recovered.entries.length, sizes.length, 'entries');
  });

  /** Scans with one byte changed and expects damage of exactly this page to be named. */
  const expectNamed = (number: number, offset: number, mask: number): void => {
    const changed = must(contents.get(number), 'content');
    const scan = new LogScan(mark, { appliedIndex: 0 });
    let caught: unknown;
    changed[offset] = must(changed[offset], 'byte') ^ mask;
    try {
      for (const [one, bytes] of contents) scan.add(one, bytes);
      scan.finish();
    } catch (error) {
      caught = error;
    }
    changed[offset] = must(changed[offset], 'byte') ^ mask;
    const pageAt = offset - (offset % pageBytes);
    expect(caught, `byte ${offset} of segment ${number}, mask ${mask}`).toBeInstanceOf(StorageError);
    expect(caught).toMatchObject({ kind: 'damaged', file: segmentPath(number), offset: pageAt });
  };

  it(
    'is found and named for one random bit of every byte, and for every bit of the heads',
    () => {
      const random = new SeededRandom(7);
      let flips = 0;
      for (const [number, used] of usedBytes) {
        for (let pageAt = 0; pageAt < used; pageAt += pageBytes) {
          for (let within = 0; within < headBytes; within++) {
            // Outside of the first page of a frame only the head of the page is one.
            for (let bit = 0; bit < 8; bit++) {
              expectNamed(number, pageAt + within, 1 << bit);
              flips += 1;
            }
            if (within === 23 && scale === 1) break;
          }
          const stride = Math.max(1, Math.floor(80 / scale));
          for (let within = headBytes; within < pageBytes; within += 1 + random.below('stride', 2 * stride - 1)) {
            expectNamed(number, pageAt + within, 1 << random.below('bit', 8));
            flips += 1;
          }
        }
      }
      expect(flips).toBeGreaterThan(3_000);
    },
    scaledTimeoutMs,
  );

  it('is found behind the end of the log, too', () => {
    const [number, used] = pick([...usedBytes], -1);
    expectNamed(number, used, 1);
    expectNamed(number, used + 3 * pageBytes + 77, 128);
    expectNamed(number, segmentBytes - 1, 1);
    expectNamed(1, segmentBytes - 1, 1);
  });

  it(
    'is named by opening, which changes nothing on disk',
    async () => {
      const random = new SeededRandom(11);
      const numbers = [...usedBytes.keys()];
      for (let round = 0; round < 200 * scale; round++) {
        const number = pick(numbers, random.below('segment', numbers.length));
        const offset = random.below('offset', must(usedBytes.get(number), 'segment'));
        const damaged = disk.fork();
        damaged.flipBit(segmentPath(number), offset, random.below('bit', 8));
        const before = damaged.contentOf(segmentPath(number));
        const error = await damageOf(damaged);
        expect(error).toMatchObject({ file: segmentPath(number), offset: offset - (offset % pageBytes) });
        expect(error.message).toContain(`${segmentPath(number)} at byte ${error.offset}: the log is damaged`);
        expect(error.message).toContain('replace this member');
        expect(damaged.contentOf(segmentPath(number)).equals(before)).toBe(true);
        expect(damaged.count('write') + damaged.count('remove') + damaged.count('rename')).toBe(0);
      }
    },
    scaledTimeoutMs,
  );

  it('is found where a page, a frame or all up to the seal became zero', async () => {
    const [firstUsed, secondUsed] = [pick([...usedBytes], 0)[1], pick([...usedBytes], 1)[1]];
    for (let pageAt = 0; pageAt < firstUsed; pageAt += pageBytes) {
      const damaged = disk.fork();
      damaged.overwrite(segmentPath(1), pageAt, Buffer.alloc(pageBytes));
      const error = await damageOf(damaged);
      expect(error.file).toBe(segmentPath(1));
      expect(Math.abs(must(error.offset, 'offset') - pageAt) < pageBytes).toBe(true);
      const cut = disk.fork();
      cut.overwrite(segmentPath(1), pageAt, Buffer.alloc(segmentBytes - pageAt));
      expect((await damageOf(cut)).file).toBe(segmentPath(1));
    }
    const sealOnly = disk.fork();
    sealOnly.overwrite(segmentPath(2), 0, Buffer.alloc(secondUsed - pageBytes));
    expect((await damageOf(sealOnly)).message).toContain('is intact in log/0000000000000002.seg at byte');
  });

  it('is found where a page or a frame stands at another place', async () => {
    for (const [source, sourceUsed] of usedBytes) {
      const content = disk.contentOf(segmentPath(source));
      for (let from = 0; from < sourceUsed; from += pageBytes) {
        const page = content.subarray(from, from + pageBytes);
        for (const [number, used] of usedBytes) {
          for (let to = 0; to <= used + 3 * pageBytes && to < segmentBytes; to += pageBytes) {
            if (number === source && to === from) continue;
            const damaged = disk.fork();
            damaged.overwrite(segmentPath(number), to, page);
            // At the begin of a segment, a later frame says that one is missing at the end of the segment before.
            const files = [segmentPath(number), ...(to === 0 && number === 2 ? [segmentPath(1)] : [])];
            expect(files).toContain((await damageOf(damaged)).file);
          }
        }
      }
    }
  });

  it('is found where a segment is missing, swapped or cut short', async () => {
    const missing = disk.fork();
    await missing.remove(segmentPath(1));
    expect(await damageOf(missing)).toMatchObject({ file: segmentPath(1) });
    const swapped = disk.fork();
    swapped.overwrite(segmentPath(1), 0, disk.contentOf(segmentPath(2)));
    expect(await damageOf(swapped)).toMatchObject({ file: segmentPath(1), offset: 0 });
    const noLast = disk.fork();
    await noLast.remove(segmentPath(2));
    expect(await damageOf(noLast)).toMatchObject({ file: segmentPath(2) });
    // Without the spare, only the state knows that there was more.
    await noLast.remove(segmentPath(3));
    expect(await damageOf(noLast, { appliedIndex: 10 })).toMatchObject({ file: segmentPath(1) });
  });

  it('is found where frames are gone that were durable when the mark was written', async () => {
    const compacted = await newLogDisk();
    const { log } = await openLog(compacted);
    await log.append(all.slice(0, 5), 5);
    for (const entry of all.slice(5, 7)) await log.append([entry], 5);
    await log.compact(baseOf(pick(all, 3)), membership);
    const end = log.keptBytes;
    const whole = compacted.kill();
    await openLog(whole.fork(), { appliedIndex: 4 });
    for (const pages of [5, 8]) {
      const cut = whole.fork();
      cut.overwrite(segmentPath(1), end - pages * pageBytes, Buffer.alloc(pages * pageBytes));
      const error = await damageOf(cut, { appliedIndex: 4 });
      expect(error.message).toContain('were durable');
    }
  });

  it('is found where the entries do not join the base that the mark names', async () => {
    const sound = { ...mark, base: baseOf(pick(all, 4)) };
    for (const [base, text] of [
      [sound.base, undefined],
      [{ ...sound.base, hash: 'a'.repeat(16) }, 'the mark names term 2 and prefix hash aaaaaaaaaaaaaaaa'],
      [{ ...sound.base, term: 1 }, 'entry 5 has term 2'],
      [{ ...emptyBase, hash: 'a'.repeat(16) }, 'entry 1 follows prefix hash 0000000000000000'],
      [{ ...sound.base, index: 11 }, 'entry 11 is gone'],
    ] as const) {
      const other = disk.fork();
      await writeMark(other, { ...sound, base });
      if (text === undefined) expect((await openLog(other)).recovered.entries.length).toBe(5);
      else expect((await damageOf(other)).message).toContain(text);
    }
  });

  it('is found where a real file was truncated at any place', async () => {
    const root = await mkdtemp(join(tmpdir(), 'rollcall-damage-'));
    try {
      const nodeDisk = await NodeDisk.open(root);
      await nodeDisk.makeDirectory('log');
      for (const path of [markPath, segmentPath(1), segmentPath(2)]) {
        await nodeDisk.writeWhole(path, disk.contentOf(path));
      }
      const full = segmentBytes;
      for (let size = full - 512; size >= 0; size -= 512) {
        await truncate(join(root, segmentPath(2)), size);
        if (size < pageBytes) continue;
        expect(await damageOf(nodeDisk)).toMatchObject({ file: segmentPath(2) });
      }
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });

  it('is found in every bit of the mark', async () => {
    const bytes = disk.contentOf(markPath).byteLength;
    for (let offset = 0; offset < bytes; offset++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = disk.fork();
        damaged.flipBit(markPath, offset, bit);
        const error = await damageOf(damaged);
        expect(error).toMatchObject({ file: markPath });
        expect(error.offset).toBeDefined();
        if (bit > 0) continue;
        await expect(SegmentedLog.isInitialised(damaged)).rejects.toMatchObject({ kind: 'damaged' });
      }
    }
  });

  it('is what a missing mark means, never an empty directory', async () => {
    const damaged = disk.fork();
    await damaged.remove(markPath);
    expect(await damageOf(damaged)).toMatchObject({ file: markPath });
    await expect(SegmentedLog.isInitialised(damaged)).rejects.toMatchObject({ kind: 'damaged', file: markPath });
    await expect(SegmentedLog.initialise(damaged, emptyBase, membership)).rejects.toMatchObject({ kind: 'damaged' });
    expect(await damageOf(new MemoryDisk())).toMatchObject({ file: markPath });
  });
});
