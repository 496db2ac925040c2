import type { StateChange, StateMark, StateStore } from './state-store.ts';

/** How a state directory makes, opens and removes the single states in it: LevelDB, or its twin in memory. */
export interface StateEngine {
  /**
   * Opens a sealed state.
   *
   * @param path Relative to the root of the disk.
   * @throws StorageError 'damaged' where its files, its mark or what LevelDB checks itself is missing or damaged.
   */
  open(path: string): Promise<StateStore>;
  /** Makes a new state; `path` must not exist. */
  create(path: string): Promise<UnsealedState>;
  /** Removes a state that is not open, with whatever lies in its directory; nothing where it does not exist. */
  remove(path: string): Promise<void>;
}

/** A new state that nothing points to yet. After an error every later call is refused. */
export interface UnsealedState {
  /** One at a time; need not be durable before `seal`. */
  add(changes: readonly StateChange[]): Promise<void>;
  /** When it resolves everything added is durable, also the names of the files, and the state is closed. */
  seal(mark: StateMark): Promise<void>;
  /** Lets go of the files without removing them; nothing after `seal`. */
  close(): Promise<void>;
}
