import { assert } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import type { Disk } from './disk.ts';
import type { MembershipRecord } from './entry-log.ts';
import { FailStop } from './fail-stop.ts';
import type { StateEngine, UnsealedState } from './state-engine.ts';
import { emptyStateMark, sameMark } from './state-mark.ts';
import type { InstalledBase, PointerStep, StatePointer } from './state-pointer.ts';
import {
  pointerName,
  pointerTemporaryName,
  readPointer,
  stateName,
  stateNumber,
  writePointer,
} from './state-pointer.ts';
import type { StagedState, StateChange, StateDirectory, StateMark, StateStore } from './state-store.ts';

/** The durable steps of a change of states, in order. */
export type StateStep = 'created' | 'sealed' | 'sealed-durable' | 'opened' | PointerStep | 'old-closed' | 'old-removed';

export interface StateDirectoryOptions {
  readonly disk: Disk;
  readonly engine: StateEngine;
  /** The directory below the root of `disk`. Default 'state'. */
  readonly folder?: string;
  /**
   * What to do where the pointer or the active state is damaged. 'refuse' (default): throw. 'start-over': begin with an
   * empty state at index 0, which the log or a snapshot from a peer fills; the damaged one is removed.
   */
  readonly damaged?: 'refuse' | 'start-over';
  /** Called after each step; what it throws stops the directory there, as a crash would. */
  readonly onStep?: (step: StateStep) => void;
}

/**
 * Opens the state directories of one member, or makes the first, empty one. The directory lock of the member must be
 * held. Leftovers of interrupted installs are removed.
 *
 * @throws StorageError 'damaged' where pointer or active state are damaged or missing; nothing was changed then.
 */
export async function openStateDirectory(options: StateDirectoryOptions): Promise<StateDirectory> {
  const folder = options.folder ?? 'state';
  await makeFolder(options.disk, folder);
  const found = await find(options, folder);
  const directory = new PointedStateDirectory(options, folder, found);
  await directory.begin(found);
  return directory;
}

interface Found {
  readonly pointer: StatePointer | undefined;
  /** undefined: an empty state is to be made. */
  readonly active: { readonly number: number; readonly store: StateStore } | undefined;
  /** Every state that has a directory, the active one included. */
  readonly numbers: readonly number[];
}

class PointedStateDirectory implements StateDirectory {
  readonly #options: StateDirectoryOptions;
  readonly #folder: string;
  readonly #step: (step: StateStep) => void;
  readonly #stop: FailStop;
  #active: { readonly number: number; readonly store: StateStore } | undefined;
  #installed: InstalledBase | undefined;
  #staged: StagedDirectory | undefined;
  /** Not below the number of any directory there is or was since the open, so that no name is used twice. */
  #numberMax: number;

  constructor(options: StateDirectoryOptions, folder: string, found: Found) {
    this.#options = options;
    this.#folder = folder;
    this.#step = (step) => options.onStep?.(step);
    this.#stop = new FailStop(folder);
    this.#active = found.active;
    this.#installed = found.pointer?.installed;
    this.#numberMax = Math.max(0, found.pointer?.active ?? 0, ...found.numbers);
  }

  get store(): StateStore {
    assert(this.#active !== undefined, 'a state directory without an active store');
    return this.#active.store;
  }

  get installed(): InstalledBase | undefined {
    return this.#installed;
  }

  /** Once, before anything else: brings the disk into order and makes the first state where there is none. */
  async begin(found: Found): Promise<void> {
    await this.#stop.guard(async () => {
      const { disk } = this.#options;
      // Without a state yet: from here on a missing pointer beside states means that it was lost, not that a start was
      // interrupted. With one: what was read may only be in the page cache, so it is written again before the states
      // that it does not name are removed.
      const pointer = found.pointer ?? { active: undefined, installed: undefined };
      await writePointer(disk, this.#folder, pointer, this.#step);
      if (this.#active === undefined) await this.#makeEmpty();
      await this.#removeLeftovers();
    });
  }

  stage(): Promise<StagedState> {
    return this.#stop.guard(async () => {
      assert(this.#staged === undefined, 'a second staged state; discard the first one before');
      return this.#stage();
    });
  }

