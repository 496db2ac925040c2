import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StorageError } from '../../src/base/errors.ts';
import type { Disk } from '../../src/storage/disk.ts';

export interface DiskFixture {
  readonly disk: Disk;
  dispose(): Promise<void>;
}

/** What every Disk must do, whatever it is made of. */
export function diskSuite(name: string, make: () => Promise<DiskFixture>): void {
  describe(`disk: ${name}`, () => {
    let fixture: DiskFixture;

    beforeEach(async () => {
      fixture = await make();
    });
    afterEach(() => fixture.dispose());

    directoryCases(() => fixture.disk);
    fileCases(() => fixture.disk);
    refusalCases(() => fixture.disk);
  });
}

function directoryCases(current: () => Disk): void {
  it('lists nothing, reads nothing and removes no tree where nothing is', async () => {
    const disk = current();
    expect(await disk.list('')).toEqual([]);
    expect(await disk.list('none')).toEqual([]);
    expect(await disk.exists('none')).toBe(false);
    expect(await disk.read('none')).toBeUndefined();
    expect(await disk.read('none/below')).toBeUndefined();
    await disk.removeTree('none');
  });

  it('makes directories with their parents, also where they exist', async () => {
    const disk = current();
    await disk.makeDirectory('one/two');
    await disk.makeDirectory('one/two');
    await disk.makeDirectory('');
    expect(await disk.list('one')).toEqual(['two']);
    expect(await disk.exists('one/two')).toBe(true);
    await disk.syncDirectory('one');
    await disk.syncDirectory('');
  });

  it('lists names by code unit', async () => {
    const disk = current();
    for (const path of ['b', 'a', 'B', '10', '9', 'ä']) await disk.writeWhole(path, Buffer.from(path));
    expect(await disk.list('')).toEqual(['10', '9', 'B', 'a', 'b', 'ä']);
  });

  it('renames over an existing file', async () => {
    const disk = current();
    await disk.writeWhole('new', Buffer.from('new'));
    await disk.writeWhole('old', Buffer.from('old'));
    await disk.rename('new', 'old');
    expect(await disk.list('')).toEqual(['old']);
    expect(await disk.read('old')).toEqual(Buffer.from('new'));
  });

  it('renames into another directory', async () => {
    const disk = current();
    await disk.makeDirectory('one');
    await disk.writeWhole('file', Buffer.from('content'));
    await disk.rename('file', 'one/file');
    expect(await disk.exists('file')).toBe(false);
    expect(await disk.read('one/file')).toEqual(Buffer.from('content'));
  });

  it('removes files and trees', async () => {
    const disk = current();
    await disk.makeDirectory('one/two');
    await disk.writeWhole('one/two/file', Buffer.from('x'));
    await disk.writeWhole('file', Buffer.from('x'));
    await disk.remove('file');
    await disk.removeTree('one');
    expect(await disk.list('')).toEqual([]);
  });
}

function fileCases(current: () => Disk): void {
  it('writes small files whole, and shorter ones over longer ones', async () => {
    const disk = current();
    await disk.writeWhole('file', Buffer.alloc(10_000, 7));
    expect(await disk.read('file')).toEqual(Buffer.alloc(10_000, 7));
    await disk.writeWhole('file', Buffer.from('short'));
    expect(await disk.read('file')).toEqual(Buffer.from('short'));
    await disk.writeWhole('file', Buffer.alloc(0));
    expect(await disk.read('file')).toEqual(Buffer.alloc(0));
  });

  it('creates files of zeros, over what was there', async () => {
    const disk = current();
    await disk.writeWhole('file', Buffer.alloc(20_000, 7));
    await disk.createZeroFilled('file', 3 * 4_096);
    expect(await disk.read('file')).toEqual(Buffer.alloc(3 * 4_096));
    const file = await disk.open('file');
    expect([file.path, file.sizeBytes]).toEqual(['file', 3 * 4_096]);
    await file.close();
  });

  it('creates a file larger than one slice of zeros', async () => {
    const disk = current();
    const bytes = 1_024 * 1_024 + 4_096;
    await disk.createZeroFilled('file', bytes);
    expect((await disk.read('file'))?.equals(Buffer.alloc(bytes))).toBe(true);
  });

  it('writes in place at any offset and reads it back', async () => {
    const disk = current();
    await disk.createZeroFilled('file', 4 * 4_096);
    const expected = Buffer.alloc(4 * 4_096);
    const file = await disk.open('file');
    for (const [offset, length] of [
      [0, 1],
      [4_095, 2],
      [4_096, 8_192],
      [5, 10_000],
      [4 * 4_096 - 1, 1],
      [100, 0],
    ] as const) {
      const bytes = Buffer.alloc(length, offset + 1);
      expected.set(bytes, offset);
      await file.writeDurably(offset, bytes);
    }
    expect(await file.read(0, expected.byteLength)).toEqual(expected);
    expect(await file.read(4_090, 12)).toEqual(expected.subarray(4_090, 4_102));
    await file.close();
    expect(await disk.read('file')).toEqual(expected);
  });
}

function refusalCases(current: () => Disk): void {
  it('refuses to write beyond the end, and two writes at a time', async () => {
    const disk = current();
    await disk.createZeroFilled('file', 4_096);
    const file = await disk.open('file');
    await expect(file.writeDurably(4_095, Buffer.alloc(2))).rejects.toThrow('write up to byte 4097 of 4096');
    const first = file.writeDurably(0, Buffer.alloc(1));
    await expect(file.writeDurably(1, Buffer.alloc(1))).rejects.toThrow('two writes at a time');
    await first;
    await file.close();
  });

  it('calls a short read an error', async () => {
    const disk = current();
    await disk.createZeroFilled('file', 4_096);
    const file = await disk.open('file');
    await expect(file.read(4_000, 97)).rejects.toThrow('short read');
    await expect(file.read(4_000, 97)).rejects.toBeInstanceOf(StorageError);
    await file.close();
  });

  it('names the file in each failure, which is a StorageError of kind io', async () => {
    const disk = current();
    await disk.makeDirectory('directory');
    const failures: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['none', () => disk.open('none')],
      ['none', () => disk.remove('none')],
      ['none', () => disk.rename('none', 'other')],
      ['none', () => disk.syncDirectory('none')],
      ['none/file', () => disk.writeWhole('none/file', Buffer.alloc(1))],
      ['none/file', () => disk.createZeroFilled('none/file', 4_096)],
      ['directory', () => disk.writeWhole('directory', Buffer.alloc(1))],
    ];
    for (const [path, act] of failures) {
      const error: unknown = await act().catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(StorageError);
      if (!(error instanceof StorageError)) continue;
      expect(error.kind).toBe('io');
      expect(error.file.endsWith(path)).toBe(true);
      expect(error.message).toContain(path);
    }
  });

  it('stays below its root', async () => {
    const disk = current();
    for (const path of ['../file', '/file', 'a//b', 'a/../b', './a', 'a/']) {
      await expect(disk.writeWhole(path, Buffer.alloc(1))).rejects.toThrow('not a path below');
      await expect(disk.read(path)).rejects.toThrow('not a path below');
    }
    await expect(disk.rename('file', '../file')).rejects.toThrow('not a path below');
  });

  it('says how many bytes are free', async () => {
    const disk = current();
    const free = await disk.freeBytes();
    expect(Number.isSafeInteger(free) && free > 0).toBe(true);
  });
}
