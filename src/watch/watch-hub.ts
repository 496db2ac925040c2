import { assert, assertEqual } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { ChangeEvent } from '../state-machine/types.ts';
import type { BatchHeader } from './batch-encoder.ts';
import { envelopeBytesMax } from './batch-encoder.ts';
import type { WatchBounds } from './bounds.ts';
import { watchBounds } from './bounds.ts';
import { DeltaBuilder } from './delta-batch.ts';
import { ProgressWheel } from './progress-wheel.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { TurnWork } from './turn-work.ts';
import type { WatchCounts, WatchSink, WatchStream, WatchTurn } from './types.ts';
import type { Watch } from './watch.ts';
import { WatchIndex, watchKey } from './watch-index.ts';
import type { HubParts } from './watch-stream.ts';
import { HubStream } from './watch-stream.ts';

export interface WatchHubOptions {
  /** The applied state; may be another object after `replaced`. */
  readonly state: () => Registry;
  readonly clock: Clock;
  readonly memberId: string;
  /** How old what is applied may be. */
  readonly ageMs: () => number;
  readonly bounds?: Partial<WatchBounds>;
}

/**
 * Tells watchers what changed. A watch gets a snapshot, then batches (from, to] without gap or repeat: live from
 * `applied`, and out of the state's history where it has to catch up. Changes of one service and turn are encoded once
 * for all its watches. A reader that falls behind by more than its backlog gets a reset, and nobody else notices.
 *
 * All methods are called on the loop that applies, none from inside WatchSink.send.
 */
export class WatchHub {
  readonly #options: WatchHubOptions;
  readonly #bounds: WatchBounds;
  readonly #index = new WatchIndex<Watch>();
  readonly #streams = new Set<HubStream>();
  /** Streams that go on in a later turn, in the order of asking. */
  readonly #later = new Set<HubStream>();
  readonly #snapshots: SnapshotStore;
  readonly #wheel: ProgressWheel<Watch>;
  readonly #work: TurnWork;
  readonly #counters = { resets: 0, batches: 0 };
  readonly #parts: HubParts;
  #served: number;
  #stopReason: string | undefined;
  #snapshotsFirst = false;

  constructor(options: WatchHubOptions) {
    const { clock, state } = options;
    this.#options = options;
    this.#bounds = { ...watchBounds, ...options.bounds };
    this.#served = state().position.revision;
    const served = (): number => this.#served;
    const nowMs = (): number => clock.monotonicMs();
    this.#snapshots = new SnapshotStore({ state, served, nowMs }, this.#bounds);
    this.#wheel = new ProgressWheel(clock, (watch) => watch.owner.mark(watch));
    this.#work = new TurnWork(clock, this.#bounds.turnWorkBytesMax, () => this.#goOn());

    this.#parts = {
      bounds: this.#bounds,
      index: this.#index,
      snapshots: this.#snapshots,
      wheel: this.#wheel,
      work: this.#work,
      counters: this.#counters,
      state,
      served,
      nowMs,
      header: (linearizable) => this.#header(linearizable),
      later: (stream) => {
        this.#later.add(stream);
        this.#work.wake();
      },
      closed: (stream) => {
        this.#streams.delete(stream);
        this.#later.delete(stream);
      },
      stopReason: () => this.#stopReason,
    };
  }

  /** A client's stream. Close it when the client is gone. */
  open(sink: WatchSink): WatchStream {
    const stream = new HubStream(this.#parts, sink);
    this.#streams.add(stream);
    return stream;
  }

  /**
   * What the turn has changed: everything between the revision told last and this one. The state may be ahead of it by
   * changes that the next turn tells.
   */
  applied(turn: WatchTurn): void {
    if (this.#stopReason !== undefined) return;
    const { events, revision } = turn;
    assert(revision >= this.#served, () => `turn of revision ${revision} after ${this.#served}`);
    const groups = new Map<string, ChangeEvent[]>();
    for (const event of events) {
      assert(
        event.revision > this.#served && event.revision <= revision,
        () => `event of revision ${event.revision} in the turn (${this.#served}, ${revision}]`,
      );
      const { namespace, service } = event.name;
      this.#touch(groups, watchKey(namespace, service), event);
      this.#touch(groups, watchKey(namespace, ''), event);
    }
    this.#served = revision;
    this.#snapshots.applied();
    for (const [key, group] of groups) this.#deliver(key, group);
  }

  /**
   * The state is another object, as of `revision`, and what changed in between was not told: each watch gets a reset,
   * save where nothing can have been missed.
   */
  replaced(revision: number): void {
    if (this.#stopReason !== undefined) return;
    assertEqual(revision, this.#options.state().position.revision, 'revision of the state that was put in place');
    const served = this.#served;
    assert(revision >= served, () => `state replaced as of revision ${revision} after ${served}`);
    this.#served = revision;
    this.#snapshots.replaced();
    for (const stream of this.#streams) stream.resetMissed(revision, served);
  }

  /** Ends all watches with NOT_SERVING, and refuses further ones. */
  stop(reason: string): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    for (const stream of this.#streams) stream.failAll('NOT_SERVING', reason);
    this.#work.stop();
  }

  counts(): WatchCounts {
    let watches = 0;
    let backlogBytes = 0;
    for (const stream of this.#streams) {
      watches += stream.watches;
      backlogBytes += stream.backlogBytes;
    }
    const { resets, batches } = this.#counters;
    const snapshotBytes = this.#snapshots.bytes;
    return { streams: this.#streams.size, watches, backlogBytes, snapshotBytes, resets, batches };
  }

  #touch(groups: Map<string, ChangeEvent[]>, key: string, event: ChangeEvent): void {
    this.#snapshots.touched(key, event);
    if (!this.#index.has(key)) return;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [event]);
    else group.push(event);
  }

  #deliver(key: string, events: readonly ChangeEvent[]): void {
    const batches = this.#encode(events, this.#served);
    const firstRevision = events[0]?.revision ?? 0;
    for (const watch of this.#index.get(key) ?? []) {
      if (watch.coveredTo < firstRevision) watch.owner.deliver(watch, batches);
      else this.#deliverRest(watch, events);
    }
  }

  /** For a watch that began when the state was ahead of the turns: what it has not seen. */
  #deliverRest(watch: Watch, events: readonly ChangeEvent[]): void {
    const rest = events.filter((event) => event.revision > watch.coveredTo);
    if (rest.length > 0) watch.owner.deliver(watch, this.#encode(rest, this.#served));
  }

  #encode(events: readonly ChangeEvent[], to: number): ReturnType<DeltaBuilder['finish']> {
    const builder = new DeltaBuilder(this.#bounds.partBytesMax - envelopeBytesMax);
    for (const event of events) builder.add(event);
    return builder.finish(to, this.#header(false));
  }

  /** A later turn: with fresh work, what the last ones left. */
  #goOn(): void {
    if (this.#stopReason !== undefined) return;
    // By turns, so that neither starves the other.
    this.#snapshotsFirst = !this.#snapshotsFirst;
    if (this.#snapshotsFirst) this.#snapshots.work(this.#work);
    for (const stream of this.#later) {
      if (this.#work.done) break;
      this.#later.delete(stream);
      stream.pump();
    }
    if (!this.#work.done) this.#snapshots.work(this.#work);
    if (this.#later.size > 0) this.#work.wake();
  }

  #header(linearizable: boolean): BatchHeader {
    return { member: this.#options.memberId, linearizable, ageMs: linearizable ? 0 : this.#options.ageMs() };
  }
}
