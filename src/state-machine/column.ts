import { assert } from '../base/assert.ts';

const segmentBits = 12;
const segmentItems = 2 ** segmentBits;
const itemsMin = 8;
const placesMax = 2 ** 31;

type Items = Uint8Array | Uint32Array | Float64Array;

/**
 * Numbers by place, 0 where none was set, in segments of 4,096: however many there are, growing it copies little. The
 * first segment begins small, since there are many columns of few numbers.
 */
export class Column {
  readonly #make: (length: number) => Items;
  readonly #segments: Items[];

  /** @param make Gives the sort of numbers that it holds. */
  constructor(make: (length: number) => Items) {
    this.#make = make;
    this.#segments = [make(itemsMin)];
  }

  get(place: number): number {
    return this.#segments[place >>> segmentBits]?.[place & (segmentItems - 1)] ?? 0;
  }

  /** @param place Counted from 0, few of them left out: what lies below the highest takes memory. */
  set(place: number, value: number): void {
    const number = place >>> segmentBits;
    const at = place & (segmentItems - 1);
    let segment = this.#segments[number];
    if (segment === undefined || at >= segment.length) segment = this.#grow(place, number, at);
    segment[at] = value;
  }

  #grow(place: number, number: number, at: number): Items {
    assert(place >= 0 && place < placesMax, () => `place ${place} in a column`);
    if (number > 0) {
      while (this.#segments.length <= number) this.#segments.push(this.#make(segmentItems));
      return this.#segments[number] as Items;
    }
    const first = this.#segments[0] as Items;
    let length = first.length;
    while (length <= at) length *= 2;
    const grown = this.#make(length);
    grown.set(first);
    this.#segments[0] = grown;
    return grown;
  }
}
