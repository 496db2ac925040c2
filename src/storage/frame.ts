import { crc32 } from 'node:zlib';
import { assert, assertEqual, assertSafeInteger } from '../base/assert.ts';
import { extendPrefixHash } from '../base/hash.ts';
import type { Entry } from './log-types.ts';

// One write to the log is one frame: n pages of 4 KiB. Format 1, all numbers big endian.
//
// Each page begins with
//    0 u32  CRC-32 of bytes 4..4095 of the page
//    4 u16  number of the page within the frame
//    6 u16  pages of the frame
//    8 u64  sequence of the frame
//   16 u64  number of the segment
// so that a page found at a wrong place, or one of an older frame, is known for what it is, and so that the pages of a
// torn frame can be told from damage even where its first page is missing.
//
// The first page goes on with
//   24 u32  magic
//   28 u16  format
//   30 u16  zero
//   32 u64  sequence of the frame
//   40 u64  index of the first entry (of the next entry to come, where the frame holds none)
//   48 u64  commit index known
//   56 8 B  prefix hash before the first entry
//   64 u32  pages of the frame
//   68 u32  entries
//   72 u32  bytes of the payload
//   76 u32  pages of the segment, so that a file that was cut short is noticed
//   80 u32  CRC-32 of bytes 24..79
// and the payload, which flows through the bodies of the pages; the rest of the last one is zero. Each entry is
//    0 u32  bytes of the data
//    4 u64  term
//   12 8 B  prefix hash up to and with this entry
//   20      data

export const pageBytes = 4_096;
const pageHeadBytes = 24;
const pageBodyBytes = pageBytes - pageHeadBytes;
const frameHeadBytes = 60;
export const entryHeadBytes = 20;

const magic = 0x52434c46;
const format = 1;

/** The largest frame. */
export const frameBytesMax = 4 * 1_024 * 1_024;
export const framePagesMax = frameBytesMax / pageBytes;

/** Bytes of payload that a frame of `pages` pages holds. */
export function payloadRoom(pages: number): number {
  return pages * pageBodyBytes - frameHeadBytes;
}

/** Pages of a frame with `payloadBytes` of payload. */
export function pagesFor(payloadBytes: number): number {
  return Math.ceil((frameHeadBytes + payloadBytes) / pageBodyBytes);
}

/** The most data that one entry may carry: it must fit into one frame. */
export const entryDataBytesMax = payloadRoom(framePagesMax) - entryHeadBytes;

export function entryBytes(entry: Entry): number {
  return entryHeadBytes + entry.data.byteLength;
}

const zeroPage = Buffer.alloc(pageBytes);

/** Where a frame goes and what it says besides its entries. */
export interface FrameHead {
  readonly sequence: number;
  readonly segment: number;
  /** Pages of the segment file. */
  readonly segmentPages: number;
  /** Index of the first entry; without entries, of the entry that would come next. */
  readonly firstIndex: number;
  readonly commit: number;
  /** Prefix hash up to firstIndex - 1. */
  readonly previousHash: string;
}

/** A frame that was found whole. */
export interface Frame extends FrameHead {
  readonly pages: number;
  readonly entryCount: number;
  readonly payloadBytes: number;
}

/** Puts frames together in one buffer that is used again for the next. */
export class FrameEncoder {
  #buffer: Buffer = Buffer.alloc(0);
  readonly #entryHead = Buffer.alloc(entryHeadBytes);
  #at = 0;

  /**
   * @param entries Contiguous from head.firstIndex; possibly none.
   * @returns Whole pages, valid until the next call.
   */
  encode(head: FrameHead, entries: readonly Entry[]): Buffer {
    let payloadBytes = 0;
    for (const entry of entries) payloadBytes += entryBytes(entry);
    const pages = pagesFor(payloadBytes);
    assert(pages <= framePagesMax, () => `frame of ${pages} pages, more than ${framePagesMax}`);
    this.#reserve(pages * pageBytes);
    this.#putHead({ ...head, pages, entryCount: entries.length, payloadBytes });
    for (const [position, entry] of entries.entries()) {
      assertEqual(entry.index, head.firstIndex + position, 'index of an entry in a frame');
      this.#putEntry(entry);
    }
    const end = pages * pageBytes;
    if (this.#at < end) this.#buffer.fill(0, this.#at, end);
    const bytes = this.#buffer.subarray(0, end);
    for (let page = 0; page < pages; page++) sealPage(bytes, page, pages, head);
    return bytes;
  }

  /** Grows to powers of two, so that the buffer of the largest frame is reached in few steps. */
  #reserve(bytes: number): void {
    if (this.#buffer.byteLength >= bytes) return;
    this.#buffer = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
  }

  #putHead(frame: Frame): void {
    const to = this.#buffer;
    const at = pageHeadBytes;
    to.writeUInt32BE(magic, at);
    to.writeUInt16BE(format, at + 4);
    to.writeUInt16BE(0, at + 6);
    writeSafe(to, frame.sequence, at + 8);
    writeSafe(to, frame.firstIndex, at + 16);
    writeSafe(to, frame.commit, at + 24);
    writeHash(to, frame.previousHash, at + 32);
    to.writeUInt32BE(frame.pages, at + 40);
    to.writeUInt32BE(frame.entryCount, at + 44);
    to.writeUInt32BE(frame.payloadBytes, at + 48);
    to.writeUInt32BE(frame.segmentPages, at + 52);
    to.writeUInt32BE(crc32(to.subarray(at, at + 56)), at + 56);
    this.#at = pageHeadBytes + frameHeadBytes;
  }

