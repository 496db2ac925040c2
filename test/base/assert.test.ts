import { describe, expect, it } from 'vitest';
import { assert, assertEqual, assertSafeInteger, InvariantError, must, unreachable } from '../../src/base/assert.ts';

describe('assert', () => {
  it('throws InvariantError with the message', () => {
    expect(() => assert(false, 'commit <= last')).toThrow(new InvariantError('commit <= last'));
    expect(() => assert(false, 'commit <= last')).toThrow(InvariantError);
  });

  it('builds a lazy message only on failure', () => {
    let built = 0;
    const message = (): string => `built ${++built}`;
    assert(true, message);
    expect(built).toBe(0);
    expect(() => assert(false, message)).toThrow('built 1');
  });
});

describe('assertEqual', () => {
  it('accepts the same value', () => {
    for (const value of [0, 'a', 1n, true, null, undefined, Number.NaN]) assertEqual(value, value, 'value');
    assertEqual(0, -0, 'value');
    expect(() => assertEqual(3n, 4n, 'value')).toThrow('value: is 3n, expected 4n');
  });

  it.each([
    [3, 4, 'term: is 3, expected 4'],
    ['3', 3, 'term: is "3", expected 3'],
    [undefined, 0, 'term: is undefined, expected 0'],
  ])('names %j and %j', (actual, expected, message) => {
    expect(() => assertEqual<string | number | bigint | undefined>(actual, expected, 'term')).toThrow(
      new InvariantError(message),
    );
  });
});

describe('assertSafeInteger', () => {
  it('accepts integers up to 2^53 - 1', () => {
    for (const value of [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) assertSafeInteger(value, 'index');
  });

  it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses %d', (value) => {
    expect(() => assertSafeInteger(value, 'index')).toThrow(`index: is ${value}, expected a safe integer`);
  });
});

describe('must', () => {
  it('returns the value, also a false one', () => {
    expect(must(0, 'count')).toBe(0);
    expect(must('', 'name')).toBe('');
  });

  it('refuses null and undefined', () => {
    expect(() => must(null, 'peer')).toThrow(new InvariantError('peer: is null, expected a value'));
    expect(() => must(undefined, 'peer')).toThrow(new InvariantError('peer: is undefined, expected a value'));
  });
});

describe('unreachable', () => {
  it('names the value that no type foresaw', () => {
    expect(() => unreachable('observer' as never)).toThrow(new InvariantError('unreachable case: "observer"'));
    expect(() => unreachable({ type: 'vote', term: 3, entries: [] } as never)).toThrow(
      'unreachable case: type=vote term=3 entries',
    );
  });
});
