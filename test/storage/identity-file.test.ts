import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { StorageError } from '../../src/base/errors.ts';
import { checkIdentity, identityPath, openIdentity } from '../../src/storage/identity-file.ts';
import type { Identity } from '../../src/storage/identity.ts';
import { keepAll, keepNothing, MemoryDisk } from '../../src/storage/memory-disk.ts';
import { memoryDiskFixture, nodeDiskFixture } from '../conformance/fixtures.ts';
import { turns } from './log-fixture.ts';

const empty: Identity = {
  format: 1,
  memberId: 'a',
  directoryId: '0123456789abcdef0123456789abcdef',
  clusterId: '',
  phase: 'empty',
  initialMembers: [
    { id: 'a', peerAddress: '127.0.0.1:7411' },
    { id: 'b', peerAddress: '127.0.0.1:7421' },
  ],
};
const forming: Identity = { ...empty, phase: 'forming', clusterId: 'f'.repeat(32) };
const formed: Identity = { ...forming, phase: 'formed' };

async function diskWith(identity: Identity): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await (await openIdentity(disk)).write(identity);
  return disk;
}

describe('the identity', () => {
  for (const make of [memoryDiskFixture, nodeDiskFixture]) {
    it(`is unknown at first, then what was written last: ${make.name}`, async () => {
      const fixture = await make();
      const { disk } = fixture;
      const file = await openIdentity(disk);
      expect(file.current).toBeUndefined();
      for (const identity of [empty, forming, formed]) {
        await file.write(identity);
        expect(file.current).toEqual(identity);
        expect((await openIdentity(disk)).current).toEqual(identity);
      }
      await fixture.dispose();
    });
  }

  it('is durable when a write returns, and the old or the new one at each moment before', async () => {
    const before = await diskWith(forming);
    const seen = new Set<string | undefined>();
    for (let moment = 0; moment < 40; moment++) {
      for (const choice of [keepAll, keepNothing]) {
        const disk = before.fork();
        const file = await openIdentity(disk);
        let done = false;
        void file.write(formed).then(() => {
          done = true;
        });
        await turns(moment);
        const acknowledged = done;
        const after = disk.crash(choice);
        const { current } = await openIdentity(after);
        expect([forming, formed]).toContainEqual(current);
        if (acknowledged) expect(current).toEqual(formed);
        // What was read has become durable.
        expect((await openIdentity(after.crash(keepNothing))).current).toEqual(current);
        seen.add(current?.phase);
      }
    }
    expect(seen.size).toBe(2);
  });

  it('is damaged after the flip of any bit, never empty', async () => {
    const disk = await diskWith(formed);
    const { byteLength } = disk.contentOf(identityPath);
    for (let offset = 0; offset < byteLength; offset++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = disk.fork();
        flipped.flipBit(identityPath, offset, bit);
        await expect(openIdentity(flipped)).rejects.toMatchObject({ kind: 'damaged', file: identityPath });
      }
    }
  });

  it('is damaged where it was cut at any byte', async () => {
    const disk = await diskWith(formed);
    const content = disk.contentOf(identityPath);
    for (let bytes = 0; bytes < content.byteLength; bytes++) {
      await disk.writeWhole(identityPath, content.subarray(0, bytes));
      await expect(openIdentity(disk)).rejects.toBeInstanceOf(StorageError);
    }
  });

  it('refuses another member and another cluster by name', () => {
    checkIdentity(formed, { memberId: 'a' });
    checkIdentity(formed, { memberId: 'a', clusterId: formed.clusterId });
    const other = '1'.repeat(32);
    for (const [identity, expected, text] of [
      [formed, { memberId: 'b' }, 'belongs to member a, not to b'],
      [formed, { memberId: 'a', clusterId: other }, `belongs to cluster ${formed.clusterId}, not to ${other}`],
      [empty, { memberId: 'a', clusterId: other }, 'belongs to no cluster yet'],
    ] as const) {
      expect(() => checkIdentity(identity, expected)).toThrow(text);
      expect(() => checkIdentity(identity, expected)).toThrow(expect.objectContaining({ kind: 'refused' }));
    }
  });

  it('never writes one that could not be read, nor changes who the directory is', async () => {
    const wrong: readonly Identity[] = [
      { ...formed, memberId: 'b' },
      { ...formed, directoryId: '1'.repeat(32) },
      { ...formed, clusterId: '1'.repeat(32) },
      { ...formed, phase: 'forming' },
      { ...formed, clusterId: '' },
      { ...formed, initialMembers: empty.initialMembers.toReversed() },
      { ...formed, initialMembers: [{ id: '', peerAddress: 'x' }] },
    ];
    for (const identity of wrong) {
      const file = await openIdentity(await diskWith(formed));
      await expect(file.write(identity)).rejects.toBeInstanceOf(InvariantError);
      expect(file.current).toEqual(formed);
    }
    const other = { ...forming, clusterId: '2'.repeat(32) };
    const file = await openIdentity(await diskWith(forming));
    await file.write(other);
    expect(file.current).toEqual(other);
  });

  it('keeps the old one where the disk refuses the new one', async () => {
    for (const [step, path] of [
      ['write', `${identityPath}.tmp`],
      ['sync', `${identityPath}.tmp`],
      ['rename', `${identityPath}.tmp`],
      ['sync-directory', ''],
    ] as const) {
      const disk = await diskWith(forming);
      const file = await openIdentity(disk);
      disk.failNext(step, path, 'ENOSPC');
      await expect(file.write(formed)).rejects.toThrow('ENOSPC');
      expect(file.current).toEqual(forming);
      expect((await openIdentity(disk.crash(keepNothing))).current).toEqual(forming);
    }
  });
});
