import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { WireError, WireReader } from '../../src/base/wire-reader.ts';
import { WireWriter, varintLength } from '../../src/base/wire-writer.ts';

protobuf.util.Long = null as unknown as typeof protobuf.util.Long;
protobuf.configure();
const viewType = protobuf
  .loadSync(new URL('../../proto/rollcall/v1/instance.proto', import.meta.url).pathname)
  .lookupType('rollcall.v1.InstanceView');

const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values);
const safe = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(300),
  fc.nat(53).map((bits) => Math.min(2 ** bits, Number.MAX_SAFE_INTEGER)),
);

describe('WireWriter', () => {
  it('writes varints of every length and the reader gives them back', () => {
    fc.assert(
      fc.property(safe, (value) => {
        const bytes = new WireWriter().varint(value).finish();
        expect(bytes.length).toBe(varintLength(value));
        expect(new WireReader(bytes).varint()).toBe(value);
      }),
      { numRuns: 2_000 },
    );
    for (const value of [127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expect(new WireReader(new WireWriter().varint(value).finish()).varint()).toBe(value);
    }
  });

  it('refuses numbers that are no safe non-negative integers', () => {
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(() => new WireWriter().varint(value)).toThrow(InvariantError);
    }
    expect(() => new WireWriter().byte(256)).toThrow(InvariantError);
    expect(() => new WireWriter().tag(0, 0)).toThrow(InvariantError);
    expect(() => new WireWriter().tag(2 ** 29, 0)).toThrow(InvariantError);
  });

  it('gives the bytes that protobufjs reads, with nested messages of every length-of-length', () => {
    const writer = new WireWriter();
    for (const size of [0, 1, 127, 128, 16_383, 16_384, 70_000]) {
      const metadata = 'x'.repeat(size);
      const bytes = writer
        .beginMessage(1)
        .string(2, 'service')
        .string(3, 'id')
        .beginMessage(4)
        .string(1, 'grpc')
        .uint(4, 443)
        .endMessage()
        .uintPresent(6, 0)
        .stringPresent(7, 'tag')
        .beginMessage(8)
        .string(1, 'k')
        .string(2, metadata)
        .endMessage()
        .endMessage()
        .beginMessage(2)
        .uint(1, Number.MAX_SAFE_INTEGER)
        .uint(2, 0)
        .endMessage()
        .finish();
      expect(viewType.toObject(viewType.decode(bytes))).toEqual({
        spec: {
          service: 'service',
          id: 'id',
          endpoints: [{ name: 'grpc', port: 443 }],
          weight: 0,
          tags: ['tag'],
          metadata: { k: metadata },
        },
        meta: { incarnation: Number.MAX_SAFE_INTEGER },
      });
    }
  });

  it('leaves out defaults, and writes them where presence counts', () => {
    const writer = new WireWriter();
    const empty = new Uint8Array(0);
    expect(writer.uint(1, 0).bool(2, false).string(3, '').bytes(4, empty).finish()).toEqual(empty);
    expect(writer.uintPresent(1, 0).boolPresent(2, false).stringPresent(3, '').bytesPresent(4, empty).finish()).toEqual(
      bytesOf(8, 0, 16, 0, 26, 0, 34, 0),
    );
  });

  it('is empty after finish and hands out copies', () => {
    const writer = new WireWriter();
    const first = writer.uint(1, 1).finish();
    expect(writer.length).toBe(0);
    writer.uint(1, 2).finish();
    expect(first).toEqual(bytesOf(8, 1));
    expect(first.buffer.byteLength).toBe(2);
    writer.uint(1, 3);
    expect(writer.peek()).toEqual(bytesOf(8, 3));
    expect(writer.length).toBe(2);
    expect(() => writer.beginMessage(1).peek()).toThrow(InvariantError);
  });

  it('refuses to finish inside a sub-message, to end one too many, and to pass its bound', () => {
    expect(() => new WireWriter().beginMessage(1).finish()).toThrow(InvariantError);
    expect(() => new WireWriter().endMessage()).toThrow(InvariantError);
    expect(new WireWriter(1_000).raw(new Uint8Array(1_000)).length).toBe(1_000);
    expect(() => new WireWriter(1_000).raw(new Uint8Array(1_001))).toThrow(InvariantError);
  });

  it('keeps text exact and refuses lone surrogates', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(new WireReader(new WireWriter().sizedString(text).finish()).sizedString()).toBe(text);
      }),
    );
    expect(new WireReader(new WireWriter().sizedString('\ufeffx').finish()).sizedString()).toBe('\ufeffx');
    expect(() => new WireWriter().sizedString('a\ud800b')).toThrow(InvariantError);
  });
});

