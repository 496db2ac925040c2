import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { keepAll, keepNothing, MemoryDisk, randomCrash } from '../../src/storage/memory-disk.ts';
import { turns } from './log-fixture.ts';

const page = 4_096;

async function diskWithFile(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.createZeroFilled('file', 4 * page);
  await disk.syncDirectory('');
  return disk;
}

describe('the disk in memory', () => {
  it('forgets a file whose name was not synced', async () => {
    const disk = new MemoryDisk();
    await disk.writeWhole('file', Buffer.from('x'));
    const fork = disk.fork();
    expect(await fork.crash(keepAll).read('file')).toEqual(Buffer.from('x'));
    expect(await disk.crash(keepNothing).exists('file')).toBe(false);
  });

  it('brings back a name whose removal or renaming was not synced', async () => {
    const disk = await diskWithFile();
    await disk.rename('file', 'other');
    expect(await disk.fork().crash(keepNothing).list('')).toEqual(['file']);
    await disk.syncDirectory('');
    await disk.remove('other');
    expect(await disk.fork().crash(keepNothing).list('')).toEqual(['other']);
    expect(await disk.crash(keepAll).list('')).toEqual([]);
  });

  it('loses a whole tree with the name of its directory', async () => {
    const disk = new MemoryDisk();
    await disk.makeDirectory('one');
    await disk.writeWhole('one/file', Buffer.from('x'));
    await disk.syncDirectory('one');
    expect(await disk.fork().crash(keepNothing).list('')).toEqual([]);
    await disk.syncDirectory('');
    expect(await disk.crash(keepNothing).list('one')).toEqual(['file']);
  });

  it('keeps exactly the chosen pages of a write in flight', async () => {
    await fc.assert(
      fc.asyncProperty(fc.subarray([0, 1, 2, 3]), async (kept) => {
        const disk = await diskWithFile();
        const file = await disk.open('file');
        const hold = disk.holdNext('sync', 'file');
        void file.writeDurably(0, Buffer.alloc(4 * page, 1));
        await hold.reached;
        expect(disk.unsyncedPages('file')).toEqual([0, 1, 2, 3]);
        const after = disk.crash({ page: (_path, number) => kept.includes(number), change: () => false });
        const content = after.contentOf('file');
        for (const number of [0, 1, 2, 3]) expect(content[number * page]).toBe(kept.includes(number) ? 1 : 0);
      }),
      { numRuns: 30 },
    );
  });

  it('never answers a process that has ended, and lets it change nothing', async () => {
    for (let moment = 0; moment < 30; moment++) {
      const disk = await diskWithFile();
      const file = await disk.open('file');
      let answered = false;
      void file.writeDurably(0, Buffer.alloc(page, 1)).then(() => {
        answered = true;
      });
      await turns(moment);
      const before = answered;
      const after = disk.crash(keepNothing);
      const content = after.contentOf('file');
      await turns(50);
      expect(after.contentOf('file').equals(content)).toBe(true);
      if (before) expect(content[0]).toBe(1);
      // An answer that was on its way speaks the truth.
      if (answered) expect(content[0]).toBe(1);
    }
  });

  it('shows after a failed sync what the medium lacks, until it is written again', async () => {
    const disk = await diskWithFile();
    const file = await disk.open('file');
    disk.failNext('sync', 'file', 'EIO');
    await expect(file.writeDurably(0, Buffer.from('new'))).rejects.toThrow('EIO');
    await file.writeDurably(page, Buffer.from('next'));
    const killed = disk.kill();
    expect(killed.contentOf('file').toString('latin1', 0, 3)).toBe('new');
    const lost = killed.fork().crash(keepAll);
    expect(lost.contentOf('file')[0]).toBe(0);
    expect(lost.contentOf('file').toString('latin1', page, page + 4)).toBe('next');
    await (await killed.open('file')).writeDurably(0, Buffer.from('new'));
    expect(killed.crash(keepNothing).contentOf('file').toString('latin1', 0, 3)).toBe('new');
  });

  it('fails the planned step only, once for each plan', async () => {
    const disk = await diskWithFile();
    const file = await disk.open('file');
    disk.failNext('write', 'file', 'short');
    disk.failNext('write', 'file', 'ENOSPC');
    await expect(file.writeDurably(0, Buffer.alloc(2 * page, 1))).rejects.toThrow('short write');
    expect(disk.unsyncedPages('file')).toEqual([0]);
    await expect(file.writeDurably(0, Buffer.alloc(page, 1))).rejects.toThrow('no space left');
    await file.writeDurably(0, Buffer.alloc(page, 1));
    expect(disk.count('write')).toBe(4);
    expect(disk.count('sync')).toBe(2);
  });

  it('is full beyond its capacity', async () => {
    const disk = new MemoryDisk({ capacityBytes: 2 * page });
    expect(await disk.freeBytes()).toBe(2 * page);
    await disk.createZeroFilled('one', 2 * page);
    await expect(disk.createZeroFilled('two', 1)).rejects.toThrow('no space left');
    await disk.createZeroFilled('one', page);
    await disk.createZeroFilled('two', page);
    expect(await disk.freeBytes()).toBe(0);
  });

  it('draws the same losses from the same seed', async () => {
    const lossesOf = async (seed: number): Promise<string> => {
      const disk = await diskWithFile();
      const file = await disk.open('file');
      const hold = disk.holdNext('sync', 'file');
      void file.writeDurably(0, Buffer.alloc(4 * page, 1));
      await hold.reached;
      const content = disk.crash(randomCrash(new SeededRandom(seed))).contentOf('file');
      return [0, 1, 2, 3].map((number) => content[number * page]).join('');
    };
    const seeds = Array.from({ length: 40 }, (_, seed) => seed);
    const once = await Promise.all(seeds.map(lossesOf));
    expect(await Promise.all(seeds.map(lossesOf))).toEqual(once);
    expect(new Set(once).size).toBeGreaterThan(8);
  });
});
