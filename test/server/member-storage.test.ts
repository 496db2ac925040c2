import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { votersOnly } from '../../src/raft/membership.ts';
import { openMemberStorage } from '../../src/server/member-storage.ts';
import type { MembershipRecord } from '../../src/storage/entry-log.ts';
import { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { MemoryStateEngine } from '../../src/storage/memory-state-engine.ts';

function membership(directoryIdOfB: string): MembershipRecord {
  return votersOnly([
    { id: 'a', peerAddress: 'a:1', directoryId: 'a'.repeat(32) },
    { id: 'b', peerAddress: 'b:1', directoryId: directoryIdOfB.repeat(32) },
  ]);
}

describe('openMemberStorage', () => {
  it('names the members that form now, also where an earlier attempt with others left a log', async () => {
    const clock = new ManualClock();
    const disk = new MemoryDisk();
    const engine = new MemoryStateEngine({ disk, clock, crashable: true });
    const storage = await openMemberStorage({ clock, disk, engine, segmentBytes: 64 * 1024 });
    for (const directoryId of ['b', 'b', 'c']) {
      await storage.create(membership(directoryId));
      const onFailure = (error: unknown): never => {
        throw error;
      };
      const { log, recovered } = await storage.openLog({ appliedIndex: 0, installed: undefined, onFailure });
      expect(recovered.membership).toEqual(membership(directoryId));
      expect(recovered.entries).toEqual([]);
      await log.close();
    }
  });
});
