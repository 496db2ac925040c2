import { assert } from '../base/assert.ts';
import { Column } from './column.ts';

const chunkBytesMin = 1024;
const chunkBytesMax = 256 * 1024;
/** A chunk costs some memory of its own, and half of the last one is free: together they are least with this. */
const chunkCostBytes = 512;
/** Each record in a chunk is preceded by its slot and its length, four bytes each. */
export const slotHeadBytes = 8;
const nothing = new Uint8Array(0);

interface Chunk {
  readonly bytes: Buffer;
  used: number;
  /** Bytes of `used` that hold current records, heads included. */
  live: number;
}

/**
 * Records of bytes by slot, a small number that the owner gives: in chunks, with their places in a column, no object a
 * record.
 *
 * Bytes are appended and never written again. A chunk that is full and more than half garbage is emptied by moving what
 * is left to the end, and then dropped; so a record that was handed out stays valid for as long as somebody holds it.
 * Chunks grow with the square root of the content (1 KiB to 256 KiB), and a record never spans two.
 */
export class SlotArena {
  /** By slot, two each: index of the chunk, offset behind the record's head (0: the slot holds nothing). */
  readonly #places = new Column((length) => new Uint32Array(length));
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #freeChunks: number[] = [];
  #tail = -1;
  #liveBytes = 0;
  /** Full chunks that became more than half garbage in the present call. */
  readonly #sparse: number[] = [];

  /** Bytes of the chunks, for tests and metrics. */
  get chunkBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + (chunk?.bytes.length ?? 0), 0);
  }

  /** Bytes of the current records with their heads. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  has(slot: number): boolean {
    return this.#places.get(slot * 2 + 1) !== 0;
  }

  /** The memory around the record of a slot that holds one; valid until the next change. */
  chunkAt(slot: number): Buffer {
    const chunk = this.#chunks[this.#places.get(slot * 2)];
    assert(chunk !== undefined, 'nothing at this slot');
    return chunk.bytes;
  }

  /** Where the record begins in that memory. */
  startAt(slot: number): number {
    const start = this.#places.get(slot * 2 + 1);
    assert(start !== 0, 'nothing at this slot');
    return start;
  }

  lengthAt(slot: number): number {
    return this.chunkAt(slot).readUInt32LE(this.startAt(slot) - slotHeadBytes + 4);
  }

  /** The current record, not to be changed; valid for as long as it is held. */
  get(slot: number): Uint8Array | undefined {
    if (!this.has(slot)) return undefined;
    const bytes = this.chunkAt(slot);
    const start = this.startAt(slot);
    assert(bytes.readUInt32LE(start - slotHeadBytes) === slot, 'record of another slot');
    return new Uint8Array(bytes.buffer, bytes.byteOffset + start, this.lengthAt(slot));
  }

  /** Copies the record in, which may come in two parts, over whatever the slot holds. */
  put(slot: number, record: Uint8Array, rest: Uint8Array = nothing): void {
    if (this.has(slot)) this.#discard(slot);
    this.#append(slot, record, rest);
    this.#emptySparse();
  }

  /** The slot holds something. */
  delete(slot: number): void {
    assert(this.has(slot), 'delete of an empty slot');
    this.#discard(slot);
    this.#emptySparse();
  }

  #append(slot: number, record: Uint8Array, rest: Uint8Array): void {
    const recordLength = record.length + rest.length;
    const length = slotHeadBytes + recordLength;
    let tail = this.#chunks[this.#tail];
    if (tail === undefined || tail.bytes.length - tail.used < length) tail = this.#addChunk(length);
    const head = tail.used;
    tail.bytes.writeUInt32LE(slot, head);
    tail.bytes.writeUInt32LE(recordLength, head + 4);
    tail.bytes.set(record, head + slotHeadBytes);
    if (rest.length > 0) tail.bytes.set(rest, head + slotHeadBytes + record.length);
    tail.used += length;
    tail.live += length;
    this.#liveBytes += length;
    this.#places.set(slot * 2, this.#tail);
    this.#places.set(slot * 2 + 1, head + slotHeadBytes);
  }

  #discard(slot: number): void {
    const chunkIndex = this.#places.get(slot * 2);
    const chunk = this.#chunks[chunkIndex] as Chunk;
    const length = slotHeadBytes + this.lengthAt(slot);
    const wasSparse = isSparse(chunk);
    chunk.live -= length;
    this.#liveBytes -= length;
    assert(chunk.live >= 0, 'more garbage than bytes');
    // The place must not point to a record that is no longer there: #emptySparse tells the living by it.
    this.#places.set(slot * 2 + 1, 0);
    if (!wasSparse && isSparse(chunk) && chunkIndex !== this.#tail) this.#sparse.push(chunkIndex);
  }

  #addChunk(bytesMin: number): Chunk {
    const full = this.#chunks[this.#tail];
    if (full !== undefined && isSparse(full)) this.#sparse.push(this.#tail);
    let size = chunkBytesMin;
    while (size < chunkBytesMax && size * size < this.#liveBytes * chunkCostBytes) size *= 2;
    const chunk = { bytes: Buffer.allocUnsafeSlow(size < bytesMin ? bytesMin : size), used: 0, live: 0 };
    this.#tail = this.#freeChunks.pop() ?? this.#chunks.length;
    this.#chunks[this.#tail] = chunk;
    return chunk;
  }

  /** Moves what is left in sparse chunks to the end. Each moved byte is paid for by a byte of garbage. */
  #emptySparse(): void {
    for (let index = this.#sparse.pop(); index !== undefined; index = this.#sparse.pop()) {
      const chunk = this.#chunks[index] as Chunk;
      for (let head = 0; head < chunk.used; ) {
        const slot = chunk.bytes.readUInt32LE(head);
        const start = head + slotHeadBytes;
        const end = start + chunk.bytes.readUInt32LE(head + 4);
        if (this.#places.get(slot * 2) === index && this.#places.get(slot * 2 + 1) === start) {
          this.#liveBytes -= end - head;
          chunk.live -= end - head;
          this.#append(slot, chunk.bytes.subarray(start, end), nothing);
        }
        head = end;
      }
      assert(chunk.live === 0, () => `chunk dropped with ${chunk.live} live bytes`);
      this.#chunks[index] = undefined;
      this.#freeChunks.push(index);
    }
  }
}

function isSparse(chunk: Chunk): boolean {
  return chunk.live * 2 < chunk.used;
}
