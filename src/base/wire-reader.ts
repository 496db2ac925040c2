import type { WireType } from './wire-writer.ts';

const fieldNumberMax = 536_870_911;
// Both options matter: without `fatal` bad bytes become U+FFFD, without `ignoreBOM` a leading U+FEFF vanishes.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The bytes are not the message that they should be. Whose fault that is only the caller knows: a client's (answer
 * MALFORMED_MESSAGE), a peer's (drop the connection) or our own log's (halt).
 */
export class WireError extends Error {
  override readonly name = 'WireError';
  /** Offset of the offending byte from the start of the outermost buffer. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.offset = offset;
  }
}

/**
 * Reads protobuf wire format strictly: varints are safe integers in their shortest form, lengths end inside the buffer,
 * text is valid UTF-8, groups and unknown wire types are refused. Every failure is a WireError.
 *
 * Use: `while (reader.next()) switch (reader.field) { case 1: x = reader.uint(); break; default: reader.skip(); }`.
 * Exactly one value must be read after each `next`. Slices share the memory of the input: copy what you keep.
 */
export class WireReader {
  readonly #bytes: Uint8Array;
  /** The same memory; made only where text is read, since making it costs more than reading a small message. */
  #text: Buffer | undefined;
  readonly #end: number;
  #at: number;
  #field = 0;
  #wireType: WireType = 0;

  /** @param end Exclusive; what lies beyond is not looked at. */
  constructor(bytes: Uint8Array, start: number = 0, end: number = bytes.length) {
    if (!(start >= 0 && start <= end && end <= bytes.length)) throw new WireError('window outside the buffer', start);
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get offset(): number {
    return this.#at;
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.#end - this.#at;
  }

  /** Field number of the tag read last. */
  get field(): number {
    return this.#field;
  }

  get wireType(): WireType {
    return this.#wireType;
  }

  /** Reads the next tag; false at the end of the message. */
  next(): boolean {
    if (this.#at === this.#end) return false;
    const start = this.#at;
    const key = this.varint();
    const wireType = key % 8;
    const field = (key - wireType) / 8;
    if (field < 1 || field > fieldNumberMax) throw new WireError(`field number ${field}`, start);
    if (wireType !== 0 && wireType !== 1 && wireType !== 2 && wireType !== 5) {
      throw new WireError(`wire type ${wireType}`, start);
    }
    this.#field = field;
    this.#wireType = wireType;
    return true;
  }

  /** The field's value, 0 to 2^53-1. */
  uint(): number {
    this.#expect(0);
    return this.varint();
  }

  /** The field's value; only 0 and 1 are taken. */
  bool(): boolean {
    const start = this.#at;
    const value = this.uint();
    if (value > 1) throw new WireError(`boolean of ${value}`, start);
    return value === 1;
  }

  bytes(): Uint8Array {
    this.#expect(2);
    return this.sized();
  }

  string(): string {
    this.#expect(2);
    return this.sizedString();
  }

  /** A reader over the field's sub-message; offsets in its errors are those of the whole buffer. */
  message(): WireReader {
    this.#expect(2);
    const end = this.#sizedEnd();
    const inner = new WireReader(this.#bytes, this.#at, end);
    this.#at = end;
    return inner;
  }

  /** Passes over the field's value, whatever it is. */
  skip(): void {
    switch (this.#wireType) {
      case 0:
        this.#skipVarint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#at = this.#sizedEnd();
        return;
      case 5:
        this.#advance(4);
        return;
    }
  }

  /** A bare varint, without a tag. */
  varint(): number {
    const start = this.#at;
    let value = 0;
    let scale = 1;
    for (let count = 1; ; count += 1) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && count > 1) throw new WireError('over-long varint', start);
        // Eight bytes reach 2^56: the sum may be rounded, but never down to a safe integer.
        if (value > Number.MAX_SAFE_INTEGER) throw new WireError('number above 2^53-1', start);
        return value;
      }
      if (count === 8) throw new WireError('number above 2^53-1', start);
      scale *= 128;
    }
  }

  /** One byte as it is, without a tag. */
  byte(): number {
    if (this.#at >= this.#end) throw new WireError('message ends too early', this.#at);
    return this.#bytes[this.#at++] as number;
  }

  /** Length and bytes, without a tag. Shares the memory of the input. */
  sized(): Uint8Array {
    const end = this.#sizedEnd();
    const slice = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, end - this.#at);
    this.#at = end;
    return slice;
  }

  /** Length and UTF-8, without a tag. */
  sizedString(): string {
    const end = this.#sizedEnd();
    const start = this.#at;
    this.#at = end;
    if (isAscii(this.#bytes, start, end)) {
      this.#text ??= Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
      return this.#text.toString('latin1', start, end);
    }
    try {
      return utf8.decode(this.#bytes.subarray(start, end));
    } catch {
      throw new WireError('text is not UTF-8', start);
    }
  }

  #sizedEnd(): number {
    const start = this.#at;
    const length = this.varint();
    if (length > this.#end - this.#at) throw new WireError(`length ${length} beyond the message`, start);
    return this.#at + length;
  }

  #advance(count: number): void {
    if (count > this.#end - this.#at) throw new WireError('message ends too early', this.#end);
    this.#at += count;
  }

  /** An unknown field may hold any 64-bit value, such as a negative int64 of ten bytes. */
  #skipVarint(): void {
    const start = this.#at;
    for (let count = 1; ; count += 1) {
      const byte = this.byte();
      if (count === 10 && byte > 1) throw new WireError('varint above 64 bits', start);
      if (byte >= 0x80) continue;
      if (byte === 0 && count > 1) throw new WireError('over-long varint', start);
      return;
    }
  }

  #expect(wireType: WireType): void {
    if (this.#wireType === wireType) return;
    throw new WireError(`field ${this.#field} has wire type ${this.#wireType}, expected ${wireType}`, this.#at);
  }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    if ((bytes[at] as number) >= 0x80) return false;
  }
  return true;
}
