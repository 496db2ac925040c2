import type { Clock } from '../base/clock.ts';
import type { Disk, DiskFile } from '../storage/disk.ts';
import type { Logger } from './logger.ts';
import type { MemberMetrics } from './metrics.ts';

/** Told of each durable write: to which file, how many bytes, how long it took. */
export type OnDiskWrite = (path: string, bytes: number, ms: number) => void;

export interface DiskWriteOptions {
  readonly metrics: MemberMetrics;
  readonly logger: Logger;
  /** Durable writes that take longer are logged. */
  readonly slowMs: number;
}

/** Counts and times durable writes, and logs the slow ones. */
export function diskWriteRecorder({ metrics, logger, slowMs }: DiskWriteOptions): OnDiskWrite {
  return (path, bytes, ms) => {
    const file = path.startsWith('log/') ? 'log' : 'other';
    metrics.diskWrites.inc({ file });
    metrics.diskWrittenBytes.inc({ file }, bytes);
    metrics.diskWriteSeconds.observe({ file }, ms / 1_000);
    if (ms > slowMs) logger.warn({ file: path, bytes, ms: Math.round(ms) }, 'a slow write to the disk');
  };
}

/** The same disk; each durable write to an open file (frames of the log, hard state) is told. */
export function measuredDisk(disk: Disk, clock: Clock, onWrite: OnDiskWrite): Disk {
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    exists: (path) => disk.exists(path),
    read: (path) => disk.read(path),
    createZeroFilled: (path, bytes) => disk.createZeroFilled(path, bytes),
    open: async (path) => measuredFile(await disk.open(path), clock, onWrite),
    writeWhole: (path, content) => disk.writeWhole(path, content),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    removeTree: (path) => disk.removeTree(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: () => disk.freeBytes(),
  };
}

function measuredFile(inner: DiskFile, clock: Clock, onWrite: OnDiskWrite): DiskFile {
  return {
    path: inner.path,
    sizeBytes: inner.sizeBytes,
    read: (offset, length) => inner.read(offset, length),
    close: () => inner.close(),
    writeDurably: async (offset, bytes) => {
      const startedMs = clock.monotonicMs();
      await inner.writeDurably(offset, bytes);
      onWrite(inner.path, bytes.length, clock.monotonicMs() - startedMs);
    },
  };
}
