import { assert } from '../base/assert.ts';
import { StorageError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';

/** One pair as it lies in a store: the key's bytes and the value in its envelope. */
export interface StoredPair {
  readonly key: Buffer;
  readonly sealed: Buffer;
}

/** `sealed` undefined: delete. */
export interface StoredWrite {
  readonly key: Buffer;
  readonly sealed: Buffer | undefined;
}

interface Batch {
  readonly writes: readonly StoredWrite[];
  readonly synced: boolean;
  /** Synced, and the name of the file that holds it is durable. */
  certain: boolean;
}

type Pairs = Map<string, StoredPair>;

/**
 * What a state directory in memory holds, apart from the store that has it open: it outlives a crash of the process
 * that used it, and can be damaged in the ways in which LevelDB was seen to be.
 */
export class MemoryStateMedium {
  readonly #file: string;
  /** As a process that runs reads it. Keyed by the key's bytes as latin1 text, which keeps them apart. */
  #pairs: Pairs = new Map();
  /** With crashes only: what would certainly be found after one, and what was written since, oldest first. */
  readonly #crashable: boolean;
  #settled: Pairs = new Map();
  #unsettled: Batch[] = [];
  #failNext: 'disk-full' | 'sync' | undefined;
  /** After a full disk: what the next open will find instead of #pairs. */
  #foundAtOpen: Pairs | undefined;
  #intact = true;

  /** @param crashable Keeps a second copy, so that `crash` can go back to it. */
  constructor(file: string, crashable: boolean) {
    this.#file = file;
    this.#crashable = crashable;
  }

  get(key: Buffer): Buffer | undefined {
    return this.#pairs.get(asId(key))?.sealed;
  }

  /** All pairs from `least` on in byte order of keys; a list of its own, so later writes do not show in it. */
  sorted(least: Buffer): StoredPair[] {
    const pairs = [...this.#pairs.values()].filter((pair) => Buffer.compare(pair.key, least) >= 0);
    return pairs.sort((one, other) => Buffer.compare(one.key, other.key));
  }

  /** One atomic batch. */
  write(writes: readonly StoredWrite[], synced: boolean): void {
    const fault = this.#failNext;
    this.#failNext = undefined;
    if (fault === 'disk-full') {
      // Finding 0.1: from now on writes seem to succeed and are lost at the next open.
      this.#foundAtOpen = new Map(this.#pairs);
      throw new StorageError('io', this.#file, 'could not write a batch: no space left on the disk');
    }
    apply(this.#pairs, writes);
    if (this.#crashable) this.#unsettled.push({ writes, synced, certain: false });
    // Finding 0.4: what failed only in its sync is there after reopening.
    if (fault === 'sync') throw new StorageError('io', this.#file, 'could not sync a batch');
  }

  /** The directory is synced: a crash takes no synced batch that was written up to here. */
  syncNames(): void {
    for (const batch of this.#unsettled) batch.certain ||= batch.synced;
    // Only from the front: an older batch that may yet be lost must not be put over a newer one.
    while (this.#unsettled[0]?.certain === true) apply(this.#settled, this.#unsettled.shift()?.writes ?? []);
  }

  /** Every file and the directory are synced: a crash takes nothing of what was written up to here. */
  syncAll(): void {
    for (const batch of this.#unsettled) batch.certain = true;
    this.syncNames();
  }

  /** What a process that opens it finds; throws where the files that LevelDB needs are gone. */
  reopen(): void {
    if (!this.#intact) throw new StorageError('damaged', this.#file, 'has no file CURRENT');
    if (this.#foundAtOpen === undefined) return;
    this.#pairs = this.#foundAtOpen;
    this.#foundAtOpen = undefined;
  }

  /**
   * Loss of power. Of what is not certain: any of the un-synced batches may be gone, also one before a synced one; of
   * the synced ones, all from some point on, since the name of the log file that holds them was not durable (finding
   * 0.5).
   */
  crash(random: Random): void {
    assert(this.#crashable, 'crash of a medium that keeps no copy');
    const synced = this.#unsettled.filter((batch) => batch.synced && !batch.certain).length;
    let survivors = random.below('synced batches that survive', synced + 1);
    const pairs: Pairs = new Map(this.#settled);
    for (const { writes, synced: isSynced, certain } of this.#unsettled) {
      const uncertain = (): boolean => (isSynced ? survivors-- > 0 : random.below('un-synced batch survives', 2) === 1);
      if (certain || uncertain()) apply(pairs, writes);
    }
    this.#pairs = pairs;
    this.#settled = new Map(pairs);
    this.#unsettled = [];
    this.#foundAtOpen = undefined;
    this.#failNext = undefined;
  }

  /** An independent medium with the same content. */
  copy(): MemoryStateMedium {
    const copy = new MemoryStateMedium(this.#file, this.#crashable);
    copy.#pairs = new Map(this.#pairs);
    copy.#settled = new Map(this.#settled);
    copy.#unsettled = this.#unsettled.map((batch) => ({ ...batch }));
    copy.#foundAtOpen = this.#foundAtOpen;
    copy.#intact = this.#intact;
    return copy;
  }

  /** The next write fails: before anything is written, or after everything is. */
  failNextWrite(fault: 'disk-full' | 'sync'): void {
    this.#failNext = fault;
  }

  /** Finding 0.2: records vanish without an error. */
  loseRecords(keys: readonly Buffer[]): void {
    for (const key of keys) assert(this.#pairs.delete(asId(key)), 'a record to lose that is not there');
  }

  /** Finding 0.2: a record reads back with one bit changed. */
  flipBit(key: Buffer, bit: number): void {
    const pair = this.#pairs.get(asId(key));
    assert(pair !== undefined && bit < pair.sealed.length * 8, 'a bit to flip that is not there');
    const sealed = Buffer.from(pair.sealed);
    sealed[bit >>> 3] = sealed.readUInt8(bit >>> 3) ^ (1 << (bit & 7));
    this.#pairs.set(asId(key), { key: pair.key, sealed });
  }

  /** Finding 0.2: a record reads back with the value of another. */
  misdirect(from: Buffer, to: Buffer): void {
    const pair = this.#pairs.get(asId(from));
    assert(pair !== undefined, 'a record to misdirect that is not there');
    this.#pairs.set(asId(to), { key: to, sealed: pair.sealed });
  }

  /** Finding 0.3: the file CURRENT is gone, and LevelDB would start an empty database. */
  loseCurrent(): void {
    this.#intact = false;
  }
}

function apply(pairs: Pairs, writes: readonly StoredWrite[]): void {
  for (const { key, sealed } of writes) {
    if (sealed === undefined) pairs.delete(asId(key));
    else pairs.set(asId(key), { key, sealed });
  }
}

function asId(key: Buffer): string {
  return key.toString('latin1');
}
