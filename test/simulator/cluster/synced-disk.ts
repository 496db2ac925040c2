import type { MemoryDisk } from '../../../src/storage/memory-disk.ts';
import { decodeMark, markPath } from '../../../src/storage/compaction-mark.ts';
import { pageBytes, readFrame } from '../../../src/storage/frame.ts';
import { hardStateIn, hardStatePath } from '../../../src/storage/hard-state-file.ts';
import type { HardStateRecord } from '../../../src/storage/hard-state.ts';
import { segmentPath } from '../../../src/storage/segment.ts';

/**
 * What a member would find if it lost power now and nothing un-synced survived. It goes along with the log of one life:
 * each page is read once.
 */
export class SyncedDisk {
  readonly #disk: MemoryDisk;
  #segment = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #sequence = 0;
  #lastIndex = 0;

  /** @param disk As this life uses it. */
  constructor(disk: MemoryDisk) {
    this.#disk = disk;
  }

  /** Whether the log reaches up to this entry. */
  hasEntry(index: number): boolean {
    if (this.#lastIndex < index || this.#hasMore()) this.#readOn();
    if (this.#lastIndex < index) this.#readAnew();
    return this.#lastIndex >= index;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** Where the log ends; undefined while a write of it is under way, which may supersede entries and yet survive. */
  settledEnd(): number | undefined {
    this.hasEntry(Number.POSITIVE_INFINITY);
    if (this.#segment === 0) return undefined;
    for (const segment of [this.#segment, this.#segment + 1]) {
      const path = segmentPath(segment);
      if (this.#disk.syncedOf(path) !== undefined && this.#disk.unsyncedPages(path).length > 0) return undefined;
    }
    return this.#lastIndex;
  }

  hardState(): HardStateRecord | undefined {
    const content = this.#contentOf(hardStatePath);
    return content === undefined ? undefined : hardStateIn(content);
  }

  /** A log that was restarted behind a snapshot goes on elsewhere. */
  #readAnew(): void {
    const content = this.#contentOf(markPath);
    if (content === undefined || content.byteLength === 0) return;
    const { base, firstSegment, firstSequence } = decodeMark(content);
    // A mark that only drops a prefix names a segment that was read before.
    if (firstSegment <= this.#segment) return;
    this.#sequence = firstSequence;
    this.#lastIndex = base.index;
    this.#open(firstSegment);
    this.#readOn();
  }

  #open(segment: number): void {
    this.#segment = segment;
    this.#at = 0;
    this.#bytes = Buffer.alloc(this.#disk.syncedOf(segmentPath(segment))?.sizeBytes ?? 0);
  }

  #hasMore(): boolean {
    return (
      this.#segment > 0 && this.#disk.syncedOf(segmentPath(this.#segment))?.page(this.#at / pageBytes) !== undefined
    );
  }

  #readOn(): void {
    if (this.#segment === 0) return;
    while (this.#readFrame()) {
      // The next one.
    }
    const next = this.#disk.syncedOf(segmentPath(this.#segment + 1));
    if (next?.page(0) === undefined) return;
    const [segment, at, bytes] = [this.#segment, this.#at, this.#bytes];
    this.#open(segment + 1);
    if (this.#readFrame()) this.#readOn();
    else [this.#segment, this.#at, this.#bytes] = [segment, at, bytes];
  }

  #readFrame(): boolean {
    const file = this.#disk.syncedOf(segmentPath(this.#segment));
    if (file === undefined || this.#at >= this.#bytes.byteLength) return false;
    const first = this.#at / pageBytes;
    if (!this.#copy(first, file.page(first))) return false;
    const pages = this.#bytes.readUInt16BE(this.#at + 6);
    if (this.#at + pages * pageBytes > this.#bytes.byteLength) return false;
    for (let page = first + 1; page < first + pages; page++) if (!this.#copy(page, file.page(page))) return false;
    const reading = readFrame(this.#bytes, this.#at, this.#segment);
    if (reading.kind !== 'intact' || reading.frame.sequence !== this.#sequence) return false;
    const { firstIndex, entryCount } = reading.frame;
    this.#lastIndex = firstIndex + entryCount - 1;
    this.#sequence += 1;
    this.#at += pages * pageBytes;
    return true;
  }

  #copy(page: number, content: Buffer | undefined): boolean {
    content?.copy(this.#bytes, page * pageBytes);
    return content !== undefined;
  }

  #contentOf(path: string): Buffer | undefined {
    const file = this.#disk.syncedOf(path);
    if (file === undefined) return undefined;
    const content = Buffer.alloc(file.sizeBytes);
    for (let page = 0; page * pageBytes < content.byteLength; page++) file.page(page)?.copy(content, page * pageBytes);
    return content;
  }
}
