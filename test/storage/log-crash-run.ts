import { assert } from '../../src/base/assert.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { RecoveredLog } from '../../src/storage/entry-log.ts';
import type { Entry, LogBase } from '../../src/storage/log-types.ts';
import type { MemoryDisk } from '../../src/storage/memory-disk.ts';
import { keepNothing, randomCrash } from '../../src/storage/memory-disk.ts';
import { SegmentedLog } from '../../src/storage/segmented-log.ts';
import { baseOf, entriesAfter, membership, pick } from './log-entries.ts';
import { turns } from './log-fixture.ts';

/** What the log should hold after a call; `start` is where it was last restarted. */
interface Version {
  readonly start: LogBase;
  readonly entries: readonly Entry[];
  /** Entries of this version that later calls may have replaced: those behind this index. */
  readonly firstIndex: number;
}

export const crashSegmentBytes = 12 * 4_096;

/** One log through calls, crashes and openings, with all that it may hold. */
export class CrashRun {
  readonly #random: SeededRandom;
  #disk: MemoryDisk;
  #log!: SegmentedLog;
  #clock = new ManualClock();
  /** Of this opening; the first is what was recovered. */
  #versions: Version[] = [];
  /** Position of the last version that is known to be durable. */
  #durable = 0;
  /** Entries that the log called durable when its process ended. */
  #durableAtEnd: readonly Entry[] = [];
  #disorder: string | undefined;
  #failed = false;
  #commit = 0;
  #durableCommit = 0;
  #compacted = 0;
  #term = 1;
  #fill = 0;
  readonly counts = {
    crashes: 0,
    kills: 0,
    torn: 0,
    lostPending: 0,
    superseded: 0,
    restarts: 0,
    compactions: 0,
    faults: 0,
  };

  constructor(seed: number, disk: MemoryDisk) {
    this.#random = new SeededRandom(seed);
    this.#disk = disk;
  }