  #putEntry(entry: Entry): void {
    const head = this.#entryHead;
    head.writeUInt32BE(entry.data.byteLength, 0);
    writeSafe(head, entry.term, 4);
    writeHash(head, entry.hash, 12);
    this.#put(head);
    this.#put(entry.data);
  }

  /** Copies into the bodies of the pages, over as many as it takes. */
  #put(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.byteLength) {
      const room = pageBytes - (this.#at % pageBytes);
      const taken = Math.min(room, bytes.byteLength - from);
      this.#buffer.set(taken === bytes.byteLength ? bytes : bytes.subarray(from, from + taken), this.#at);
      from += taken;
      this.#at += taken === room ? room + pageHeadBytes : taken;
    }
  }
}

function sealPage(bytes: Buffer, page: number, pages: number, head: FrameHead): void {
  const at = page * pageBytes;
  bytes.writeUInt16BE(page, at + 4);
  bytes.writeUInt16BE(pages, at + 6);
  writeSafe(bytes, head.sequence, at + 8);
  writeSafe(bytes, head.segment, at + 16);
  bytes.writeUInt32BE(crc32(bytes.subarray(at + 4, at + pageBytes)), at);
}

/** What stands in one page. */
export type PageReading =
  | { readonly kind: 'zero' }
  | { readonly kind: 'bad' }
  | { readonly kind: 'sound'; readonly page: number; readonly pages: number; readonly sequence: number };

/** Reads the page at `at` of a segment's bytes; one that names another segment is bad. */
export function readPage(bytes: Buffer, at: number, segment: number): PageReading {
  assert(at % pageBytes === 0 && at + pageBytes <= bytes.byteLength, () => `page at byte ${at} of ${bytes.byteLength}`);
  const body = bytes.subarray(at + 4, at + pageBytes);
  if (crc32(body) !== bytes.readUInt32BE(at)) return { kind: isZeroPage(bytes, at) ? 'zero' : 'bad' };
  const sequence = readSafe(bytes, at + 8);
  const page = bytes.readUInt16BE(at + 4);
  const pages = bytes.readUInt16BE(at + 6);
  const sound = Number.isSafeInteger(sequence) && readSafe(bytes, at + 16) === segment && page < pages;
  return sound ? { kind: 'sound', page, pages, sequence } : { kind: 'bad' };
}

export function isZeroPage(bytes: Buffer, at: number): boolean {
  return bytes.compare(zeroPage, 0, pageBytes, at, at + pageBytes) === 0;
}

/** A frame, or where and why there is none. */
export type FrameReading =
  | { readonly kind: 'intact'; readonly frame: Frame }
  /** The first page is all zero. */
  | { readonly kind: 'zero' }
  /** `head` where the first page could still be read. */
  | { readonly kind: 'bad'; readonly at: number; readonly problem: string; readonly head: Frame | undefined };

/** Reads the frame that begins at `at` and checks each of its pages; of the payload it checks nothing else. */
export function readFrame(bytes: Buffer, at: number, segment: number): FrameReading {
  const first = readPage(bytes, at, segment);
  if (first.kind === 'zero') return first;
  const bad = (where: number, problem: string, head?: Frame): FrameReading => ({
    kind: 'bad',
    at: where,
    problem,
    head,
  });
  if (first.kind === 'bad') return bad(at, 'the checksum of the page does not match', readHead(bytes, at, segment));
  const head = readHead(bytes, at, segment);
  if (head === undefined) return bad(at, 'there is no head of a frame');
  if (head.sequence !== first.sequence || head.pages !== first.pages || first.page !== 0) {
    return bad(at, 'head and page contradict each other');
  }
  if (head.segmentPages * pageBytes !== bytes.byteLength) {
    return bad(
      at,
      `the file has ${bytes.byteLength} bytes, the frame was written to one of ${head.segmentPages} pages`,
    );
  }
  if (at + head.pages * pageBytes > bytes.byteLength) return bad(at, 'the frame reaches beyond the file', head);
  for (let page = 1; page < head.pages; page++) {
    const where = at + page * pageBytes;
    const found = readPage(bytes, where, segment);
    if (found.kind === 'zero') return bad(where, 'the page is zero', head);
    if (found.kind === 'bad') return bad(where, 'the checksum of the page does not match', head);
    if (found.page !== page || found.pages !== head.pages || found.sequence !== head.sequence) {
      return bad(where, `the page belongs to frame ${found.sequence}`, head);
    }
  }
  return { kind: 'intact', frame: head };
}

