import { assert } from '../base/assert.ts';

const blockItemsMax = 512;

interface Block {
  readonly ids: Float64Array;
  readonly slots: Uint32Array;
  count: number;
}

/**
 * Slots by lease id. Ids only rise, so each is added behind all others; found by bisection, and no lease has an object.
 */
export class LeaseIndex {
  /** No block is empty. */
  readonly #blocks: Block[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @param leaseId Above all that were ever added. */
  add(leaseId: number, slot: number): void {
    let block = this.#blocks.at(-1);
    assert(block === undefined || (block.ids[block.count - 1] as number) < leaseId, 'lease id used twice');
    if (block === undefined || block.count === blockItemsMax) {
      block = { ids: new Float64Array(blockItemsMax), slots: new Uint32Array(blockItemsMax), count: 0 };
      this.#blocks.push(block);
    }
    block.ids[block.count] = leaseId;
    block.slots[block.count] = slot;
    block.count += 1;
    this.#size += 1;
  }

  find(leaseId: number): number | undefined {
    const block = this.#blocks[this.#blockOf(leaseId)];
    if (block === undefined) return undefined;
    const at = firstAbove(block, leaseId - 1);
    return at < block.count && block.ids[at] === leaseId ? block.slots[at] : undefined;
  }

  delete(leaseId: number): void {
    const number = this.#blockOf(leaseId);
    const block = this.#blocks[number];
    assert(block !== undefined, 'lease dropped twice');
    const at = firstAbove(block, leaseId - 1);
    assert(at < block.count && block.ids[at] === leaseId, 'lease dropped twice');
    block.ids.copyWithin(at, at + 1, block.count);
    block.slots.copyWithin(at, at + 1, block.count);
    block.count -= 1;
    this.#size -= 1;
    const next = this.#blocks[number + 1];
    if (block.count === 0) this.#blocks.splice(number, 1);
    else if (next !== undefined && block.count + next.count <= blockItemsMax / 2) {
      block.ids.set(next.ids.subarray(0, next.count), block.count);
      block.slots.set(next.slots.subarray(0, next.count), block.count);
      block.count += next.count;
      this.#blocks.splice(number + 1, 1);
    }
  }

  /** Those above `afterLeaseId`, ascending; no change meanwhile. */
  *after(afterLeaseId: number): Generator<{ readonly leaseId: number; readonly slot: number }, void, undefined> {
    let number = this.#blockOf(afterLeaseId);
    let block = this.#blocks[number];
    let at = block === undefined ? 0 : firstAbove(block, afterLeaseId);
    while (block !== undefined) {
      for (; at < block.count; at += 1) yield { leaseId: block.ids[at] as number, slot: block.slots[at] as number };
      at = 0;
      number += 1;
      block = this.#blocks[number];
    }
  }

  /** The last block that begins at or below the id, or the first. */
  #blockOf(leaseId: number): number {
    let low = 0;
    let high = this.#blocks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (((this.#blocks[middle] as Block).ids[0] as number) <= leaseId) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** The first place whose id is above this one. */
function firstAbove(block: Block, leaseId: number): number {
  let low = 0;
  let high = block.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((block.ids[middle] as number) > leaseId) high = middle;
    else low = middle + 1;
  }
  return low;
}
