import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import type { SnapshotHead } from './snapshot-format.ts';
import {
  chunkBytesMax,
  decodeHeadJson,
  headFixedBytes,
  headJsonBytesMax,
  recordFixedBytes,
  recordTag,
  snapshotFormat,
  snapshotMagic,
  trailerFixedBytes,
  trailerHashBytes,
  trailerTag,
} from './snapshot-format.ts';
import { firstStateKey, stateKeyBytesMax, stateValueBytesMax } from './state-envelope.ts';
import type { StateChange } from './state-store.ts';

/**
 * A received snapshot is broken, cut off or of an unknown format. The fault of the sender or of the way here, never of
 * the own disk: the receiver throws the snapshot away and asks again.
 */
export class SnapshotStreamError extends Error {
  override readonly name = 'SnapshotStreamError';
  /** Byte of the stream at which the part begins that is wrong. */
  readonly offset: number;

  constructor(offset: number, problem: string) {
    super(`snapshot stream at byte ${offset}: ${problem}`);
    this.offset = offset;
  }
}

type State = 'head' | 'records' | 'done' | 'broken';

/**
 * Decodes a snapshot from its chunks. Holds at most one record and one chunk. Nothing that it returned may be relied
 * upon before `finish` has returned: the hash comes last. After an error it must not be used any more.
 */
export class SnapshotDecoder {
  readonly #hash = createHash('sha256');
  #state: State = 'head';
  #head: SnapshotHead | undefined;
  /** Its first #pendingBytes were received and not yet decoded. */
  #pending: Buffer = Buffer.alloc(0);
  #pendingBytes = 0;
  /** With fewer pending bytes than this no step can be made; bounded by the largest head or record. */
  #needBytes = headFixedBytes;
  /** Bytes decoded. */
  #offset = 0;
  #records = 0;
  #lastKey: Buffer | undefined;

  /** Known once its bytes have come. */
  get head(): SnapshotHead | undefined {
    return this.#head;
  }

