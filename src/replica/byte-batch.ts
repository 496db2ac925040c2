import { assert } from '../base/assert.ts';

/** Where bytes lie in the buffer that a batch became. */
export interface ByteRange {
  readonly at: number;
  readonly length: number;
}

/**
 * Gathers byte strings into one buffer of its own, so that a batch of messages passes to another thread with one copy:
 * cloned one by one, each would bring along the whole buffer that it is a slice of.
 */
export class ByteBatch {
  #parts: Uint8Array[] = [];
  #length = 0;

  /** The bytes are copied by `finish`: they must not change until then. */
  add(bytes: Uint8Array): ByteRange {
    const range: ByteRange = { at: this.#length, length: bytes.length };
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return range;
  }

  /** What was added, in a buffer that nothing else refers to; the batch begins anew. */
  finish(): ArrayBuffer {
    const buffer = new ArrayBuffer(this.#length);
    const all = new Uint8Array(buffer);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    return buffer;
  }
}

/** The bytes of a range; a view, not a copy. */
export function bytesOf(buffer: ArrayBuffer, { at, length }: ByteRange): Uint8Array {
  assert(at + length <= buffer.byteLength, () => `bytes ${at}+${length} of a batch of ${buffer.byteLength}`);
  return new Uint8Array(buffer, at, length);
}
