import { ManualClock } from '../../src/base/manual-clock.ts';
import { StorageError } from '../../src/base/errors.ts';
import type { Disk } from '../../src/storage/disk.ts';
import type { RecoveredLog } from '../../src/storage/entry-log.ts';
import { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { SegmentedLog } from '../../src/storage/segmented-log.ts';
import { emptyBase, membership } from './log-entries.ts';

export const pageBytes = 4_096;
export const segmentBytes = 24 * pageBytes;

export interface OpenLog {
  readonly log: SegmentedLog;
  readonly recovered: RecoveredLog;
  readonly clock: ManualClock;
  /** What onFailure was told. */
  readonly failures: Error[];
}

export interface OpenOptions {
  readonly appliedIndex?: number;
  readonly installedIndex?: number;
  readonly segmentBytes?: number;
}

export async function openLog(disk: Disk, options: OpenOptions = {}): Promise<OpenLog> {
  const clock = new ManualClock();
  const failures: Error[] = [];
  const onFailure = (error: Error): void => void failures.push(error);
  const opened = await SegmentedLog.open(disk, { clock, appliedIndex: 0, segmentBytes, onFailure, ...options });
  return { ...opened, clock, failures };
}

/** A disk with an empty log. */
export async function newLogDisk(bytes = segmentBytes): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await SegmentedLog.initialise(disk, emptyBase, membership, bytes);
  return disk;
}

/** The damage that opening names; fails where it opens. */
export async function damageOf(disk: Disk, options: OpenOptions = {}): Promise<StorageError> {
  const error: unknown = await openLog(disk, options).then(
    () => 'it opened',
    (caught: unknown) => caught,
  );
  if (error instanceof StorageError && error.kind === 'damaged') return error;
  throw new Error(`expected damage, but: ${String(error)}`);
}

/** Lets a number of turns of the microtask queue pass. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}
