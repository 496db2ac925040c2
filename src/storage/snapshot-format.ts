import { assert } from '../base/assert.ts';
import type { MembershipRecord } from './entry-log.ts';
import { membershipJson, membershipOf } from './membership-json.ts';
import { assertStateMark, stateMarkOf } from './state-mark.ts';
import type { StateMark } from './state-store.ts';
import { parsedJson, recordOf } from './strict-json.ts';

/**
 * A snapshot on the wire, numbers big endian:
 *   head:    'RCSN', format (u16), length (u32) of the JSON that follows, JSON {mark, membership}
 *   record:  1 (u8), length of the key (u16), length of the value (u32), key, value; in ascending byte order of keys
 *   trailer: 2 (u8), count of records (u64), SHA-256 of everything before the hash (32 bytes)
 * The bytes are cut into chunks of at most chunkBytesMax without regard to records. The count of keys is not known
 * before the end, since the state is read while it is sent.
 */
export const snapshotMagic = Buffer.from('RCSN');
export const snapshotFormat = 1;

/** One message of the peer protocol carries one chunk. */
export const chunkBytesMax = 256 * 1_024;

export const headFixedBytes = 10;
/** The largest membership there can be, and more. */
export const headJsonBytesMax = 256 * 1_024;
export const recordTag = 1;
export const recordFixedBytes = 7;
export const trailerTag = 2;
/** Tag and count. */
export const trailerFixedBytes = 9;
export const trailerHashBytes = 32;

/** What a snapshot is, said at its beginning. */
export interface SnapshotHead {
  readonly mark: StateMark;
  /** In force at the mark's index. */
  readonly membership: MembershipRecord;
}

export function encodeHead(head: SnapshotHead): Buffer {
  assertStateMark(head.mark);
  const { index, term, prefixHash, revision, stateHash } = head.mark;
  const json = Buffer.from(
    JSON.stringify({
      mark: { index, term, prefixHash, revision, stateHash },
      membership: membershipJson(head.membership),
    }),
  );
  assert(json.length <= headJsonBytesMax, () => `head of a snapshot has ${json.length} bytes`);
  const fixed = Buffer.alloc(headFixedBytes);
  snapshotMagic.copy(fixed);
  fixed.writeUInt16BE(snapshotFormat, 4);
  fixed.writeUInt32BE(json.length, 6);
  return Buffer.concat([fixed, json]);
}

/** undefined for anything that `encodeHead` does not write. */
export function decodeHeadJson(json: Uint8Array): SnapshotHead | undefined {
  const record = recordOf(parsedJson(json), ['mark', 'membership']);
  const mark = stateMarkOf(record?.mark);
  const membership = membershipOf(record?.membership);
  return mark === undefined || membership === undefined ? undefined : { mark, membership };
}