describe('WireReader', () => {
  const error = (read: () => unknown): WireError => {
    try {
      read();
    } catch (thrown) {
      if (thrown instanceof WireError) return thrown;
      throw thrown;
    }
    throw new Error('nothing was thrown');
  };

  it('reads fields by tag and passes over unknown ones', () => {
    const bytes = new WireWriter()
      .uint(1, 300)
      .bool(2, true)
      .string(3, 'né')
      .bytes(4, bytesOf(1, 2))
      .tag(90, 5)
      .raw(bytesOf(1, 2, 3, 4))
      .tag(91, 1)
      .raw(new Uint8Array(8))
      .tag(92, 0)
      .raw(bytesOf(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1))
      .string(93, 'unknown')
      .beginMessage(5)
      .uint(1, 7)
      .endMessage()
      .finish();
    const reader = new WireReader(bytes);
    const seen: unknown[] = [];
    while (reader.next()) {
      if (reader.field === 1) seen.push(reader.uint());
      else if (reader.field === 2) seen.push(reader.bool());
      else if (reader.field === 3) seen.push(reader.string());
      else if (reader.field === 4) seen.push([...reader.bytes()]);
      else if (reader.field === 5) {
        const inner = reader.message();
        while (inner.next()) seen.push(inner.uint());
      } else reader.skip();
    }
    expect(seen).toEqual([300, true, 'né', [1, 2], 7]);
    expect(reader.left).toBe(0);
  });

  it('refuses over-long varints and numbers above 2^53-1, naming the offset', () => {
    expect(error(() => new WireReader(bytesOf(1, 0x80, 0), 1).varint()).offset).toBe(1);
    expect(error(() => new WireReader(bytesOf(0x81, 0x80, 0)).varint()).message).toContain('over-long');
    const tooLarge = bytesOf(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
    expect(error(() => new WireReader(tooLarge).varint()).message).toContain('above 2^53-1');
    const justAbove = bytesOf(0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
    expect(error(() => new WireReader(justAbove).varint()).message).toContain('above 2^53-1');
    const nineBytes = bytesOf(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1);
    expect(error(() => new WireReader(nineBytes).varint()).message).toContain('above 2^53-1');
    const largest = bytesOf(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f);
    expect(new WireReader(largest).varint()).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('refuses groups, field 0, wrong wire types, odd booleans and bad text', () => {
    for (const wireType of [3, 4, 6, 7]) {
      expect(error(() => new WireReader(bytesOf(8 + wireType, 0)).next()).message).toContain(`wire type ${wireType}`);
    }
    expect(error(() => new WireReader(bytesOf(0, 0)).next()).message).toContain('field number 0');
    const after = (bytes: Uint8Array): WireReader => {
      const reader = new WireReader(bytes);
      expect(reader.next()).toBe(true);
      return reader;
    };
    expect(error(() => after(bytesOf(8, 1)).string()).message).toContain('wire type 0, expected 2');
    expect(error(() => after(bytesOf(8, 2)).bool()).message).toContain('boolean of 2');
    expect(error(() => after(bytesOf(10, 1, 0xff)).string()).message).toContain('not UTF-8');
    expect(error(() => after(bytesOf(10, 2, 0xc0, 0x80)).string()).message).toContain('not UTF-8');
    expect(error(() => after(bytesOf(8, ...new Array<number>(9).fill(0xff), 2)).skip()).message).toContain('64 bits');
    expect(error(() => after(bytesOf(8, 0x80, 0)).skip()).message).toContain('over-long');
  });

  it('never reads beyond its window', () => {
    const bytes = new WireWriter().beginMessage(1).string(1, 'inside').endMessage().string(2, 'outside').finish();
    expect(error(() => new WireReader(bytes, 0, bytes.length + 1)).message).toContain('outside');
    const reader = new WireReader(bytes);
    reader.next();
    const inner = reader.message();
    inner.next();
    expect(inner.string()).toBe('inside');
    expect(inner.next()).toBe(false);
    expect(error(() => inner.byte()).message).toContain('too early');
  });

  it('answers every truncation and every random input with a value or a WireError', () => {
    const walk = (bytes: Uint8Array): void => {
      const reader = new WireReader(bytes);
      while (reader.next()) {
        if (reader.wireType === 2 && reader.field === 1) walk(reader.bytes());
        else if (reader.wireType === 2 && reader.field === 2) reader.string();
        else reader.skip();
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          walk(bytes);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(WireError);
          expect((thrown as WireError).offset).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: 3_000 },
    );
    const whole = new WireWriter().string(2, 'name').tag(3, 5).raw(new Uint8Array(4)).tag(3, 1).raw(new Uint8Array(8));
    const bytes = whole.finish();
    const boundaries = new Set([0, 6, 11, bytes.length]);
    for (let length = 0; length <= bytes.length; length += 1) {
      if (boundaries.has(length)) walk(bytes.subarray(0, length));
      else expect(() => walk(bytes.subarray(0, length))).toThrow(WireError);
    }
  });
});
