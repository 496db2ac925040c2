import { assert } from '../base/assert.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { ChangeEvent } from '../state-machine/types.ts';
import { envelopeBytesMax } from './batch-encoder.ts';
import type { WatchBounds } from './bounds.ts';
import type { CutHolder } from './snapshot-cut.ts';
import { SnapshotCut } from './snapshot-cut.ts';
import type { TurnWork } from './turn-work.ts';
import { watchKey } from './watch-index.ts';

/** Read from the state at a time. */
const chunkCountMax = 256;
const servicesAtOnceMax = 64;
/** What an empty read costs, in bytes of work. */
const readWorkBytes = 1_024;

/** What the store needs of the hub. */
export interface SnapshotSource {
  /** May be another object after the state was replaced. */
  state(): Registry;
  /** The revision up to which the hub was told the changes. */
  served(): number;
  nowMs(): number;
}

/**
 * The snapshots that watches are sent, one for all watches of the same service at the same time. A snapshot is a copy
 * of encoded bytes: the state goes on while slow readers take part after part of one revision.
 *
 * Bounded by `snapshotBytesMax` over all. When that is reached, what is only cached goes first, then what readers have
 * not touched for `snapshotStallMs`; if that is not enough, those who wait for the new one are told cutLost.
 */
export class SnapshotStore {
  readonly #source: SnapshotSource;
  readonly #bounds: WatchBounds;
  readonly #chunkBytesMax: number;
  /** The newest of each key, complete or being made. The order is that of use: the first is the first to go. */
  readonly #newest = new Map<string, SnapshotCut>();
  /** Everything that takes room: also those that are out of date and still sent to somebody. */
  readonly #alive = new Set<SnapshotCut>();
  readonly #making = new Set<SnapshotCut>();
  /** Of all that are alive. */
  #bytes = 0;
  /** Of those that are complete and sent to nobody. */
  #cachedBytes = 0;

  constructor(source: SnapshotSource, bounds: WatchBounds) {
    this.#source = source;
    this.#bounds = bounds;
    this.#chunkBytesMax = Math.ceil(bounds.partBytesMax / 4);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing is being made, sent or kept; for tests and after everything has ended. */
  get empty(): boolean {
    return this.#alive.size === 0;
  }

  /** Snapshots that are not complete yet. */
  get making(): number {
    return this.#making.size;
  }

  /**
   * A complete snapshot that shows the state as applied now; the holder must release it. Undefined while it is being
   * made: cutReady or cutLost is called, the latter perhaps before this returns.
   */
  acquire(namespace: string, service: string, holder: CutHolder, work: TurnWork): SnapshotCut | undefined {
    assert(holder.cut === undefined, 'snapshot asked for by who has one');
    const key = watchKey(namespace, service);
    let cut = this.#newest.get(key);
    if (cut?.complete === true && !this.#isCurrent(cut)) {
      this.#outdate(cut);
      cut = undefined;
    }
    cut ??= this.#begin(key, namespace, service);
    if (!cut.complete) {
      cut.waiting.add(holder);
      holder.cut = cut;
      this.#make(cut, work);
      return cut.complete ? cut : undefined;
    }
    // Used last: the last to go.
    this.#newest.delete(key);
    this.#newest.set(key, cut);
    this.#hold(cut, holder, this.#source.state().position.revision);
    return cut;
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
    if (cut.complete && this.#newest.get(cut.key) === cut) this.#trimCache();
    else this.#drop(cut);
  }

  /** One change that the hub is told of; to be called for the service's key and for the namespace's. */
  touched(key: string, event: ChangeEvent): void {
    const cut = this.#newest.get(key);
    if (cut === undefined) return;
    if (cut.complete) this.#outdate(cut);
    else cut.fix(event);
  }

  /** After the changes of a turn: what was read to its end is now complete. */
  applied(): void {
    for (const cut of this.#making) this.#finish(cut);
  }

  /** The state is another object: what is being made begins anew, what is complete is sent to its end. */
  replaced(): void {
    for (const cut of this.#newest.values()) {
      const waiting = takeWaiting(cut);
      this.#outdate(cut);
      for (const holder of waiting) holder.cutReady();
    }
  }

  /** Goes on with what is being made, as far as this turn's work goes. */
  work(work: TurnWork): void {
    for (const cut of this.#making) {
      if (work.done) return;
      this.#make(cut, work);
    }
  }

  #begin(key: string, namespace: string, service: string): SnapshotCut {
    const segmentBytesMax = this.#bounds.partBytesMax - envelopeBytesMax;
    const revision = this.#source.state().position.revision;
    const cut = new SnapshotCut(key, namespace, service, revision, segmentBytesMax);
    this.#newest.set(key, cut);
    this.#alive.add(cut);
    this.#making.add(cut);
    this.#bytes += cut.bytes;
    return cut;
  }

  /** Untouched by everything that was told, and nothing is applied that was not told. */
  #isCurrent(cut: SnapshotCut): boolean {
    const { revision } = this.#source.state().position;
    return cut.revision === revision || this.#source.served() === revision;
  }

  #make(cut: SnapshotCut, work: TurnWork): void {
    while (!cut.cursor.done && !work.done) {
      const before = cut.bytes;
      if (cut.service === '') this.#readNamespace(cut);
      else this.#readService(cut, cut.service);
      work.spend(readWorkBytes + cut.bytes - before);
      this.#bytes += cut.bytes - before;
      if (!this.#hasRoom()) {
        this.#lose(cut);
        return;
      }
    }
    this.#finish(cut);
  }

