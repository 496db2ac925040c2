import { isDeepStrictEqual } from 'node:util';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { emptyPrefixHash } from '../base/hash.ts';
import type { ConsensusStorage, LogOpening, ReplicaStorage, ServingStorage } from '../replica/storage.ts';
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
  return { ...(await openServingStorage(options)), ...consensusStorage(options) };
}

/** The part that the serving side uses: identity, state, free space. */
export async function openServingStorage(options: Omit<MemberStorageOptions, 'segmentBytes'>): Promise<ServingStorage> {
  const { disk, engine } = options;
  const identity = await openIdentity(disk);
  return { identity, openState: () => openStateDirectory({ disk, engine }), freeBytes: () => disk.freeBytes() };
}

/** The part that the consensus side uses, maybe on a thread of its own: log and hard state. */
export function consensusStorage(options: Omit<MemberStorageOptions, 'engine'>): ConsensusStorage {
  const { disk, clock, segmentBytes } = options;
  return {
    create: async (membership: MembershipRecord) => {
      if (await SegmentedLog.isInitialised(disk)) await renewMembership(options, membership);
      else await SegmentedLog.initialise(disk, emptyBase, membership, segmentBytes);
      const hardState = await openHardState(disk, { isNewDirectory: true });
      await hardState.close();
    },
    openHardState: () => openHardState(disk, { isNewDirectory: false }),
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
  };
}

const emptyBase: LogBase = { index: 0, term: 0, hash: emptyPrefixHash };

/**
 * An attempt to form made the log and ended before the identity said so. Until then another member may have lost its
 * directory and come back with a new one: the log must name the members that form now.
 */
async function renewMembership(
  options: Omit<MemberStorageOptions, 'engine'>,
  membership: MembershipRecord,
): Promise<void> {
  const { clock, disk, segmentBytes } = options;
  const { log, recovered } = await SegmentedLog.open(disk, {
    clock,
    appliedIndex: 0,
    segmentBytes,
    onFailure: () => undefined,
  });
  assert(recovered.entries.length === 0 && recovered.base.index === 0, 'a log with entries before its cluster formed');
  if (!isDeepStrictEqual(recovered.membership, membership)) await log.restart(emptyBase, membership);
  await log.close();
}

/** Whether the log goes on from this base: it begins behind it or later, or holds the very entry. */
function holds(recovered: RecoveredLog, base: LogBase): boolean {
  if (base.index <= recovered.base.index) return true;
  return recovered.entries[base.index - recovered.base.index - 1]?.hash === base.hash;
}
