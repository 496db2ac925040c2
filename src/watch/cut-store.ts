import { assert } from '../base/assert.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { ChangeEvent } from '../state-machine/types.ts';
import { envelopeBytesMax } from './batch-encoder.ts';
import type { WatchBounds } from './bounds.ts';
import type { ChangeLog } from './change-log.ts';
import type { CutHolder, CutReader, CutSubject } from './cut.ts';
import { Cut } from './cut.ts';
import { ChangesReader, SnapshotReader } from './cut-readers.ts';
import { judge } from './judge.ts';
import { ScopeMap } from './scope.ts';
import type { TurnWork } from './turn-work.ts';

/** What an empty read costs, in bytes of work. */
const readWorkBytes = 1_024;
const noCuts: readonly Cut[] = [];

/** What the store needs of the hub. */
export interface CutSource {
  /** May be another object after the state was replaced. */
  state(): Registry;
  /** The revision up to which the hub was told the changes. */
  served(): number;
  nowMs(): number;
}

/**
 * The cuts that watches are sent: snapshots, and coalesced changes for slow readers. Watches of the same subject share
 * them. A cut is a copy of encoded bytes: the state goes on while slow readers take part after part of one revision.
 *
 * A snapshot is shared for as long as nothing in it has changed; coalesced changes for `changesReuseMs`, as whoever is
 * sent them goes on with what changed after them; longer where the room for others grows short.
 *
 * Bounded by `snapshotBytesMax` over all. When that is reached, what is only cached goes first, then what readers have
 * not touched for `snapshotStallMs`; if that is not enough, those who wait for the new one are told cutLost.
 */
export class CutStore {
  readonly #source: CutSource;
  readonly #work: TurnWork;
  readonly #bounds: WatchBounds;
  readonly #partBytesMax: number;
  readonly #chunkBytesMax: number;
  /** The newest of each key, complete or being made. The order is that of use: the first is the first to go. */
  readonly #newest = new Map<string, Cut>();
  /** Everything that takes room: also those that are out of date and still sent to somebody. */
  readonly #alive = new Set<Cut>();
  readonly #making = new Set<Cut>();
  /** Those that must hear of changes: what is being made, and snapshots that nothing has touched. */
  readonly #listening = new ScopeMap<Cut>();
  /** Complete changes that are sent to nobody. */
  readonly #idleChanges = new Set<Cut>();
  /** Of all that are alive. */
  #bytes = 0;
  /** Of those that are complete and sent to nobody. */
  #cachedBytes = 0;

