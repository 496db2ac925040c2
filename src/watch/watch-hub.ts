import { assert, assertEqual } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { ChangeEvent } from '../state-machine/types.ts';
import { BacklogRoom } from './backlog-room.ts';
import type { BatchHeader } from './batch-encoder.ts';
import { envelopeBytesMax } from './batch-encoder.ts';
import type { WatchBounds } from './bounds.ts';
import { watchBounds } from './bounds.ts';
import { ChangeLogs } from './change-logs.ts';
import type { Cut } from './cut.ts';
import { CutStore } from './cut-store.ts';
import type { DeltaBatch } from './delta-batch.ts';
import { DeltaBuilder } from './delta-batch.ts';
import type { HubParts, Pumped } from './hub-parts.ts';
import { ProgressWheel } from './progress-wheel.ts';
import { serviceKey } from './scope.ts';
import { TurnWork } from './turn-work.ts';
import type { WatchCounts, WatchSink, WatchStream, WatchTurn } from './types.ts';
import type { Watch } from './watch.ts';
import type { JudgedEvent, WatchGroup } from './watch-index.ts';
import { WatchIndex } from './watch-index.ts';
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
 * `applied`, and out of the state's history where it has to catch up. The changes of a turn are judged and encoded once
 * for all watches of one scope and filter. Of a reader that falls behind by more than its backlog only the position is
 * kept; when it reads again it is told each changed instance once, and nobody else notices.
 *
 * An event costs one look-up for its service and one for each length of a prefix that watches of its namespace have
 * (once a turn and service), and one judgement by each filter that the watches found there have.
 *
 * All methods are called on the loop that applies, none from inside WatchSink.send.
 */
export class WatchHub {
  readonly #options: WatchHubOptions;
  readonly #bounds: WatchBounds;
  readonly #index = new WatchIndex();
  readonly #streams = new Set<HubStream>();
  /** Streams that go on in a later turn, in the order of asking. */
  readonly #later = new Set<Pumped>();
  readonly #cuts: CutStore;
  readonly #logs: ChangeLogs;
  readonly #room: BacklogRoom;
  readonly #wheel: ProgressWheel<Watch>;
  readonly #work: TurnWork;
  readonly #counters = { resets: 0, batches: 0, coalesced: 0, behind: 0 };
  readonly #parts: HubParts;
  #served: number;
  #stopReason: string | undefined;
  #cutsFirst = false;