  async run(openings: number): Promise<void> {
    await this.#open();
    for (let opening = 0; opening < openings; opening++) {
      const calls = 1 + this.#below('calls', 12);
      for (let call = 0; call < calls; call++) {
        this.#call();
        if (this.#below('advance', 8) === 0) this.#clock.advance(150);
        await turns(this.#below('turns', this.#below('patience', 4) === 0 ? 200 : 12));
      }
      this.#end();
      await this.#open();
    }
  }

  #below(name: string, limit: number): number {
    return this.#random.below(name, limit);
  }

  #end(): void {
    const atCrash = this.#log.durableIndex;
    const now = pick(this.#versions, -1);
    this.#durableAtEnd = now.entries.filter(({ index }) => index <= atCrash);
    if (this.#below('kind', 3) === 0) {
      this.counts.kills += 1;
      this.#disk = this.#disk.kill();
    } else {
      this.counts.crashes += 1;
      this.#disk = this.#disk.crash(this.#below('mercy', 4) === 0 ? keepNothing : randomCrash(this.#random));
    }
  }

  async #open(): Promise<void> {
    const clock = new ManualClock();
    this.#failed = false;
    const onFailure = (): void => {
      this.#failed = true;
    };
    // A second loss of power at once: what was recovered must be on disk, not only in a cache.
    const options = {
      clock,
      appliedIndex: this.#durableCommit,
      segmentBytes: crashSegmentBytes,
      onFailure,
    };
    for (let again = this.#below('again', 3); again > 0; again--) {
      const { recovered } = await SegmentedLog.open(this.#disk, options);
      this.#check(recovered);
      this.#disk = this.#disk.crash(keepNothing);
    }
    const { log, recovered } = await SegmentedLog.open(this.#disk, options);
    this.#check(recovered);
    this.#log = log;
    this.#clock = clock;
  }

  #check(recovered: RecoveredLog): void {
    const { base } = recovered;
    const possible = this.#versions.slice(this.#durable).filter((version) => isPrefix(recovered, version));
    if (this.#versions.length > 0) this.#checkAgainst(recovered, possible);
    assert(this.#disorder === undefined, this.#disorder ?? '');
    if (recovered.torn !== undefined) this.counts.torn += 1;
    const start = possible.at(-1)?.start ?? base;
    const before = possible.at(-1)?.entries.filter(({ index }) => index <= base.index) ?? [];
    this.#versions = [{ start, entries: [...before, ...recovered.entries], firstIndex: Infinity }];
    this.#durable = 0;
    this.#commit = recovered.commit;
    this.#durableCommit = recovered.commit;
    this.#compacted = base.index;
    this.#durableAtEnd = [];
  }

  #checkAgainst({ base, entries, commit }: RecoveredLog, possible: readonly Version[]): void {
    assert(possible.length > 0, 'the log holds what no call wrote');
    const found = new Set(entries.map(({ index, hash }) => `${index}/${hash}`));
    // Whatever was acknowledged and not superseded since, by a call that may have been durable, is there.
    const later = this.#versions.slice(this.#durable + 1);
    const untouched = Math.min(...later.map(({ firstIndex }) => firstIndex), Infinity);
    for (const { index, hash } of pick(this.#versions, this.#durable).entries) {
      if (index >= untouched || index <= base.index) continue;
      assert(found.has(`${index}/${hash}`), `entry ${index} was acknowledged and is gone`);
    }
    for (const { index, hash } of this.#durableAtEnd) {
      if (index > base.index) assert(found.has(`${index}/${hash}`), `entry ${index} was called durable and is gone`);
    }
    if (possible.some(({ start }) => start.index <= this.#compacted)) {
      assert(base.index >= this.#compacted, `base is ${base.index}, compacted to ${this.#compacted}`);
    }
    assert(commit >= this.#durableCommit, `commit is ${commit}, was ${this.#durableCommit}`);
    if (pick(this.#versions, -1).entries.length > entries.length) this.counts.lostPending += 1;
  }

  #call(): void {
    const choice = this.#below('call', 20);
    // After a failure a process does nothing but end.
    if (this.#failed) return;
    if (choice === 0) this.#restart();
    else if (choice <= 3) this.#compact();
    else if (choice === 4) this.#fault();
    else this.#append();
  }

  /** The file system refuses something soon; the log then ends, and what it acknowledged stays. */
  #fault(): void {
    if (this.#below('fault', 3) !== 0) return;
    this.counts.faults += 1;
    const last = this.#log.keptBytes;
    const path = `log/${(1 + Math.floor(last / crashSegmentBytes)).toString(16).padStart(16, '0')}.seg`;
    const step = this.#below('step', 2) === 0 ? 'sync' : 'write';
    const fault = (['EIO', 'ENOSPC', 'short'] as const)[this.#below('fault kind', step === 'sync' ? 2 : 3)] ?? 'EIO';
    this.#disk.failNext(step, path, fault);
  }

  #append(): void {
    const now = pick(this.#versions, -1);
    const last = lastIndex(now);
    const supersede = this.#below('supersede', 4) === 0 && last > this.#commit;
    const from = supersede ? this.#commit + this.#below('from', last - this.#commit) : last;
    if (supersede) {
      this.counts.superseded += 1;
      this.#term += 1;
    }
    const kept = now.entries.filter(({ index }) => index <= from);
    const previous = kept.length === 0 ? now.start : baseOf(pick(kept, -1));
    const bytes = [10, 900, 4_000, 9_000, 20_000][this.#below('bytes', 5)] ?? 0;
    this.#fill += 1;
    const added = entriesAfter(previous, this.#below('entries', 4), this.#term, bytes, this.#fill);
    const end = added.length === 0 ? last : from + added.length;
    if (this.#below('commit', 2) === 0) this.#commit += this.#below('commit by', end - this.#commit + 1);
    const entries = added.length === 0 ? now.entries : [...kept, ...added];
    const firstIndex = added.length === 0 ? Infinity : from + 1;
    this.#follow(this.#log.append(added, this.#commit), { start: now.start, entries, firstIndex }, this.#commit);
  }

  #restart(): void {
    this.counts.restarts += 1;
    const now = pick(this.#versions, -1);
    const index = Math.max(this.#commit, lastIndex(now)) + this.#below('ahead', 100);
    const hash = Buffer.from(this.#random.bytes('hash', 8)).toString('hex');
    const start = { index, term: this.#term, hash };
    this.#commit = index;
    this.#follow(this.#log.restart(start, membership), { start, entries: [], firstIndex: 0 }, index);
  }

  #compact(): void {
    const now = pick(this.#versions, -1);
    const upTo = Math.min(this.#commit, this.#log.durableIndex);
    const usable = now.entries.filter(({ index }) => index <= upTo && index > this.#compacted);
    if (usable.length === 0) return;
    this.counts.compactions += 1;
    const base = baseOf(pick(usable, this.#below('base', usable.length)));
    const versions = this.#versions;
    const { restarts } = this.counts;
    this.#log.compact(base, membership).then(
      () => {
        // One that a restart overtook has nothing to do.
        if (versions !== this.#versions || restarts !== this.counts.restarts) return;
        this.#compacted = Math.max(this.#compacted, base.index);
      },
      () => undefined,
    );
  }

  #follow(call: Promise<void>, version: Version, commit: number): void {
    const versions = this.#versions;
    const position = versions.push(version) - 1;
    call.then(
      () => {
        if (versions !== this.#versions) return;
        if (position <= this.#durable) this.#disorder = `call ${position} resolved after ${this.#durable}`;
        this.#durable = position;
        this.#durableCommit = Math.max(this.#durableCommit, commit);
      },
      () => undefined,
    );
  }
}

function lastIndex(version: Version): number {
  return version.entries.at(-1)?.index ?? version.start.index;
}

/** Whether the log is this version from its base on, perhaps without its last entries. */
function isPrefix({ base, entries }: RecoveredLog, version: Version): boolean {
  const known = new Map(version.entries.map(({ index, hash }) => [index, hash]));
  known.set(version.start.index, version.start.hash);
  return known.get(base.index) === base.hash && entries.every(({ index, hash }) => known.get(index) === hash);
}
