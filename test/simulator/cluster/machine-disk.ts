import type { Clock } from '../../../src/base/clock.ts';
import type { Random } from '../../../src/base/random.ts';
import {
  type DiskFault,
  type DiskStep,
  keepNothing,
  MemoryDisk,
  randomCrash,
} from '../../../src/storage/memory-disk.ts';
import { MemoryStateEngine } from '../../../src/storage/memory-state-engine.ts';
import type { MemoryStateMedium } from '../../../src/storage/memory-state-medium.ts';
import { type CrashPoint, pointAfter, pointBefore } from './crash-points.ts';

/** A failure of the next step that fits. */
export interface PlannedFailure {
  readonly step: DiskStep;
  readonly path: RegExp;
  readonly fault: DiskFault;
}

export interface MachineDiskOptions {
  /** The world's: what the state engine takes its turns by. */
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds that a sync takes; 0: none. */
  readonly syncMs: () => number;
  readonly hit: (point: CrashPoint) => void;
}

/** A data directory with its state: what can be taken out of one machine and put into another. */
export interface Directory {
  readonly disk: MemoryDisk;
  readonly engine: MemoryStateEngine;
}

const fullMarginBytes = 4_096;

/** The disk of one machine over all lives of its member, with what can be wrong with it. */
export class MachineDisk {
  readonly #options: MachineDiskOptions;
  readonly #failures: PlannedFailure[] = [];
  #directory: Directory;
  /** Of the process that runs; what a dead one asked for never comes back. */
  processClock: Clock | undefined;
  /** On top of `syncMs`, at every sync, ms. */
  slowMs = 0;
  /** Bytes of the file system; what the member may use of it. */
  capacityBytes = Number.MAX_SAFE_INTEGER;
  /** How often a planned failure happened. */
  failed = 0;

  constructor(options: MachineDiskOptions) {
    this.#options = options;
    this.#directory = this.#empty();
  }

  get disk(): MemoryDisk {
    return this.#directory.disk;
  }

  get engine(): MemoryStateEngine {
    return this.#directory.engine;
  }

  /** The process has ended; `power`: so did the machine, which forgets what was not synced. */
  ended(power: boolean): void {
    const { random } = this.#options;
    // Now and then nothing survives that was not synced: that is when too early an acknowledgement is worth least.
    const lost = power && random.below('crash-how', 4) === 0 ? keepNothing : randomCrash(random);
    const disk = power ? this.disk.crash(lost) : this.disk.kill();
    const engine = power ? this.engine.restarted(disk, random) : this.engine.restarted(disk);
    this.#directory = { disk, engine };
  }

  /** An independent copy of what is there now. */
  copy(): Directory {
    const disk = this.disk.fork();
    return { disk, engine: this.engine.restarted(disk) };
  }

  /** Puts another directory in the place of the present one, which is returned. Only while no process uses either. */
  replace(directory: Directory | undefined): Directory {
    const before = this.#directory;
    this.#directory = directory === undefined ? this.#empty() : this.#adopt(directory);
    return before;
  }

  /** Lets `damage` change what is there; it is told what it was before. Only while no process uses it. */
  async damaged(damage: (before: Directory) => Promise<string | undefined>): Promise<string | undefined> {
    return damage(this.copy());
  }

  failNext(failure: PlannedFailure): void {
    this.#failures.push(failure);
  }

  clearFailures(): void {
    this.#failures.length = 0;
  }

  get failuresLeft(): number {
    return this.#failures.length;
  }

  /** No room any more but for a page: what is made anew fails. */
  async fill(): Promise<void> {
    const used = Number.MAX_SAFE_INTEGER - (await this.#freeWithoutBound());
    this.capacityBytes = used + fullMarginBytes;
  }

  /** The state that is active now, by its directory. */
  async activeMedium(): Promise<MemoryStateMedium | undefined> {
    const names = await this.disk.list('state');
    for (const name of names.toReversed()) {
      const medium = this.engine.medium(`state/${name}`);
      if (medium !== undefined && (await this.disk.exists(`state/${name}/CURRENT`))) return medium;
    }
    return undefined;
  }

  #empty(): Directory {
    return this.#adopt(undefined);
  }

  #adopt(directory: Directory | undefined): Directory {
    const hooks = {
      before: (step: DiskStep, path: string) => this.#before(step, path),
      after: (step: DiskStep, path: string) => {
        const point = pointAfter(step, path);
        if (point !== undefined) this.#options.hit(point);
      },
    };
    const options = { hooks, capacityBytes: () => this.capacityBytes };
    const disk = directory?.disk.moved(options) ?? new MemoryDisk(options);
    const engine =
      directory?.engine.restarted(disk) ?? new MemoryStateEngine({ disk, clock: this.#options.clock, crashable: true });
    return { disk, engine };
  }

  #before(step: DiskStep, path: string): Promise<DiskFault | undefined> | undefined {
    const point = pointBefore(step, path, () => this.disk.unsyncedPages(path).length);
    if (point !== undefined) this.#options.hit(point);
    const at = this.#failures.findIndex((one) => one.step === step && one.path.test(path));
    if (at !== -1) {
      const [failure] = this.#failures.splice(at, 1);
      this.failed++;
      return Promise.resolve(failure?.fault);
    }
    if (step !== 'sync' && step !== 'sync-directory') return undefined;
    const ms = this.#options.syncMs() + this.slowMs;
    const clock = this.processClock;
    if (ms <= 0 || clock === undefined) return undefined;
    return new Promise((resolve) => void clock.setTimer(ms, () => resolve(undefined)));
  }

  async #freeWithoutBound(): Promise<number> {
    this.capacityBytes = Number.MAX_SAFE_INTEGER;
    return this.disk.freeBytes();
  }
}
