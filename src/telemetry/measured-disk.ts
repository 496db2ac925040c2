import type { Clock } from '../base/clock.ts';
import type { Disk, DiskFile } from '../storage/disk.ts';
import type { Logger } from './logger.ts';
import type { MemberMetrics } from './metrics.ts';

export interface MeasuredDiskOptions {
  readonly metrics: MemberMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Durable writes that take longer are logged. */
  readonly slowMs: number;
}

/** The same disk, with each durable write to an open file (frames of the log, hard state) counted and timed. */
export function measuredDisk(disk: Disk, options: MeasuredDiskOptions): Disk {
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    exists: (path) => disk.exists(path),
    read: (path) => disk.read(path),
    createZeroFilled: (path, bytes) => disk.createZeroFilled(path, bytes),
    open: async (path) => measuredFile(await disk.open(path), options),
    writeWhole: (path, content) => disk.writeWhole(path, content),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    removeTree: (path) => disk.removeTree(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: () => disk.freeBytes(),
  };
}

function measuredFile(inner: DiskFile, { metrics, logger, clock, slowMs }: MeasuredDiskOptions): DiskFile {
  const file = inner.path.startsWith('log/') ? 'log' : 'other';
  return {
    path: inner.path,
    sizeBytes: inner.sizeBytes,
    read: (offset, length) => inner.read(offset, length),
    close: () => inner.close(),
    writeDurably: async (offset, bytes) => {
      const startedMs = clock.monotonicMs();
      await inner.writeDurably(offset, bytes);
      const ms = clock.monotonicMs() - startedMs;
      metrics.diskWrites.inc({ file });
      metrics.diskWrittenBytes.inc({ file }, bytes.length);
      metrics.diskWriteSeconds.observe({ file }, ms / 1_000);
      if (ms <= slowMs) return;
      logger.warn({ file: inner.path, bytes: bytes.length, ms: Math.round(ms) }, 'a slow write to the disk');
    },
  };
}
