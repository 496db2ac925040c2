import { assert, must, unreachable } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Disk, DiskFile } from './disk.ts';
import { assertRelativePath, nameOf, parentOf } from './disk-path.ts';
import type { CrashChoice, MemoryNode, SyncedFile } from './memory-tree.ts';
import { MemoryDirectory, MemoryInode, memoryPageBytes } from './memory-tree.ts';

/** The steps at which a MemoryDisk can fail or be held. A durable write of a file is a `write`, then a `sync`. */
export const diskSteps = [
  'make-directory',
  'list',
  'read',
  'open',
  'write',
  'sync',
  'rename',
  'remove',
  'remove-tree',
  'sync-directory',
] as const;

export type DiskStep = (typeof diskSteps)[number];

/** `short`: half of the pages are written, then the write fails. `ENOSPC` and `EIO` of a `write`: none are. */
export type DiskFault = 'EIO' | 'ENOSPC' | 'short';

/** One step that is kept from happening until the test lets it. */
export interface Hold {
  /** Resolves when the step has come and waits. */
  readonly reached: Promise<void>;
  release(): void;
}

interface Planned {
  readonly step: DiskStep;
  readonly path: string;
  readonly fault?: DiskFault;
  readonly reached?: () => void;
  readonly released?: Promise<void>;
}

/** Who is told of each step, and may delay it, make it fail, or end the process around it. */
export interface MemoryDiskHooks {
  /** The step is about to happen: it waits for what is returned, and fails where that says so. */
  before?(step: DiskStep, path: string): Promise<DiskFault | undefined> | undefined;
  /** It has happened, and its caller is told next. */
  after?(step: DiskStep, path: string): void;
}

export interface MemoryDiskOptions {
  /** Bytes that all files may have together, asked each time; what goes beyond fails with ENOSPC. Default: no bound. */
  readonly capacityBytes?: number | (() => number);
  /** Also of the disks that `kill` and `crash` give. */
  readonly hooks?: MemoryDiskHooks;
}

export const keepAll: CrashChoice = { page: () => true, change: () => true };
export const keepNothing: CrashChoice = { page: () => false, change: () => false };

/** Lets each un-synced page and each un-synced change of a directory survive or not, by the toss of a coin. */
export function randomCrash(random: Random): CrashChoice {
  const coin = (name: string): boolean => random.below(name, 2) === 1;
  return { page: () => coin('crash-page'), change: () => coin('crash-directory-change') };
}

/**
 * A disk in memory that forgets, at a crash, what was not synced: each un-synced page and each un-synced change of a
 * directory on its own. One object is the disk as one process sees it; `kill` and `crash` end that process, whose calls
 * then never return, and hand the content to a new one. Every call takes at least one turn of the microtask queue, so
 * that a crash can fall between its steps. Nothing here is random: faults, delays and losses are the test's choice.
 */
export class MemoryDisk implements Disk {
  readonly #root: MemoryDirectory;
  readonly #options: MemoryDiskOptions;
  readonly #counts = new Map<DiskStep, number>();
  #planned: Planned[] = [];
  #dead = false;

  constructor(options: MemoryDiskOptions = {}, root = new MemoryDirectory()) {
    this.#options = options;
    this.#root = root;
  }

  /** How often a step began; what a hook made fail counts too. */
  count(step: DiskStep): number {
    return this.#counts.get(step) ?? 0;
  }

  /** The next `step` on `path` fails. Several plans for the same step and path are used one after the other. */
  failNext(step: DiskStep, path: string, fault: DiskFault): void {
    this.#planned.push({ step, path, fault });
  }

  /** The next `step` on `path` waits for `release`. */
  holdNext(step: DiskStep, path: string): Hold {
    let arrive: () => void = () => undefined;
    let release: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#planned.push({ step, path, reached: () => arrive(), released });
    return { reached, release: () => release() };
  }

  /** Flips one bit of a file, for every reader and for good. */
  flipBit(path: string, offset: number, bit: number): void {
    assert(bit >= 0 && bit < 8, () => `bit ${bit} of a byte`);
    const inode = this.#inode(path);
    const [byte] = inode.read(offset, 1);
    inode.damage(offset, Uint8Array.of(must(byte, 'byte of a file') ^ (1 << bit)));
  }

  /** Replaces bytes of a file, for every reader and for good. */
  overwrite(path: string, offset: number, bytes: Uint8Array): void {
    this.#inode(path).damage(offset, bytes);
  }

  /** What a process would read now. */
  contentOf(path: string): Buffer {
    const inode = this.#inode(path);
    return inode.read(0, inode.sizeBytes);
  }

  /** What no loss of power can take of a file, as long as its name is kept; undefined where there is no such file. */
  syncedOf(path: string): SyncedFile | undefined {
    const node = this.#node(path);
    return node instanceof MemoryInode ? node.synced : undefined;
  }

  /** Pages of the file that a loss of power may take. */
  unsyncedPages(path: string): readonly number[] {
    return this.#inode(path).dirtyPages();
  }

