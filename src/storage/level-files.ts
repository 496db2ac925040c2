import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { assert } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';

export type LevelDatabase = Level<Buffer, Buffer>;

/** LevelDB's memtable and log file, bytes: one flush of 10,000 changes fits without rotating twice. */
const writeBufferBytes = 8 * 1_024 * 1_024;

/** Bytes that one read of an iterator gathers before it returns, whatever the count asked for. */
export const readBatchBytes = 256 * 1_024;

/**
 * Opens the LevelDB directory at `path`.
 *
 * @param presence 'new': the directory holds nothing yet. 'existing': LevelDB's own files must be there, which is
 *   checked before it is let in, since it would start an empty database in their place and delete the tables.
 * @throws StorageError 'damaged' where files are missing or LevelDB finds corruption, 'refused' where another process
 *   has it open, 'io' otherwise.
 */
export async function openLevel(path: string, presence: 'new' | 'existing'): Promise<LevelDatabase> {
  if (presence === 'existing') await checkLevelFiles(path);
  const database: LevelDatabase = new Level<Buffer, Buffer>(path, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    writeBufferSize: writeBufferBytes,
  });
  try {
    await database.open({ createIfMissing: presence === 'new', errorIfExists: presence === 'new' });
  } catch (error) {
    throw levelError(path, 'open', error);
  }
  return database;
}

/** The StorageError for what LevelDB threw; one that already is a StorageError passes. */
export function levelError(path: string, action: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const codes = [error, causeOf(error)].map((one) => codeOf(one));
  const texts = [error, causeOf(error)].map((one) => (one instanceof Error ? one.message : ''));
  const message = `LevelDB could not ${action}: ${texts.filter((text) => text !== '').join(': ')}`;
  const options = { cause: error };
  if (codes.includes('LEVEL_CORRUPTION')) return new StorageError('damaged', path, message, options);
  if (codes.includes('LEVEL_LOCKED')) {
    return new StorageError('refused', path, `${message} (is another process using this directory?)`, options);
  }
  // Of an open that failed, the cause tells more; without one, somebody closed what is being used.
  if (causeOf(error) === undefined && String(codes[0]).endsWith('_NOT_OPEN')) {
    return new StorageError('refused', path, message, options);
  }
  return new StorageError('io', path, message, options);
}

/** Syncs every file in the directory, then the directory. LevelDB must be closed, or nothing being written. */
export async function syncFilesAndDirectory(path: string): Promise<void> {
  for (const name of await attempt(path, 'list', () => readdir(path))) {
    // The lock file has no content that could be lost.
    if (name !== 'LOCK') await syncPath(join(path, name));
  }
  await syncPath(path);
}

/** Syncs one file's content, or the entries of a directory. Never tried twice: a second success would prove nothing. */
export async function syncPath(path: string): Promise<void> {
  await attempt(path, 'sync', async () => {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

async function checkLevelFiles(path: string): Promise<void> {
  const current = await readIfThere(join(path, 'CURRENT'));
  if (current === undefined) {
    throw new StorageError('damaged', path, 'has no file CURRENT: the state that was here is gone');
  }
  const manifest = /^(MANIFEST-\d+)\n$/.exec(current.toString('latin1'))?.[1];
  if (manifest === undefined) {
    throw new StorageError('damaged', join(path, 'CURRENT'), 'names no manifest');
  }
  const found = await statIfThere(join(path, manifest));
  if (found === undefined || found === 0) {
    throw new StorageError('damaged', join(path, manifest), found === 0 ? 'is empty' : 'is missing');
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  return attempt(path, 'read', () => readFile(path).catch(absent));
}

async function statIfThere(path: string): Promise<number | undefined> {
  return attempt(path, 'look at', () => stat(path).then((found) => found.size, absent));
}

function absent(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
  throw error;
}

async function attempt<T>(path: string, action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    assert(error instanceof Error, 'the file system threw something that is no error');
    throw new StorageError('io', path, `could not ${action}: ${error.message}`, { cause: error });
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
