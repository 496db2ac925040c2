import { must } from '../../src/base/assert.ts';
import { extendPrefixHash } from '../../src/base/hash.ts';
import { votersOnly } from '../../src/raft/membership.ts';
import type { MembershipRecord } from '../../src/storage/entry-log.ts';
import type { Entry, LogBase } from '../../src/storage/log-types.ts';

/** Where a log of the tests begins unless they say otherwise. */
export const emptyBase: LogBase = { index: 0, term: 0, hash: '0'.repeat(16) };

export const membership: MembershipRecord = votersOnly(
  ['a', 'b', 'c'].map((id, position) => ({
    id,
    directoryId: String(position).repeat(32),
    peerAddress: `127.0.0.1:${7401 + position}`,
  })),
);

/** `count` entries that follow `previous`, each with `bytes` bytes of data that depend on `fill`, index and term. */
export function entriesAfter(previous: LogBase, count: number, term: number, bytes: number, fill = 0): Entry[] {
  const entries: Entry[] = [];
  let last = previous;
  for (let position = 1; position <= count; position++) {
    const index = previous.index + position;
    const data = Buffer.alloc(bytes, (index * 31 + term * 7 + fill) % 251);
    const hash = extendPrefixHash(last.hash, index, term, data);
    last = { index, term, hash };
    entries.push({ index, term, hash, data });
  }
  return entries;
}

export function baseOf(entry: Entry): LogBase {
  return { index: entry.index, term: entry.term, hash: entry.hash };
}

/** What tests compare: data as hex. */
export function shown(entries: readonly Entry[]): string[] {
  return entries.map(({ index, term, hash, data }) => `${index}/${term}/${hash}/${Buffer.from(data).toString('hex')}`);
}

/** The item at this position, from the end where it is negative. */
export function pick<T>(items: readonly T[], position: number): NonNullable<T> {
  return must(items.at(position), `item ${position} of ${items.length}`);
}

/** One entry that follows `previous`. */
export function entryAfter(previous: LogBase, term: number, bytes: number, fill = 0): Entry {
  return pick(entriesAfter(previous, 1, term, bytes, fill), 0);
}
