import { assert, must } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import type { CompactionMark } from './compaction-mark.ts';
import { markPath, readMark, writeMark } from './compaction-mark.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { MembershipRecord } from './entry-log.ts';
import type { KnownProgress, LastFrame, ScannedLog, TornFrame } from './log-scan.ts';
import { LogScan } from './log-scan.ts';
import { pageBytes } from './frame.ts';
import type { LogBase } from './log-types.ts';
import { removeTemporary } from './replace-file.ts';
import { assertSegmentBytes, logDirectory, segmentBytesMax, segmentNumber, segmentPath } from './segment.ts';
import { createSegment } from './segment-chain.ts';

const wipeSliceBytes = 1_024 * 1_024;

/** A log that may be written on: all that it holds is durable. */
export interface RecoveredSegments {
  readonly mark: CompactionMark;
  readonly scanned: ScannedLog;
  /** The active segment's. */
  readonly file: DiskFile;
}

/**
 * Whether `initialiseLog` was completed here.
 *
 * @throws StorageError 'damaged' where frames are there but no mark, or the mark is bad.
 */
export async function isLogInitialised(disk: Disk): Promise<boolean> {
  if ((await readMark(disk)) !== undefined) return true;
  for (const number of await segmentNumbers(disk)) {
    const bytes = await readSegment(disk, number);
    const at = bytes.findIndex((byte) => byte !== 0);
    if (at === -1) continue;
    throw new StorageError('damaged', markPath, `is missing, but ${segmentPath(number)} is written from byte ${at} on`);
  }
  return false;
}

/**
 * Makes an empty log behind `base`. A crash leaves either nothing that counts or the whole; may then be called again.
 *
 * @param base What the first entry follows: index 0, or where a backup ended.
 */
export async function initialiseLog(
  disk: Disk,
  base: LogBase,
  membership: MembershipRecord,
  segmentBytes: number,
): Promise<void> {
  assertSegmentBytes(segmentBytes);
  assert(!(await isLogInitialised(disk)), 'the log was initialised before');
  await disk.makeDirectory(logDirectory);
  await disk.syncDirectory('');
  for (const number of await segmentNumbers(disk)) await disk.remove(segmentPath(number));
  const first = await createSegment(disk, 1, segmentBytes);
  // Only the mark makes it a log, so it comes last.
  await writeMark(disk, { base, membership, firstSegment: first.number, firstSequence: 1, durableSequence: 1 });
}

/**
 * Reads the log, wipes a torn last write, removes what a crash left over, and makes durable what was read.
 *
 * @throws StorageError 'damaged' with file and offset; nothing was changed then.
 */
export async function recoverLog(disk: Disk, known: KnownProgress): Promise<RecoveredSegments> {
  const mark = await readMark(disk);
  if (mark === undefined) {
    throw new StorageError('damaged', markPath, 'is missing: this directory held a log, which was emptied or moved');
  }
  const numbers = await segmentNumbers(disk);
  const scanned = await scan(disk, mark, known, numbers);
  // From here on the disk is written. Names first: a mark that was renamed but not yet durable may not remove segments.
  await disk.syncDirectory('');
  await disk.syncDirectory(logDirectory);
  const active = must(scanned.segments.at(-1), 'active segment');
  // A spare may have been cut off in the making. It holds nothing, and is made again.
  const leftOver = numbers.filter((number) => number < mark.firstSegment || number > active.number);
  for (const number of leftOver) await disk.remove(segmentPath(number));
  await removeTemporary(disk, markPath);
  await disk.syncDirectory(logDirectory);
  const file = await disk.open(active.path);
  if (scanned.torn?.segment === active.number) await wipe(file, scanned.torn);
  if (scanned.lastFrame !== undefined) await confirm(file, scanned.lastFrame);
  return { mark, scanned, file };
}

async function scan(
  disk: Disk,
  mark: CompactionMark,
  known: KnownProgress,
  numbers: readonly number[],
): Promise<ScannedLog> {
  const kept = numbers.filter((number) => number >= mark.firstSegment);
  for (let position = 0; position < Math.max(1, kept.length); position++) {
    const expected = mark.firstSegment + position;
    if (kept[position] === expected) continue;
    throw new StorageError(
      'damaged',
      segmentPath(expected),
      'the segment is missing; the mark or a later one needs it',
    );
  }
  const scan = new LogScan(mark, known);
  for (const number of kept) scan.add(number, await readSegment(disk, number));
  return scan.finish();
}

/** Sorted; files of other names are nobody's. */
async function segmentNumbers(disk: Disk): Promise<readonly number[]> {
  const names = await disk.list(logDirectory);
  const numbers = names.map(segmentNumber).filter((number) => number !== undefined);
  return numbers.toSorted((one, other) => one - other);
}

async function readSegment(disk: Disk, number: number): Promise<Buffer> {
  const file = await disk.open(segmentPath(number));
  try {
    if (file.sizeBytes > segmentBytesMax) {
      throw new StorageError('damaged', file.path, `has ${file.sizeBytes} bytes, more than any segment`);
    }
    return await file.read(0, file.sizeBytes);
  } finally {
    await file.close();
  }
}

/** Zeros over the pages of a write that was cut off, so that no page of it is ever taken for a later one's. */
async function wipe(file: DiskFile, torn: TornFrame): Promise<void> {
  const end = torn.at + torn.pages * pageBytes;
  const zeros = Buffer.alloc(Math.min(wipeSliceBytes, end - torn.at));
  for (let at = torn.at; at < end; at += zeros.byteLength) {
    await file.writeDurably(at, zeros.subarray(0, Math.min(zeros.byteLength, end - at)));
  }
}

/**
 * Writes the last frame again where it stands. It was read, but perhaps from a cache whose sync failed in an earlier
 * process, which the disk lacks; all frames before it were durable before it was written.
 */
async function confirm(file: DiskFile, last: LastFrame): Promise<void> {
  assert(file.path === last.path, () => `the last frame is in ${last.path}, not in the active ${file.path}`);
  await file.writeDurably(last.at, last.bytes);
}
