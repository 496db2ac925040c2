import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { ArenaTable } from '../../src/state-machine/arena-table.ts';
import { Column } from '../../src/state-machine/column.ts';
import { LeaseIndex } from '../../src/state-machine/lease-index.ts';
import { LeaseMembers } from '../../src/state-machine/lease-members.ts';
import { SequenceList } from '../../src/state-machine/sequence-list.ts';
import { bytesHash, SlotCache, textHash } from '../../src/state-machine/slot-cache.ts';
import { SortedBlocks } from '../../src/state-machine/sorted-blocks.ts';

const to = (sought: number) => (item: number) => item - sought;

describe('SortedBlocks', () => {
  it('is a sorted set in the order of its owner', () => {
    const operations = fc.array(fc.tuple(fc.boolean(), fc.nat(60)), { maxLength: 200 });
    fc.assert(
      fc.property(operations, fc.nat(60), (list, start) => {
        const real = new SortedBlocks((length) => new Uint32Array(length));
        const plain = new Set<number>();
        for (const [adds, value] of list) {
          expect(real.seek(to(value))).toBe(plain.has(value));
          if (plain.has(value)) expect(real.current).toBe(value);
          if (adds && !plain.has(value)) real.insert(value);
          if (!adds && plain.has(value)) real.remove();
          if (adds) plain.add(value);
          else plain.delete(value);
          expect(real.size).toBe(plain.size);
        }
        const sorted = [...plain].toSorted((a, b) => a - b);
        real.seek(to(start));
        expect([...real.following()]).toEqual(sorted.filter((value) => value >= start));
      }),
      { numRuns: 60 },
    );
  });

  it('splits and joins its blocks, filled in order or not, and emptied in any order', () => {
    const count = 3_000;
    for (const step of [1, 2_999, 1_999]) {
      const real = new SortedBlocks((length) => new Float64Array(length));
      for (let i = 0; i < count; i += 1) {
        if (real.seek(to((i * step) % count))) throw new Error('there already');
        real.insert((i * step) % count);
      }
      real.seek(() => 1);
      expect([...real.following()]).toEqual(Array.from({ length: count }, (_, i) => i));
      const left = new Set(Array.from({ length: count }, (_, i) => i));
      for (let i = 0; i < count; i += 1) {
        const value = (i * 1_009) % count;
        if (!real.seek(to(value))) throw new Error('not there');
        real.remove();
        left.delete(value);
        if (i % 500 !== 0) continue;
        real.seek(() => 1);
        expect([...real.following()]).toEqual([...left]);
      }
      expect(real.size).toBe(0);
      expect(() => real.remove()).toThrow(InvariantError);
    }
  });
});

describe('Column', () => {
  it('holds numbers by place, 0 where none was set, across segments', () => {
    const column = new Column((length) => new Float64Array(length));
    const places = [0, 7, 8, 4_095, 4_096, 20_000, 8_191, 3];
    for (const place of places) column.set(place, place + 0.5);
    for (const place of places) expect(column.get(place)).toBe(place + 0.5);
    for (const place of [1, 9, 4_097, 19_999, 1_000_000]) expect(column.get(place)).toBe(0);
    expect(() => column.set(2 ** 31, 1)).toThrow(InvariantError);
  });
});

describe('LeaseIndex', () => {
  it('finds what was added in order and not deleted, and lists it from any id on', () => {
    const index = new LeaseIndex();
    const plain = new Map<number, number>();
    for (let i = 0; i < 3_000; i += 1) {
      index.add(1 + i * 3, i);
      plain.set(1 + i * 3, i);
    }
    expect(() => index.add(5, 1)).toThrow(InvariantError);
    for (let i = 0; i < 3_000; i += 1) {
      if (i % 7 === 0) continue;
      const id = 1 + ((i * 1_009) % 3_000) * 3;
      index.delete(id);
      plain.delete(id);
      expect(index.find(id)).toBeUndefined();
    }
    expect(index.size).toBe(plain.size);
    for (const after of [0, 1, 2, 4_000, 8_998, 9_000]) {
      const expected = [...plain].filter(([id]) => id > after);
      expect([...index.after(after)].map(({ leaseId, slot }) => [leaseId, slot])).toEqual(expected);
    }
    for (const [id, slot] of plain) expect(index.find(id)).toBe(slot);
    expect(() => index.delete(2)).toThrow(InvariantError);
    index.add(100_000, 5);
    expect(index.find(100_000)).toBe(5);
  });
});

describe('LeaseMembers', () => {
  it('holds instances of many services in byte order of their keys', () => {
    const arenas = new ArenaTable();
    const services = ['web', 'web-1', 'web.x', 'a'].map((service) => arenas.add('default', service));
    const members = new LeaseMembers(arenas);
    const keys: string[] = [];
    for (const arena of services) {
      for (const id of ['b', 'B', '~', 'a', 'a-1', 'ab']) {
        arena.put(id, new Uint8Array(3));
        members.add(7, arena, id);
        keys.push(`${arena.prefix}${id}`);
      }
    }
    const listed = (countMax: number): string[] => {
      return members.first(7, countMax).map(({ namespace, service, id }) => `${namespace}/${service}/${id}`);
    };
    expect(listed(100)).toEqual(keys.toSorted());
    expect(listed(3)).toEqual(keys.toSorted().slice(0, 3));
    expect(members.count(7)).toBe(24);
    const [web] = services;
    if (web === undefined) throw new Error('no service');
    expect(() => members.add(7, web, 'b')).toThrow(InvariantError);
    expect(() => members.delete(8, web, 'b')).toThrow(InvariantError);
    for (const arena of services) for (const id of ['b', 'B', '~', 'a', 'a-1', 'ab']) members.delete(7, arena, id);
    expect(members.count(7)).toBe(0);
    members.add(7, web, 'b');
    expect(listed(1)).toEqual(['default/web/b']);
    expect(members.first(7, 0)).toEqual([]);
  });
});

describe('SlotCache', () => {
  it('gives what it was told last of a hash, and nothing that is not meant', () => {
    const cache = new SlotCache((slot) => slot % 3);
    for (let slot = 0; slot < 1_000; slot += 1) cache.remember(slot % 3, slot, slot + 1);
    // All hashes are the same three: what was told last is still found, the rest is sought elsewhere.
    expect(cache.find(0, (slot) => slot === 999)).toBe(999);
    expect(cache.find(1, (slot) => slot === 997)).toBe(997);
    expect(cache.find(1, (slot) => slot === 1)).toBe(-1);
    expect(cache.find(2, () => false)).toBe(-1);
  });

  it('hashes text and its bytes alike', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[!-~]{1,60}$/), (text) => {
        expect(bytesHash(Buffer.from(`x${text}`), 1, text.length)).toBe(textHash(text));
      }),
    );
  });
});

describe('SequenceList', () => {
  it('is a queue that is searched by bisection', () => {
    const list = new SequenceList();
    for (let i = 0; i < 1_000; i += 1) list.push(i * 2);
    expect(() => list.push(5)).toThrow(InvariantError);
    for (let i = 0; i < 600; i += 1) expect(list.shift()).toBe(i * 2);
    expect(list.count).toBe(400);
    expect(list.last).toBe(1_998);
    expect(list.at(0)).toBe(1_200);
    expect(list.firstWhere((sequence) => sequence > 1_300)).toBe(51);
    expect(list.firstWhere(() => false)).toBe(400);
    for (let i = 0; i < 400; i += 1) list.shift();
    expect(list.last).toBeUndefined();
    expect(() => list.shift()).toThrow(InvariantError);
  });
});