/** The head by its own checksum alone; undefined where that, or any relation between its numbers, does not hold. */
function readHead(bytes: Buffer, pageAt: number, segment: number): Frame | undefined {
  const at = pageAt + pageHeadBytes;
  if (bytes.readUInt32BE(at) !== magic || bytes.readUInt16BE(at + 4) !== format) return undefined;
  if (crc32(bytes.subarray(at, at + 56)) !== bytes.readUInt32BE(at + 56)) return undefined;
  const frame: Frame = {
    sequence: readSafe(bytes, at + 8),
    segment,
    segmentPages: bytes.readUInt32BE(at + 52),
    firstIndex: readSafe(bytes, at + 16),
    commit: readSafe(bytes, at + 24),
    previousHash: bytes.toString('hex', at + 32, at + 40),
    pages: bytes.readUInt32BE(at + 40),
    entryCount: bytes.readUInt32BE(at + 44),
    payloadBytes: bytes.readUInt32BE(at + 48),
  };
  const numbers = [frame.sequence, frame.firstIndex, frame.commit, frame.firstIndex + frame.entryCount];
  if (!numbers.every(Number.isSafeInteger) || bytes.readUInt16BE(at + 6) !== 0) return undefined;
  if (frame.pages > framePagesMax || frame.pages !== pagesFor(frame.payloadBytes)) return undefined;
  if (frame.payloadBytes < frame.entryCount * entryHeadBytes || frame.firstIndex < 1) return undefined;
  return frame;
}

/**
 * The entries of an intact frame, with data that views one new buffer a frame, each hash checked against the one before
 * it. A string says what is wrong with them.
 */
export function readEntries(bytes: Buffer, at: number, frame: Frame): readonly Entry[] | string {
  const payload = gather(bytes, at, frame);
  const entries: Entry[] = [];
  let previous = frame.previousHash;
  let from = 0;
  for (let position = 0; position < frame.entryCount; position++) {
    const index = frame.firstIndex + position;
    if (from + entryHeadBytes > payload.byteLength) return `entry ${index} reaches beyond the frame`;
    const end = from + entryHeadBytes + payload.readUInt32BE(from);
    if (end > payload.byteLength) return `entry ${index} reaches beyond the frame`;
    const term = readSafe(payload, from + 4);
    if (!Number.isSafeInteger(term)) return `the term of entry ${index} is out of range`;
    const data = payload.subarray(from + entryHeadBytes, end);
    const hash = payload.toString('hex', from + 12, from + entryHeadBytes);
    const expected = extendPrefixHash(previous, index, term, data);
    if (hash !== expected) return `the prefix hash of entry ${index} is ${hash}, its content gives ${expected}`;
    entries.push({ index, term, hash, data });
    previous = hash;
    from = end;
  }
  if (from !== payload.byteLength) return `${payload.byteLength - from} bytes follow the last entry`;
  return entries;
}

function gather(bytes: Buffer, at: number, frame: Frame): Buffer {
  // An intact head bounds this by the largest frame.
  const payload = Buffer.allocUnsafeSlow(frame.payloadBytes);
  let done = 0;
  let from = at + pageHeadBytes + frameHeadBytes;
  while (done < payload.byteLength) {
    const room = pageBytes - (from % pageBytes);
    const taken = Math.min(room, payload.byteLength - done);
    bytes.copy(payload, done, from, from + taken);
    done += taken;
    from += room + pageHeadBytes;
  }
  return payload;
}

function writeSafe(to: Buffer, value: number, at: number): void {
  assertSafeInteger(value, 'number in a frame');
  assert(value >= 0, () => `number in a frame is ${value}`);
  to.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  to.writeUInt32BE(value % 2 ** 32, at + 4);
}

/** May be no safe integer, which the caller checks. */
function readSafe(from: Buffer, at: number): number {
  return from.readUInt32BE(at) * 2 ** 32 + from.readUInt32BE(at + 4);
}

function writeHash(to: Buffer, hash: string, at: number): void {
  assert(hash.length === 16 && to.write(hash, at, 8, 'hex') === 8, () => `prefix hash is ${JSON.stringify(hash)}`);
}
