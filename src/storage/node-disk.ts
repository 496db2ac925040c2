import { constants, write } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { access, open, readdir, rename, rm, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, assertEqual } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import type { Disk, DiskFile } from './disk.ts';
import { assertRelativePath } from './disk-path.ts';
import { makeDirectories } from './make-directories.ts';

const fileMode = 0o600;
/** Zeros are written in pieces of this size: no single job holds a thread of the pool for long. */
const zeroSliceBytes = 1_024 * 1_024;
/** Larger than any file that is read whole (pointer, identity, mark, segment). */
const wholeFileBytesMax = 256 * 1_024 * 1_024;

const zeros = Buffer.alloc(zeroSliceBytes);

/**
 * The real file system below one directory. Nothing is cached and nothing retried. Calls on different paths may run at
 * the same time; what order two calls on one path take is the caller's affair.
 */
export class NodeDisk implements Disk {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  /** @param root Absolute path of the directory; created with its parents, for its owner alone, where it is missing. */
  static async open(root: string): Promise<NodeDisk> {
    await attempt(root, 'create the directory', () => makeDirectories(root));
    return new NodeDisk(root);
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#attempt(path, 'create the directory', makeDirectories);
  }

  async list(path: string): Promise<readonly string[]> {
    const names = await this.#attempt(path, 'list', (full) => readdir(full).catch(emptyWhereAbsent));
    return names.toSorted(byCodeUnit);
  }

  async exists(path: string): Promise<boolean> {
    return this.#attempt(path, 'look at', (full) => access(full).then(() => true, falseWhereAbsent));
  }

  async read(path: string): Promise<Buffer | undefined> {
    return this.#attempt(path, 'read', async (full) => {
      const handle = await open(full, 'r').catch(undefinedWhereAbsent);
      if (handle === undefined) return undefined;
      return closing(handle, async () => {
        const { size } = await handle.stat();
        if (size > wholeFileBytesMax) throw new Error(`the file has ${size} bytes, more than ${wholeFileBytesMax}`);
        return readExactly(handle, 0, size);
      });
    });
  }

  async createZeroFilled(path: string, bytes: number): Promise<void> {
    assert(Number.isSafeInteger(bytes) && bytes >= 0, () => `zero-filled file of ${bytes} bytes`);
    await this.#writeNew(path, async (handle) => {
      for (let at = 0; at < bytes; at += zeroSliceBytes) {
        await writeExactly(handle, at, zeros.subarray(0, Math.min(zeroSliceBytes, bytes - at)));
      }
    });
  }

  async open(path: string): Promise<DiskFile> {
    return this.#attempt(path, 'open', async (full) => {
      const handle = await open(full, constants.O_RDWR | constants.O_DSYNC);
      const { size } = await handle.stat();
      return new NodeDiskFile(path, full, handle, size);
    });
  }

  async writeWhole(path: string, content: Uint8Array): Promise<void> {
    await this.#writeNew(path, (handle) => writeExactly(handle, 0, content));
  }

  async rename(from: string, to: string): Promise<void> {
    assertRelativePath(to);
    await this.#attempt(from, `rename to ${to}`, (full) => rename(full, join(this.#root, to)));
  }

  async remove(path: string): Promise<void> {
    await this.#attempt(path, 'remove', (full) => unlink(full));
  }

  async removeTree(path: string): Promise<void> {
    assert(path !== '', 'the root of a disk is never removed');
    await this.#attempt(path, 'remove', (full) => rm(full, { recursive: true, force: true }));
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#attempt(path, 'sync the directory', async (full) => {
      const handle = await open(full, constants.O_RDONLY | constants.O_DIRECTORY);
      await closing(handle, () => handle.sync());
    });
  }

  async freeBytes(): Promise<number> {
    const found = await this.#attempt('', 'ask for the free space', (full) => statfs(full));
    return found.bavail * found.bsize;
  }

  async #writeNew(path: string, fill: (handle: FileHandle) => Promise<void>): Promise<void> {
    await this.#attempt(path, 'write', async (full) => {
      const handle = await open(full, 'w', fileMode);
      await closing(handle, async () => {
        await fill(handle);
        await handle.sync();
      });
    });
  }

  #attempt<T>(path: string, action: string, work: (full: string) => Promise<T>): Promise<T> {
    assertRelativePath(path);
    const full = join(this.#root, path);
    return attempt(full, action, () => work(full));
  }
}

class NodeDiskFile implements DiskFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #full: string;
  readonly #handle: FileHandle;
  #writing = false;

  constructor(path: string, full: string, handle: FileHandle, sizeBytes: number) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#full = full;
    this.#handle = handle;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    assert(offset >= 0 && length >= 0 && length <= wholeFileBytesMax, () => `read of ${length} bytes at ${offset}`);
    return attempt(this.#full, 'read', () => readExactly(this.#handle, offset, length));
  }

  async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
    const end = offset + bytes.byteLength;
    assert(offset >= 0 && end <= this.sizeBytes, () => `write up to byte ${end} of ${this.sizeBytes}: ${this.path}`);
    assert(!this.#writing, () => `two writes at a time: ${this.path}`);
    this.#writing = true;
    try {
      // The file is open with O_DSYNC: the write returns when the bytes are on the medium.
      await attempt(this.#full, 'write', () => writeOnce(this.#handle, offset, bytes));
    } finally {
      this.#writing = false;
    }
  }

  async close(): Promise<void> {
    await attempt(this.#full, 'close', () => this.#handle.close());
  }
}

/** One call and no second one: after a short write the disk is full or failing, and the rest proves nothing. */
function writeOnce(handle: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    write(handle.fd, bytes, 0, bytes.byteLength, offset, (error, written) => {
      if (error !== null) reject(error);
      else if (written !== bytes.byteLength) reject(new Error(`short write: ${written} of ${bytes.byteLength} bytes`));
      else resolve();
    });
  });
}

async function writeExactly(handle: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  const { bytesWritten } = await handle.write(bytes, 0, bytes.byteLength, offset);
  if (bytesWritten !== bytes.byteLength) {
    throw new Error(`short write: ${bytesWritten} of ${bytes.byteLength} bytes`);
  }
}

async function readExactly(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw new Error(`short read: ${done} of ${length} bytes at byte ${offset}`);
    done += bytesRead;
  }
  assertEqual(done, length, 'bytes read');
  return bytes;
}

async function closing<T>(handle: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await handle.close();
  }
}

async function attempt<T>(file: string, action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new StorageError('io', file, `could not ${action}: ${text}`, { cause: error });
  }
}

function emptyWhereAbsent(error: unknown): string[] {
  undefinedWhereAbsent(error);
  return [];
}

function falseWhereAbsent(error: unknown): false {
  undefinedWhereAbsent(error);
  return false;
}

function undefinedWhereAbsent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}

function byCodeUnit(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