  constructor(options: WatchHubOptions) {
    const { clock, state } = options;
    this.#options = options;
    this.#bounds = { ...watchBounds, ...options.bounds };
    this.#served = state().position.revision;
    const served = (): number => this.#served;
    const nowMs = (): number => clock.monotonicMs();
    this.#wheel = new ProgressWheel(clock, (watch) => watch.owner.mark(watch));
    this.#work = new TurnWork(clock, this.#bounds.turnWorkBytesMax, () => this.#goOn());
    this.#cuts = new CutStore({ state, served, nowMs }, this.#work, this.#bounds);
    this.#logs = new ChangeLogs(this.#bounds.changedKeysBytesMax, this.#served);
    this.#room = new BacklogRoom(this.#bounds.backlogsBytesMax);

    this.#parts = {
      bounds: this.#bounds,
      index: this.#index,
      cuts: this.#cuts,
      logs: this.#logs,
      room: this.#room,
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
      stopReason: () => this.#stopReason,
    };
  }

  /** A client's stream. Close it when the client is gone. */
  open(sink: WatchSink): WatchStream {
    const stream: HubStream = new HubStream(this.#parts, sink, () => {
      this.#streams.delete(stream);
      this.#later.delete(stream);
    });
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
    const groups = this.#route(events, revision);
    this.#served = revision;
    this.#cuts.applied();
    for (const group of groups) this.#deliver(group, group.takePending());
    // Last, so that whoever fell behind in this turn has what it missed of it.
    this.#logs.note(events, revision);
  }

  /**
   * The state is another object, as of `revision`, and what changed in between was not told: each watch gets it out of
   * the new one's history, or a reset where that does not reach back so far.
   */
  replaced(revision: number): void {
    if (this.#stopReason !== undefined) return;
    assertEqual(revision, this.#options.state().position.revision, 'revision of the state that was put in place');
    const served = this.#served;
    assert(revision >= served, () => `state replaced as of revision ${revision} after ${served}`);
    this.#served = revision;
    this.#cuts.replaced();
    this.#logs.restart(revision);
    for (const stream of this.#streams) stream.missed(revision, served);
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
    return {
      streams: this.#streams.size,
      watches,
      backlogBytes,
      snapshotBytes: this.#cuts.bytes,
      changedKeysBytes: this.#logs.bytes,
      ...this.#counters,
    };
  }

  /**
   * The lowest revision that a watch which covers the service is known to have applied, by what its client
   * acknowledged: changes up to there it has seen, or they are not for it. A live watch that has acknowledged all that
   * it was sent has seen everything; one that acknowledges nothing stands at 0. Looks at each such watch.
   */
  acknowledged(namespace: string, service: string): { readonly watches: number; readonly revision: number } {
    let watches = 0;
    let revision = this.#served;
    for (const group of this.#index.of(namespace, service)) {
      for (const watch of group.members) {
        watches++;
        const isCurrent = watch.phase === 'live' && !watch.queued && watch.ackedTo >= watch.takenTo;
        if (!isCurrent) revision = Math.min(revision, watch.ackedTo);
      }
    }
    return { watches, revision };
  }

  /** Hands each event to the groups that it concerns; returns them. */
  #route(events: readonly ChangeEvent[], revision: number): Set<WatchGroup> {
    const touched = new Set<WatchGroup>();
    const routes = new Map<string, { readonly groups: readonly WatchGroup[]; readonly cuts: readonly Cut[] }>();
    for (const event of events) {
      assert(
        event.revision > this.#served && event.revision <= revision,
        () => `event of revision ${event.revision} in the turn (${this.#served}, ${revision}]`,
      );
      const { namespace, service } = event.name;
      const key = serviceKey(namespace, service);
      let route = routes.get(key);
      if (route === undefined) {
        const groups = this.#index.of(namespace, service).filter(({ live }) => live.size > 0);
        routes.set(key, (route = { groups, cuts: this.#cuts.listening(namespace, service) }));
      }
      for (const cut of route.cuts) this.#cuts.touched(cut, event);
      for (const group of route.groups) if (group.note(event)) touched.add(group);
    }
    return touched;
  }

  #deliver(group: WatchGroup, events: readonly JudgedEvent[]): void {
    const batches = this.#encode(events, this.#served);
    const firstRevision = events[0]?.event.revision ?? 0;
    for (const watch of group.live) {
      if (watch.coveredTo < firstRevision) watch.owner.deliver(watch, batches);
      else this.#deliverRest(watch, events);
    }
    for (const batch of batches) batch.forgetResponses();
  }

  /** For a watch that began when the state was ahead of the turns: what it has not seen. */
  #deliverRest(watch: Watch, events: readonly JudgedEvent[]): void {
    const rest = events.filter(({ event }) => event.revision > watch.coveredTo);
    if (rest.length > 0) watch.owner.deliver(watch, this.#encode(rest, this.#served));
  }

  #encode(events: readonly JudgedEvent[], to: number): DeltaBatch[] {
    const builder = new DeltaBuilder(this.#bounds.partBytesMax - envelopeBytesMax);
    for (const { event, kind } of events) builder.add(event, kind);
    return builder.finish(to, this.#header(false));
  }

  /** A later turn: with fresh work, what the last ones left. */
  #goOn(): void {
    if (this.#stopReason !== undefined) return;
    // By turns, so that neither starves the other.
    this.#cutsFirst = !this.#cutsFirst;
    if (this.#cutsFirst) this.#cuts.work();
    for (const stream of this.#later) {
      if (this.#work.done) break;
      this.#later.delete(stream);
      stream.pump();
    }
    if (!this.#work.done) this.#cuts.work();
    if (this.#later.size > 0) this.#work.wake();
  }

  #header(linearizable: boolean): BatchHeader {
    return { member: this.#options.memberId, linearizable, ageMs: linearizable ? 0 : this.#options.ageMs() };
  }
}
