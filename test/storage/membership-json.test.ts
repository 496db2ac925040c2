import { describe, expect, it } from 'vitest';
import { decodeMark, encodeMark } from '../../src/storage/compaction-mark.ts';
import { membershipJson, membershipOf } from '../../src/storage/membership-json.ts';
import { decodeHeadJson, encodeHead } from '../../src/storage/snapshot-format.ts';
import { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { readPointer, writePointer } from '../../src/storage/state-pointer.ts';
import { removedIdsMax } from '../../src/raft/membership.ts';
import type { Membership } from '../../src/raft/membership.ts';
import { markOf } from './state-fixtures.ts';

const member = (id: string) => ({
  id,
  directoryId: id.charCodeAt(0).toString(16).padStart(32, '0'),
  peerAddress: 'h:1',
});
const joint: Membership = {
  voters: ['a', 'd'].map(member),
  outgoing: ['a', 'b', 'c'].map(member),
  learners: [{ ...member('e'), autoPromote: true }],
  learnersNext: [{ ...member('b'), autoPromote: false }],
  removedIds: ['x'],
};
const base = { index: 41, term: 3, hash: '0123456789abcdef' };
const written = (membership: Membership): unknown => JSON.parse(JSON.stringify(membershipJson(membership)));

describe('a membership in JSON', () => {
  it('comes back whole', () => {
    expect(membershipOf(written(joint))).toEqual(joint);
  });

  it('has voters alone where there is nothing else, as the first version wrote it', () => {
    const plain = { ...joint, outgoing: [], learners: [], learnersNext: [], removedIds: [] };
    expect(Object.keys(written(plain) as object)).toEqual(['voters']);
    expect(membershipOf(written(plain))).toEqual(plain);
  });

  it('is read from the first version in whatever order its voters are', () => {
    const voters = ['c', 'a', 'b'].map(member);
    expect(membershipOf({ voters })?.voters.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(membershipOf({ ...joint, voters: ['d', 'a'].map(member) })).toBeUndefined();
  });

  it('is refused with a field missing, unknown or of another kind', () => {
    const { removedIds, ...short } = joint;
    expect(removedIds).toEqual(['x']);
    const others: unknown[] = [
      short,
      { ...joint, more: 1 },
      { ...joint, outgoing: undefined },
      { ...joint, learners: [member('e')] },
      { ...joint, learners: [{ ...member('e'), autoPromote: 1 }] },
      { ...joint, learnersNext: 'b' },
      { ...joint, removedIds: [1] },
      { ...joint, removedIds: ['a'] },
      { ...joint, removedIds: Array.from({ length: removedIdsMax + 1 }, (_, at) => `x${1_000 + at}`) },
      { ...joint, removedIds: Array.from({ length: 2_000 }, (_, at) => `x${10_000 + at}`) },
      { voters: [member('a'), member('a')] },
      { voters: [{ ...member('a'), peerAddress: 'h 1' }] },
      null,
    ];
    for (const other of others) expect(membershipOf(other)).toBeUndefined();
  });

  it('is carried whole by compaction mark, state pointer and head of a snapshot', async () => {
    const mark = { base, membership: joint, firstSegment: 2, firstSequence: 7, durableSequence: 9 };
    expect(decodeMark(encodeMark(mark))).toEqual(mark);
    const disk = new MemoryDisk();
    await disk.makeDirectory('state');
    const pointer = { active: 2, installed: { base, membership: joint } };
    await writePointer(disk, 'state', pointer, () => undefined);
    expect(await readPointer(disk, 'state')).toEqual(pointer);
    const head = encodeHead({ mark: markOf(41, new Map(), 3), membership: joint });
    expect(decodeHeadJson(head.subarray(10))?.membership).toEqual(joint);
  });

  it('fits into mark and head when it is as large as can be', () => {
    const long = (at: number): Membership['voters'][number] => {
      const id = `${at}`.padStart(128, 'v');
      return { id, directoryId: 'f'.repeat(32), peerAddress: `"${at}`.padEnd(256, '"') };
    };
    const voters = Array.from({ length: 31 }, (_, at) => long(100 + at));
    const outgoing = Array.from({ length: 31 }, (_, at) => long(200 + at));
    const removedIds = Array.from({ length: removedIdsMax }, (_, at) => `${300 + at}`.padStart(128, 'v'));
    const largest = { voters, outgoing, learners: [], learnersNext: [], removedIds };
    const mark = { base, membership: largest, firstSegment: 2, firstSequence: 7, durableSequence: 9 };
    expect(decodeMark(encodeMark(mark))).toEqual(mark);
    const head = encodeHead({ mark: markOf(41, new Map(), 3), membership: largest });
    expect(decodeHeadJson(head.subarray(10))?.membership).toEqual(largest);
  });
});
