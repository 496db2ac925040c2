import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Disk } from './disk.ts';
import { MemoryStateMedium } from './memory-state-medium.ts';
import { MemoryStagedState, MemoryStateStore } from './memory-state-store.ts';
import type { StateEngine, UnsealedState } from './state-engine.ts';
import type { StateMark, StateStore } from './state-store.ts';

export interface MemoryStateEngineOptions {
  /** Holds the directories, with a file CURRENT in each; the pairs are kept beside it. */
  readonly disk: Disk;
  readonly clock: Clock;
  /** Keeps what `crash` needs. Default false. */
  readonly crashable?: boolean;
}

/** The twin of LevelStateEngine in memory. */
export class MemoryStateEngine implements StateEngine {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #crashable: boolean;
  readonly #media = new Map<string, MemoryStateMedium>();

  constructor(options: MemoryStateEngineOptions) {
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#crashable = options.crashable ?? false;
  }

  async open(path: string): Promise<StateStore> {
    const medium = this.#media.get(path);
    if (medium === undefined || !(await this.#disk.exists(`${path}/CURRENT`))) {
      throw new StorageError('damaged', path, 'has no file CURRENT: the state that was here is gone');
    }
    return MemoryStateStore.open(path, medium, this.#clock);
  }

  async create(path: string): Promise<UnsealedState> {
    // A medium may be left of a directory that a crash took away.
    assert(!(await this.#disk.exists(path)), () => `a new state at ${path}, where there is one`);
    await this.#disk.makeDirectory(path);
    const medium = new MemoryStateMedium(path, this.#crashable);
    this.#media.set(path, medium);
    const staged = new MemoryStagedState(path, medium, this.#clock);
    return {
      add: (changes) => staged.add(changes),
      seal: (mark) => this.#seal(path, staged, mark),
      close: () => staged.close(),
    };
  }

  async remove(path: string): Promise<void> {
    this.#media.delete(path);
    await this.#disk.removeTree(path);
  }

  /** What lies under a path, for faults. */
  medium(path: string): MemoryStateMedium | undefined {
    return this.#media.get(path);
  }

  /**
   * The engine as the next process finds it, on the disk that MemoryDisk.kill or crash gave; this one must not be used
   * any more.
   *
   * @param random Given: the power was lost, which takes what was not durable. Otherwise only the process ended.
   */
  restarted(disk: Disk, random?: Random): MemoryStateEngine {
    const next = new MemoryStateEngine({ disk, clock: this.#clock, crashable: this.#crashable });
    for (const [path, medium] of this.#media) {
      const copy = medium.copy();
      if (random !== undefined) copy.crash(random);
      next.#media.set(path, copy);
    }
    return next;
  }

  async #seal(path: string, staged: MemoryStagedState, mark: StateMark): Promise<void> {
    await staged.seal(mark);
    await this.#disk.writeWhole(`${path}/CURRENT`, Buffer.from('MANIFEST-000001\n'));
    await this.#disk.syncDirectory(path);
  }
}
