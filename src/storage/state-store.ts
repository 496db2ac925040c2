import type { MembershipRecord } from './entry-log.ts';
import type { LogBase } from './log-types.ts';

/** Keys and values are owned by the receiver; values are bare (the store adds and checks the envelope). */
export interface StateChange {
  readonly key: string;
  /** undefined: delete. */
  readonly value: Uint8Array | undefined;
}

/** What a flushed state is: exactly the state after applying this entry. */
export interface StateMark {
  readonly index: number;
  readonly term: number;
  /** Prefix hash of the log at `index`. */
  readonly prefixHash: string;
  readonly revision: number;
  /** 32 hex digits: the state hash as the state machine computes it. */
  readonly stateHash: string;
}

/**
 * One directory of flushed state (LevelDB, or its twin in memory). Always rebuildable from log or peers. Every value is
 * stored in an envelope with format number and checksum; a bad one is a StorageError of kind 'damaged' naming the key.
 */
export interface StateStore {
  /** Mark of the last flush; index 0 in a new store. */
  readonly mark: StateMark;
  /** All key/value pairs in byte order of keys, in batches of at most `batchMax`; checks each envelope. */
  readAll(batchMax: number): AsyncIterable<readonly StateChange[]>;
  /**
   * One atomic synced batch: the changes and the new mark. Written in slices so that no turn is held for long. One at a
   * time. After a rejection the store refuses everything.
   */
  flush(changes: Iterable<StateChange>, mark: StateMark): Promise<void>;
  /** Makes the directory's own entries durable; needed before a log prefix is dropped. */
  syncDirectory(): Promise<void>;
  /** A consistent iterator over exactly one flushed mark, also while flushes go on. Close it when done. */
  openSnapshot(): Promise<StateSnapshot>;
  close(): Promise<void>;
}

export interface StateSnapshot {
  readonly mark: StateMark;
  /** As StateStore.readAll. */
  read(batchMax: number): AsyncIterable<readonly StateChange[]>;
  close(): Promise<void>;
}

/** Builds a new state directory beside the active one from a received snapshot. */
export interface StagedState {
  add(changes: readonly StateChange[]): Promise<void>;
  /** Writes the mark, closes and syncs every file and the directory: ready to be made active. */
  seal(mark: StateMark, membership: MembershipRecord): Promise<void>;
  discard(): Promise<void>;
}

/** The state directories of one member and the pointer file that names the active one. */
export interface StateDirectory {
  /** The active store; replaced by `activate`. */
  readonly store: StateStore;
  /** The log base that the last installed snapshot demands; undefined where none was ever installed. */
  readonly installed: { readonly base: LogBase; readonly membership: MembershipRecord } | undefined;
  stage(): Promise<StagedState>;
  /** Renames the pointer to a sealed staged state, syncs the directory, opens it, removes the old one. */
  activate(staged: StagedState): Promise<StateStore>;
  /** Makes an empty state at index 0 the active one and removes the old one: what to do when it is damaged. */
  startOver(): Promise<StateStore>;
  close(): Promise<void>;
}