  activate(staged: StagedState): Promise<StateStore> {
    return this.#stop.guard(async () => {
      const own = this.#staged;
      assert(own !== undefined && staged === own, 'activation of a state that is not the staged one');
      const { sealed } = own;
      assert(sealed !== undefined, 'activation of a state that is not sealed');
      const { mark, membership } = sealed;
      const base = { index: mark.index, term: mark.term, hash: mark.prefixHash };
      return this.#switchTo(own, mark, { base, membership });
    });
  }

  startOver(): Promise<StateStore> {
    return this.#stop.guard(async () => {
      await this.#staged?.discard();
      return this.#makeEmpty();
    });
  }

  async close(): Promise<void> {
    this.#stop.fail(new StorageError('refused', this.#folder, 'closed'));
    await this.#staged?.letGo();
    await this.#active?.store.close();
  }

  async #stage(): Promise<StagedDirectory> {
    this.#numberMax += 1;
    const number = this.#numberMax;
    const staged = new StagedDirectory({
      number,
      state: await this.#options.engine.create(this.#path(number)),
      stop: this.#stop,
      sealDirectory: async () => {
        this.#step('sealed');
        await this.#options.disk.syncDirectory(this.#folder);
        this.#step('sealed-durable');
      },
      remove: async () => {
        this.#staged = undefined;
        await this.#options.engine.remove(this.#path(number));
      },
    });
    this.#staged = staged;
    this.#step('created');
    return staged;
  }

  async #makeEmpty(): Promise<StateStore> {
    const staged = await this.#stage();
    await staged.sealAs(emptyStateMark);
    return this.#switchTo(staged, emptyStateMark, this.#installed);
  }

  /** The pointer moves last: up to its rename the old state is the active one, with it the new one. */
  async #switchTo(staged: StagedDirectory, mark: StateMark, installed: InstalledBase | undefined): Promise<StateStore> {
    const { disk, engine } = this.#options;
    const { number } = staged;
    const store = await engine.open(this.#path(number));
    try {
      if (!sameMark(store.mark, mark)) {
        throw new StorageError('damaged', this.#path(number), 'reads back with another mark than was written');
      }
      // To open a LevelDB makes new files.
      await store.syncDirectory();
      this.#step('opened');
      await writePointer(disk, this.#folder, { active: number, installed }, this.#step);
    } catch (error) {
      await store.close();
      throw error;
    }
    const old = this.#active;
    this.#active = { number, store };
    this.#installed = installed;
    this.#staged = undefined;
    if (old !== undefined) {
      await old.store.close();
      this.#step('old-closed');
      await engine.remove(this.#path(old.number));
      this.#step('old-removed');
    }
    return store;
  }

  async #removeLeftovers(): Promise<void> {
    const { disk, engine } = this.#options;
    const names = await disk.list(this.#folder);
    assert(names.includes(pointerName), 'a state directory whose pointer is not there after it was written');
    for (const name of names) {
      const number = stateNumber(name);
      if (name === pointerTemporaryName) await disk.remove(`${this.#folder}/${name}`);
      else if (number !== undefined && number !== this.#active?.number) await engine.remove(this.#path(number));
    }
    await disk.syncDirectory(this.#folder);
  }

  #path(number: number): string {
    return `${this.#folder}/${stateName(number)}`;
  }
}

interface StagedDirectoryOptions {
  readonly number: number;
  readonly state: UnsealedState;
  /** Of the whole directory: a disk that failed here is not used there. */
  readonly stop: FailStop;
  readonly sealDirectory: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

class StagedDirectory implements StagedState {
  readonly #options: StagedDirectoryOptions;
  #sealed: { readonly mark: StateMark; readonly membership: MembershipRecord } | undefined;
  #discarded = false;

  constructor(options: StagedDirectoryOptions) {
    this.#options = options;
  }

  get number(): number {
    return this.#options.number;
  }

  get sealed(): { readonly mark: StateMark; readonly membership: MembershipRecord } | undefined {
    return this.#sealed;
  }

  add(changes: readonly StateChange[]): Promise<void> {
    return this.#options.stop.guard(() => {
      assert(this.#sealed === undefined && !this.#discarded, 'a pair added to a staged state that is done with');
      return this.#options.state.add(changes);
    });
  }

  seal(mark: StateMark, membership: MembershipRecord): Promise<void> {
    return this.#options.stop.guard(async () => {
      await this.sealAs(mark);
      this.#sealed = { mark, membership };
    });
  }

  /** As `seal`, for a state that no snapshot made. */
  async sealAs(mark: StateMark): Promise<void> {
    assert(this.#sealed === undefined && !this.#discarded, 'a staged state sealed that is done with');
    await this.#options.state.seal(mark);
    await this.#options.sealDirectory();
  }

  /** Nothing where it was discarded before. */
  async discard(): Promise<void> {
    if (this.#discarded) return;
    await this.#options.stop.guard(async () => {
      this.#discarded = true;
      await this.#options.state.close();
      await this.#options.remove();
    });
  }

  /** Closes its files and leaves them for the next start to remove. */
  async letGo(): Promise<void> {
    await this.#options.state.close();
  }
}

async function makeFolder(disk: Disk, folder: string): Promise<void> {
  await disk.makeDirectory(folder);
  // Also where it exists: the start that made it may have ended before this line.
  const slash = folder.lastIndexOf('/');
  await disk.syncDirectory(slash === -1 ? '' : folder.slice(0, slash));
}

async function find(options: StateDirectoryOptions, folder: string): Promise<Found> {
  const { disk, engine } = options;
  const names = await disk.list(folder);
  const numbers = names.map((name) => stateNumber(name)).filter((number) => number !== undefined);
  const pointer = await orStartOver(options, async () => {
    const read = await readPointer(disk, folder);
    if (read === undefined && numbers.length > 0) {
      throw new StorageError('damaged', `${folder}/${pointerName}`, 'is missing beside states that it should name');
    }
    return read;
  });
  const number = pointer?.active;
  if (number === undefined) return { pointer, active: undefined, numbers };
  const store = await orStartOver(options, () => engine.open(`${folder}/${stateName(number)}`));
  return { pointer, active: store === undefined ? undefined : { number, store }, numbers };
}

/** undefined for what is damaged, where the caller asked to start over. */
async function orStartOver<T>(options: StateDirectoryOptions, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (options.damaged === 'start-over' && error instanceof StorageError && error.kind === 'damaged') return undefined;
    throw error;
  }
}
