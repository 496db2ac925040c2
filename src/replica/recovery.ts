import { assert } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import type { RaftInitial } from '../raft/config.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { EntryLog, RecoveredLog } from '../storage/entry-log.ts';
import type { HardStateFile } from '../storage/hard-state.ts';
import { loadState } from '../storage/state-loader.ts';
import type { StateDirectory, StateStore } from '../storage/state-store.ts';
import type { ReplicaStorage } from './storage.ts';

/** A member's disk, opened and checked. */
export interface Recovered {
  readonly hardState: HardStateFile;
  readonly directory: StateDirectory;
  readonly log: EntryLog;
  readonly recovered: RecoveredLog;
  readonly state: Registry;
  readonly boot: number;
  readonly initial: RaftInitial;
}

/**
 * Opens everything in the order in which each part judges the next: state, then log, then hard state; loads the state
 * and checks its hash; raises and syncs the boot number. Rejects with StorageError: the member must not start.
 */
export async function recover(
  storage: ReplicaStorage,
  createState: () => Registry,
  onFailure: (error: unknown) => void,
): Promise<Recovered> {
  const directory = await storage.openState();
  const state = await loadRegistry(directory.store, createState);
  const mark = directory.store.mark;
  const { log, recovered } = await storage.openLog({
    appliedIndex: mark.index,
    installed: directory.installed,
    onFailure,
  });
  checkTogether(directory.store, recovered);
  const hardState = await storage.openHardState();
  const lastTerm = recovered.entries.at(-1)?.term ?? recovered.base.term;
  const { term, vote, boot } = hardState.current;
  // An entry of a term is appended only after that term was synced, so a log ahead of the hard state is a lost record.
  if (lastTerm > term) {
    throw new StorageError('damaged', 'hard-state', `says term ${term}, the log holds an entry of term ${lastTerm}`);
  }
  await hardState.write({ term, vote, boot: boot + 1 });
  const commit = Math.max(recovered.commit, mark.index);
  const initial: RaftInitial = {
    hardState: { term, vote },
    base: recovered.base,
    entries: recovered.entries,
    commit,
    applied: mark.index,
  };
  return { hardState, directory, log, recovered, state, boot: boot + 1, initial };
}

/** Closes everything, also where a part does not let itself be closed; rejects with the first failure. */
export async function closeRecovered({ log, hardState, directory }: Recovered): Promise<void> {
  const closed = await Promise.allSettled([log.close(), hardState.close(), directory.close()]);
  for (const result of closed) if (result.status === 'rejected') throw result.reason;
}

/** Builds the state from a store and compares the hash recomputed from its content with the stored one. */
export async function loadRegistry(store: StateStore, createState: () => Registry): Promise<Registry> {
  const state = createState();
  // Nothing was ever flushed here: there is nothing to load, and no hash to compare with.
  if (store.mark.index === 0) return state;
  await loadState(store, {
    begin: (mark) => state.beginLoad(mark),
    add: (key, value) => state.addLoaded(key, value),
    finish: () => state.finishLoad(),
  });
  return state;
}

function checkTogether(store: StateStore, recovered: RecoveredLog): void {
  const { mark } = store;
  const { base, entries } = recovered;
  const lastIndex = base.index + entries.length;
  if (mark.index < base.index) {
    const problem = `holds index ${mark.index}, but the log begins behind ${base.index}: flushed state was lost`;
    throw new StorageError('damaged', 'state', problem);
  }
  assert(mark.index <= lastIndex, () => `state is at ${mark.index}, the log ends at ${lastIndex}`);
  if (mark.index === 0) return;
  const hash = mark.index === base.index ? base.hash : entries[mark.index - base.index - 1]?.hash;
  if (hash === mark.prefixHash) return;
  const found = hash ?? 'none';
  const problem = `was flushed at index ${mark.index} with prefix hash ${mark.prefixHash}, the log has ${found}`;
  throw new StorageError('damaged', 'state', problem);
}