  /**
   * Takes the next chunk and returns the pairs that are complete now; their values are views of received bytes.
   *
   * @throws SnapshotStreamError
   */
  push(chunk: Uint8Array): readonly StateChange[] {
    assert(this.#state !== 'broken', 'a broken snapshot is not decoded on');
    if (chunk.length > chunkBytesMax) this.#fail(`chunk of ${chunk.length} bytes, at most ${chunkBytesMax} are sent`);
    if (chunk.length === 0) return [];
    if (this.#state === 'done') this.#fail('goes on after its trailer');
    const arrived = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#pendingBytes + arrived.length < this.#needBytes) {
      this.#keep(arrived);
      return [];
    }
    const held = this.#pending.subarray(0, this.#pendingBytes);
    const bytes = held.length === 0 ? arrived : Buffer.concat([held, arrived]);
    const pairs: StateChange[] = [];
    let at = 0;
    for (let taken = this.#step(bytes, pairs); taken > 0; taken = this.#step(bytes.subarray(at), pairs)) {
      at += taken;
      this.#offset += taken;
    }
    this.#hashed(bytes.subarray(0, at));
    const rest = bytes.subarray(at);
    if (this.#isDone() && rest.length > 0) this.#fail('goes on after its trailer');
    this.#pendingBytes = 0;
    if (rest.length > 0) this.#keep(rest);
    // Pairs go with the chunk that they are views of; what is kept for the next push is a copy.
    if (pairs.length > 0 && this.#lastKey !== undefined) this.#lastKey = Buffer.from(this.#lastKey);
    return pairs;
  }

  /**
   * The stream has ended.
   *
   * @throws SnapshotStreamError unless the whole snapshot came, and its trailer matched.
   */
  finish(): { readonly head: SnapshotHead; readonly records: number } {
    if (this.#state !== 'done' || this.#head === undefined) {
      this.#fail(`ends after ${this.#records} records and ${this.#pendingBytes} bytes more, before its trailer`);
    }
    return { head: this.#head, records: this.#records };
  }

  /**
   * Copies bytes until there are enough of them. The room for all that the next step needs is taken at once, so that
   * neither many small chunks nor a large record cost more than one copy of each byte.
   */
  #keep(bytes: Buffer): void {
    const total = this.#pendingBytes + bytes.length;
    if (this.#pending.length < total) {
      const larger = Buffer.allocUnsafeSlow(Math.max(total, this.#needBytes));
      this.#pending.copy(larger, 0, 0, this.#pendingBytes);
      this.#pending = larger;
    }
    bytes.copy(this.#pending, this.#pendingBytes);
    this.#pendingBytes = total;
  }

  /** Decodes one part at the beginning of `bytes`; returns its length, or 0 where more bytes are needed. */
  #step(bytes: Buffer, pairs: StateChange[]): number {
    if (this.#state === 'head') return this.#readHead(bytes);
    if (this.#state !== 'records') return 0;
    if (!this.#has(bytes, 1)) return 0;
    const tag = bytes.readUInt8(0);
    if (tag === recordTag) return this.#readRecord(bytes, pairs);
    if (tag === trailerTag) return this.#readTrailer(bytes);
    this.#fail(`unknown tag ${tag}`);
  }

  #readHead(bytes: Buffer): number {
    if (!this.#has(bytes, headFixedBytes)) return 0;
    if (!bytes.subarray(0, snapshotMagic.length).equals(snapshotMagic)) this.#fail('is not a snapshot');
    const format = bytes.readUInt16BE(4);
    if (format !== snapshotFormat) this.#fail(`has format ${format}, this version knows only ${snapshotFormat}`);
    const jsonBytes = bytes.readUInt32BE(6);
    if (jsonBytes > headJsonBytesMax) this.#fail(`head of ${jsonBytes} bytes, at most ${headJsonBytesMax} are sent`);
    if (!this.#has(bytes, headFixedBytes + jsonBytes)) return 0;
    this.#head = decodeHeadJson(bytes.subarray(headFixedBytes, headFixedBytes + jsonBytes));
    if (this.#head === undefined) this.#fail('head cannot be read by this version');
    this.#state = 'records';
    this.#needBytes = 1;
    return headFixedBytes + jsonBytes;
  }

  #readRecord(bytes: Buffer, pairs: StateChange[]): number {
    if (!this.#has(bytes, recordFixedBytes)) return 0;
    const keyBytes = bytes.readUInt16BE(1);
    const valueBytes = bytes.readUInt32BE(3);
    if (keyBytes > stateKeyBytesMax) this.#fail(`key of ${keyBytes} bytes, at most ${stateKeyBytesMax} are sent`);
    if (valueBytes > stateValueBytesMax) {
      this.#fail(`value of ${valueBytes} bytes, at most ${stateValueBytesMax} are sent`);
    }
    const end = recordFixedBytes + keyBytes + valueBytes;
    if (!this.#has(bytes, end)) return 0;
    const key = bytes.subarray(recordFixedBytes, recordFixedBytes + keyBytes);
    if (Buffer.compare(key, firstStateKey) < 0) this.#fail('a key is empty or reserved');
    if (this.#lastKey !== undefined && Buffer.compare(this.#lastKey, key) >= 0) this.#fail('keys do not ascend');
    if (!isUtf8(key)) this.#fail('a key is not UTF-8');
    this.#lastKey = key;
    this.#records += 1;
    this.#needBytes = 1;
    pairs.push({ key: key.toString(), value: bytes.subarray(recordFixedBytes + keyBytes, end) });
    return end;
  }

  #readTrailer(bytes: Buffer): number {
    if (!this.#has(bytes, trailerFixedBytes + trailerHashBytes)) return 0;
    const count = bytes.readBigUInt64BE(1);
    if (count !== BigInt(this.#records)) this.#fail(`trailer counts ${count} records, ${this.#records} came`);
    this.#state = 'done';
    return trailerFixedBytes + trailerHashBytes;
  }

  /** Adds decoded bytes to the hash; with the trailer among them, compares it. */
  #hashed(bytes: Buffer): void {
    if (!this.#isDone()) {
      this.#hash.update(bytes);
      return;
    }
    const end = bytes.length - trailerHashBytes;
    const computed = this.#hash.update(bytes.subarray(0, end)).digest();
    if (!computed.equals(bytes.subarray(end))) this.#fail('its content does not match the hash in its trailer');
  }

  #isDone(): boolean {
    return this.#state === 'done';
  }

  #has(bytes: Buffer, count: number): boolean {
    this.#needBytes = count;
    return bytes.length >= count;
  }

  #fail(problem: string): never {
    this.#state = 'broken';
    throw new SnapshotStreamError(this.#offset, problem);
  }
}
