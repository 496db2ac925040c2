import { assert, must } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts';
import type { Disk } from './disk.ts';
import type { MembershipRecord } from './entry-log.ts';
import type { LogBase } from './log-types.ts';
import { membershipJson, membershipOf } from './membership-json.ts';
import { replaceFile } from './replace-file.ts';
import { logDirectory } from './segment.ts';
import { isCount, isHex, recordOf } from './strict-json.ts';

/** File of the mark below the disk's root. */
export const markPath = `${logDirectory}/mark`;

/**
 * Where the log begins. It is the one place that says which segments belong to the log, so that replacing this small
 * file is the moment at which a compaction or a restart has happened: segments before `firstSegment` count for nothing
 * from then on, whether or not they were removed yet.
 */
export interface CompactionMark {
  readonly base: LogBase;
  /** As of the base, so that a member can vote without its state. */
  readonly membership: MembershipRecord;
  /** Number of the first segment that counts. */
  readonly firstSegment: number;
  /** Sequence of the first frame in it (of the frame to come, where it holds none). */
  readonly firstSequence: number;
  /** Frames before this sequence were durable when the mark was written: a bad one is damage, never a torn write. */
  readonly durableSequence: number;
}

const advice =
  'Without it nobody can say where the log begins. Nothing was changed on disk. Keep the other members running, and ' +
  'replace this member by a new one with an empty directory';

const fields = ['format', 'base', 'membership', 'firstSegment', 'firstSequence', 'durableSequence'] as const;

/** Durable when it resolves; the old mark or the new one at every moment before. */
export async function writeMark(disk: Disk, mark: CompactionMark): Promise<void> {
  const content = encodeMark(mark);
  // Read back before it is relied on: a mark that cannot be read is a log that cannot be opened.
  must(markOf(decodeCheckedJson(markPath, content, advice)), 'compaction mark, read back');
  await replaceFile(disk, markPath, content);
}

/** Undefined where there is none. */
export async function readMark(disk: Disk): Promise<CompactionMark | undefined> {
  const content = await disk.read(markPath);
  if (content === undefined) return undefined;
  return decodeMark(content);
}

/** @throws StorageError 'damaged' where it is not what `encodeMark` makes. */
export function decodeMark(content: Buffer): CompactionMark {
  const mark = markOf(decodeCheckedJson(markPath, content, advice));
  if (mark === undefined)
    throw new StorageError('damaged', markPath, `holds no compaction mark of format 1. ${advice}`);
  return mark;
}

export function encodeMark(mark: CompactionMark): Buffer {
  const { base, membership, firstSegment, firstSequence, durableSequence } = mark;
  assert(durableSequence >= firstSequence, () => `durable sequence ${durableSequence} before ${firstSequence}`);
  return encodeCheckedJson({
    format: 1,
    base: { index: base.index, term: base.term, hash: base.hash },
    membership: membershipJson(membership),
    firstSegment,
    firstSequence,
    durableSequence,
  });
}

function markOf(value: unknown): CompactionMark | undefined {
  const record = recordOf(value, fields);
  if (record === undefined || record.format !== 1) return undefined;
  const base = baseOf(record.base);
  const membership = membershipOf(record.membership);
  const { firstSegment, firstSequence, durableSequence } = record;
  if (base === undefined || membership === undefined) return undefined;
  if (!isCount(firstSegment) || !isCount(firstSequence) || !isCount(durableSequence)) return undefined;
  if (firstSegment < 1 || firstSequence < 1 || durableSequence < firstSequence) return undefined;
  return { base, membership, firstSegment, firstSequence, durableSequence };
}

function baseOf(value: unknown): LogBase | undefined {
  const record = recordOf(value, ['index', 'term', 'hash']);
  if (record === undefined) return undefined;
  const { index, term, hash } = record;
  return isCount(index) && isCount(term) && isHex(hash, 16) ? { index, term, hash } : undefined;
}
