import { assert } from '../base/assert.ts';

const blockItemsMin = 4;
const blockItemsMax = 512;

type Items = Uint32Array | Float64Array;

interface Block {
  items: Items;
  count: number;
}

/** Below 0 where the item comes before what is sought, 0 where it is that, above 0 where it comes behind. */
export type CompareItem = (item: number) => number;

/**
 * Numbers in an order that only the owner knows (they stand for something, such as slots for ids), in blocks of at most
 * 512: an insertion moves few of them however many there are, and none is an object. `seek` finds a place, which
 * `insert` and `remove` then work at.
 */
export class SortedBlocks {
  readonly #make: (length: number) => Items;
  /** No block is empty; all of each come before the next one's. */
  readonly #blocks: Block[] = [];
  #size = 0;
  /** The place sought last; void after a removal. */
  #block = 0;
  #at = 0;

  constructor(make: (length: number) => Items) {
    this.#make = make;
  }

  get size(): number {
    return this.#size;
  }

  /** Goes to the first item that does not come before what is sought; true where it is that. */
  seek(compare: CompareItem): boolean {
    const last = this.#blocks.length - 1;
    const tail = this.#blocks[last];
    // What comes in order (a load, counting ids) is found at the end at once.
    if (tail === undefined || compare(tail.items[tail.count - 1] as number) < 0) {
      this.#block = tail === undefined ? 0 : last;
      this.#at = tail?.count ?? 0;
      return false;
    }
    this.#block = this.#blockOf(compare);
    const block = this.#blocks[this.#block] as Block;
    this.#at = lowerBound(block, compare);
    return this.#at < block.count && compare(block.items[this.#at] as number) === 0;
  }

  /** The item that was sought and found. */
  get current(): number {
    const item = this.#blocks[this.#block]?.items[this.#at];
    assert(item !== undefined, 'no item at this place');
    return item;
  }

  /** Inserts at the place sought, which becomes the item's. */
  insert(item: number): void {
    let block = this.#blocks[this.#block];
    if (block === undefined) {
      block = { items: this.#make(blockItemsMin), count: 0 };
      this.#blocks.push(block);
    } else if (block.count === blockItemsMax) block = this.#split(block);
    if (block.count === block.items.length) {
      const grown = this.#make(block.count * 2);
      grown.set(block.items);
      block.items = grown;
    }
    block.items.copyWithin(this.#at + 1, this.#at, block.count);
    block.items[this.#at] = item;
    block.count += 1;
    this.#size += 1;
  }

  /** Removes the item at the place sought. */
  remove(): void {
    const block = this.#blocks[this.#block];
    assert(block !== undefined && this.#at < block.count, 'removal of no item');
    block.items.copyWithin(this.#at, this.#at + 1, block.count);
    block.count -= 1;
    this.#size -= 1;
    if (block.count === 0) this.#blocks.splice(this.#block, 1);
    else this.#mergeWithNext(block);
  }

  /** Items in order, from the place sought on; no change meanwhile. */
  *following(): Generator<number, void, undefined> {
    let at = this.#at;
    for (let number = this.#block; number < this.#blocks.length; number += 1) {
      const { items, count } = this.#blocks[number] as Block;
      for (; at < count; at += 1) yield items[at] as number;
      at = 0;
    }
  }

  /** The last block that begins at or before what is sought, or the first. */
  #blockOf(compare: CompareItem): number {
    let low = 0;
    let high = this.#blocks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (compare((this.#blocks[middle] as Block).items[0] as number) <= 0) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Makes room in a full block; returns the one that holds the place sought now. */
  #split(block: Block): Block {
    // What comes in order leaves full blocks behind, the rest halves.
    const cut = this.#at === blockItemsMax ? blockItemsMax : blockItemsMax / 2;
    const count = blockItemsMax - cut;
    const items = this.#make(count === 0 ? blockItemsMin : blockItemsMax);
    items.set(block.items.subarray(cut));
    const next = { items, count };
    block.count = cut;
    this.#blocks.splice(this.#block + 1, 0, next);
    if (this.#at < cut || (this.#at === cut && count > 0)) return block;
    this.#block += 1;
    this.#at -= cut;
    return next;
  }

  #mergeWithNext(block: Block): void {
    const next = this.#blocks[this.#block + 1];
    const count = block.count + (next?.count ?? 0);
    if (next !== undefined && count <= blockItemsMax / 2) {
      const items = this.#make(blockItemsMax / 2);
      items.set(block.items.subarray(0, block.count));
      items.set(next.items.subarray(0, next.count), block.count);
      block.items = items;
      block.count = count;
      this.#blocks.splice(this.#block + 1, 1);
    } else if (block.items.length > blockItemsMin && block.count * 4 <= block.items.length) {
      // Half full again: it neither grows nor shrinks at the next change.
      block.items = block.items.slice(0, block.items.length / 2);
    }
  }
}

/** The first place in the block whose item does not come before what is sought. */
function lowerBound(block: Block, compare: CompareItem): number {
  let low = 0;
  let high = block.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(block.items[middle] as number) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
