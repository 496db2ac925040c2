import { assert } from './assert.ts';

/** Wire types of protobuf that Rollcall writes and reads; groups (3 and 4) are refused everywhere. */
export type WireType = 0 | 1 | 2 | 5;

/** A writer keeps at most this much memory between two messages. */
const bytesKeptMax = 1024 * 1024;
const fieldNumberMax = 536_870_911;
const loneSurrogate = /\p{Surrogate}/u;

/**
 * Writes protobuf wire format into one growable buffer, in exactly the order of the calls, so equal calls give equal
 * bytes. Numbers are non-negative safe integers. Not to be shared by two encodings at once; after `finish` it is empty
 * and can be used again.
 *
 * The methods named after a type (`uint`, `string`, `bytes`, `bool`) follow proto3 for fields without presence: the
 * default value is left out. The `...Present` methods always write: members of a oneof, `optional` and repeated fields.
 *
 * @param bytesMax Longest message; going beyond is a broken invariant, since callers bound what they put in.
 */
export class WireWriter {
  readonly #bytesMax: number;
  #buffer: Buffer;
  #length = 0;
  /** Where the bodies of the open sub-messages begin, outermost first. */
  readonly #open: number[] = [];

  constructor(bytesMax: number = 256 * 1024 * 1024) {
    this.#bytesMax = bytesMax;
    this.#buffer = Buffer.allocUnsafeSlow(256);
  }

  /** Bytes written since the last `finish` or `reset`. */
  get length(): number {
    return this.#length;
  }

  /** A bare varint, without a tag. */
  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, () => `varint of ${value}`);
    this.#reserve(8);
    const buffer = this.#buffer;
    let at = this.#length;
    let rest = value;
    while (rest > 0x7fffffff) {
      const low = rest % 128;
      buffer[at++] = low | 0x80;
      rest = (rest - low) / 128;
    }
    while (rest > 0x7f) {
      buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.#length = at;
    return this;
  }

  /** One byte as it is, without a tag. */
  byte(value: number): this {
    assert(Number.isInteger(value) && value >= 0 && value <= 0xff, () => `byte of ${value}`);
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  /** Bytes as they are, without tag and length. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Length and bytes, without a tag. */
  sized(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** Length and UTF-8, without a tag. A lone surrogate has no UTF-8 and is a broken invariant. */
  sizedString(text: string): this {
    const length = Buffer.byteLength(text, 'utf8');
    assert(length === text.length || !loneSurrogate.test(text), 'string holds a lone surrogate');
    this.varint(length);
    this.#reserve(length);
    this.#buffer.write(text, this.#length, length, length === text.length ? 'latin1' : 'utf8');
    this.#length += length;
    return this;
  }

  tag(field: number, wireType: WireType): this {
    assert(Number.isInteger(field) && field >= 1 && field <= fieldNumberMax, () => `field number ${field}`);
    return this.varint(field * 8 + wireType);
  }

  uint(field: number, value: number): this {
    return value === 0 ? this : this.uintPresent(field, value);
  }

  uintPresent(field: number, value: number): this {
    return this.tag(field, 0).varint(value);
  }

  bool(field: number, value: boolean): this {
    return value ? this.boolPresent(field, true) : this;
  }

  boolPresent(field: number, value: boolean): this {
    return this.tag(field, 0).byte(value ? 1 : 0);
  }

  string(field: number, text: string): this {
    return text === '' ? this : this.stringPresent(field, text);
  }

  stringPresent(field: number, text: string): this {
    return this.tag(field, 2).sizedString(text);
  }

  bytes(field: number, bytes: Uint8Array): this {
    return bytes.length === 0 ? this : this.bytesPresent(field, bytes);
  }

  /** Also for a sub-message that is encoded already. */
  bytesPresent(field: number, bytes: Uint8Array): this {
    return this.tag(field, 2).sized(bytes);
  }

  /** Opens a sub-message; every `beginMessage` needs its `endMessage`. */
  beginMessage(field: number): this {
    this.tag(field, 2);
    // One byte for the length is enough for most; endMessage moves the body where it is not.
    this.#reserve(1);
    this.#length += 1;
    this.#open.push(this.#length);
    return this;
  }

  endMessage(): this {
    const start = this.#open.pop();
    assert(start !== undefined, 'endMessage without beginMessage');
    const bodyLength = this.#length - start;
    const sizeLength = varintLength(bodyLength);
    if (sizeLength > 1) {
      this.#reserve(sizeLength - 1);
      this.#buffer.copyWithin(start + sizeLength - 1, start, this.#length);
    }
    this.#length = start - 1;
    this.varint(bodyLength);
    this.#length += bodyLength;
    return this;
  }

  /** The message as a copy that the caller owns; the writer is empty afterwards. */
  finish(): Uint8Array {
    assert(this.#open.length === 0, 'finish inside a sub-message');
    const copy = new Uint8Array(this.#length);
    copy.set(this.#buffer.subarray(0, this.#length));
    this.reset();
    return copy;
  }

  /** What was written so far, without copying: valid until the next call that writes or resets. */
  peek(): Uint8Array {
    assert(this.#open.length === 0, 'peek inside a sub-message');
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset, this.#length);
  }

  /** Forgets what was written. */
  reset(): void {
    this.#length = 0;
    this.#open.length = 0;
    if (this.#buffer.length > bytesKeptMax) this.#buffer = Buffer.allocUnsafeSlow(256);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    assert(needed <= this.#bytesMax, () => `message of more than ${this.#bytesMax} bytes`);
    let size = this.#buffer.length;
    while (size < needed) size *= 2;
    const grown = Buffer.allocUnsafeSlow(size);
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/** Bytes that `value` takes as a varint. */
export function varintLength(value: number): number {
  let length = 1;
  for (let bound = 128; value >= bound; bound *= 128) length += 1;
  return length;
}
