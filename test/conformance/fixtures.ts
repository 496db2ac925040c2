import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { NodeDisk } from '../../src/storage/node-disk.ts';
import type { DiskFixture } from './disk-suite.ts';

export async function memoryDiskFixture(): Promise<DiskFixture> {
  return { disk: new MemoryDisk(), dispose: async () => undefined };
}

export async function nodeDiskFixture(): Promise<DiskFixture> {
  const root = await mkdtemp(join(tmpdir(), 'rollcall-disk-'));
  const disk = await NodeDisk.open(join(root, 'data'));
  return { disk, dispose: () => rm(root, { recursive: true, force: true }) };
}
