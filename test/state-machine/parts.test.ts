import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError, must } from '../../src/base/assert.ts';
import { DirtySet } from '../../src/state-machine/dirty-set.ts';
import {
  historyKey,
  instanceKey,
  instanceText,
  leaseKey,
  lostKey,
  metaKey,
  parseKey,
  requestKey,
  serviceKey,
  sessionKey,
} from '../../src/state-machine/keys.ts';
import { RecordQueue } from '../../src/state-machine/record-queue.ts';
import { ServiceArena } from '../../src/state-machine/service-arena.ts';
import { SortedStrings } from '../../src/state-machine/sorted-strings.ts';
import { StateHash } from '../../src/state-machine/state-hash.ts';
import { checkedMetaOf, metaOf, specOf, writeView } from '../../src/state-machine/view-codec.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { names } from './arbitraries.ts';

const filledWith = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('SortedStrings', () => {
  it('is a sorted set', () => {
    const operations = fc.array(fc.tuple(fc.boolean(), fc.stringMatching(/^[ab-]{1,4}$/)), { maxLength: 200 });
    fc.assert(
      fc.property(operations, fc.stringMatching(/^[ab-]{0,4}$/), fc.boolean(), (list, start, included) => {
        const real = new SortedStrings();
        const plain = new Set<string>();
        for (const [adds, value] of list) {
          const had = plain.has(value);
          if (adds) plain.add(value);
          else plain.delete(value);
          expect(adds ? real.add(value) : real.delete(value)).toBe(adds ? !had : had);
          expect(real.size).toBe(plain.size);
        }
        const sorted = [...plain].toSorted();
        expect([...real.from('', true)]).toEqual(sorted);
        const expected = sorted.filter((value) => value > start || (included && value === start));
        expect([...real.from(start, included)]).toEqual(expected);
      }),
    );
  });

  it('splits and joins its runs, filled in order or not, and emptied in any order', () => {
    const count = 5_000;
    const value = (i: number): string => String(i).padStart(6, '0');
    for (const step of [1, 4_999, 1_999]) {
      const real = new SortedStrings();
      for (let i = 0; i < count; i += 1) expect(real.add(value((i * step) % count))).toBe(true);
      expect([...real.from('', true)]).toEqual(Array.from({ length: count }, (_, i) => value(i)));
      expect([...real.from(value(4_990), false)]).toHaveLength(9);
      for (let i = 0; i < count; i += 1) {
        if (i % 1_000 === 0) expect([...real.from('', true)]).toHaveLength(count - i);
        expect(real.delete(value((i * 3_001) % count))).toBe(true);
      }
      expect([...real.from('', true)]).toEqual([]);
    }
  });
});

