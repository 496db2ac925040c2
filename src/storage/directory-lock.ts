import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { StorageError } from '../base/errors.ts';
import { makeDirectories } from './make-directories.ts';

export interface DirectoryLock {
  /** Lets another process have the directory. The end of this process does the same. */
  release(): Promise<void>;
}

/**
 * Makes sure that one process alone uses the directory `root` (absolute; created where it is missing). To be called
 * before anything else in it is touched. The lock is that of a LevelDB which stays empty, at `root`/lock: Node has no
 * call for a file lock, and this one ends with the process, however it ends.
 *
 * @throws StorageError 'refused' where another process, or this one, holds it; 'io' where it cannot be taken.
 */
export async function lockDirectory(root: string): Promise<DirectoryLock> {
  const path = join(root, 'lock');
  try {
    await makeDirectories(path);
    const database = await openEmpty(path);
    return { release: () => database.close() };
  } catch (error) {
    if (isLocked(error)) {
      throw new StorageError(
        'refused',
        root,
        'the data directory is in use by another process. Stop that process, or give this member another directory',
        { cause: error },
      );
    }
    throw new StorageError('io', root, `could not lock the data directory: ${textOf(error)}`, { cause: error });
  }
}

/** With the cause: LevelDB says "Database failed to open", and only below it that the disk is full. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${textOf(error.cause)}`;
}

/**
 * A power loss may leave the database unreadable, since it is never synced. It holds nothing, so it is emptied; only
 * the file LOCK stays: were that one replaced, a second process could hold the new one beside a holder of the old one.
 */
async function openEmpty(path: string): Promise<Level> {
  try {
    return await opened(path);
  } catch (error) {
    if (isLocked(error)) throw error;
    const names = await readdir(path);
    for (const name of names) if (name !== 'LOCK') await rm(join(path, name), { recursive: true, force: true });
    return opened(path);
  }
}

async function opened(path: string): Promise<Level> {
  const database = new Level(path);
  await database.open();
  return database;
}

function isLocked(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'LEVEL_LOCKED') || isLocked(error.cause);
}
