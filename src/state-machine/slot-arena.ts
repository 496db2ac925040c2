import { assert } from '../base/assert.ts';

const chunkBytesMin = 1024;
const chunkBytesMax = 256 * 1024;
/** Each record in a chunk is preceded by its slot and its length, four bytes each. */
export const slotHeadBytes = 8;
const slotsMin = 4;
/** Head offset of a slot that holds nothing: no record begins there. */
const nowhere = 0xffffffff;

interface Chunk {
  readonly bytes: Buffer;
  used: number;
  /** Bytes of `used` that hold current records, heads included. */
  live: number;
}

/**
 * Records of bytes by slot, a small number that the owner gives: in chunks, with their places in a typed array, no
 * object a record.
 *
 * Bytes are appended and never written again. A chunk that is full and more than half garbage is emptied by moving what
 * is left to the end, and then dropped; so a record that was handed out stays valid for as long as somebody holds it.
 * Chunks grow with the content (an eighth of it, 1 KiB to 256 KiB), and a record never spans two.
 */
export class SlotArena {
  /** By slot: index of the chunk, offset of the record's head. */
  #places = new Uint32Array(slotsMin * 2).fill(nowhere);
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
    return slot * 2 < this.#places.length && this.#places[slot * 2 + 1] !== nowhere;
  }

  /** The current record, not to be changed; valid for as long as it is held. */
  get(slot: number): Uint8Array | undefined {
    if (!this.has(slot)) return undefined;
    const chunk = this.#chunks[this.#places[slot * 2] as number] as Chunk;
    const head = this.#places[slot * 2 + 1] as number;
    assert(chunk.bytes.readUInt32LE(head) === slot, 'record of another slot');
    const length = chunk.bytes.readUInt32LE(head + 4);
    return new Uint8Array(chunk.bytes.buffer, chunk.bytes.byteOffset + head + slotHeadBytes, length);
  }

  /** Copies the record in, over whatever the slot holds. */
  put(slot: number, record: Uint8Array): void {
    while ((slot + 1) * 2 > this.#places.length) this.#growPlaces();
    if (this.has(slot)) this.#discard(slot);
    this.#append(slot, record);
    this.#emptySparse();
  }

  /** The slot holds something. */
  delete(slot: number): void {
    assert(this.has(slot), 'delete of an empty slot');
    this.#discard(slot);
    this.#emptySparse();
  }

  #append(slot: number, record: Uint8Array): void {
    const length = slotHeadBytes + record.length;
    let tail = this.#chunks[this.#tail];
    if (tail === undefined || tail.bytes.length - tail.used < length) tail = this.#addChunk(length);
    const head = tail.used;
    tail.bytes.writeUInt32LE(slot, head);
    tail.bytes.writeUInt32LE(record.length, head + 4);
    tail.bytes.set(record, head + slotHeadBytes);
    tail.used += length;
    tail.live += length;
    this.#liveBytes += length;
    this.#places[slot * 2] = this.#tail;
    this.#places[slot * 2 + 1] = head;
  }

  #discard(slot: number): void {
    const chunkIndex = this.#places[slot * 2] as number;
    const chunk = this.#chunks[chunkIndex] as Chunk;
    const length = slotHeadBytes + chunk.bytes.readUInt32LE((this.#places[slot * 2 + 1] as number) + 4);
    const wasSparse = isSparse(chunk);
    chunk.live -= length;
    this.#liveBytes -= length;
    assert(chunk.live >= 0, 'more garbage than bytes');
    // The place must not point to a record that is no longer there: #emptySparse tells the living by it.
    this.#places[slot * 2 + 1] = nowhere;
    if (!wasSparse && isSparse(chunk) && chunkIndex !== this.#tail) this.#sparse.push(chunkIndex);
  }

  #addChunk(bytesMin: number): Chunk {
    const full = this.#chunks[this.#tail];
    if (full !== undefined && isSparse(full)) this.#sparse.push(this.#tail);
    let size = chunkBytesMin;
    while (size < chunkBytesMax && size * 8 < this.#liveBytes) size *= 2;
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
        const end = head + slotHeadBytes + chunk.bytes.readUInt32LE(head + 4);
        if (this.#places[slot * 2] === index && this.#places[slot * 2 + 1] === head) {
          this.#liveBytes -= end - head;
          chunk.live -= end - head;
          this.#append(slot, chunk.bytes.subarray(head + slotHeadBytes, end));
        }
        head = end;
      }
      assert(chunk.live === 0, () => `chunk dropped with ${chunk.live} live bytes`);
      this.#chunks[index] = undefined;
      this.#freeChunks.push(index);
    }
  }

  #growPlaces(): void {
    const places = new Uint32Array(this.#places.length * 2);
    places.set(this.#places);
    places.fill(nowhere, this.#places.length);
    this.#places = places;
  }
}

function isSparse(chunk: Chunk): boolean {
  return chunk.live * 2 < chunk.used;
}
