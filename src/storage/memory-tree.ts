import { assert } from '../base/assert.ts';

/** What a crash may lose is decided page by page: this many bytes are written whole or not at all. */
export const memoryPageBytes = 4_096;

/**
 * Decides what a loss of power leaves of that which was not synced. Called once for each such page and each such change
 * of a directory; true keeps it.
 */
export interface CrashChoice {
  page(path: string, page: number): boolean;
  change(directory: string, description: string): boolean;
}

/** What the medium holds of a file. */
export interface SyncedFile {
  readonly sizeBytes: number;
  /** The content of a page, which nobody may change; undefined where it is all zero. */
  page(number: number): Buffer | undefined;
}

/**
 * Content of one file as the processes see it and as the medium holds it. Pages are kept only where they are not all
 * zero, and are never changed in place, so that both views and copies may share them.
 */
export class MemoryInode {
  sizeBytes = 0;
  #mediumSizeBytes = 0;
  readonly #seen = new Map<number, Buffer>();
  readonly #medium = new Map<number, Buffer>();
  /** Pages that differ from the medium and would be written by a sync. */
  readonly #dirty = new Set<number>();

  read(offset: number, length: number): Buffer {
    assert(offset >= 0 && offset + length <= this.sizeBytes, () => `read of ${length} at ${offset}`);
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; ) {
      const within = (offset + at) % memoryPageBytes;
      const taken = Math.min(memoryPageBytes - within, length - at);
      this.#seen.get((offset + at - within) / memoryPageBytes)?.copy(bytes, at, within, within + taken);
      at += taken;
    }
    return bytes;
  }

  /** Changes what processes see; the medium follows with `sync`, or in part with a crash. */
  write(offset: number, bytes: Uint8Array): void {
    this.sizeBytes = Math.max(this.sizeBytes, offset + bytes.byteLength);
    for (const page of put(this.#seen, offset, bytes)) this.#dirty.add(page);
  }

  truncate(sizeBytes: number): void {
    for (const page of this.#seen.keys()) this.#dirty.add(page);
    this.#seen.clear();
    this.sizeBytes = sizeBytes;
  }

  sync(): void {
    for (const page of this.#dirty) this.#copy(page, this.#seen, this.#medium);
    this.#dirty.clear();
    this.#mediumSizeBytes = this.sizeBytes;
  }

  /** As after a failed sync: processes still see the pages, the medium lacks them, and no later sync writes them. */
  forgetDirty(): void {
    this.#dirty.clear();
  }

  dirtyPages(): readonly number[] {
    return [...this.#dirty].toSorted((one, other) => one - other);
  }

  /** Changes bytes on the medium itself, behind everybody's back. */
  damage(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.byteLength;
    assert(offset >= 0 && end <= this.sizeBytes, () => `damage up to byte ${end} of ${this.sizeBytes}`);
    for (const view of [this.#seen, this.#medium]) put(view, offset, bytes);
  }

  /** As a loss of power leaves it at the least. */
  get synced(): SyncedFile {
    return { sizeBytes: this.#mediumSizeBytes, page: (number) => this.#medium.get(number) };
  }

  crash(path: string, choice: CrashChoice): void {
    for (const page of this.dirtyPages()) if (choice.page(path, page)) this.#copy(page, this.#seen, this.#medium);
    if (this.sizeBytes !== this.#mediumSizeBytes && choice.change(path, 'size')) this.#mediumSizeBytes = this.sizeBytes;
    this.#dirty.clear();
    this.sizeBytes = this.#mediumSizeBytes;
    this.#seen.clear();
    for (const [page, content] of this.#medium) {
      if (page * memoryPageBytes < this.sizeBytes) this.#seen.set(page, content);
      else this.#medium.delete(page);
    }
  }

  copy(): MemoryInode {
    const copy = new MemoryInode();
    copy.sizeBytes = this.sizeBytes;
    copy.#mediumSizeBytes = this.#mediumSizeBytes;
    for (const [page, content] of this.#seen) copy.#seen.set(page, content);
    for (const [page, content] of this.#medium) copy.#medium.set(page, content);
    for (const page of this.#dirty) copy.#dirty.add(page);
    return copy;
  }

  #copy(page: number, from: ReadonlyMap<number, Buffer>, to: Map<number, Buffer>): void {
    const content = from.get(page);
    if (content === undefined) to.delete(page);
    else to.set(page, content);
  }
}

/** Replaces the pages that `bytes` touch; returns their numbers. */
function put(view: Map<number, Buffer>, offset: number, bytes: Uint8Array): readonly number[] {
  const pages: number[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const within = (offset + at) % memoryPageBytes;
    const page = (offset + at - within) / memoryPageBytes;
    const taken = Math.min(memoryPageBytes - within, bytes.byteLength - at);
    const changed = Buffer.alloc(memoryPageBytes);
    view.get(page)?.copy(changed);
    changed.set(bytes.subarray(at, at + taken), within);
    view.set(page, changed);
    pages.push(page);
    at += taken;
  }
  return pages;
}

export type MemoryNode = MemoryInode | MemoryDirectory;

/** One change of a directory: names and what they lead to from now on (undefined: nothing). All of it or nothing. */
interface DirectoryChange {
  readonly description: string;
  readonly names: ReadonlyMap<string, MemoryNode | undefined>;
}

/** A directory as the processes see it, and the changes that the medium may not have yet. */
export class MemoryDirectory {
  #seen = new Map<string, MemoryNode>();
  #medium = new Map<string, MemoryNode>();
  #pending: DirectoryChange[] = [];

  get entries(): ReadonlyMap<string, MemoryNode> {
    return this.#seen;
  }

  change(description: string, names: ReadonlyMap<string, MemoryNode | undefined>): void {
    this.#pending.push({ description, names });
    apply(names, this.#seen);
  }

  sync(): void {
    this.#medium = new Map(this.#seen);
    this.#pending = [];
  }

  crash(path: string, choice: CrashChoice): void {
    for (const { description, names } of this.#pending) {
      if (choice.change(path, description)) apply(names, this.#medium);
    }
    this.#pending = [];
    this.#seen = new Map(this.#medium);
    for (const [name, node] of this.#seen) node.crash(path === '' ? name : `${path}/${name}`, choice);
  }

  /** An independent copy; a node that is reached in several ways stays one node. */
  copy(known: Map<MemoryNode, MemoryNode> = new Map()): MemoryDirectory {
    const copied = (node: MemoryNode): MemoryNode => {
      const before = known.get(node);
      if (before !== undefined) return before;
      const made = node instanceof MemoryDirectory ? node.copy(known) : node.copy();
      known.set(node, made);
      return made;
    };
    const all = (nodes: ReadonlyMap<string, MemoryNode>): Map<string, MemoryNode> =>
      new Map([...nodes].map(([name, node]) => [name, copied(node)]));
    const copy = new MemoryDirectory();
    copy.#seen = all(this.#seen);
    copy.#medium = all(this.#medium);
    copy.#pending = this.#pending.map(({ description, names }) => ({
      description,
      names: new Map([...names].map(([name, node]) => [name, node === undefined ? undefined : copied(node)])),
    }));
    return copy;
  }
}

function apply(names: ReadonlyMap<string, MemoryNode | undefined>, to: Map<string, MemoryNode>): void {
  for (const [name, node] of names) {
    if (node === undefined) to.delete(name);
    else to.set(name, node);
  }
}
