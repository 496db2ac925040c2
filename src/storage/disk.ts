/**
 * The few file operations that the log, hard state, identity and pointer files need, so that they can run on the real
 * disk (node-disk.ts) and on a twin in memory (memory-disk.ts) that forgets what was not synced. Paths are relative
 * to the disk's root, separated by '/'. Every failure is a StorageError of kind 'io' that names the file.
 */
export interface Disk {
  /** Creates the directory and its parents. Durable only after `syncDirectory` of each parent. */
  makeDirectory(path: string): Promise<void>;
  /** Names of the entries of a directory, sorted by code unit; [] where it does not exist. */
  list(path: string): Promise<readonly string[]>;
  exists(path: string): Promise<boolean>;
  /** Whole content; undefined where the file does not exist. */
  read(path: string): Promise<Buffer | undefined>;
  /**
   * Creates (truncating) a file of `bytes` zero bytes that are really written, then syncs the file. The name is durable
   * only after `syncDirectory`.
   */
  createZeroFilled(path: string, bytes: number): Promise<void>;
  /** Opens an existing file for reads and durable writes. */
  open(path: string): Promise<DiskFile>;
  /** Writes a new or truncated small file and syncs its content. */
  writeWhole(path: string, content: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Removes a directory with all it holds; nothing where it does not exist. */
  removeTree(path: string): Promise<void>;
  /** Makes creations, renames and removals in this directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Free bytes on the file system that holds the root. */
  freeBytes(): Promise<number>;
}

export interface DiskFile {
  readonly path: string;
  /** Bytes in the file when opened; the file is never grown by `writeDurably`. */
  readonly sizeBytes: number;
  /** Reads exactly `length` bytes at `offset`; a short read is a StorageError. */
  read(offset: number, length: number): Promise<Buffer>;
  /**
   * Writes all of `bytes` at `offset` within the file and returns once they are durable (O_DSYNC). A short write is a
   * StorageError. The caller must not change `bytes` meanwhile. One write at a time a file.
   */
  writeDurably(offset: number, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
