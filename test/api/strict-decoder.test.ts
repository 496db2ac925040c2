import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDiscover, parseListServices, parseStatus, parseWatch } from '../../src/api/parse-reads.ts';
import { checkSpec } from '../../src/api/parse-spec.ts';
import {
  parseDeregister,
  parseGrantLease,
  parseKeepAlive,
  parseRegister,
  parseRevokeLease,
  parseUpdate,
} from '../../src/api/parse-writes.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { plainSpec, refusalOf, registerBytes, specBytes } from './requests.ts';

const { v1 } = rollcall;

function joined(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

/** One field with a length in front of its bytes. */
function sized(field: number, bytes: Uint8Array | readonly number[]): number[] {
  return [field * 8 + 2, bytes.length, ...bytes];
}

const text = (value: string): number[] => [...Buffer.from(value)];

describe('strict decoding', () => {
  const spec = specBytes();
  const cases: readonly [what: string, bytes: Uint8Array, refusal: string | RegExp][] = [
    [
      'a singular field twice',
      joined(spec, sized(2, text('other'))),
      'instance.service: is there twice, allowed is once',
    ],
    ['the same value twice', joined(spec, sized(2, text('cart'))), 'instance.service: is there twice, allowed is once'],
    ['a message twice', joined(spec, sized(9, []), sized(9, [])), 'instance.locality: is there twice, allowed is once'],
    [
      'a map key twice',
      joined(spec, sized(8, sized(1, text('k'))), sized(8, sized(1, text('k')))),
      /^instance.metadata\[1\].key: "k" is there twice/,
    ],
    [
      'a key twice in one pair',
      joined(spec, sized(8, [...sized(1, text('k')), ...sized(1, text('l'))])),
      /^instance.metadata\[0\].key: is there twice/,
    ],
    ['bad UTF-8', joined(spec, sized(5, [0xc3, 0x28])), /^instance.version: text is not UTF-8/],
    ['an encoded surrogate', joined(spec, sized(5, [0xed, 0xa0, 0x80])), /^instance.version: text is not UTF-8/],
    ['over-long UTF-8', joined(spec, sized(5, [0xc0, 0x80])), /^instance.version: text is not UTF-8/],
    ['a varint longer than needed', joined(spec, [0x30, 0x81, 0x00]), /^instance.weight: over-long varint/],
    [
      'a varint of eleven bytes',
      joined(spec, [0x30, ...Array<number>(10).fill(0xff), 0x01]),
      /^instance.weight: number above 2\^53-1/,
    ],
    [
      'a negative enum value',
      joined(spec, [0x50, ...Array<number>(9).fill(0xff), 0x01]),
      /^instance.status: number above/,
    ],
    ['a number beyond 32 bits', joined(spec, [0x30, 0x80, 0x80, 0x80, 0x80, 0x10]), /^instance.weight: is 4294967296/],
    ['another wire type', joined(spec, [0x35, 0, 0, 0, 0]), 'instance.weight: is sent as 4 bytes, expected a varint'],
    [
      'text as a number',
      joined(spec, [0x28, 1]),
      'instance.version: is sent as a varint, expected bytes with a length',
    ],
    ['a length beyond the end', joined(spec, [0x2a, 9, 1]), /^instance.version: length 9 beyond the message/],
    ['a tag that is cut off', joined(spec, [0x80]), 'MALFORMED_MESSAGE instance'],
    ['field number 0', joined(spec, [0x00, 0x01]), 'MALFORMED_MESSAGE instance'],
    ['a group', joined(spec, [0xa3, 0x06, 0xa4, 0x06]), 'MALFORMED_MESSAGE instance'],
    ['a wire type that does not exist', joined(spec, [0x37]), 'MALFORMED_MESSAGE instance'],
    ['an unknown field that is cut off', joined(spec, [0xa2, 0x06, 5, 0]), 'MALFORMED_MESSAGE instance'],
    ['an unknown varint longer than needed', joined(spec, [0xa0, 0x06, 0x80, 0x00]), 'MALFORMED_MESSAGE instance'],
  ];
  for (const [what, bytes, refusal] of cases) {
    it(`refuses ${what}`, () => expect(refusalOf(() => checkSpec(bytes))).toMatch(refusal));
  }

  it('names the request where the garbage is outside every field', () => {
    expect(refusalOf(() => parseRegister(Buffer.from([0x07])))).toBe('MALFORMED_MESSAGE');
    expect(refusalOf(() => parseRegister(Buffer.from('this is no protobuf')))).not.toBe('');
  });

  it('refuses two members of a oneof', () => {
    const bytes = joined(registerBytes(), [0x20, 0x01]);
    expect(refusalOf(() => parseRegister(bytes))).toMatch(/^lifetime: has ttl_ms and persistent/);
    const both = v1.WatchRequest.encode({ create: { watchId: 1 } }).finish();
    expect(refusalOf(() => parseWatch(joined(both, sized(2, [0x08, 1]))))).toMatch(/^request: has create and cancel/);
  });

  it('takes a boolean of 0 and 1 only, and numbers up to 2^53 - 1', () => {
    expect(refusalOf(() => parseRegister(joined(registerBytes(), [0x28, 2])))).toBe(
      'if_absent: is 2, allowed is 0 to 1',
    );
    expect(
      parseRegister(registerBytes({}, { ttlMs: 1_000, ifIncarnation: Number.MAX_SAFE_INTEGER })).ifIncarnation,
    ).toBe(Number.MAX_SAFE_INTEGER);
    const above = [0x30, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    expect(refusalOf(() => parseRegister(joined(registerBytes(), above)))).toMatch(
      /^if_incarnation: number above 2\^53-1/,
    );
  });

  it('keeps the bytes as they were sent, in memory of its own, and counts what it does not know', () => {
    const endpoint = [
      ...sized(1, text('main')),
      ...sized(2, text('grpc')),
      ...sized(3, text('::1')),
      0x20,
      80,
      ...sized(9, [1]),
    ];
    const bytes = joined(
      sized(15, [1, 2]),
      sized(3, text('id')),
      sized(2, text('cart')),
      sized(4, endpoint),
      [0x78, 5],
    );
    const checked = checkSpec(bytes);
    expect(checked.name).toEqual({ namespace: 'default', service: 'cart', id: 'id' });
    expect(checked.unknownFields).toBe(3);
    expect(Buffer.from(checked.bytes).equals(bytes)).toBe(true);
    bytes.fill(0);
    expect(checked.bytes[0]).toBe(15 * 8 + 2);
    expect(checked.bytes.buffer.byteLength).toBe(checked.bytes.length);
  });

  it('takes lease ids packed and one by one', () => {
    expect(parseKeepAlive(Buffer.from([0x0a, 2, 5, 6]))).toEqual([5, 6]);
    expect(parseKeepAlive(Buffer.from([0x08, 5, 0x08, 6]))).toEqual([5, 6]);
    expect(parseKeepAlive(Buffer.from([0x08, 5, 0x0a, 2, 7, 5]))).toEqual([5, 7, 5]);
    expect(refusalOf(() => parseKeepAlive(Buffer.from([0x0a, 2, 0x85, 0x00])))).toMatch(/^lease_ids\[0\]: over-long/);
  });

  it('stops at the first element too many', () => {
    const million = Buffer.alloc(1_000_000, Buffer.from([0x22, 0]));
    expect(refusalOf(() => checkSpec(million))).toMatch(/^instance.endpoints: has more than 16 elements/);
  });

  it('reads what protobufjs writes, for any spec within the bounds', () => {
    const word = fc.stringMatching(/^[a-z0-9.-]{1,20}$/);
    const specs = fc.record({
      namespace: fc.oneof(fc.constant(''), word),
      service: word,
      id: word,
      version: fc.string({ maxLength: 30, unit: 'grapheme' }),
      weight: fc.nat(1_000_000),
      tags: fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }), { maxLength: 8 }),
      metadata: fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 40 }), { maxKeys: 8 }),
    });
    fc.assert(
      fc.property(specs, (spec) => {
        const bytes = specBytes(spec);
        const { name } = checkSpec(bytes);
        expect(name).toEqual({
          namespace: spec.namespace === '' ? 'default' : spec.namespace,
          service: spec.service,
          id: spec.id,
        });
      }),
    );
  });
});

