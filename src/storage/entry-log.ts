import type { Membership } from '../raft/membership.ts';
import type { Entry, LogBase } from './log-types.ts';

export type { MemberRecord } from '../raft/membership.ts';
/** As of an index of the log. */
export type MembershipRecord = Membership;

/** What `EntryLog.open` found. */
export interface RecoveredLog {
  readonly base: LogBase;
  readonly membership: MembershipRecord;
  /** Contiguous from base.index + 1; each hash verified against its predecessor. */
  readonly entries: readonly Entry[];
  /** Greatest commit index that any intact frame carries, base.index <= commit <= last index. */
  readonly commit: number;
  /** A torn last write that was wiped; for the log line. */
  readonly torn: { readonly file: string; readonly offset: number; readonly pages: number } | undefined;
}

/**
 * The authority for every acknowledged write. Calls may be made at any time; writes happen one frame at a time, what
 * waits meanwhile is merged into the next frame.
 */
export interface EntryLog {
  /**
   * Appends entries (contiguous; the first may supersede from its index on) with the commit index known. Resolves when
   * they are durable. Rejects with StorageError: the log then refuses every later call.
   */
  append(entries: readonly Entry[], commit: number): Promise<void>;
  /**
   * The commit index has risen to this with nothing to append: the next frame, at the latest the one that seals an idle
   * log, carries it. Nothing at or below it may be superseded any more.
   */
  noteCommit(commit: number): void;
  /** Last index that is durable. */
  readonly durableIndex: number;
  /** Bytes of kept entries (what compaction would free at most). */
  readonly keptBytes: number;
  /**
   * Moves the compaction mark to `base` (an index that is durable here and flushed in a synced state), synced, then
   * removes the segments that hold nothing after it. Nothing where base.index is not above the present mark.
   */
  compact(base: LogBase, membership: MembershipRecord): Promise<void>;
  /** After a snapshot was installed: drops all entries; the log restarts, durably, behind `base`. */
  restart(base: LogBase, membership: MembershipRecord): Promise<void>;
  /** Writes what is queued, then closes. */
  close(): Promise<void>;
}
