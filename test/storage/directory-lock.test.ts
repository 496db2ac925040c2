import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDirectory } from '../../src/storage/directory-lock.ts';

const holder = fileURLToPath(new URL('./lock-holder.ts', import.meta.url));

describe('the lock of a data directory', () => {
  let root: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    root = join(await mkdtemp(join(tmpdir(), 'rollcall-lock-')), 'data');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(join(root, '..'), { recursive: true, force: true });
  });

  /** First line that a process which takes the lock prints. */
  const startHolder = async (): Promise<{ child: ChildProcess; said: string }> => {
    const child = spawn(process.execPath, ['--import', 'tsx', holder, root], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    let said = '';
    for await (const chunk of child.stdout) {
      said += String(chunk);
      if (said.includes('\n')) break;
    }
    return { child, said };
  };

  it('lets one process in, names the directory to the other, and ends with the process however it ends', async () => {
    const { child, said } = await startHolder();
    expect(said).toBe('locked\n');
    const error: unknown = await lockDirectory(root).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ kind: 'refused', file: root });
    expect(String(error)).toContain('is in use by another process. Stop that process, or give this member another');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const lock = await lockDirectory(root);
    expect((await startHolder()).said).toContain('is in use by another process');
    await lock.release();
    await (await lockDirectory(root)).release();
  });

  it('refuses the same process a second time', async () => {
    const lock = await lockDirectory(root);
    await expect(lockDirectory(root)).rejects.toMatchObject({ kind: 'refused' });
    await lock.release();
  });

  it('is taken again where a loss of power emptied its files', async () => {
    await (await lockDirectory(root)).release();
    const inode = (await stat(join(root, 'lock', 'LOCK'))).ino;
    for (const name of await readdir(join(root, 'lock'))) {
      await truncate(join(root, 'lock', name), 0);
    }
    const lock = await lockDirectory(root);
    await expect(lockDirectory(root)).rejects.toMatchObject({ kind: 'refused' });
    expect((await stat(join(root, 'lock', 'LOCK'))).ino).toBe(inode);
    await lock.release();
  });

  it('makes the directory for its owner alone', async () => {
    const lock = await lockDirectory(root);
    expect((await stat(join(root, 'lock'))).mode & 0o777).toBe(0o700);
    await lock.release();
  });

  it('says why where LevelDB cannot open it', async () => {
    await mkdir(join(root, 'lock', 'LOCK'), { recursive: true });
    const error: unknown = await lockDirectory(root).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ kind: 'io', file: root });
    expect(String(error)).toMatch(/could not lock the data directory: .*LOCK: Is a directory/);
  });

  it('says so where the directory cannot be made', async () => {
    await writeFile(root, 'a file');
    await expect(lockDirectory(root)).rejects.toMatchObject({ kind: 'io', file: root });
  });
});
