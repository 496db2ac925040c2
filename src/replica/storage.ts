import type { EntryLog, MembershipRecord, RecoveredLog } from '../storage/entry-log.ts';
import type { HardStateFile } from '../storage/hard-state.ts';
import type { IdentityFile } from '../storage/identity.ts';
import type { LogBase } from '../storage/log-types.ts';
import type { StateDirectory } from '../storage/state-store.ts';

/** What the log must know of the state to judge its own end. */
export interface LogOpening {
  /** Applied index of the flushed state: what lies at or below it was acknowledged and cannot be torn. */
  readonly appliedIndex: number;
  /** The base that an installed snapshot demands: the log restarts there where it is behind it. */
  readonly installed: { readonly base: LogBase; readonly membership: MembershipRecord } | undefined;
  /** A write failed: the member must end. */
  readonly onFailure: (error: unknown) => void;
}

/** What the consensus side needs of it. */
export type ConsensusStorage = Pick<ReplicaStorage, 'create' | 'openHardState' | 'openLog'>;

/** What the serving side needs of it. */
export type ServingStorage = Pick<ReplicaStorage, 'identity' | 'openState' | 'freeBytes'>;

/**
 * The durable parts of one member, opened in the order that recovery needs. Composed by the server on the real disk, by
 * tests on twins in memory.
 */
export interface ReplicaStorage {
  readonly identity: IdentityFile;
  /** Makes empty log, hard state and state for a new cluster; does nothing to what is there already and empty. */
  create(membership: MembershipRecord): Promise<void>;
  openHardState(): Promise<HardStateFile>;
  openState(): Promise<StateDirectory>;
  openLog(opening: LogOpening): Promise<{ readonly log: EntryLog; readonly recovered: RecoveredLog }>;
  freeBytes(): Promise<number>;
}
