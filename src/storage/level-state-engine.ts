import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Disk } from './disk.ts';
import { LevelStagedState, LevelStateStore } from './level-state-store.ts';
import type { StateEngine, UnsealedState } from './state-engine.ts';
import type { StateStore } from './state-store.ts';

export interface LevelStateEngineOptions {
  readonly disk: Disk;
  /** The real directory that is the root of `disk`: LevelDB opens its files itself. */
  readonly root: string;
  readonly clock: Clock;
}

/** States as LevelDB directories. */
export class LevelStateEngine implements StateEngine {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #clock: Clock;

  constructor(options: LevelStateEngineOptions) {
    this.#disk = options.disk;
    this.#root = options.root;
    this.#clock = options.clock;
  }

  open(path: string): Promise<StateStore> {
    return LevelStateStore.open(join(this.#root, path), this.#clock);
  }

  create(path: string): Promise<UnsealedState> {
    return LevelStagedState.create(join(this.#root, path), this.#clock);
  }

  remove(path: string): Promise<void> {
    return this.#disk.removeTree(path);
  }
}