  constructor(source: CutSource, work: TurnWork, bounds: WatchBounds) {
    this.#source = source;
    this.#work = work;
    this.#bounds = bounds;
    this.#partBytesMax = Math.min(bounds.catchUpPartBytesMax, bounds.partBytesMax) - envelopeBytesMax;
    this.#chunkBytesMax = Math.ceil(bounds.turnWorkBytesMax / 8);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A complete snapshot that shows the state as applied now; the holder must release it. Undefined while it is being
   * made: cutReady or cutLost is called, the latter perhaps before this returns.
   */
  snapshot(subject: CutSubject, holder: CutHolder): Cut | undefined {
    const key = `all ${subject.key}`;
    const newest = this.#newest.get(key);
    if (newest?.complete === true && !this.#isCurrent(newest)) this.#outdate(newest);
    const cut = this.#newest.get(key) ?? this.#add(key, subject, new SnapshotReader(subject));
    return this.#acquire(cut, holder);
  }

  /** The same for what changed behind what the holder has, out of a log that knows all of it. */
  changes(subject: CutSubject, holder: CutHolder, log: ChangeLog): Cut | undefined {
    const key = `changes ${subject.key}`;
    const { coveredTo } = holder;
    assert(log.since <= coveredTo, () => `changes behind ${coveredTo} out of a log since ${log.since}`);
    const newest = this.#newest.get(key);
    if (newest !== undefined && !this.#isUseful(newest, coveredTo)) this.#outdate(newest);
    const cut = this.#newest.get(key) ?? this.#add(key, subject, new ChangesReader(subject, log, coveredTo));
    return this.#acquire(cut, holder);
  }

  /** Also for who only waits; nothing for who has none. */
  release(holder: CutHolder): void {
    const { cut } = holder;
    if (cut === undefined) return;
    holder.cut = undefined;
    const held = cut.holders.delete(holder);
    cut.waiting.delete(holder);
    if (cut.holders.size > 0 || cut.waiting.size > 0) return;
    if (held) this.#cachedBytes += cut.bytes;
    if (!cut.complete || this.#newest.get(cut.key) !== cut) {
      this.#drop(cut);
      return;
    }
    if (cut.reader.kind === 'changes') this.#idleChanges.add(cut);
    this.#trimCache();
  }

  /** Those that must be told a change of the service: hand it to `touched`. */
  listening(namespace: string, service: string): readonly Cut[] {
    return this.#listening.size === 0 ? noCuts : this.#listening.of(namespace, service);
  }

  touched(cut: Cut, event: ChangeEvent): void {
    if (!cut.complete) {
      if (cut.begun) cut.fix(event);
    } else if (this.#newest.get(cut.key) === cut && judge(event, cut.subject.matcher) !== undefined) {
      this.#outdate(cut);
    }
  }

  /** After the changes of a turn: what was read to its end is now complete. */
  applied(): void {
    for (const cut of this.#making) {
      // It waited for this turn to be told.
      if (!cut.begun) this.#work.wake();
      this.#finish(cut);
    }
    for (const cut of this.#idleChanges) if (!this.#isFresh(cut)) this.#drop(cut);
  }

  /** The state is another object: what is being made begins anew, what is complete is sent to its end. */
  replaced(): void {
    for (const cut of new Set([...this.#newest.values(), ...this.#making])) {
      const waiting = takeWaiting(cut);
      this.#outdate(cut);
      for (const holder of waiting) holder.cutReady();
    }
  }

  /** Goes on with what is being made, as far as this turn's work goes. */
  work(): void {
    for (const cut of this.#making) {
      if (this.#work.done) return;
      this.#make(cut);
    }
  }

  #add(key: string, subject: CutSubject, reader: CutReader): Cut {
    const cut = new Cut(key, subject, reader, this.#partBytesMax);
    this.#newest.set(key, cut);
    this.#alive.add(cut);
    this.#making.add(cut);
    this.#listening.add(subject, cut);
    this.#bytes += cut.bytes;
    return cut;
  }

  #acquire(cut: Cut, holder: CutHolder): Cut | undefined {
    assert(holder.cut === undefined, 'cut asked for by who has one');
    if (!cut.complete) {
      cut.waiting.add(holder);
      holder.cut = cut;
      this.#make(cut);
      // Held already, if it was completed by this.
      return cut.complete ? cut : undefined;
    }
    // Used last: the last to go.
    this.#newest.delete(cut.key);
    this.#newest.set(cut.key, cut);
    this.#hold(cut, holder);
    return cut;
  }

  /** Untouched by everything that was told, and nothing is applied that was not told. */
  #isCurrent(cut: Cut): boolean {
    const { revision } = this.#source.state().position;
    return cut.revision === revision || this.#source.served() === revision;
  }

  /** Whether changes will do, or can be made so, for who was told everything up to `coveredTo`. */
  #isUseful(cut: Cut, coveredTo: number): boolean {
    if (cut.complete) {
      // With half of the room taken, what is there has to do: whoever is sent it is further on in any case.
      const isPressed = this.#bytes + cut.bytes > this.#bounds.snapshotBytesMax / 2;
      return cut.reader.from <= coveredTo && coveredTo < cut.revision && (isPressed || this.#isFresh(cut));
    }
    if (!cut.begun && cut.reader instanceof ChangesReader) cut.reader.include(coveredTo);
    return cut.reader.from <= coveredTo;
  }

  #isFresh(cut: Cut): boolean {
    return this.#source.nowMs() - cut.finishedMs <= this.#bounds.changesReuseMs;
  }

  #make(cut: Cut): void {
    if (!cut.begun && !this.#begin(cut)) return;
    while (!cut.reader.done && !this.#work.done) {
      const before = cut.bytes;
      this.#work.spend(readWorkBytes + cut.reader.read(this.#source.state(), cut, this.#chunkBytesMax));
      this.#bytes += cut.bytes - before;
      if (!this.#hasRoom()) {
        this.#lose(cut);
        return;
      }
    }
    this.#finish(cut);
  }

  /** False: it is not the time yet, or it cannot be made. */
  #begin(cut: Cut): boolean {
    const { revision } = this.#source.state().position;
    // What is applied and not told is in no log yet.
    if (cut.reader.kind === 'changes' && this.#source.served() !== revision) return false;
    const before = cut.bytes;
    if (!cut.reader.begin()) {
      const waiting = takeWaiting(cut);
      this.#drop(cut);
      for (const holder of waiting) holder.cutReady();
      return false;
    }
    cut.begin(revision);
    this.#bytes += cut.bytes - before;
    return true;
  }

  #finish(cut: Cut): void {
    if (cut.complete || !cut.begun || !cut.reader.done) return;
    const { revision } = this.#source.state().position;
    // What was applied since the first read must have been told: the changes in between are put in place from there.
    if (revision !== cut.startRevision && this.#source.served() !== revision) return;
    const before = cut.bytes;
    cut.finish(revision, this.#source.nowMs());
    this.#bytes += cut.bytes - before;
    this.#cachedBytes += cut.bytes;
    this.#making.delete(cut);
    if (cut.reader.kind === 'changes' || this.#newest.get(cut.key) !== cut) this.#listening.delete(cut.subject, cut);
    // They hold it from now on: it may be out of date before their streams take it, and yet is one revision.
    for (const holder of takeWaiting(cut)) {
      this.#hold(cut, holder);
      holder.cutReady();
    }
  }

  #hold(cut: Cut, holder: CutHolder): void {
    if (isCached(cut)) this.#cachedBytes -= cut.bytes;
    this.#idleChanges.delete(cut);
    cut.holders.add(holder);
    holder.cut = cut;
    // A snapshot that nothing has touched shows the present revision as well.
    holder.cutTo = cut.reader.kind === 'all' ? this.#source.state().position.revision : cut.revision;
    holder.takenMs = this.#source.nowMs();
  }

  #hasRoom(): boolean {
    if (this.#bytes <= this.#bounds.snapshotBytesMax) return true;
    for (const cut of this.#newest.values()) if (isCached(cut)) this.#drop(cut);
    if (this.#bytes <= this.#bounds.snapshotBytesMax) return true;
    const stalledSinceMs = this.#source.nowMs() - this.#bounds.snapshotStallMs;
    for (const cut of this.#alive) {
      if (this.#bytes <= this.#bounds.snapshotBytesMax) return true;
      for (const holder of cut.holders) {
        if (holder.takenMs > stalledSinceMs) continue;
        this.release(holder);
        if (holder.partsTaken === 0) holder.cutReady();
        else holder.cutLost(`the batch was not read for ${this.#bounds.snapshotStallMs} ms and its room was needed`);
      }
    }
    return this.#bytes <= this.#bounds.snapshotBytesMax;
  }

  #lose(cut: Cut): void {
    const waiting = takeWaiting(cut);
    this.#drop(cut);
    const message = `snapshots and missed changes take more than ${this.#bounds.snapshotBytesMax} bytes on this member`;
    for (const holder of waiting) holder.cutLost(`${message}; try again later, or watch services one by one`);
  }

  /** It is sent, or made, to its end for those who have asked for it, and for nobody else. */
  #outdate(cut: Cut): void {
    if (this.#newest.get(cut.key) === cut) this.#newest.delete(cut.key);
    if (cut.complete) this.#listening.delete(cut.subject, cut);
    if (cut.holders.size === 0 && cut.waiting.size === 0) this.#drop(cut);
  }

  #drop(cut: Cut): void {
    assert(cut.holders.size === 0 && cut.waiting.size === 0, () => `cut of ${cut.key} dropped while it is used`);
    if (this.#newest.get(cut.key) === cut) this.#newest.delete(cut.key);
    if (!this.#alive.delete(cut)) return;
    this.#making.delete(cut);
    this.#listening.delete(cut.subject, cut);
    this.#idleChanges.delete(cut);
    this.#bytes -= cut.bytes;
    if (cut.complete) this.#cachedBytes -= cut.bytes;
  }

  #trimCache(): void {
    for (const cut of this.#newest.values()) {
      if (this.#cachedBytes <= this.#bounds.snapshotCacheBytesMax) return;
      if (isCached(cut)) this.#drop(cut);
    }
  }
}

/** Who waits, and from now on does not. */
function takeWaiting(cut: Cut): CutHolder[] {
  const waiting = [...cut.waiting];
  cut.waiting.clear();
  for (const holder of waiting) holder.cut = undefined;
  return waiting;
}

/** Complete, and sent to nobody: as soon as the last holder lets it go it is cached, or dropped. */
function isCached(cut: Cut): boolean {
  return cut.complete && cut.holders.size === 0;
}
