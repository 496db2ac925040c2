import { sha256Head, sha256HeadWords } from '../base/sha256.ts';

const keyLengthBytes = 4;
const scratchBytesKept = 64 * 1024;

/**
 * The sum mod 2^128 of the first 128 bits of SHA-256(key length || key || value) over a set of records, the key length
 * as four big-endian bytes. Adding and removing in any order give the same sum, so it follows each change at a constant
 * cost. The summands are those of a cryptographic hash: with a linear one two wrong records could cancel out.
 */
export class StateHash {
  /** The sum, highest word first. */
  readonly #sum = new Uint32Array(sha256HeadWords);
  readonly #summand = new Uint32Array(sha256HeadWords);
  #scratch = Buffer.allocUnsafeSlow(1024);

  /** @param key ASCII. */
  add(key: string, value: Uint8Array): void {
    this.#digest(key, value);
    addTo(this.#sum, this.#summand);
  }

  /** Takes out what was added with the same key and value. */
  remove(key: string, value: Uint8Array): void {
    this.#digest(key, value);
    const { 0: a = 0, 1: b = 0, 2: c = 0, 3: d = 0 } = this.#summand;
    // The negative in two's complement: all bits inverted, plus one.
    const negative = Uint32Array.of(~a >>> 0, ~b >>> 0, ~c >>> 0, ~d >>> 0);
    addTo(this.#sum, negative);
    addTo(this.#sum, one);
  }

  /** 32 hex digits of the sum with one more record, which is not kept. */
  hexWith(key: string, value: Uint8Array): string {
    this.#digest(key, value);
    const total = Uint32Array.from(this.#sum);
    addTo(total, this.#summand);
    return Array.from(total, (word) => word.toString(16).padStart(8, '0')).join('');
  }

  #digest(key: string, value: Uint8Array): void {
    const length = keyLengthBytes + key.length + value.length;
    if (length > this.#scratch.length || this.#scratch.length > scratchBytesKept) {
      this.#scratch = Buffer.allocUnsafeSlow(length < 1024 ? 1024 : length);
    }
    this.#scratch.writeUInt32BE(key.length, 0);
    this.#scratch.write(key, keyLengthBytes, 'latin1');
    this.#scratch.set(value, keyLengthBytes + key.length);
    sha256Head(this.#scratch.subarray(0, length), this.#summand);
  }
}

const one = Uint32Array.of(0, 0, 0, 1);

/** Adds mod 2^128, from the lowest word up. */
function addTo(sum: Uint32Array, summand: Uint32Array): void {
  let carry = 0;
  for (let word = sha256HeadWords - 1; word >= 0; word -= 1) {
    const total = (sum[word] as number) + (summand[word] as number) + carry;
    carry = total > 0xffffffff ? 1 : 0;
    sum[word] = total >>> 0;
  }
}
