import { StorageError } from '../base/errors.ts';
import { assertStateMark } from './state-mark.ts';
import type { StateMark, StateStore } from './state-store.ts';

/** Pairs handed to the sink between two reads: with the slowest sink some 5 ms of work. */
const loadBatchMax = 500;

const whatToDo = 'It must not be served: start over from the log, or take a snapshot from another member';

/** What a stored state is loaded into. Calls come in the order begin, add (in byte order of keys), finish. */
export interface StateSink {
  begin(mark: StateMark): void;
  /** Key and value are the sink's to keep. */
  add(key: string, value: Uint8Array): void;
  /** The hash of all that was added, computed anew. */
  finish(): { readonly stateHash: string };
}

/**
 * Loads the whole state into `sink` and checks the hash recomputed from its content against the stored mark. This is
 * the check that finds records which LevelDB lost without a word, so nothing may be served from a state before it.
 *
 * @returns The number of pairs loaded.
 * @throws StorageError 'damaged' where a value or the hash does not match; what the sink holds must not be used then.
 */
export async function loadState(store: StateStore, sink: StateSink): Promise<{ readonly keys: number }> {
  const { mark } = store;
  assertStateMark(mark);
  sink.begin(mark);
  let keys = 0;
  for await (const batch of store.readAll(loadBatchMax)) {
    for (const { key, value } of batch) {
      if (value === undefined) throw new StorageError('damaged', 'state', `key ${JSON.stringify(key)} has no value`);
      load(`key ${JSON.stringify(key)}`, () => sink.add(key, value));
    }
    keys += batch.length;
  }
  const { stateHash } = load('the end', () => sink.finish());
  if (stateHash === mark.stateHash) return { keys };
  throw new StorageError(
    'damaged',
    'state',
    `the content of ${keys} keys at index ${mark.index}, revision ${mark.revision}, has the hash ${stateHash}, ` +
      `but ${mark.stateHash} was stored with it. ${whatToDo}`,
  );
}

/**
 * A record that is gone, or stands where another should, breaks what the sink relies on before any hash is compared:
 * that is damage of the disk, not a fault of the code.
 */
function load<T>(what: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const text = `${what} does not go with the rest (${problem}): records were lost or changed. ${whatToDo}`;
    throw new StorageError('damaged', 'state', text, { cause: error });
  }
}