describe('RecordQueue', () => {
  it('is a queue, and what it gave stays as it was', () => {
    const operations = fc.array(fc.oneof(fc.constant(-1), fc.nat(2_000), fc.constant(300_000)), { maxLength: 300 });
    fc.assert(
      fc.property(operations, fc.nat(1_000), (list, first) => {
        const queue = new RecordQueue(first);
        const plain: Uint8Array[] = [];
        const given: { readonly got: Uint8Array; readonly length: number; readonly value: number }[] = [];
        let shifted = 0;
        list.forEach((length, i) => {
          if (length >= 0) {
            const got = queue.push(filledWith(length, i));
            given.push({ got, length, value: i % 256 });
            plain.push(got);
          } else if (plain.length > 0) {
            queue.shift();
            plain.shift();
            shifted += 1;
          }
          expect(queue.count).toBe(plain.length);
          expect(queue.first).toBe(first + shifted);
        });
        expect(queue.bytes).toBe(plain.reduce((sum, record) => sum + record.length, 0));
        plain.forEach((record, i) => expect(Buffer.compare(queue.get(queue.first + i), record)).toBe(0));
        for (const { got, length, value } of given) {
          expect(Buffer.compare(got, filledWith(length, value))).toBe(0);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('takes an empty record behind one that fills a chunk, or more than one', () => {
    for (const length of [256 * 1_024, 300_000]) {
      const queue = new RecordQueue(0);
      queue.push(filledWith(length, 1));
      queue.push(filledWith(0, 2));
      queue.push(filledWith(3, 3));
      expect(queue.get(1)).toEqual(filledWith(0, 2));
      queue.shift();
      expect(queue.get(1)).toEqual(filledWith(0, 2));
      expect(queue.get(2)).toEqual(filledWith(3, 3));
    }
  });

  it('grows its ring wherever its front stands', () => {
    for (const shifted of [0, 1, 30, 63, 64, 100]) {
      const queue = new RecordQueue(7);
      for (let i = 0; i < 500; i += 1) {
        queue.push(filledWith(i % 9, i));
        if (i < shifted) queue.shift();
      }
      expect(queue.count).toBe(500 - shifted);
      for (let i = shifted; i < 500; i += 1) expect(queue.get(7 + i)).toEqual(filledWith(i % 9, i));
    }
  });

  it('refuses what is not there', () => {
    const queue = new RecordQueue(5);
    expect(() => queue.shift()).toThrow(InvariantError);
    expect(() => queue.get(5)).toThrow(InvariantError);
    queue.push(filledWith(1, 1));
    expect(queue.get(5)).toEqual(filledWith(1, 1));
    expect(() => queue.get(4)).toThrow(InvariantError);
    expect(() => queue.get(6)).toThrow(InvariantError);
  });
});

describe('ServiceArena', () => {
  it('is a map of ids to views whose memory is bounded by what lives, and views stay as they were', () => {
    const operation = fc.tuple(fc.constantFrom('put', 'put', 'put', 'delete'), fc.nat(30), fc.nat(600));
    fc.assert(
      fc.property(fc.array(operation, { minLength: 100, maxLength: 800 }), (list) => {
        const arena = new ServiceArena('default', 'web', 0);
        const plain = new Map<string, Uint8Array>();
        const handedOut: { readonly view: Uint8Array; readonly copy: Uint8Array }[] = [];
        list.forEach(([kind, number, length], i) => {
          const id = `i${number}`;
          if (kind === 'put') {
            const view = filledWith(length, i);
            arena.put(id, view);
            plain.set(id, view);
          } else if (plain.delete(id)) arena.delete(id);
          const view = arena.get(id);
          if (view !== undefined && i % 10 === 0) handedOut.push({ view, copy: Uint8Array.from(view) });
        });
        expect(arena.count).toBe(plain.size);
        expect([...arena.slots('')].map((slot) => arena.idAt(slot))).toEqual([...plain.keys()].toSorted());
        for (const [id, view] of plain) expect(Buffer.compare(must(arena.get(id), id), view)).toBe(0);
        for (const { view, copy } of handedOut) expect(Buffer.compare(view, copy)).toBe(0);
        // Each with its head of eight bytes, its id and the length of that.
        expect(arena.liveBytes).toBe([...plain].reduce((sum, [id, view]) => sum + view.length + id.length + 9, 0));
        // At most half of each full chunk is garbage; a chunk may end early by the record that did not fit.
        expect(arena.chunkBytes).toBeLessThan(4 * arena.liveBytes + 4_096);
      }),
      { numRuns: 60 },
    );
  });

  it('gives memory back after a storm of updates, and when it is emptied', () => {
    const arena = new ServiceArena('default', 'web', 0);
    for (let round = 0; round < 50; round += 1) {
      for (let i = 0; i < 2_000; i += 1) arena.put(`i${i}`, filledWith(300 + ((round * i) % 50), round));
    }
    expect(arena.chunkBytes).toBeLessThan(2.5 * arena.liveBytes);
    for (let i = 0; i < 2_000; i += 1) arena.delete(`i${i}`);
    expect(arena.count).toBe(0);
    expect(arena.chunkBytes).toBeLessThanOrEqual(256 * 1_024);
    expect(() => arena.delete('i1')).toThrow(InvariantError);
  });

  it('does not grow by updates of a few instances', () => {
    for (const ids of [['a'], ['a', 'b', 'c']]) {
      const arena = new ServiceArena('default', 'web', 0);
      for (let round = 0; round < 2_000; round += 1) {
        for (const id of ids) arena.put(id, filledWith(300, round));
      }
      expect(arena.chunkBytes).toBeLessThanOrEqual(4 * 1_024);
    }
  });

  it('takes a view larger than any chunk', () => {
    const arena = new ServiceArena('default', 'web', 0);
    const large = filledWith(1_100_000, 7);
    arena.put('large', large);
    arena.put('small', filledWith(10, 8));
    expect(Buffer.compare(must(arena.get('large'), 'large'), large)).toBe(0);
    arena.put('large', filledWith(5, 9));
    expect(arena.get('large')).toEqual(filledWith(5, 9));
    expect(arena.get('small')).toEqual(filledWith(10, 8));
    expect(arena.chunkBytes).toBeLessThan(300_000);
  });
});

describe('StateHash', () => {
  const records = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/), fc.uint8Array({ maxLength: 2_000 })), {
    selector: ([key]) => key,
    maxLength: 20,
  });

  it('is the sum of SHA-256 heads mod 2^128, in whatever order records come and go', () => {
    fc.assert(
      fc.property(records, records, (kept, gone) => {
        const hash = new StateHash();
        for (const [key, value] of gone) hash.add(key, value);
        for (const [key, value] of kept) hash.add(key, value);
        for (const [key, value] of gone.toReversed()) hash.remove(key, value);
        const one = filledWith(3, 1);
        let sum = 0n;
        for (const [key, value] of [...kept.toReversed(), ['one', one] as const]) {
          const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(key), value]);
          bytes.writeUInt32BE(key.length);
          const digest = createHash('sha256').update(bytes).digest('hex');
          sum += BigInt(`0x${digest.slice(0, 32)}`);
        }
        expect(hash.hexWith('one', one)).toBe((sum % 2n ** 128n).toString(16).padStart(32, '0'));
      }),
    );
  });

  it('does not take key and value for each other', () => {
    expect(new StateHash().hexWith('ab', filledWith(1, 99))).not.toBe(
      new StateHash().hexWith('abc', new Uint8Array(0)),
    );
  });
});

describe('DirtySet', () => {
  it('counts bytes of the newest values, and of a frozen set until it is released', () => {
    const set = new DirtySet();
    set.set('key', filledWith(10, 1));
    set.set('key', filledWith(20, 2));
    expect(set.bytes).toBe(23);
    set.set('gone', undefined);
    set.set('key', undefined);
    expect(set.bytes).toBe(7);
    set.set('key', filledWith(1, 3));
    const frozen = set.freeze();
    expect(frozen.bytes).toBe(8);
    set.set('key', filledWith(100, 4));
    expect(set.bytes).toBe(8 + 103);
    expect([...frozen.changes]).toEqual([
      ['key', filledWith(1, 3)],
      ['gone', undefined],
    ]);
    expect(() => set.freeze()).toThrow(InvariantError);
    set.release();
    expect(set.bytes).toBe(103);
    expect(() => set.release()).toThrow(InvariantError);
    expect([...set.freeze().changes]).toEqual([['key', filledWith(100, 4)]]);
  });
});

describe('keys', () => {
  it('are read as they are written, and sort as what they name', () => {
    fc.assert(
      fc.property(names, fc.maxSafeNat(), fc.maxSafeNat(), (name, a, b) => {
        const { namespace, service, id } = name;
        expect(parseKey(instanceKey(namespace, service, id))).toEqual({ kind: 'instance', name });
        expect(parseKey(serviceKey(namespace, service))).toEqual({ kind: 'service', namespace, service });
        expect(parseKey(leaseKey(a))).toEqual({ kind: 'lease', leaseId: a });
        expect(parseKey(requestKey(a))).toEqual({ kind: 'request', sequence: a });
        expect(parseKey(sessionKey(a))).toEqual({ kind: 'session', sessionId: a });
        expect(parseKey(lostKey(a, instanceText(name)))).toEqual({ kind: 'lost', sessionId: a, name });
        const index = b % 1_000;
        expect(parseKey(historyKey(a, index))).toEqual({ kind: 'history', revision: a, index });
        expect(leaseKey(a) < leaseKey(b)).toBe(a < b);
        expect(historyKey(a, 999) < historyKey(b, 0)).toBe(a < b);
      }),
    );
    expect(parseKey(metaKey)).toEqual({ kind: 'meta' });
  });

  it('of any other form halt the member', () => {
    const bad = [
      '',
      'ab',
      'b/',
      'b/1',
      'b/0000000000000G',
      'b/ffffffffffffff',
      'c/default/web',
      'c/default/web/a/b',
      'c/default/Web/a',
      'c//web/a',
      'd/default',
      'd/default/web/a',
      'f/x',
      'f/00000000000001',
      'f/00000000000001/000',
      'f/00000000000001/000g',
      'f/00000000000001/00000',
      'g/1',
      'g/00000000000001/a',
      'h/00000000000001',
      'h/00000000000001/default/web',
      'h/00000000000001default/web/a',
      'z',
    ];
    for (const key of bad) expect(() => parseKey(key)).toThrow(InvariantError);
  });
});

describe('view codec', () => {
  const meta = {
    incarnation: 300,
    createRevision: 2,
    modifyRevision: 2 ** 40,
    createTimeMs: 0,
    modifyTimeMs: 1_790_000_000_000,
    leaseId: 0,
  };
  const viewWith = (spec: Uint8Array): Uint8Array => {
    const writer = new WireWriter();
    writeView(writer, spec, meta);
    return writer.finish();
  };

  it('keeps spec and meta, whatever the length of the spec', () => {
    for (const length of [0, 1, 127, 128, 20_000]) {
      const view = viewWith(filledWith(length, 10));
      expect(specOf(view)).toEqual(filledWith(length, 10));
      expect(metaOf(view)).toEqual(meta);
      expect(checkedMetaOf(view)).toEqual(meta);
    }
  });

  it('takes from a store only what it writes itself', () => {
    const view = viewWith(filledWith(5, 10));
    for (let length = 0; length < view.length; length += 1) {
      expect(() => checkedMetaOf(view.subarray(0, length))).toThrow(InvariantError);
    }
    const others = [
      Uint8Array.of(...view, 0x18, 1),
      Uint8Array.of(0x12, 0, 0x0a, 0),
      Uint8Array.of(0x0a, 0, 0x12, 2, 0x08, 0),
      Uint8Array.of(0x0a, 0, 0x12, 4, 0x10, 1, 0x08, 1),
      Uint8Array.of(0x0a, 0, 0x12, 2, 0x38, 1),
      Uint8Array.of(0x0a, 0, 0x12, 2, 0x08, 1),
    ];
    for (const other of others) expect(() => checkedMetaOf(other)).toThrow(InvariantError);
  });

  it('asserts the order of its revisions before it writes', () => {
    const writer = new WireWriter();
    expect(() => writeView(writer, filledWith(1, 1), { ...meta, createRevision: 301 })).toThrow(InvariantError);
    expect(() => writeView(writer, filledWith(1, 1), { ...meta, modifyRevision: 299 })).toThrow(InvariantError);
  });
});
