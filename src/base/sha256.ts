import { hash } from 'node:crypto';
import { assert } from './assert.ts';

/** Number of 32-bit words that `sha256Head` writes: the first 128 bits. */
export const sha256HeadWords = 4;

/** Writes the first 128 bits of SHA-256(bytes) into `into`, as four big-endian words, the highest first. */
export function sha256Head(bytes: Uint8Array, into: Uint32Array): void {
  assert(into.length === sha256HeadWords, 'sha256Head takes four words');
  // Measured: as a string of bytes 0.4 us for 360 bytes; as a Buffer 1.1 us; through createHash 1.5 us.
  const digest = hash('sha256', bytes, 'binary');
  for (let word = 0; word < sha256HeadWords; word += 1) {
    const at = word * 4;
    into[word] =
      ((digest.charCodeAt(at) << 24) |
        (digest.charCodeAt(at + 1) << 16) |
        (digest.charCodeAt(at + 2) << 8) |
        digest.charCodeAt(at + 3)) >>>
      0;
  }
}
