import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import { parsedJson } from './strict-json.ts';

// A small file that people may read: indented JSON, and a last line with the SHA-256 of what stands before it.

/** No file of this kind comes near it. */
export const checkedJsonBytesMax = 256 * 1_024;

const label = 'sha256 ';
const trailerBytes = label.length + 64 + 1;

export function encodeCheckedJson(value: unknown): Buffer {
  const body = Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
  const content = Buffer.concat([body, trailerOf(body)]);
  assert(content.byteLength <= checkedJsonBytesMax, () => `checked JSON of ${content.byteLength} bytes`);
  return content;
}

/**
 * @param file Named by the error.
 * @param advice What to do about damage, a sentence without its full stop.
 * @throws StorageError 'damaged' where a single bit differs from what was written.
 */
export function decodeCheckedJson(file: string, content: Buffer, advice: string): unknown {
  const bodyBytes = content.byteLength - trailerBytes;
  if (bodyBytes < 1 || content.byteLength > checkedJsonBytesMax) {
    throw new StorageError('damaged', file, `has ${content.byteLength} bytes, which cannot be right. ${advice}`, {
      offset: 0,
    });
  }
  const body = content.subarray(0, bodyBytes);
  if (!content.subarray(bodyBytes).equals(trailerOf(body))) {
    throw new StorageError('damaged', file, `the checksum in its last line does not match. ${advice}`, {
      offset: bodyBytes,
    });
  }
  return parsedJson(body);
}

function trailerOf(body: Buffer): Buffer {
  return Buffer.from(`${label}${createHash('sha256').update(body).digest('hex')}\n`);
}
