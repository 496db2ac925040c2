import { assert } from '../../../src/base/assert.ts';

const firstSlots = 64;

/**
 * Numbers pairs of integers of [0, 2^31) in the order in which they come: 1, 2, 3... An open hash table in typed
 * arrays: 12 to 24 bytes a pair, and exact, as a table of hashes alone would not be.
 */
export class PairTable {
  /** 0: free; otherwise the number of the pair. */
  #slots = new Int32Array(firstSlots);
  #firsts = new Int32Array(firstSlots);
  #seconds = new Int32Array(firstSlots);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number of this pair, a new one where it has none: then `size` has risen. */
  intern(first: number, second: number): number {
    const mask = this.#slots.length - 1;
    let slot = hashOf(first, second) & mask;
    for (;;) {
      const id = this.#slots[slot] ?? 0;
      if (id === 0) break;
      if (this.#firsts[id] === first && this.#seconds[id] === second) return id;
      slot = (slot + 1) & mask;
    }
    const id = ++this.#size;
    this.#slots[slot] = id;
    this.#firsts[id] = first;
    this.#seconds[id] = second;
    // One slot more is kept free: pairs are numbered from 1, and a search must end.
    if ((this.#size + 2) * 2 > this.#slots.length) this.#grow();
    return id;
  }

  first(id: number): number {
    return this.#firsts[id] ?? 0;
  }

  second(id: number): number {
    return this.#seconds[id] ?? 0;
  }

  #grow(): void {
    const length = this.#slots.length * 2;
    assert(length <= 2 ** 30, 'table of pairs is too large');
    this.#firsts = grown(this.#firsts, length);
    this.#seconds = grown(this.#seconds, length);
    this.#slots = new Int32Array(length);
    const mask = length - 1;
    for (let id = 1; id <= this.#size; id++) {
      let slot = hashOf(this.first(id), this.second(id)) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = id;
    }
  }
}

/** A copy of this length, zeros behind what was there. */
export function grown(numbers: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const longer = new Int32Array(length);
  longer.set(numbers);
  return longer;
}

function hashOf(first: number, second: number): number {
  let hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}
