import { createHash } from 'node:crypto';

const heads = Buffer.alloc(24);

/** Prefix hash of an empty log. */
export const emptyPrefixHash = '0000000000000000';

/**
 * Hash of a log's prefix extended by one entry: the first 64 bits, as 16 hex digits, of
 * SHA-256(previous hash || index || term || data), numbers as 8-byte big endian.
 */
export function extendPrefixHash(previous: string, index: number, term: number, data: Uint8Array): string {
  heads.write(previous, 0, 8, 'hex');
  heads.writeBigUInt64BE(BigInt(index), 8);
  heads.writeBigUInt64BE(BigInt(term), 16);
  return createHash('sha256').update(heads).update(data).digest('hex').slice(0, 16);
}
