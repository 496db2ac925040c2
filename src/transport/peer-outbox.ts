import { assert } from '../base/assert.ts';
import type { Encoded } from './raft-message-codec.ts';

/**
 * What waits to be sent to one peer, encoded and in order, bounded by bytes and by count. What was taken and is not yet
 * written still counts, so the bound holds for all the memory that a slow peer can cost.
 */
export class PeerOutbox {
  readonly #bytesMax: number;
  readonly #itemsMax: number;
  #items: Encoded[] = [];
  /** Items before this one were taken. */
  #next = 0;
  #waitingBytes = 0;
  #unwrittenBytes = 0;

  constructor(bytesMax: number, itemsMax: number) {
    this.#bytesMax = bytesMax;
    this.#itemsMax = itemsMax;
  }

  get itemCount(): number {
    return this.#items.length - this.#next;
  }

  /** Bytes taken and not yet written. */
  get unwrittenBytes(): number {
    return this.#unwrittenBytes;
  }

  get queuedBytes(): number {
    return this.#waitingBytes + this.#unwrittenBytes;
  }

  /** Takes all of `items`, or none where they would bring the queue above its bounds. */
  push(items: readonly Encoded[]): boolean {
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    if (this.queuedBytes + bytes > this.#bytesMax) return false;
    if (this.itemCount + items.length > this.#itemsMax) return false;
    for (const item of items) this.#items.push(item);
    this.#waitingBytes += bytes;
    return true;
  }

  /**
   * One batch: `head`, then waiting items in order while they fit into `bytesMax`, at least one. Call `written` with
   * the count of bytes without the head once they have left.
   */
  take(head: Uint8Array, bytesMax: number): { readonly batch: Uint8Array; readonly bytes: number } {
    assert(this.itemCount > 0, 'batch taken from an empty outbox');
    const parts: Uint8Array[] = [head];
    let bytes = 0;
    for (; this.#next < this.#items.length; this.#next += 1) {
      const item = this.#items[this.#next] as Encoded;
      if (bytes > 0 && head.length + bytes + item.bytes > bytesMax) break;
      for (const part of item.parts) parts.push(part);
      bytes += item.bytes;
    }
    this.#compact();
    this.#waitingBytes -= bytes;
    this.#unwrittenBytes += bytes;
    assert(this.#waitingBytes >= 0 && (this.#waitingBytes > 0 || this.itemCount === 0), 'bytes waiting in an outbox');
    return { batch: Buffer.concat(parts, head.length + bytes), bytes };
  }

  written(bytes: number): void {
    this.#unwrittenBytes -= bytes;
    assert(this.#unwrittenBytes >= 0, 'bytes unwritten of an outbox');
  }

  /** Forgets everything, also what was taken; `written` must not be called for that any more. */
  clear(): void {
    this.#items = [];
    this.#next = 0;
    this.#waitingBytes = 0;
    this.#unwrittenBytes = 0;
  }

  #compact(): void {
    if (this.#next === this.#items.length) {
      this.#items = [];
      this.#next = 0;
    } else if (this.#next * 2 > this.#items.length) {
      this.#items.splice(0, this.#next);
      this.#next = 0;
    }
  }
}
