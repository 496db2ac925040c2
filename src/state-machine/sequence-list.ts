import { assert } from '../base/assert.ts';

const headMin = 64;

/** Rising numbers, added at the end and dropped from the front. */
export class SequenceList {
  #items: number[] = [];
  /** Items before it are dropped; at most half of all. */
  #head = 0;

  get count(): number {
    return this.#items.length - this.#head;
  }

  get last(): number | undefined {
    return this.count === 0 ? undefined : this.#items.at(-1);
  }

  push(sequence: number): void {
    assert(sequence > (this.last ?? -1), 'sequences out of order');
    this.#items.push(sequence);
  }

  /** Drops the first and returns it. */
  shift(): number {
    const first = this.at(0);
    this.#head += 1;
    // What is moved here is paid for by as many that were dropped.
    if (this.#head >= headMin && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return first;
  }

  /** The number at a place, counted from the first. */
  at(place: number): number {
    const sequence = this.#items[this.#head + place];
    assert(place >= 0 && sequence !== undefined, () => `no sequence at ${place}`);
    return sequence;
  }

  /** The first place whose number fulfils what all above it fulfil too; `count` where there is none. */
  firstWhere(holds: (sequence: number) => boolean): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.at(middle))) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
