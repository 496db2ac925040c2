import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';

/**
 * How one value lies in a state directory: a format number (1 byte), a CRC-32 (4 bytes, big endian) over the format
 * number, the key's bytes and the payload, then the payload. The key is in the checksum so that a value which the disk
 * returns under another key is noticed. LevelDB's own checksums are not verified when it reads.
 */
const envelopeFormat = 1;
export const envelopeHeadBytes = 5;

/** Bytes of a key as UTF-8. */
export const stateKeyBytesMax = 4_096;

/** Bytes of a bare value: the history of one revision (1,000 events of 16 KiB) is the largest there is. */
export const stateValueBytesMax = 16 * 1_024 * 1_024;

/** Keys that begin with this character belong to the store itself. */
const reservedPrefix = '\u0000';

/** The key under which a store keeps its mark; no caller's key can be equal to it. */
export const markKey: Buffer = Buffer.from(`${reservedPrefix}mark`);

/** The least key that a caller can use. */
export const firstStateKey: Buffer = Buffer.from([1]);

/**
 * The bytes of a caller's key. Asserts that the key is not empty, not reserved, within its bound, and that it can be
 * read back (no lone surrogate).
 */
export function encodeStateKey(key: string): Buffer {
  assert(key !== '' && !key.startsWith(reservedPrefix), () => `state key ${shown(key)} is empty or reserved`);
  const bytes = Buffer.from(key);
  assert(
    bytes.length <= stateKeyBytesMax,
    () => `state key of ${bytes.length} bytes, expected at most ${stateKeyBytesMax}: ${shown(key)}`,
  );
  // Equal lengths mean ASCII; anything else has to survive the way there and back.
  assert(
    bytes.length === key.length || bytes.toString() === key,
    () => `state key ${shown(key)} cannot be written as UTF-8`,
  );
  return bytes;
}

/** A new buffer with the payload in its envelope; the payload may be changed by the caller afterwards. */
export function sealValue(key: Uint8Array, payload: Uint8Array): Buffer {
  assert(
    payload.length <= stateValueBytesMax,
    () => `state value of ${payload.length} bytes, expected at most ${stateValueBytesMax}: ${shown(asText(key))}`,
  );
  const sealed = Buffer.allocUnsafe(envelopeHeadBytes + payload.length);
  sealed[0] = envelopeFormat;
  sealed.writeUInt32BE(checksum(envelopeFormat, key, payload), 1);
  sealed.set(payload, envelopeHeadBytes);
  return sealed;
}

/**
 * The payload of an envelope, as a view of `sealed`.
 *
 * @param file Path of the directory that it was read from, for the error.
 * @throws StorageError 'damaged' naming the key.
 */
export function openValue(key: Uint8Array, sealed: Buffer, file: string): Buffer {
  if (sealed.length < envelopeHeadBytes) {
    throw damagedValue(key, file, `has ${sealed.length} bytes, its envelope alone takes ${envelopeHeadBytes}`);
  }
  const format = sealed.readUInt8(0);
  if (format !== envelopeFormat) {
    throw damagedValue(key, file, `has format ${format}, this version knows only ${envelopeFormat}`);
  }
  const payload = sealed.subarray(envelopeHeadBytes);
  const stored = sealed.readUInt32BE(1);
  const computed = checksum(format, key, payload);
  if (stored !== computed) {
    throw damagedValue(key, file, `has checksum ${hex(computed)}, its envelope says ${hex(stored)}`);
  }
  return payload;
}

function checksum(format: number, key: Uint8Array, payload: Uint8Array): number {
  return crc32(payload, crc32(key, format));
}

function damagedValue(key: Uint8Array, file: string, problem: string): StorageError {
  return new StorageError('damaged', file, `the value of key ${shown(asText(key))} ${problem}`);
}

function asText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString();
}

function hex(checksumValue: number): string {
  return checksumValue.toString(16).padStart(8, '0');
}

/** A key for a message: quoted, and cut where it is long. */
function shown(key: string): string {
  return key.length <= 200 ? JSON.stringify(key) : `${JSON.stringify(key.slice(0, 200))}...`;
}
