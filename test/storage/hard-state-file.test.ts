import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { StorageError } from '../../src/base/errors.ts';
import { hardStatePath, openHardState } from '../../src/storage/hard-state-file.ts';
import type { HardStateRecord } from '../../src/storage/hard-state.ts';
import { keepAll, keepNothing, MemoryDisk } from '../../src/storage/memory-disk.ts';
import { NodeDisk } from '../../src/storage/node-disk.ts';
import { nodeDiskFixture } from '../conformance/fixtures.ts';
import { turns } from './log-fixture.ts';

const slotBytes = 4_096;
const used = { isNewDirectory: false };

/** A disk on which these records were written one after the other. */
async function diskWith(...records: readonly HardStateRecord[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const file = await openHardState(disk, { isNewDirectory: true });
  for (const record of records) await file.write(record);
  await file.close();
  return disk;
}

async function readFrom(disk: MemoryDisk): Promise<HardStateRecord> {
  const file = await openHardState(disk, used);
  await file.close();
  return file.current;
}

describe('the hard state', () => {
  const old = { term: 4, vote: 'a', boot: 2 };
  const now = { term: 7, vote: 'b', boot: 3 };

  it('begins with term 0 in a new directory and keeps each record', async () => {
    const fixture = await nodeDiskFixture();
    for (const disk of [new MemoryDisk(), fixture.disk]) {
      const file = await openHardState(disk, { isNewDirectory: true });
      expect(file.current).toEqual({ term: 0, vote: '', boot: 0 });
      for (const record of [
        old,
        { ...old, boot: 9 },
        { term: 5, vote: '', boot: 9 },
        { term: 5, vote: 'c', boot: 9 },
      ]) {
        await file.write(record);
        expect(file.current).toEqual(record);
      }
      await file.close();
      for (const options of [used, { isNewDirectory: true }]) {
        const again = await openHardState(disk, options);
        expect(again.current).toEqual({ term: 5, vote: 'c', boot: 9 });
        expect(again.healedOffsets).toEqual([]);
        await again.close();
      }
    }
    expect(fixture.disk).toBeInstanceOf(NodeDisk);
    await fixture.dispose();
  });

  it('is durable in both slots when a write returns, and when it was opened', async () => {
    const disk = await diskWith(old, now);
    const content = disk.crash(keepNothing);
    expect(await readFrom(content)).toEqual(now);
    for (const slot of [0, 1]) {
      const one = content.fork();
      one.overwrite(hardStatePath, slot * slotBytes, Buffer.alloc(slotBytes));
      expect(await readFrom(one)).toEqual(now);
      // The slot that was bad is whole again, so that the other may now go.
      const healed = one.crash(keepNothing);
      healed.overwrite(hardStatePath, (1 - slot) * slotBytes, Buffer.alloc(slotBytes));
      expect(await readFrom(healed)).toEqual(now);
    }
  });

  it('is the old record or the new one after a crash at any moment of a write, and stays that', async () => {
    const before = await diskWith(old);
    let sawOld = 0;
    let sawNew = 0;
    for (let moment = 0; moment < 40; moment++) {
      for (const choice of [keepAll, keepNothing]) {
        const disk = before.fork();
        const file = await openHardState(disk, used);
        let done = false;
        void file.write(now).then(() => {
          done = true;
        });
        await turns(moment);
        const acknowledged = done;
        const after = disk.crash(choice);
        const found = await readFrom(after);
        expect([old, now]).toContainEqual(found);
        if (acknowledged) expect(found).toEqual(now);
        expect(await readFrom(after.crash(keepNothing))).toEqual(found);
        if (found.term === old.term) sawOld += 1;
        else sawNew += 1;
      }
    }
    expect(Math.min(sawOld, sawNew)).toBeGreaterThan(3);
  });

  it('survives a flip of any byte of one slot and any bit of its head, and says so', async () => {
    const disk = await diskWith(old, now);
    for (const slot of [0, 1]) {
      for (let within = 0; within < slotBytes; within += within < 64 ? 1 : 13) {
        const bits = within < 64 ? [0, 1, 2, 3, 4, 5, 6, 7] : [within % 8];
        for (const bit of bits) {
          const flipped = disk.fork();
          flipped.flipBit(hardStatePath, slot * slotBytes + within, bit);
          const file = await openHardState(flipped, used);
          expect(file.current).toEqual(now);
          expect(file.healedOffsets).toEqual([slot * slotBytes]);
        }
      }
    }
  });

  it('is damaged where both slots are bad, whatever the bits', async () => {
    const disk = await diskWith(old, now);
    for (let within = 0; within < slotBytes; within += 37) {
      const flipped = disk.fork();
      flipped.flipBit(hardStatePath, within, within % 8);
      flipped.flipBit(hardStatePath, slotBytes + ((within * 7) % slotBytes), (within + 3) % 8);
      await expect(openHardState(flipped, used)).rejects.toMatchObject({
        kind: 'damaged',
        file: hardStatePath,
        offset: 0,
      });
    }
  });

  it('is damaged where it is missing, cut short or empty in a used directory, never made anew', async () => {
    const cases: ((disk: MemoryDisk) => Promise<void>)[] = [
      (disk) => disk.remove(hardStatePath),
      (disk) => disk.writeWhole(hardStatePath, Buffer.alloc(0)),
      (disk) => disk.createZeroFilled(hardStatePath, 2 * slotBytes),
      async (disk) => disk.writeWhole(hardStatePath, disk.contentOf(hardStatePath).subarray(0, slotBytes)),
    ];
    for (const harm of cases) {
      const disk = await diskWith(now);
      await harm(disk);
      const opening = openHardState(disk, used);
      await expect(opening).rejects.toBeInstanceOf(StorageError);
      await expect(opening).rejects.toMatchObject({ kind: 'damaged', file: hardStatePath });
      await expect(opening).rejects.toThrow('could vote twice');
    }
  });

  it('opens in a new directory after a crash at any moment of its making', async () => {
    for (let moment = 0; moment < 60; moment++) {
      for (const choice of [keepAll, keepNothing]) {
        const disk = new MemoryDisk();
        void openHardState(disk, { isNewDirectory: true });
        await turns(moment);
        const file = await openHardState(disk.crash(choice), { isNewDirectory: true });
        expect(file.current).toEqual({ term: 0, vote: '', boot: 0 });
      }
    }
  });

  it('writes again what it read, so that a sync that failed before does not count', async () => {
    for (const slot of [0, 1]) {
      const disk = await diskWith(old);
      const file = await openHardState(disk, used);
      // A plan for the first slot that fails nothing.
      if (slot === 1) disk.holdNext('sync', hardStatePath).release();
      disk.failNext('sync', hardStatePath, 'EIO');
      await expect(file.write(now)).rejects.toThrow('EIO');
      // The process ends; the next one reads from the cache what the disk lacks.
      const cached = disk.kill();
      expect(await readFrom(cached)).toEqual(now);
      expect(await readFrom(cached.crash(keepNothing))).toEqual(now);
    }
  });

  it('refuses everything after a write that failed', async () => {
    const disk = await diskWith(old);
    const file = await openHardState(disk, used);
    disk.failNext('write', hardStatePath, 'ENOSPC');
    const before = disk.count('write');
    await expect(file.write(now)).rejects.toThrow('ENOSPC');
    expect(file.current).toEqual(old);
    await expect(file.write({ ...now, term: 8 })).rejects.toThrow('ENOSPC');
    expect(disk.count('write')).toBe(before + 1);
  });

  it('never lets a term, a boot or a vote go back', async () => {
    const file = await openHardState(await diskWith(old), used);
    for (const record of [
      { term: 3, vote: 'a', boot: 2 },
      { term: 4, vote: 'b', boot: 2 },
      { term: 4, vote: '', boot: 2 },
      { term: 4, vote: 'a', boot: 1 },
      { term: 2 ** 53, vote: '', boot: 2 },
      { term: 5, vote: 'x'.repeat(1_025), boot: 2 },
    ]) {
      const fresh = await openHardState(await diskWith(old), used);
      await expect(fresh.write(record)).rejects.toBeInstanceOf(InvariantError);
    }
    const first = file.write(now);
    await expect(file.write({ ...now, term: 8 })).rejects.toThrow('at a time');
    await first;
  });
});
