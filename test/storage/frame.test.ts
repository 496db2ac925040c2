import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import {
  entryBytes,
  entryDataBytesMax,
  FrameEncoder,
  frameBytesMax,
  framePagesMax,
  pageBytes,
  pagesFor,
  payloadRoom,
  readEntries,
  readFrame,
  readPage,
} from '../../src/storage/frame.ts';
import type { Entry } from '../../src/storage/log-types.ts';
import { emptyBase, entriesAfter, entryAfter, shown } from './log-entries.ts';

const head = {
  sequence: 9,
  segment: 3,
  segmentPages: framePagesMax,
  firstIndex: 1,
  commit: 0,
  previousHash: emptyBase.hash,
};

/** The frame alone in a segment file. */
function segmentWith(entries: readonly Entry[], encoder = new FrameEncoder(), at = 0): Buffer {
  const bytes = encoder.encode(head, entries);
  const segment = Buffer.alloc(framePagesMax * pageBytes);
  bytes.copy(segment, at);
  return segment;
}

describe('a frame', () => {
  it('gives back what was put in, from a buffer that is used again', () => {
    const encoder = new FrameEncoder();
    const sizes = fc.array(fc.oneof(fc.nat(50), fc.nat(9_000), fc.constantFrom(3_992, 4_052, 4_072, 8_124)), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(sizes, fc.nat(3), (bytesOfEach, page) => {
        let last = emptyBase;
        const entries = bytesOfEach.map((bytes) => {
          const entry = entryAfter(last, 1, bytes);
          last = entry;
          return entry;
        });
        const payloadBytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
        const segment = segmentWith(entries, encoder, page * pageBytes);
        const reading = readFrame(segment, page * pageBytes, head.segment);
        const pages = pagesFor(payloadBytes);
        expect(reading).toEqual({
          kind: 'intact',
          frame: { ...head, pages, entryCount: entries.length, payloadBytes },
        });
        if (reading.kind !== 'intact') return;
        const found = readEntries(segment, page * pageBytes, reading.frame);
        expect(typeof found === 'string' ? found : shown(found)).toEqual(shown(entries));
        const end = (page + pages) * pageBytes;
        expect(segment.subarray(end).equals(Buffer.alloc(segment.byteLength - end))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('holds the largest entry and not one byte more', () => {
    expect(pagesFor(payloadRoom(framePagesMax))).toBe(frameBytesMax / pageBytes);
    const largest = entryAfter(emptyBase, 1, entryDataBytesMax);
    const reading = readFrame(segmentWith([largest]), 0, head.segment);
    expect(reading.kind).toBe('intact');
    const tooLarge = entryAfter(emptyBase, 1, entryDataBytesMax + 1);
    expect(() => new FrameEncoder().encode(head, [tooLarge])).toThrow(InvariantError);
  });

  it('carries numbers up to 2^53 - 1 and refuses what is none of them', () => {
    const most = Number.MAX_SAFE_INTEGER;
    const bytes = new FrameEncoder().encode({ ...head, sequence: most, commit: most, firstIndex: most }, []);
    const segment = Buffer.alloc(framePagesMax * pageBytes);
    bytes.copy(segment);
    expect(readFrame(segment, 0, head.segment)).toMatchObject({
      kind: 'intact',
      frame: { sequence: most, commit: most, firstIndex: most },
    });
    for (const wrong of [most + 1, -1, 0.5, Number.NaN]) {
      expect(() => new FrameEncoder().encode({ ...head, commit: wrong }, [])).toThrow(InvariantError);
    }
    for (const previousHash of ['', 'xyz', '0123456789abcdeg', '0123456789abcdef00']) {
      expect(() => new FrameEncoder().encode({ ...head, previousHash }, [])).toThrow(InvariantError);
    }
  });

  it('is refused in another segment, and at the end of a file that was cut', () => {
    const segment = segmentWith(entriesAfter(emptyBase, 3, 1, 4_000));
    expect(readFrame(segment, 0, head.segment + 1).kind).toBe('bad');
    expect(readPage(segment, 0, head.segment + 1)).toEqual({ kind: 'bad' });
    expect(readFrame(segment.subarray(0, 2 * pageBytes), 0, head.segment).kind).toBe('bad');
    expect(readFrame(segment, pageBytes, head.segment)).toMatchObject({ kind: 'bad', at: pageBytes });
    expect(readFrame(segment, 8 * pageBytes, head.segment)).toEqual({ kind: 'zero' });
  });

  it('names entries whose hash does not follow from their content', () => {
    const entries = entriesAfter(emptyBase, 3, 1, 10).map((entry) => {
      return entry.index === 2 ? { ...entry, hash: '0123456789abcdef' } : entry;
    });
    const segment = segmentWith(entries);
    const reading = readFrame(segment, 0, head.segment);
    expect(reading.kind).toBe('intact');
    if (reading.kind !== 'intact') return;
    expect(readEntries(segment, 0, reading.frame)).toContain('the prefix hash of entry 2 is 0123456789abcdef');
    // Lengths inside the payload are never believed beyond it.
    const cut = { ...reading.frame, payloadBytes: 25 };
    expect(readEntries(segment, 0, cut)).toContain('entry 1 reaches beyond the frame');
    expect(readEntries(segment, 0, { ...reading.frame, entryCount: 1 })).toContain('bytes follow the last entry');
    expect(readEntries(segment, 0, { ...reading.frame, entryCount: 2 ** 31 })).toContain('prefix hash of entry 2');
  });

  it('is never called intact when it is made of random bytes', () => {
    const segment = Buffer.alloc(framePagesMax * pageBytes);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: pageBytes }), (bytes) => {
        segment.fill(0, 0, pageBytes);
        segment.set(bytes);
        expect(readFrame(segment, 0, head.segment).kind).not.toBe('intact');
      }),
    );
  });
});