  /** Ends the process that uses this disk; the machine stays up, so nothing is lost. Returns the next one's disk. */
  kill(): MemoryDisk {
    this.#dead = true;
    return new MemoryDisk(this.#options, this.#root);
  }

  /** Takes the power away. Returns the disk as the next process finds it. */
  crash(choice: CrashChoice): MemoryDisk {
    this.#dead = true;
    this.#root.crash('', choice);
    return new MemoryDisk(this.#options, this.#root);
  }

  /** The same disk in another machine: content as it is, other options. No process may use it meanwhile. */
  moved(options: MemoryDiskOptions): MemoryDisk {
    this.#dead = true;
    return new MemoryDisk(options, this.#root);
  }

  /** An independent disk with the same content and the same un-synced pages, without plans and counts. */
  fork(): MemoryDisk {
    return new MemoryDisk(this.#options, this.#root.copy());
  }

  makeDirectory(path: string): Promise<void> {
    return this.#step('make-directory', path, () => {
      if (path === '') return;
      const parts = path.split('/');
      for (let length = 1; length <= parts.length; length++) {
        const made = parts.slice(0, length).join('/');
        if (this.#node(made) === undefined) this.#link('make directory', made, new MemoryDirectory());
        if (!(this.#node(made) instanceof MemoryDirectory)) throw this.#error(made, 'is not a directory');
      }
    });
  }

  list(path: string): Promise<readonly string[]> {
    return this.#step('list', path, () => {
      const node = this.#node(path);
      if (node === undefined) return [];
      if (!(node instanceof MemoryDirectory)) throw this.#error(path, 'is not a directory');
      // The default order of strings is that of code units.
      return [...node.entries.keys()].toSorted();
    });
  }

  exists(path: string): Promise<boolean> {
    return this.#step('list', path, () => this.#node(path) !== undefined);
  }

  read(path: string): Promise<Buffer | undefined> {
    return this.#step('read', path, () => (this.#node(path) === undefined ? undefined : this.contentOf(path)));
  }

  async createZeroFilled(path: string, bytes: number): Promise<void> {
    assert(Number.isSafeInteger(bytes) && bytes >= 0, () => `zero-filled file of ${bytes} bytes`);
    await this.#create(path, bytes, (inode, written) => inode.truncate(written));
  }

  open(path: string): Promise<DiskFile> {
    return this.#step('open', path, () => {
      const inode = this.#inode(path);
      return new MemoryDiskFile(path, inode, {
        step: (step, effect) => this.#step(step, path, effect),
        write: (offset, content) =>
          this.#write(path, content.byteLength, inode, (written) => inode.write(offset, content.subarray(0, written))),
        error: (text) => this.#error(path, text),
      });
    });
  }

  async writeWhole(path: string, content: Uint8Array): Promise<void> {
    await this.#create(path, content.byteLength, (inode, written) => {
      inode.truncate(0);
      inode.write(0, content.subarray(0, written));
    });
  }

  async rename(from: string, to: string): Promise<void> {
    assertRelativePath(to);
    await this.#step('rename', from, () => {
      const node = this.#node(from);
      if (node === undefined) throw this.#error(from, 'does not exist');
      if (parentOf(from) !== parentOf(to)) {
        this.#link(`rename from ${from}`, to, node);
        this.#unlink(`rename to ${to}`, from);
        return;
      }
      const names = new Map<string, MemoryNode | undefined>([
        [nameOf(from), undefined],
        [nameOf(to), node],
      ]);
      this.#directory(parentOf(from)).change(`rename ${from} to ${to}`, names);
    });
  }

  remove(path: string): Promise<void> {
    return this.#step('remove', path, () => {
      this.#inode(path);
      this.#unlink(`remove ${path}`, path);
    });
  }

  async removeTree(path: string): Promise<void> {
    assert(path !== '', 'the root of a disk is never removed');
    await this.#step('remove-tree', path, () => {
      if (this.#node(path) !== undefined) this.#unlink(`remove tree ${path}`, path);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#step('sync-directory', path, () => this.#directory(path).sync());
  }

  freeBytes(): Promise<number> {
    return this.#step('list', '', () => this.#freeBytes());
  }

  /**
   * Counts the step, waits where a test holds it, fails where one made it, and then takes effect at one moment: of a
   * process that has ended by then nothing is done any more, and its calls never return.
   */
  async #step<T>(step: DiskStep, path: string, effect: (fault: DiskFault | undefined) => T): Promise<T> {
    assertRelativePath(path);
    this.#counts.set(step, this.count(step) + 1);
    await Promise.resolve();
    const found = this.#dead ? -1 : this.#planned.findIndex((one) => one.step === step && one.path === path);
    const planned = found === -1 ? undefined : this.#planned.splice(found, 1)[0];
    planned?.reached?.();
    await planned?.released;
    const waits = this.#dead ? undefined : this.#options.hooks?.before?.(step, path);
    const hooked = waits === undefined ? undefined : await waits;
    if (this.#dead) return new Promise(() => undefined);
    const fault = planned?.fault ?? hooked;
    if (fault !== undefined && fault !== 'short') {
      // A failed sync leaves the pages in the cache and marks them clean, as Linux does.
      if (step === 'sync') this.#inode(path).forgetDirty();
      throw this.#faultError(path, fault);
    }
    const result = effect(fault);
    this.#options.hooks?.after?.(step, path);
    return this.#dead ? new Promise(() => undefined) : result;
  }

  async #create(path: string, bytes: number, fill: (inode: MemoryInode, written: number) => void): Promise<void> {
    const inode = await this.#step('open', path, () => {
      const before = this.#node(path);
      if (before instanceof MemoryDirectory) throw this.#error(path, 'is a directory');
      const created = before ?? new MemoryInode();
      if (before === undefined) this.#link('create', path, created);
      if (this.#freeBytes() + created.sizeBytes < bytes) throw this.#faultError(path, 'ENOSPC');
      return created;
    });
    await this.#write(path, bytes, inode, (written) => fill(inode, written));
  }

  /** `change` is told how many of the bytes reach the cache. */
  async #write(path: string, bytes: number, inode: MemoryInode, change: (written: number) => void): Promise<void> {
    await this.#step('write', path, (fault) => {
      if (fault !== 'short') return change(bytes);
      change(Math.floor(bytes / 2 / memoryPageBytes) * memoryPageBytes);
      throw this.#faultError(path, 'short');
    });
    await this.#step('sync', path, () => inode.sync());
  }

  #freeBytes(): number {
    const { capacityBytes = Number.MAX_SAFE_INTEGER } = this.#options;
    return (typeof capacityBytes === 'number' ? capacityBytes : capacityBytes()) - usedBytes(this.#root);
  }

  #node(path: string): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.#root;
    if (path === '') return node;
    for (const part of path.split('/')) {
      if (!(node instanceof MemoryDirectory)) return undefined;
      node = node.entries.get(part);
    }
    return node;
  }

  #inode(path: string): MemoryInode {
    const node = this.#node(path);
    if (node instanceof MemoryInode) return node;
    throw this.#error(path, node === undefined ? 'does not exist' : 'is a directory');
  }

  #directory(path: string): MemoryDirectory {
    const node = this.#node(path);
    if (node instanceof MemoryDirectory) return node;
    throw this.#error(path, node === undefined ? 'does not exist' : 'is not a directory');
  }

  #link(description: string, path: string, node: MemoryNode): void {
    const parent = this.#node(parentOf(path));
    if (!(parent instanceof MemoryDirectory)) throw this.#error(path, 'has no directory to be in');
    parent.change(`${description} ${path}`, new Map([[nameOf(path), node]]));
  }

  #unlink(description: string, path: string): void {
    this.#directory(parentOf(path)).change(description, new Map([[nameOf(path), undefined]]));
  }

  #faultError(path: string, fault: DiskFault): StorageError {
    switch (fault) {
      case 'EIO':
        return this.#error(path, 'EIO: i/o error');
      case 'ENOSPC':
        return this.#error(path, 'ENOSPC: no space left on device');
      case 'short':
        return this.#error(path, 'short write');
      default:
        return unreachable(fault);
    }
  }

  #error(path: string, text: string): StorageError {
    return new StorageError('io', path, text);
  }
}

