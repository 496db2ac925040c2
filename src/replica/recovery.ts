import type { Registry } from '../state-machine/interfaces.ts';
import { loadState } from '../storage/state-loader.ts';
import type { StateDirectory, StateStore } from '../storage/state-store.ts';
import type { ConsensusPort, RecoveredConsensus } from './consensus-port.ts';
import type { ServingStorage } from './storage.ts';

/** A member's disk, opened and checked: the state here, log and hard state on the consensus side. */
export interface Recovered {
  readonly directory: StateDirectory;
  readonly state: Registry;
  readonly consensus: RecoveredConsensus;
}

/**
 * Opens everything in the order in which each part judges the next: state, then log, then hard state; loads the state
 * and checks its hash; raises and syncs the boot number. Rejects with StorageError: the member must not start.
 */
export async function recover(
  storage: ServingStorage,
  consensus: ConsensusPort,
  createState: () => Registry,
): Promise<Recovered> {
  const directory = await storage.openState();
  const state = await loadRegistry(directory.store, createState);
  const { index, prefixHash } = directory.store.mark;
  const found = await consensus.recover({ index, prefixHash, installed: directory.installed });
  return { directory, state, consensus: found };
}

/** Closes everything, also where a part does not let itself be closed; rejects with the first failure. */
export async function closeRecovered({ directory }: Recovered, consensus: ConsensusPort): Promise<void> {
  const closed = await Promise.allSettled([consensus.close(), directory.close()]);
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
