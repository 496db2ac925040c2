import { assert } from './assert.ts';

/**
 * A source of random numbers, handed to whoever needs one. Each draw has a name, a constant of the code that says what
 * it decides (`election-timeout`).
 */
export interface Random {
  /** A uniform integer of [0, limitExclusive); the limit is an integer of [1, 2^53). */
  below(name: string, limitExclusive: number): number;

  /** `length` uniform bytes, in a new array that the caller owns. */
  bytes(name: string, length: number): Uint8Array;
}

const wordRange = 2 ** 32;
// Words are 32 bits wide; a number holds 53, so a large draw takes 21 bits out of a second word.
const highRange = 2 ** 21;
const namesMax = 10_000;

/**
 * Makes a uniform integer of [0, limitExclusive) out of uniform 32-bit words. Draws in the last, incomplete multiple of
 * the limit are thrown away: a plain remainder would favour small results.
 */
export function uniformBelow(limitExclusive: number, nextWord: () => number): number {
  assert(
    Number.isSafeInteger(limitExclusive) && limitExclusive >= 1,
    () => `limit of a random draw is ${limitExclusive}, expected an integer of [1, 2^53)`,
  );
  const wide = limitExclusive > wordRange;
  const range = wide ? wordRange * highRange : wordRange;
  const fair = range - (range % limitExclusive);
  for (;;) {
    const drawn = wide ? (nextWord() % highRange) * wordRange + nextWord() : nextWord();
    if (drawn < fair) return drawn % limitExclusive;
  }
}

/** Fills a new array with bytes of uniform 32-bit words, the lowest byte of each first. */
export function uniformBytes(length: number, nextWord: () => number): Uint8Array {
  assert(Number.isSafeInteger(length) && length >= 0, () => `length of random bytes is ${length}`);
  const bytes = new Uint8Array(length);
  let word = 0;
  for (let i = 0; i < length; i++) {
    word = i % 4 === 0 ? nextWord() : word >>> 8;
    bytes[i] = word & 0xff;
  }
  return bytes;
}

/**
 * Reproducible randomness: the same seed gives the same draws. Every name has a sequence of its own, so that one more
 * draw of one name moves no draw of another, and a replay stays close to the run it came from. Not for secrets.
 */
export class SeededRandom implements Random {
  readonly #seed: number;
  /** By name; bounded by namesMax, since names are constants of the code. */
  readonly #sequences = new Map<string, Xoshiro128>();

  /** @param seed An integer of [0, 2^53). */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, () => `seed is ${seed}, expected an integer of [0, 2^53)`);
    this.#seed = seed;
  }

  below(name: string, limitExclusive: number): number {
    const sequence = this.#sequence(name);
    return uniformBelow(limitExclusive, () => sequence.next());
  }

  bytes(name: string, length: number): Uint8Array {
    const sequence = this.#sequence(name);
    return uniformBytes(length, () => sequence.next());
  }

  #sequence(name: string): Xoshiro128 {
    const known = this.#sequences.get(name);
    if (known !== undefined) return known;
    assert(this.#sequences.size < namesMax, () => `more than ${namesMax} names of random draws, the last is ${name}`);
    const sequence = new Xoshiro128(seedWords(this.#seed, name));
    this.#sequences.set(name, sequence);
    return sequence;
  }
}

type FourWords = readonly [number, number, number, number];

/** The generator xoshiro128** of Blackman and Vigna (2018): 128 bits of state, period 2^128 - 1. */
class Xoshiro128 {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor([a, b, c, d]: FourWords) {
    // An all-zero state would stay zero for ever.
    assert((a | b | c | d) !== 0, 'state of a random sequence is zero');
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
  }

  /** The next word, of [0, 2^32). */
  next(): number {
    const result = Math.imul(rotatedLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotatedLeft(this.#d, 11);
    return result;
  }
}

function rotatedLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Spreads seed and name over four words, so that neighbouring seeds and like names have nothing in common. */
function seedWords(seed: number, name: string): FourWords {
  let state = mixed(seed % wordRange) ^ mixed(Math.floor(seed / wordRange) + 0x9e3779b9);
  for (let i = 0; i < name.length; i++) state = mixed(state ^ (name.charCodeAt(i) + Math.imul(i, 0x01000193)));
  const word = (): number => {
    state = (state + 0x9e3779b9) | 0;
    return mixed(state);
  };
  // The lowest bit is set so that the four can never all be zero.
  return [word(), word(), word(), word() | 1];
}

/** A bijection of 32-bit words after which each bit depends on all (the finisher of MurmurHash3). */
function mixed(word: number): number {
  let bits = word | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