  /** One chunk of instances; true once the service is read to its end. */
  #readService(cut: SnapshotCut, service: string): boolean {
    const state = this.#source.state();
    const { views, lastId, more } = state.views(
      cut.namespace,
      service,
      cut.cursor.id,
      chunkCountMax,
      this.#chunkBytesMax,
    );
    for (const view of views) cut.add(view);
    cut.cursor.id = lastId;
    if (!more && cut.service !== '') cut.cursor.done = true;
    return !more;
  }

  /** The service begun, to its end, or some services after it. */
  #readNamespace(cut: SnapshotCut): void {
    const { cursor } = cut;
    if (cursor.id !== '') {
      if (this.#readService(cut, cursor.service)) cursor.id = '';
      return;
    }
    const { services, more } = this.#source.state().services(cut.namespace, '', cursor.service, servicesAtOnceMax);
    const before = cut.bytes;
    for (const { service } of services) {
      cursor.service = service;
      if (!this.#readService(cut, service)) return;
      cursor.id = '';
      if (cut.bytes - before >= this.#chunkBytesMax) return;
    }
    if (!more) cursor.done = true;
  }

  #finish(cut: SnapshotCut): void {
    if (cut.complete || !cut.cursor.done) return;
    const { revision } = this.#source.state().position;
    // What was applied since the first read must have been told: the changes in between are put in place from there.
    if (revision !== cut.startRevision && this.#source.served() !== revision) return;
    const before = cut.bytes;
    cut.finish(revision);
    this.#bytes += cut.bytes - before;
    this.#cachedBytes += cut.bytes;
    this.#making.delete(cut);
    // They hold it from now on: it may be out of date before their streams take it, and yet is one revision.
    for (const holder of takeWaiting(cut)) {
      this.#hold(cut, holder, revision);
      holder.cutReady();
    }
  }

  #hold(cut: SnapshotCut, holder: CutHolder, to: number): void {
    if (isCached(cut)) this.#cachedBytes -= cut.bytes;
    cut.holders.add(holder);
    holder.cut = cut;
    holder.cutTo = to;
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
        if (holder.cutPart === 0) holder.cutReady();
        else holder.cutLost(`the snapshot was not read for ${this.#bounds.snapshotStallMs} ms and its room was needed`);
      }
    }
    return this.#bytes <= this.#bounds.snapshotBytesMax;
  }

  #lose(cut: SnapshotCut): void {
    const waiting = takeWaiting(cut);
    this.#drop(cut);
    const message = `snapshots take more than ${this.#bounds.snapshotBytesMax} bytes on this member`;
    for (const holder of waiting) holder.cutLost(`${message}; try again later, or watch services one by one`);
  }

  #outdate(cut: SnapshotCut): void {
    this.#newest.delete(cut.key);
    if (cut.holders.size === 0) this.#drop(cut);
  }

  #drop(cut: SnapshotCut): void {
    assert(cut.holders.size === 0 && cut.waiting.size === 0, () => `snapshot of ${cut.key} dropped while it is used`);
    if (this.#newest.get(cut.key) === cut) this.#newest.delete(cut.key);
    if (!this.#alive.delete(cut)) return;
    this.#making.delete(cut);
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
function takeWaiting(cut: SnapshotCut): CutHolder[] {
  const waiting = [...cut.waiting];
  cut.waiting.clear();
  for (const holder of waiting) holder.cut = undefined;
  return waiting;
}

/** Complete, and sent to nobody: as soon as the last holder lets it go it is cached, or dropped. */
function isCached(cut: SnapshotCut): boolean {
  return cut.complete && cut.holders.size === 0;
}
