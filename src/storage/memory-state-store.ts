import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { FailStop } from './fail-stop.ts';
import type { StoredPair, StoredWrite } from './memory-state-medium.ts';
import { MemoryStateMedium } from './memory-state-medium.ts';
import { firstStateKey, markKey, openValue, sealValue } from './state-envelope.ts';
import { assertFollows, assertStateMark, decodeStateMark, emptyStateMark, encodeStateMark } from './state-mark.ts';
import { nextTurn, takeInSlices } from './state-slices.ts';
import type { StateChange, StateMark, StateSnapshot, StateStore } from './state-store.ts';

/**
 * The twin of LevelStateStore in memory: same envelopes, same refusals. Also the store of a member that has no
 * directory. Made for states of some 10,000 keys: a read sorts all keys in one turn.
 */
export class MemoryStateStore implements StateStore {
  readonly #file: string;
  readonly #medium: MemoryStateMedium;
  readonly #clock: Clock;
  readonly #stop: FailStop;
  #mark: StateMark;
  #flushing: Promise<void> | undefined;

  private constructor(file: string, medium: MemoryStateMedium, clock: Clock, mark: StateMark) {
    this.#file = file;
    this.#medium = medium;
    this.#clock = clock;
    this.#stop = new FailStop(file);
    this.#mark = mark;
  }

  /** An empty state that nobody else can open. */
  static empty(clock: Clock): MemoryStateStore {
    const medium = new MemoryStateMedium('memory', false);
    medium.write([markWrite(emptyStateMark)], true);
    return MemoryStateStore.open('memory', medium, clock);
  }

  /** @throws StorageError 'damaged' as LevelStateStore.open. */
  static open(file: string, medium: MemoryStateMedium, clock: Clock): MemoryStateStore {
    medium.reopen();
    const sealed = medium.get(markKey);
    if (sealed === undefined) throw new StorageError('damaged', file, 'has lost its mark, and who knows what else');
    const mark = decodeStateMark(openValue(markKey, sealed, file));
    if (mark === undefined) throw new StorageError('damaged', file, 'its mark cannot be read by this version');
    return new MemoryStateStore(file, medium, clock, mark);
  }

  get mark(): StateMark {
    return this.#mark;
  }

  readAll(batchMax: number): AsyncIterable<readonly StateChange[]> {
    const view = (): StoredPair[] => this.#medium.sorted(firstStateKey);
    return this.#stop.guardEach(readPairs(view, this.#file, this.#clock, batchMax));
  }

  async flush(changes: Iterable<StateChange>, mark: StateMark): Promise<void> {
    this.#stop.check();
    assert(this.#flushing === undefined, 'flush of a state store while another is under way');
    this.#flushing = this.#stop.guard(async () => {
      assertFollows(mark, this.#mark);
      const writes = await gather(changes, this.#clock);
      // A disk takes its time, and others are served meanwhile.
      await nextTurn(this.#clock);
      this.#medium.write([...writes, markWrite(mark)], true);
    });
    try {
      await this.#flushing;
      this.#mark = mark;
    } finally {
      this.#flushing = undefined;
    }
  }

  syncDirectory(): Promise<void> {
    return this.#stop.guard(async () => this.#medium.syncNames());
  }

  openSnapshot(): Promise<StateSnapshot> {
    return this.#stop.guard(async () => {
      const pairs = this.#medium.sorted(firstStateKey);
      return new MemoryStateSnapshot(this.#mark, (batchMax) =>
        this.#stop.guardEach(readPairs(() => pairs, this.#file, this.#clock, batchMax)),
      );
    });
  }

  async close(): Promise<void> {
    const flushing = this.#flushing;
    this.#stop.fail(new StorageError('refused', this.#file, 'closed'));
    // Whoever called flush hears of its failure; here only its end matters.
    await flushing?.catch(() => undefined);
  }
}

class MemoryStateSnapshot implements StateSnapshot {
  readonly mark: StateMark;
  readonly #read: (batchMax: number) => AsyncIterable<readonly StateChange[]>;
  #closed = false;

  constructor(mark: StateMark, read: (batchMax: number) => AsyncIterable<readonly StateChange[]>) {
    this.mark = mark;
    this.#read = read;
  }

  read(batchMax: number): AsyncIterable<readonly StateChange[]> {
    assert(!this.#closed, 'read of a closed snapshot');
    return this.#read(batchMax);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

/** The twin of LevelStagedState. */
export class MemoryStagedState {
  readonly #medium: MemoryStateMedium;
  readonly #clock: Clock;
  readonly #stop: FailStop;

  constructor(file: string, medium: MemoryStateMedium, clock: Clock) {
    this.#medium = medium;
    this.#clock = clock;
    this.#stop = new FailStop(file);
  }

  add(changes: readonly StateChange[]): Promise<void> {
    return this.#stop.guard(async () => this.#medium.write(await gather(changes, this.#clock), false));
  }

  seal(mark: StateMark): Promise<void> {
    return this.#stop.guard(async () => {
      assertStateMark(mark);
      this.#medium.write([markWrite(mark)], true);
      this.#medium.syncAll();
    });
  }

  async close(): Promise<void> {
    // Nothing is held open in memory.
  }
}

async function gather(changes: Iterable<StateChange>, clock: Clock): Promise<StoredWrite[]> {
  const writes: StoredWrite[] = [];
  await takeInSlices(changes, clock, (key, sealed) => {
    writes.push({ key, sealed });
  });
  return writes;
}

function markWrite(mark: StateMark): StoredWrite {
  return { key: markKey, sealed: sealValue(markKey, encodeStateMark(mark)) };
}

async function* readPairs(
  view: () => readonly StoredPair[],
  file: string,
  clock: Clock,
  batchMax: number,
): AsyncGenerator<readonly StateChange[], void, undefined> {
  assert(Number.isSafeInteger(batchMax) && batchMax >= 1, () => `batches of at most ${batchMax} pairs`);
  const pairs = view();
  for (let start = 0; start < pairs.length; start += batchMax) {
    if (start > 0) await nextTurn(clock);
    yield pairs
      .slice(start, start + batchMax)
      // Copied, since the receiver owns what it gets.
      .map(({ key, sealed }) => ({ key: key.toString(), value: Buffer.from(openValue(key, sealed, file)) }));
  }
}
