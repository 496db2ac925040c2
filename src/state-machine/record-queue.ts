import { assert } from '../base/assert.ts';

const chunkBytesMin = 4 * 1024;
const chunkBytesMax = 256 * 1024;
const placesMin = 64;

/**
 * Records of bytes, added at the end and dropped from the front, in chunks instead of an object each. A record's bytes
 * are written once and never moved: what `get` returned stays valid for as long as somebody holds it (and keeps its
 * chunk of at most 256 KiB in memory).
 */
export class RecordQueue {
  #chunks: Uint8Array[] = [];
  /** Number of the chunk at #chunks[0], counted from the first ever. */
  #firstChunk = 0;
  #tailUsed = 0;
  #first: number;
  #next: number;
  #bytes = 0;
  /** Rings by sequence: chunk number * chunkBytesMax + offset, and length. Capacity is a power of two. */
  #places = new Float64Array(placesMin);
  #lengths = new Uint32Array(placesMin);

  /** @param firstSequence Sequence of the first record. */
  constructor(firstSequence: number) {
    this.#first = firstSequence;
    this.#next = firstSequence;
  }

  /** Sequence of the oldest record; `next` where there is none. */
  get first(): number {
    return this.#first;
  }

  /** Sequence that the next record gets. */
  get next(): number {
    return this.#next;
  }

  get count(): number {
    return this.#next - this.#first;
  }

  /** Bytes of all records. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies the record in; returns the copy. */
  push(record: Uint8Array): Uint8Array {
    if (this.count === this.#places.length) this.#growPlaces();
    let tail = this.#chunks.at(-1);
    // Behind a full chunk even an empty record finds no place: its offset would be in the next one.
    const isFull = this.#tailUsed >= chunkBytesMax;
    if (tail === undefined || isFull || tail.length - this.#tailUsed < record.length) {
      tail = this.#addChunk(record.length);
    }
    const offset = this.#tailUsed;
    tail.set(record, offset);
    this.#tailUsed += record.length;
    const slot = this.#slot(this.#next);
    this.#places[slot] = (this.#firstChunk + this.#chunks.length - 1) * chunkBytesMax + offset;
    this.#lengths[slot] = record.length;
    this.#next += 1;
    this.#bytes += record.length;
    return tail.subarray(offset, offset + record.length);
  }

  get(sequence: number): Uint8Array {
    assert(sequence >= this.#first && sequence < this.#next, () => `no record ${sequence}`);
    const slot = this.#slot(sequence);
    const place = this.#places[slot] as number;
    const offset = place % chunkBytesMax;
    const chunk = this.#chunks[(place - offset) / chunkBytesMax - this.#firstChunk] as Uint8Array;
    return chunk.subarray(offset, offset + (this.#lengths[slot] as number));
  }

  /** Drops the oldest record. */
  shift(): void {
    assert(this.count > 0, 'shift of an empty queue');
    this.#bytes -= this.#lengths[this.#slot(this.#first)] as number;
    this.#first += 1;
    if (this.count === 0) {
      this.#chunks = [];
      return;
    }
    const place = this.#places[this.#slot(this.#first)] as number;
    while (place >= (this.#firstChunk + 1) * chunkBytesMax) {
      this.#chunks.shift();
      this.#firstChunk += 1;
    }
  }

  #slot(sequence: number): number {
    return sequence % this.#places.length;
  }

  #addChunk(bytesMin: number): Uint8Array {
    let size = chunkBytesMin;
    while (size < chunkBytesMax && size * 8 < this.#bytes) size *= 2;
    const chunk = new Uint8Array(size < bytesMin ? bytesMin : size);
    this.#chunks.push(chunk);
    this.#tailUsed = 0;
    return chunk;
  }

  /** Of a full ring: its two parts lie behind each other in one of twice the size. */
  #growPlaces(): void {
    const capacity = this.#places.length;
    const split = this.#first % capacity;
    const start = this.#first % (capacity * 2);
    const rest = (start + capacity - split) % (capacity * 2);
    const places = new Float64Array(capacity * 2);
    const lengths = new Uint32Array(capacity * 2);
    places.set(this.#places.subarray(split), start);
    places.set(this.#places.subarray(0, split), rest);
    lengths.set(this.#lengths.subarray(split), start);
    lengths.set(this.#lengths.subarray(0, split), rest);
    this.#places = places;
    this.#lengths = lengths;
  }
}