/** What an open file needs of its disk. */
interface FileHooks {
  step<T>(step: DiskStep, effect: () => T): Promise<T>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  error(text: string): StorageError;
}

class MemoryDiskFile implements DiskFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #inode: MemoryInode;
  readonly #hooks: FileHooks;
  #writing = false;
  #closed = false;

  constructor(path: string, inode: MemoryInode, hooks: FileHooks) {
    this.path = path;
    this.sizeBytes = inode.sizeBytes;
    this.#inode = inode;
    this.#hooks = hooks;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    assert(offset >= 0 && length >= 0, () => `read of ${length} bytes at ${offset}`);
    return this.#hooks.step('read', () => {
      this.#checkOpen();
      if (offset + length > this.#inode.sizeBytes) throw this.#hooks.error(`short read at byte ${offset}`);
      return this.#inode.read(offset, length);
    });
  }

  async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
    const end = offset + bytes.byteLength;
    assert(offset >= 0 && end <= this.sizeBytes, () => `write up to byte ${end} of ${this.sizeBytes}: ${this.path}`);
    assert(!this.#writing, () => `two writes at a time: ${this.path}`);
    this.#checkOpen();
    this.#writing = true;
    try {
      await this.#hooks.write(offset, bytes);
    } finally {
      this.#writing = false;
    }
  }

  async close(): Promise<void> {
    await this.#hooks.step('open', () => {
      this.#checkOpen();
      this.#closed = true;
    });
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#hooks.error('the file is closed');
  }
}

function usedBytes(directory: MemoryDirectory): number {
  let used = 0;
  for (const node of directory.entries.values()) {
    used += node instanceof MemoryDirectory ? usedBytes(node) : node.sizeBytes;
  }
  return used;
}
