/** A set of 64-bit hashes, given as two halves, in arrays of numbers: 16 bytes a place, at most two thirds full. */
export class HashSet {
  #highs: Uint32Array;
  #lows: Uint32Array;
  #mask: number;
  #size = 0;

  /** @param places A power of two. */
  constructor(places = 2 ** 16) {
    this.#highs = new Uint32Array(places);
    this.#lows = new Uint32Array(places);
    this.#mask = places - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns false when it was there already. */
  add(high: number, low: number): boolean {
    // Both zero marks a free place.
    const someLow = (high | low) === 0 ? 1 : low >>> 0;
    const someHigh = high >>> 0;
    if (!this.#put(someHigh, someLow)) return false;
    this.#size += 1;
    if (this.#size * 3 > this.#mask * 2) this.#grow();
    return true;
  }

  #put(high: number, low: number): boolean {
    for (let place = low & this.#mask; ; place = (place + 1) & this.#mask) {
      const heldHigh = this.#highs[place];
      const heldLow = this.#lows[place];
      if (heldLow === low && heldHigh === high) return false;
      if (heldLow === 0 && heldHigh === 0) {
        this.#highs[place] = high;
        this.#lows[place] = low;
        return true;
      }
    }
  }

  #grow(): void {
    const highs = this.#highs;
    const lows = this.#lows;
    const places = highs.length * 2;
    this.#highs = new Uint32Array(places);
    this.#lows = new Uint32Array(places);
    this.#mask = places - 1;
    for (let place = 0; place < highs.length; place++) {
      const high = highs[place] ?? 0;
      const low = lows[place] ?? 0;
      if (high !== 0 || low !== 0) this.#put(high, low);
    }
  }
}

const chunkLength = 2 ** 18;

/** A queue of rows of whole numbers. What was taken is given back to the heap, chunk by chunk. */
export class RowQueue {
  #chunks: Int32Array[] = [new Int32Array(chunkLength)];
  #writeAt = 0;
  #readAt = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(row: Int32Array, length: number): void {
    if (length + 1 > chunkLength) throw new Error(`a row of ${length} numbers`);
    let chunk = this.#chunks.at(-1) ?? new Int32Array(0);
    if (this.#writeAt + length + 2 > chunkLength) {
      // A row is never split: -1 sends the reader to the next chunk.
      chunk[this.#writeAt] = -1;
      chunk = new Int32Array(chunkLength);
      this.#chunks.push(chunk);
      this.#writeAt = 0;
    }
    chunk[this.#writeAt] = length;
    for (let at = 0; at < length; at++) chunk[this.#writeAt + 1 + at] = row[at] ?? 0;
    this.#writeAt += length + 1;
    this.#length += 1;
  }

  /** Takes the oldest row into `row`; returns its length, or -1 when the queue is empty. */
  take(row: Int32Array): number {
    if (this.#length === 0) return -1;
    let chunk = this.#chunks[0] ?? new Int32Array(0);
    if (chunk[this.#readAt] === -1) {
      this.#chunks.shift();
      this.#readAt = 0;
      chunk = this.#chunks[0] ?? new Int32Array(0);
    }
    const length = chunk[this.#readAt] ?? 0;
    for (let at = 0; at < length; at++) row[at] = chunk[this.#readAt + 1 + at] ?? 0;
    this.#readAt += length + 1;
    this.#length -= 1;
    return length;
  }
}

/** Whole numbers by place, growing as needed: 4 bytes each. */
export class NumberList {
  #numbers = new Int32Array(2 ** 14);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#numbers.length) {
      const more = new Int32Array(this.#numbers.length * 2);
      more.set(this.#numbers);
      this.#numbers = more;
    }
    this.#numbers[this.#length] = value;
    this.#length += 1;
  }

  /** -1 at and above the length. */
  at(place: number): number {
    return place < this.#length ? (this.#numbers[place] ?? -1) : -1;
  }
}
