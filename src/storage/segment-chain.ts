import { assert, must } from '../base/assert.ts';
import type { Disk, DiskFile } from './disk.ts';
import { pageBytes } from './frame.ts';
import type { Segment } from './segment.ts';
import { logDirectory, segmentPath } from './segment.ts';

/**
 * The segment files of one log in use: the active one, those before it, and a spare that is made ahead so that no write
 * waits for 16 MiB of zeros. Segments are never used again; their numbers only rise. One write at a time.
 */
export class SegmentChain {
  readonly #disk: Disk;
  readonly #segmentBytes: number;
  readonly #onFailure: (error: unknown) => void;
  /** From the first that counts to the active one; never empty. */
  #segments: readonly Segment[];
  #file: DiskFile;
  /** The next segment, zero-filled, synced and with a durable name once this resolves. */
  #spare: Promise<Segment>;

  /**
   * @param segments From the first that counts to the active one. No file with a higher number exists.
   * @param file The active one's.
   * @param onFailure Told when the spare cannot be made, which ends the log.
   */
  constructor(
    disk: Disk,
    segments: readonly Segment[],
    file: DiskFile,
    segmentBytes: number,
    onFailure: (error: unknown) => void,
  ) {
    this.#disk = disk;
    this.#segments = segments;
    this.#file = file;
    this.#segmentBytes = segmentBytes;
    this.#onFailure = onFailure;
    this.#spare = this.#prepare();
  }

  get active(): Segment {
    return must(this.#segments.at(-1), 'active segment');
  }

  get usedBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.usedBytes, 0);
  }

  /** Goes on to the spare segment where the active one has no room for so many pages. */
  async makeRoom(pages: number): Promise<void> {
    const { active } = this;
    if (active.usedBytes / pageBytes + pages <= active.pages) return;
    const next = await this.#spare;
    assert(pages <= next.pages, () => `a frame of ${pages} pages for a segment of ${next.pages}`);
    await this.#enter(next);
    this.#segments = [...this.#segments, next];
  }

  /** Writes a frame behind the last one; durable when it resolves. */
  async write(bytes: Buffer, first: { readonly sequence: number; readonly index: number }): Promise<void> {
    const { active } = this;
    await this.#file.writeDurably(active.usedBytes, bytes);
    const usedBytes = active.usedBytes + bytes.byteLength;
    assert(active === this.active && usedBytes <= active.pages * pageBytes, 'the active segment changed in a write');
    this.#segments = [...this.#segments.slice(0, -1), { ...active, first: active.first ?? first, usedBytes }];
  }

  /**
   * The first segment that is needed when the log begins behind entry `baseIndex`: the last one whose first frame
   * begins at or before the entry that follows. All that came before that frame is at or below the base, or superseded
   * by it.
   */
  firstNeeded(baseIndex: number): Segment {
    const needed = this.#segments.findLast(({ first }) => first !== undefined && first.index <= baseIndex + 1);
    return needed ?? must(this.#segments[0], 'first segment');
  }

  /** Removes the segments before this one, and their names durably. */
  async removeBefore(number: number): Promise<void> {
    const removed = this.#segments.filter((segment) => segment.number < number);
    if (removed.length === 0) return;
    assert(number <= this.active.number, 'the active segment is never removed');
    this.#segments = this.#segments.filter((segment) => segment.number >= number);
    for (const segment of removed) await this.#disk.remove(segment.path);
    await this.#disk.syncDirectory(logDirectory);
  }

  /** The segment that would come next, empty and durable. */
  next(): Promise<Segment> {
    return this.#spare;
  }

  /** Leaves all segments for the next one, and removes them. */
  async restart(next: Segment): Promise<void> {
    await this.#enter(next);
    this.#segments = [...this.#segments, next];
    await this.removeBefore(next.number);
  }

  async close(): Promise<void> {
    // Its failure was told already.
    await this.#spare.catch(() => undefined);
    await this.#file.close();
  }

  async #enter(next: Segment): Promise<void> {
    assert(next.number === this.active.number + 1, () => `segment ${next.number} after ${this.active.number}`);
    const left = this.#file;
    this.#file = await this.#disk.open(next.path);
    await left.close();
    this.#spare = this.#prepare(next.number + 1);
  }

  #prepare(number = this.active.number + 1): Promise<Segment> {
    const spare = createSegment(this.#disk, number, this.#segmentBytes);
    spare.catch((error: unknown) => this.#onFailure(error));
    return spare;
  }
}

/** A new zero-filled segment; its content and its name are durable when it resolves. */
export async function createSegment(disk: Disk, number: number, bytes: number): Promise<Segment> {
  const path = segmentPath(number);
  await disk.createZeroFilled(path, bytes);
  await disk.syncDirectory(logDirectory);
  return { number, path, pages: bytes / pageBytes, first: undefined, usedBytes: 0 };
}
