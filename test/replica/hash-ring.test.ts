import { describe, expect, it } from 'vitest';
import { HashRing, judgeHashes } from '../../src/replica/hash-ring.ts';

describe('HashRing', () => {
  it('keeps the newest hashes up to its capacity', () => {
    const ring = new HashRing(3);
    for (let index = 1; index <= 4; index++) ring.record(index, `h${index}`);
    expect([1, 2, 3, 4, 5].map((index) => ring.at(index))).toEqual([undefined, 'h2', 'h3', 'h4', undefined]);
  });
});

describe('judgeHashes', () => {
  const judge = (hashes: Record<string, string>, voters: number): unknown =>
    judgeHashes(new Map(Object.entries(hashes)), voters);

  it('is open while fewer than a majority have answered alike', () => {
    expect(judge({ a: 'x' }, 3)).toEqual({ kind: 'open' });
    expect(judge({ a: 'x', b: 'y' }, 3)).toEqual({ kind: 'open' });
  });

  it('agrees where a majority is alike and none differs', () => {
    expect(judge({ a: 'x', b: 'x' }, 3)).toEqual({ kind: 'agreed' });
    expect(judge({ a: 'x' }, 1)).toEqual({ kind: 'agreed' });
  });

  it('names who differs from a majority', () => {
    expect(judge({ a: 'x', b: 'y', c: 'x' }, 3)).toEqual({ kind: 'odd', members: ['b'], hash: 'x' });
    expect(judge({ a: 'y', b: 'x', c: 'x', d: 'z', e: 'x' }, 5)).toMatchObject({ kind: 'odd', members: ['a', 'd'] });
  });

  it('is split where all have answered and no majority is alike', () => {
    expect(judge({ a: 'x', b: 'y', c: 'z' }, 3)).toEqual({ kind: 'split' });
    expect(judge({ a: 'x', b: 'y' }, 2)).toEqual({ kind: 'split' });
  });
});
