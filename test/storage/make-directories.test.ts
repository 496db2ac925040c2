import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDirectory } from '../../src/storage/directory-lock.ts';
import { makeDirectories } from '../../src/storage/make-directories.ts';

describe('makeDirectories', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'rollcall-directories-'));
  });

  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('makes what is missing, for the owner alone, and leaves what is there', async () => {
    const path = join(root, 'a', 'b', 'c');
    await makeDirectories(path);
    await makeDirectories(path);
    for (const made of [path, join(root, 'a')]) expect(statSync(made).mode & 0o777).toBe(0o700);
  });

  it('refuses a place below a file, and a file in its place', async () => {
    writeFileSync(join(root, 'file'), '');
    await expect(makeDirectories(join(root, 'file'))).rejects.toThrow(/EEXIST/);
    await expect(makeDirectories(join(root, 'file', 'below'))).rejects.toThrow(/ENOTDIR/);
  });

  it('ends where the parent is there and takes no directories, as below /proc', async (context) => {
    if (process.platform !== 'linux') context.skip('only Linux has /proc');
    await expect(makeDirectories('/proc/rollcall')).rejects.toThrow(/takes no directories/);
    await expect(lockDirectory('/proc/rollcall')).rejects.toMatchObject({ kind: 'io', file: '/proc/rollcall' });
  });
});
