import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { noMembership } from '../../src/raft/membership.ts';
import {
  decodeFeatureLevel,
  decodeMembership,
  encodeFeatureLevel,
  encodeMembership,
  featureLevelMax,
  isFeatureLevelData,
  isMembershipData,
  isSystemData,
} from '../../src/raft/system-entries.ts';
import { learnerOf, membershipOf, recordOf } from './memberships.ts';

const full = membershipOf(['a', 'e'], {
  outgoing: ['a', 'b', 'c'].map(recordOf),
  learners: [learnerOf('f', true), learnerOf('g')],
  learnersNext: [learnerOf('c')],
  removedIds: ['x', 'y'],
});

describe('the entry of a membership', () => {
  it('is written as it was when the format was fixed', () => {
    const one = membershipOf(['a'], { learners: [learnerOf('b', true)], removedIds: ['x'] });
    const id = (text: string): string => Buffer.from(text).toString('hex');
    const directory = (text: string): string => id(text.padEnd(16, '-'));
    expect(Buffer.from(encodeMembership(one)).toString('hex')).toBe(
      `f001` +
        `01` +
        `01${id('a')}${directory('a')}06${id('a:7401')}` +
        `00` +
        `01` +
        `01${id('b')}${directory('b')}06${id('b:7401')}01` +
        `00` +
        `01` +
        `01${id('x')}`,
    );
  });

  it('comes back as it was', () => {
    expect(decodeMembership(encodeMembership(full))).toEqual(full);
  });

  it('cannot be taken for a batch of commands or an opening entry', () => {
    expect(isMembershipData(encodeMembership(full))).toBe(true);
    expect(isSystemData(encodeMembership(full))).toBe(true);
    expect(isFeatureLevelData(encodeMembership(full))).toBe(false);
    for (const data of [new Uint8Array(0), Uint8Array.of(1, 240), Uint8Array.of(239)]) {
      expect(isSystemData(data)).toBe(false);
      expect(isMembershipData(data)).toBe(false);
    }
  });

  it('halts on every byte more or less', () => {
    const bytes = encodeMembership(full);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeMembership(bytes.slice(0, length))).toThrow(InvariantError);
    }
    expect(() => decodeMembership(Uint8Array.of(...bytes, 0))).toThrow(/1 bytes left over/);
  });

  it('halts on another tag, format or flag', () => {
    const bytes = encodeMembership(membershipOf(['a'], { learners: [learnerOf('b')] }));
    const with_ = (at: number, value: number): Uint8Array => bytes.with(at, value);
    expect(() => decodeMembership(with_(0, 0xf1))).toThrow(/tag 241/);
    expect(() => decodeMembership(with_(1, 2))).toThrow(/format 2/);
    expect(() => decodeMembership(with_(bytes.length - 3, 2))).toThrow(/flag of 2/);
    expect(() => decodeMembership(with_(2, 32))).toThrow(/32 elements/);
  });

  it('halts on what cannot be a membership, and writes none', () => {
    expect(() => encodeMembership({ ...full, removedIds: ['a'] })).toThrow(InvariantError);
    expect(() => decodeMembership(encodeMembership(noMembership))).toThrow(/no voter/);
    const bytes = encodeMembership(membershipOf(['a', 'b']));
    // The first voter's name comes after tag, format, count and length.
    expect(() => decodeMembership(bytes.with(4, 0x63))).toThrow(/order/);
  });

  it('never throws anything but InvariantError', () => {
    const bytes = encodeMembership(full);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        try {
          decodeMembership(bytes.with(at, value));
        } catch (error) {
          expect(error).toBeInstanceOf(InvariantError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the entry of a feature level', () => {
  it.each([1, 2, 300, featureLevelMax])('comes back as it was: %d', (level) => {
    const data = encodeFeatureLevel(level);
    expect(isFeatureLevelData(data)).toBe(true);
    expect(isMembershipData(data)).toBe(false);
    expect(decodeFeatureLevel(data)).toBe(level);
  });

  it('is written as it was when the format was fixed', () => {
    expect([...encodeFeatureLevel(1)]).toEqual([0xf1, 1]);
  });

  it.each([0, -1, 1.5, featureLevelMax + 1])('is never %d', (level) => {
    expect(() => encodeFeatureLevel(level)).toThrow(InvariantError);
  });

  it.each([[[]], [[0xf1]], [[0xf1, 0]], [[0xf1, 1, 0]], [[0xf0, 1]], [[0xf1, 0xff, 0xff, 0x7f]]])(
    'halts on %j',
    (bytes) => {
      expect(() => decodeFeatureLevel(Uint8Array.from(bytes))).toThrow(InvariantError);
    },
  );
});