describe('any bytes', () => {
  const parsers: Readonly<Record<string, readonly [parse: (bytes: Uint8Array) => unknown, valid: Uint8Array]>> = {
    checkSpec: [
      checkSpec,
      specBytes({ tags: ['a', 'ü'], metadata: { k: 'v' }, locality: { zone: 'z' }, status: 2, weight: 3 }),
    ],
    register: [
      parseRegister,
      registerBytes({ metadata: { k: 'v' } }, { ttlMs: 5_000, requestId: 'r', ifIncarnation: 4 }),
    ],
    update: [parseUpdate, v1.UpdateRequest.encode({ instance: plainSpec, incarnation: 300, requestId: 'r' }).finish()],
    deregister: [
      parseDeregister,
      v1.DeregisterRequest.encode({ key: { service: 's', id: 'i' }, incarnation: 9, reason: 'ö' }).finish(),
    ],
    grantLease: [parseGrantLease, v1.GrantLeaseRequest.encode({ ttlMs: 5_000, requestId: 'r' }).finish()],
    revokeLease: [parseRevokeLease, v1.RevokeLeaseRequest.encode({ leaseId: 500, reason: 'r' }).finish()],
    keepAlive: [parseKeepAlive, v1.KeepAliveRequest.encode({ leaseIds: [1, 2, 300, 70_000] }).finish()],
    discover: [parseDiscover, v1.DiscoverRequest.encode({ service: 's', consistency: 1, pageToken: 'abc' }).finish()],
    listServices: [parseListServices, v1.ListServicesRequest.encode({ prefix: 's', pageSize: 5 }).finish()],
    watch: [parseWatch, v1.WatchRequest.encode({ create: { watchId: 5, service: 's', once: true } }).finish()],
    status: [parseStatus, new Uint8Array([0xa0, 0x06, 0x01])],
  };
  const rounds = 20_000;

  // Most of the time would go into stacks of errors that nobody looks at.
  const { stackTraceLimit } = Error;
  beforeAll(() => void (Error.stackTraceLimit = 0));
  afterAll(() => void (Error.stackTraceLimit = stackTraceLimit));

  for (const [name, [parse, valid]] of Object.entries(parsers)) {
    it(`are parsed or refused by name: ${name}`, () => {
      const random = new SeededRandom(7);
      // How even the small numbers are does not matter here.
      let draws = Buffer.from(random.bytes(name, 1_024));
      let drawn = 0;
      const below = (limit: number): number => {
        if (drawn + 2 > draws.length) {
          draws = Buffer.from(random.bytes(name, 1_024));
          drawn = 0;
        }
        drawn += 2;
        return draws.readUInt16LE(drawn - 2) % limit;
      };
      let taken = 0;
      parse(valid);
      for (let round = 0; round < rounds; round++) {
        const bytes = round % 4 === 0 ? random.bytes(name, below(200)) : mutated(valid, below);
        try {
          parse(bytes);
          taken++;
        } catch (error) {
          const known = error instanceof RollcallError && error.code === 'INVALID_ARGUMENT';
          if (!known || error.message === '' || error.message.length > 2_000) throw error;
          if (error.reason === 'INVALID_FIELD' && error.field === undefined) throw error;
        }
      }
      expect(taken).toBeGreaterThan(0);
      expect(taken).toBeLessThan(rounds);
    });
  }
});

/** One to four bytes changed, removed, put in or repeated. */
function mutated(valid: Uint8Array, below: (limit: number) => number): Uint8Array {
  const bytes = [...valid];
  for (let i = below(4); i >= 0; i--) {
    const at = below(bytes.length + 1);
    const kind = below(4);
    if (kind === 0) bytes[Math.min(at, bytes.length - 1)] = below(256);
    else if (kind === 1) bytes.splice(at, 1 + below(3));
    else if (kind === 2) bytes.splice(at, 0, below(256));
    else bytes.splice(at, 0, ...bytes.slice(at, at + below(20)));
    if (bytes.length === 0) bytes.push(below(256));
  }
  return new Uint8Array(bytes);
}
