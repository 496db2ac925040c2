const ways = 4;
const placesMin = 8;
/** A larger table begins empty when it grows: moving what it holds would take too long in one go. */
const placesMovedMax = 8_192;

/**
 * Remembers, by hash, slots that may be what is sought, four a hash: what is not found in it is sought elsewhere. So it
 * need not be told of everything, and hashes that are all the same cost no more than that other way does.
 */
export class SlotCache {
  /** Slots plus 1, 0 for none; the newest of each four first. */
  #places = new Uint32Array(placesMin);
  readonly #hashOf: (slot: number) => number;

  /** @param hashOf Asked for slots that were remembered, -1 where the slot is in use no more. */
  constructor(hashOf: (slot: number) => number) {
    this.#hashOf = hashOf;
  }

  /** The slot that `is` says yes to, -1 for none. It may be asked of slots that are in use no more. */
  find(hash: number, is: (slot: number) => boolean): number {
    const base = this.#baseOf(hash);
    for (let way = 0; way < ways; way += 1) {
      const slot = (this.#places[base + way] as number) - 1;
      if (slot >= 0 && is(slot)) return slot;
    }
    return -1;
  }

  /** @param count Slots in use: there is room for twice as many. */
  remember(hash: number, slot: number, count: number): void {
    if (count * 2 > this.#places.length) this.#grow();
    this.#add(hash, slot);
  }

  #grow(): void {
    const before = this.#places;
    this.#places = new Uint32Array(before.length * 2);
    if (before.length > placesMovedMax) return;
    for (const place of before) {
      const hash = place === 0 ? -1 : this.#hashOf(place - 1);
      if (hash >= 0) this.#add(hash, place - 1);
    }
  }

  #add(hash: number, slot: number): void {
    const base = this.#baseOf(hash);
    this.#places.copyWithin(base + 1, base, base + ways - 1);
    this.#places[base] = slot + 1;
  }

  #baseOf(hash: number): number {
    return (hash & (this.#places.length / ways - 1)) * ways;
  }
}

/** Of ASCII text; for tables in memory only. */
export function textHash(text: string): number {
  let hash = text.length;
  for (let i = 0; i < text.length; i += 1) {
    // Below 2^52, hence exact; the lowest 32 bits go on.
    hash = ((hash ^ text.charCodeAt(i)) * 1_000_003) >>> 0;
  }
  return folded(hash);
}

/** As `textHash`, of the same text as bytes. */
export function bytesHash(bytes: Uint8Array, start: number, length: number): number {
  let hash = length;
  for (let i = start; i < start + length; i += 1) hash = ((hash ^ (bytes[i] as number)) * 1_000_003) >>> 0;
  return folded(hash);
}

/** The lowest bits depend on all; 31 bits. */
function folded(hash: number): number {
  return (hash ^ (hash >>> 15)) & 0x7fffffff;
}
