import type { Clock } from '../base/clock.ts';
import { emptyPrefixHash } from '../base/hash.ts';
import type { LogOpening, ReplicaStorage } from '../replica/storage.ts';
import type { Disk } from '../storage/disk.ts';
import type { MembershipRecord, RecoveredLog } from '../storage/entry-log.ts';
import { openHardState } from '../storage/hard-state-file.ts';
import { openIdentity } from '../storage/identity-file.ts';
import type { LogBase } from '../storage/log-types.ts';
import { SegmentedLog } from '../storage/segmented-log.ts';
import { openStateDirectory } from '../storage/state-directory.ts';
import type { StateEngine } from '../storage/state-engine.ts';

export interface MemberStorageOptions {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly engine: StateEngine;
  readonly segmentBytes: number;
}

/**
 * The parts of one member's data directory: `identity.json`, `hard-state`, `log/` and `state/`. The directory's lock is
 * the caller's. See ReplicaStorage for the order of use.
 */
export async function openMemberStorage(options: MemberStorageOptions): Promise<ReplicaStorage> {
  const { disk, engine, clock, segmentBytes } = options;
  const identity = await openIdentity(disk);
  return {
    identity,
    create: async (membership: MembershipRecord) => {
      if (!(await SegmentedLog.isInitialised(disk))) {
        const base = { index: 0, term: 0, hash: emptyPrefixHash };
        await SegmentedLog.initialise(disk, base, membership, segmentBytes);
      }
      const hardState = await openHardState(disk, { isNewDirectory: true });
      await hardState.close();
    },
    openHardState: () => openHardState(disk, { isNewDirectory: false }),
    openState: () => openStateDirectory({ disk, engine }),
    openLog: async ({ appliedIndex, installed, onFailure }: LogOpening) => {
      const log = { clock, appliedIndex, segmentBytes, onFailure };
      const opened = await SegmentedLog.open(
        disk,
        installed === undefined ? log : { ...log, installedIndex: installed.base.index },
      );
      // A snapshot was made active and the member ended before its log restarted there: it is done now.
      if (installed !== undefined && !holds(opened.recovered, installed.base)) {
        await opened.log.restart(installed.base, installed.membership);
        const { membership } = installed;
        const commit = installed.base.index;
        const recovered = { base: installed.base, membership, entries: [], commit, torn: opened.recovered.torn };
        return { log: opened.log, recovered };
      }
      return opened;
    },
    freeBytes: () => disk.freeBytes(),
  };
}

/** Whether the log goes on from this base: it begins behind it or later, or holds the very entry. */
function holds(recovered: RecoveredLog, base: LogBase): boolean {
  if (base.index <= recovered.base.index) return true;
  return recovered.entries[base.index - recovered.base.index - 1]?.hash === base.hash;
}
