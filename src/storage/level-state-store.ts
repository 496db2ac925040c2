import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { FailStop } from './fail-stop.ts';
import type { LevelDatabase } from './level-files.ts';
import { levelError, openLevel, readBatchBytes, syncFilesAndDirectory, syncPath } from './level-files.ts';
import { firstStateKey, markKey, openValue, sealValue } from './state-envelope.ts';
import { assertFollows, assertStateMark, decodeStateMark, encodeStateMark } from './state-mark.ts';
import { takeInSlices } from './state-slices.ts';
import type { StateChange, StateMark, StateSnapshot, StateStore } from './state-store.ts';

type LevelSnapshot = ReturnType<LevelDatabase['snapshot']>;
type LevelBatch = ReturnType<LevelDatabase['batch']>;

/**
 * The state in one LevelDB directory. Flushes go one at a time; reads and snapshots may go on beside them. After the
 * first error of any call every later one is refused, because LevelDB itself would go on and lose what it accepts.
 */
export class LevelStateStore implements StateStore {
  readonly #path: string;
  readonly #database: LevelDatabase;
  readonly #clock: Clock;
  readonly #stop: FailStop;
  #mark: StateMark;
  #flushing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(path: string, database: LevelDatabase, clock: Clock, mark: StateMark) {
    this.#path = path;
    this.#database = database;
    this.#clock = clock;
    this.#stop = new FailStop(path);
    this.#mark = mark;
  }

  /**
   * Opens a directory that is known to hold a state (sealed by LevelStagedState).
   *
   * @throws StorageError 'damaged' where its files or its mark are missing or damaged; nothing is changed or deleted.
   */
  static async open(path: string, clock: Clock): Promise<LevelStateStore> {
    const database = await openLevel(path, 'existing');
    try {
      const mark = await readMark(database, path, undefined);
      return new LevelStateStore(path, database, clock, mark);
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  get mark(): StateMark {
    return this.#mark;
  }

  readAll(batchMax: number): AsyncIterable<readonly StateChange[]> {
    return this.#stop.guardEach(readPairs(this.#database, this.#path, batchMax, undefined));
  }

  async flush(changes: Iterable<StateChange>, mark: StateMark): Promise<void> {
    this.#stop.check();
    assert(this.#flushing === undefined, 'flush of a state store while another is under way');
    this.#flushing = this.#stop.guard(async () => {
      assertFollows(mark, this.#mark);
      await writeBatch(this.#database, this.#path, this.#clock, changes, mark);
    });
    try {
      await this.#flushing;
      this.#mark = mark;
    } finally {
      this.#flushing = undefined;
    }
  }

  syncDirectory(): Promise<void> {
    return this.#stop.guard(() => syncPath(this.#path));
  }

  openSnapshot(): Promise<StateSnapshot> {
    return this.#stop.guard(async () => {
      const snapshot = this.#database.snapshot();
      try {
        // A flush may end at any moment: the mark is taken from the snapshot itself.
        const mark = await readMark(this.#database, this.#path, snapshot);
        return new LevelStateSnapshot(this.#database, this.#path, snapshot, mark, this.#stop);
      } catch (error) {
        await snapshot.close();
        throw error;
      }
    });
  }

  /** Waits for a flush under way; open iterators and snapshots end. May be called twice, also after a failure. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const flushing = this.#flushing;
    this.#stop.fail(new StorageError('refused', this.#path, 'closed'));
    // Whoever called flush hears of its failure; here only its end matters.
    await flushing?.catch(() => undefined);
    try {
      await this.#database.close();
    } catch (error) {
      throw levelError(this.#path, 'close', error);
    }
  }
}

class LevelStateSnapshot implements StateSnapshot {
  readonly mark: StateMark;
  readonly #database: LevelDatabase;
  readonly #path: string;
  readonly #snapshot: LevelSnapshot;
  readonly #stop: FailStop;
  #closed = false;

  constructor(database: LevelDatabase, path: string, snapshot: LevelSnapshot, mark: StateMark, stop: FailStop) {
    this.mark = mark;
    this.#database = database;
    this.#path = path;
    this.#snapshot = snapshot;
    this.#stop = stop;
  }

  read(batchMax: number): AsyncIterable<readonly StateChange[]> {
    assert(!this.#closed, 'read of a closed snapshot');
    return this.#stop.guardEach(readPairs(this.#database, this.#path, batchMax, this.#snapshot));
  }

  /** Waits for reads of it to be finished or stopped. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#snapshot.close();
  }
}

/**
 * A LevelDB directory being filled from a received snapshot. Batches are not synced one by one; `seal` closes LevelDB
 * and then syncs every file, since a synced batch is no barrier for the ones before it (an old log file is closed
 * without a sync). A directory without a mark is never opened as a state.
 */
export class LevelStagedState {
  readonly #path: string;
  readonly #database: LevelDatabase;
  readonly #clock: Clock;
  readonly #stop: FailStop;

  private constructor(path: string, database: LevelDatabase, clock: Clock) {
    this.#path = path;
    this.#database = database;
    this.#clock = clock;
    this.#stop = new FailStop(path);
  }

  /** @param path A directory that does not exist or is empty. */
  static async create(path: string, clock: Clock): Promise<LevelStagedState> {
    return new LevelStagedState(path, await openLevel(path, 'new'), clock);
  }

  /** One at a time. */
  add(changes: readonly StateChange[]): Promise<void> {
    return this.#stop.guard(() => writeBatch(this.#database, this.#path, this.#clock, changes, undefined));
  }

  seal(mark: StateMark): Promise<void> {
    return this.#stop.guard(async () => {
      assertStateMark(mark);
      await writeBatch(this.#database, this.#path, this.#clock, [], mark);
      await this.close();
      await syncFilesAndDirectory(this.#path);
    });
  }

  async close(): Promise<void> {
    try {
      await this.#database.close();
    } catch (error) {
      throw this.#stop.fail(levelError(this.#path, 'close', error));
    }
  }
}

/** Writes changes and mark as one batch, synced where there is a mark. */
async function writeBatch(
  database: LevelDatabase,
  path: string,
  clock: Clock,
  changes: Iterable<StateChange>,
  mark: StateMark | undefined,
): Promise<void> {
  const batch = database.batch();
  try {
    await takeInSlices(changes, clock, (key, sealed) => {
      if (sealed === undefined) batch.del(key);
      else batch.put(key, sealed);
    });
    if (mark !== undefined) batch.put(markKey, sealValue(markKey, encodeStateMark(mark)));
    await write(batch, path, mark !== undefined);
  } catch (error) {
    // Frees what the batch holds; does nothing once it was written.
    await batch.close();
    throw error;
  }
}

async function write(batch: LevelBatch, path: string, sync: boolean): Promise<void> {
  try {
    await batch.write({ sync });
  } catch (error) {
    throw levelError(path, 'write a batch', error);
  }
}

async function readMark(
  database: LevelDatabase,
  path: string,
  snapshot: LevelSnapshot | undefined,
): Promise<StateMark> {
  let sealed: Buffer | undefined;
  try {
    sealed = await database.get(markKey, snapshot === undefined ? {} : { snapshot });
  } catch (error) {
    throw levelError(path, 'read the mark', error);
  }
  // Every state has had a mark since it was sealed: without one, records were lost.
  if (sealed === undefined) throw new StorageError('damaged', path, 'has lost its mark, and who knows what else');
  const mark = decodeStateMark(openValue(markKey, sealed, path));
  if (mark === undefined) throw new StorageError('damaged', path, 'its mark cannot be read by this version');
  return mark;
}

async function* readPairs(
  database: LevelDatabase,
  path: string,
  batchMax: number,
  snapshot: LevelSnapshot | undefined,
): AsyncGenerator<readonly StateChange[], void, undefined> {
  assert(Number.isSafeInteger(batchMax) && batchMax >= 1, () => `batches of at most ${batchMax} pairs`);
  const range = { gte: firstStateKey, highWaterMarkBytes: readBatchBytes };
  const iterator = database.iterator(snapshot === undefined ? range : { ...range, snapshot });
  try {
    for (;;) {
      const pairs = await nextPairs(iterator, path, batchMax);
      if (pairs.length === 0) return;
      yield pairs.map(([key, sealed]) => ({ key: key.toString(), value: openValue(key, sealed, path) }));
    }
  } finally {
    await iterator.close();
  }
}

async function nextPairs(
  iterator: { nextv(size: number): Promise<[Buffer, Buffer][]> },
  path: string,
  batchMax: number,
): Promise<[Buffer, Buffer][]> {
  try {
    return await iterator.nextv(batchMax);
  } catch (error) {
    throw levelError(path, 'read on', error);
  }
}
