import { assert } from '../base/assert.ts';
import { SortedStrings } from './sorted-strings.ts';

const chunkBytesMin = 1024;
const chunkBytesMax = 256 * 1024;
/** Each record in a chunk is preceded by its slot and the length of its view, four bytes each. */
const headBytes = 8;
const slotsMin = 4;

interface Chunk {
  readonly bytes: Buffer;
  used: number;
  /** Bytes of `used` that hold current records, heads included. */
  live: number;
}

/**
 * The instances of one service: view bytes in chunks, places in typed arrays, no object an instance.
 *
 * Bytes are appended and never written again. A chunk that is full and more than half garbage is emptied by moving what
 * is left to the end, and then dropped; so a view that was handed out stays valid for as long as somebody holds it.
 * Chunks grow with the service (an eighth of it, 1 KiB to 256 KiB), and a record never spans two.
 */
export class ServiceArena {
  readonly namespace: string;
  readonly service: string;
  /** Revision of the last removal while instances were left; 0: none. */
  removalRevision = 0;
  /** Revision of the last change of any instance. */
  modifyRevision = 0;
  readonly #ids = new SortedStrings();
  readonly #slots = new Map<string, number>();
  readonly #freeSlots: number[] = [];
  /** By slot: index of the chunk, offset of the record's head. */
  #places = new Uint32Array(slotsMin * 2);
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #freeChunks: number[] = [];
  #tail = -1;
  #liveBytes = 0;
  /** Full chunks that became more than half garbage in the present call. */
  readonly #sparse: number[] = [];

  constructor(namespace: string, service: string) {
    this.namespace = namespace;
    this.service = service;
  }

  get count(): number {
    return this.#slots.size;
  }

  /** Bytes of the chunks, for tests and metrics. */
  get chunkBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + (chunk?.bytes.length ?? 0), 0);
  }

  /** Bytes of the current records with their heads. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** The current view, not to be changed; valid for as long as it is held. */
  get(id: string): Uint8Array | undefined {
    const slot = this.#slots.get(id);
    if (slot === undefined) return undefined;
    const chunk = this.#chunks[this.#places[slot * 2] as number] as Chunk;
    const head = this.#places[slot * 2 + 1] as number;
    assert(chunk.bytes.readUInt32LE(head) === slot, 'record of another slot');
    const length = chunk.bytes.readUInt32LE(head + 4);
    return new Uint8Array(chunk.bytes.buffer, chunk.bytes.byteOffset + head + headBytes, length);
  }

  /** Ids in order, from `start` (included or not) on; no change meanwhile. */
  ids(start: string, included: boolean): Iterable<string> {
    return this.#ids.from(start, included);
  }

  /** Copies the view in, over whatever the id holds. */
  put(id: string, view: Uint8Array): void {
    let slot = this.#slots.get(id);
    if (slot === undefined) {
      slot = this.#freeSlots.pop() ?? this.#slots.size;
      this.#slots.set(id, slot);
      this.#ids.add(id);
      if ((slot + 1) * 2 > this.#places.length) this.#growPlaces();
    } else {
      this.#discard(slot);
    }
    this.#append(slot, view);
    this.#emptySparse();
  }

  delete(id: string): void {
    const slot = this.#slots.get(id);
    assert(slot !== undefined, 'delete of an absent id');
    this.#slots.delete(id);
    this.#ids.delete(id);
    this.#freeSlots.push(slot);
    this.#discard(slot);
    this.#emptySparse();
  }

  #append(slot: number, view: Uint8Array): void {
    const length = headBytes + view.length;
    let tail = this.#chunks[this.#tail];
    if (tail === undefined || tail.bytes.length - tail.used < length) tail = this.#addChunk(length);
    const head = tail.used;
    tail.bytes.writeUInt32LE(slot, head);
    tail.bytes.writeUInt32LE(view.length, head + 4);
    tail.bytes.set(view, head + headBytes);
    tail.used += length;
    tail.live += length;
    this.#liveBytes += length;
    this.#places[slot * 2] = this.#tail;
    this.#places[slot * 2 + 1] = head;
  }

  #discard(slot: number): void {
    const chunkIndex = this.#places[slot * 2] as number;
    const chunk = this.#chunks[chunkIndex] as Chunk;
    const length = headBytes + chunk.bytes.readUInt32LE((this.#places[slot * 2 + 1] as number) + 4);
    const wasSparse = isSparse(chunk);
    chunk.live -= length;
    this.#liveBytes -= length;
    assert(chunk.live >= 0, 'more garbage than bytes');
    // The place must not point to a record that is no longer there: #emptySparse tells the living by it.
    this.#places[slot * 2 + 1] = 0xffffffff;
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
        const end = head + headBytes + chunk.bytes.readUInt32LE(head + 4);
        if (this.#places[slot * 2] === index && this.#places[slot * 2 + 1] === head) {
          this.#liveBytes -= end - head;
          chunk.live -= end - head;
          this.#append(slot, chunk.bytes.subarray(head + headBytes, end));
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
    this.#places = places;
  }
}

function isSparse(chunk: Chunk): boolean {
  return chunk.live * 2 < chunk.used;
}
