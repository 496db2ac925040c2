import { assert } from '../base/assert.ts';
import { invalidField, RollcallError } from '../base/errors.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { BatchHeader } from './batch-encoder.ts';
import { encodeBody, encodeEnded, encodeHead, envelopeBytesMax, joined } from './batch-encoder.ts';
import type { WatchBounds } from './bounds.ts';
import type { DeltaBatch } from './delta-batch.ts';
import { DeltaBuilder } from './delta-batch.ts';
import type { ProgressWheel } from './progress-wheel.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { TurnWork } from './turn-work.ts';
import type { WatchSink, WatchSpec, WatchStream } from './types.ts';
import type { WatchOwner } from './watch.ts';
import { Watch } from './watch.ts';
import type { WatchIndex } from './watch-index.ts';

/** What a stream uses of its hub. */
export interface HubParts {
  readonly bounds: WatchBounds;
  readonly index: WatchIndex<Watch>;
  readonly snapshots: SnapshotStore;
  readonly wheel: ProgressWheel<Watch>;
  readonly work: TurnWork;
  readonly counters: { resets: number; batches: number };
  state(): Registry;
  /** Up to where the hub was told the changes. */
  served(): number;
  nowMs(): number;
  header(linearizable: boolean): BatchHeader;
  /** Calls `pump` in a later turn. */
  later(stream: HubStream): void;
  closed(stream: HubStream): void;
  stopReason(): string | undefined;
}

/** What the smallest piece of work costs, in bytes: some microseconds. */
const pieceWorkBytes = 4 * 1024;
const errorMessageLengthMax = 1_024;
const empty = new Uint8Array(0);

/**
 * The watches of one client stream and what waits for its sink. Watches that have something to send take turns, one
 * response each; a watch's own batches stay in order.
 */
export class HubStream implements WatchStream, WatchOwner {
  readonly #hub: HubParts;
  readonly #sink: WatchSink;
  readonly #watches = new Map<number, Watch>();
  /** Watches with something queued or to be made, in the order of their turns. */
  readonly #ready = new Set<Watch>();
  #writable = true;
  #closed = false;
  #sending = false;
  #backlogBytes = 0;
  /** Ended watches whose last batch is not sent. */
  #endings = 0;
  #onEmpty: () => void = () => {};

  constructor(hub: HubParts, sink: WatchSink) {
    this.#hub = hub;
    this.#sink = sink;
  }

  get watches(): number {
    return this.#watches.size;
  }

  get endings(): number {
    return this.#endings;
  }

  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  has(watchId: number): boolean {
    return this.#watches.has(watchId);
  }

  onEmpty(listener: () => void): void {
    this.#onEmpty = listener;
  }

  create(spec: WatchSpec): void {
    const { watchId, resumeRevision } = spec;
    const stopReason = this.#hub.stopReason();
    if (stopReason !== undefined) throw new RollcallError('NOT_SERVING', stopReason, { retryAfterMs: 1_000 });
    if (this.#watches.has(watchId))
      throw invalidField('create.watch_id', `is ${watchId}, which is open on this stream`);
    const max = this.#hub.bounds.watchesPerStreamMax;
    if (this.#watches.size + this.#endings >= max) {
      const message = `${max} watches are open or their end is not read, the most of a stream; use another stream`;
      throw new RollcallError('OVERLOADED', message, { retryAfterMs: 1_000 });
    }
    const { revision } = this.#hub.state().position;
    if (resumeRevision > revision) {
      const message = `this member has applied revision ${revision}, not yet ${resumeRevision}`;
      throw new RollcallError('MEMBER_BEHIND', `${message}; ask again, or another member`, { retryAfterMs: 1_000 });
    }
    if (this.#closed) return;
    const watch = new Watch(spec, this);
    watch.sentMs = this.#hub.nowMs();
    this.#watches.set(watchId, watch);
    this.#ready.add(watch);
    this.pump();
  }

  cancel(watchId: number): void {
    const watch = this.#watches.get(watchId);
    if (watch === undefined) return;
    this.#end(watch, '', '');
    this.pump();
  }

  fail(watchId: number, reason: string, message: string): void {
    if (this.#closed) return;
    let watch = this.#watches.get(watchId);
    if (watch === undefined) {
      const max = this.#hub.bounds.endingsPerStreamMax;
      if (this.#endings >= max) {
        throw new RollcallError('OVERLOADED', `${max} answers of this stream are not read`, { retryAfterMs: 1_000 });
      }
      watch = new Watch(neverOpened(watchId), this);
    }
    this.#end(watch, reason, message);
    this.pump();
  }

  /** Ends all watches with the error. */
  failAll(reason: string, message: string): void {
    for (const watch of this.#watches.values()) this.#end(watch, reason, message);
    this.pump();
  }

  drained(): void {
    assert(!this.#sending, 'drained() called from inside send()');
    this.#writable = true;
    this.pump();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const watch of this.#watches.values()) {
      this.#forget(watch);
      watch.phase = 'ended';
    }
    this.#watches.clear();
    this.#ready.clear();
    this.#backlogBytes = 0;
    this.#endings = 0;
    this.#hub.closed(this);
  }

  watchReady(watch: Watch): void {
    if (watch.phase === 'ended') return;
    this.#ready.add(watch);
    this.#hub.later(this);
  }

  deliver(watch: Watch, batches: readonly DeltaBatch[]): void {
    for (const batch of batches) {
      if (watch.phase !== 'live') return;
      this.#deliverBatch(watch, batch);
    }
  }

  /** In place of deltas: what waits and is not begun is dropped, and a snapshot of a later revision follows. */
  reset(watch: Watch): void {
    assert(watch.phase === 'live' || watch.phase === 'catch-up', () => `reset of a watch in phase ${watch.phase}`);
    this.#hub.counters.resets++;
    this.#hub.index.remove(watch.key, watch);
    this.#hub.wheel.remove(watch);
    this.#backlogBytes -= watch.dropUnbegun();
    watch.phase = 'snapshot';
    watch.snapshotKind = 'reset';
    this.#ready.add(watch);
    if (this.#writable) this.#hub.later(this);
  }

  /** The state was replaced as of `revision`; up to `served` nothing was missed. */
  resetMissed(revision: number, served: number): void {
    for (const watch of this.#watches.values()) {
      if (watch.phase === 'live' && Math.max(watch.coveredTo, served) < revision) this.reset(watch);
    }
  }

  mark(watch: Watch): boolean {
    // Not behind what the client has not read: a mark says how fresh things are now.
    if (watch.phase === 'live' && this.#writable && !watch.queued) {
      const to = Math.max(watch.coveredTo, this.#hub.served());
      const body = encodeBody(to, empty, false, this.#hub.header(false));
      const head = encodeHead(watch.spec.watchId, 'progress', watch.sentTo);
      watch.sentTo = to;
      watch.coveredTo = to;
      this.#send(joined(head, body));
    }
    return watch.phase === 'live';
  }

  /** Sends what there is until the sink or this turn's work says stop. */
  pump(): void {
    while (this.#writable && !this.#closed && !this.#sending) {
      const [watch] = this.#ready;
      if (watch === undefined) return;
      if (!watch.queued && this.#hub.work.done) {
        this.#hub.later(this);
        return;
      }
      this.#ready.delete(watch);
      const response = this.#next(watch);
      // Behind the others that wait.
      if (watch.queued || (response !== undefined && isMaking(watch))) this.#ready.add(watch);
      if (response !== undefined) this.#send(response);
      if (watch.phase === 'ended' && !watch.queued) this.#ended();
    }
  }

  #deliverBatch(watch: Watch, batch: DeltaBatch): void {
    if (this.#backlogBytes + batch.bytes > this.#hub.bounds.backlogBytesMax) {
      this.reset(watch);
      return;
    }
    const responses = batch.responses(watch.spec.watchId, watch.sentTo);
    watch.sentTo = batch.to;
    watch.coveredTo = batch.to;
    watch.sentMs = this.#hub.nowMs();
    let sent = 0;
    if (!watch.queued) {
      for (const response of responses) {
        if (!this.#writable || this.#closed) break;
        this.#send(response);
        sent++;
      }
    }
    if (sent === responses.length || this.#closed) return;
    this.#backlogBytes += watch.enqueue(responses, sent);
    this.#ready.add(watch);
  }

  #send(response: Uint8Array): void {
    this.#sending = true;
    this.#hub.counters.batches++;
    if (!this.#sink.send(response)) this.#writable = false;
    this.#sending = false;
  }

  /** The watch's next response; undefined where there is none before something else happens. */
  #next(watch: Watch): Uint8Array | undefined {
    if (watch.queued) return this.#dequeue(watch);
    if (watch.lost !== undefined) {
      this.#end(watch, 'OVERLOADED', watch.lost);
      return undefined;
    }
    switch (watch.phase) {
      case 'snapshot':
        return this.#snapshotPart(watch);
      case 'catch-up':
        return this.#catchUp(watch);
      case 'live':
      case 'ended':
        return undefined;
    }
  }

  #dequeue(watch: Watch): Uint8Array {
    const response = watch.dequeue();
    this.#backlogBytes -= response.length;
    return response;
  }

  #snapshotPart(watch: Watch): Uint8Array | undefined {
    const { snapshots, work } = this.#hub;
    const { namespace, service, watchId, linearizable } = watch.spec;
    const cut = watch.cut ?? snapshots.acquire(namespace, service, watch, work);
    if (cut === undefined || !cut.complete) return undefined;
    const header = this.#hub.header(linearizable && watch.snapshotKind === 'snapshot');
    const response = cut.response(watch.cutPart, watchId, watch.snapshotKind, watch.cutTo, header);
    work.spend(Math.max(pieceWorkBytes, response.length));
    watch.cutPart++;
    watch.sentMs = watch.takenMs = this.#hub.nowMs();
    if (watch.cutPart < cut.segments) return response;
    watch.sentTo = watch.coveredTo = watch.cutTo;
    watch.cutPart = 0;
    snapshots.release(watch);
    // Changes that came while the parts were sent are in the history.
    watch.phase = 'catch-up';
    if (watch.coveredTo === this.#hub.state().position.revision || watch.spec.once) this.#goLive(watch);
    return response;
  }

  /** What changed behind the watch, out of the history; or a reset where that does not reach back so far. */
  #catchUp(watch: Watch): Uint8Array | undefined {
    const { bounds, work } = this.#hub;
    const { namespace, service, watchId } = watch.spec;
    const state = this.#hub.state();
    const { revision } = state.position;
    assert(watch.coveredTo <= revision, () => `watch at revision ${watch.coveredTo}, state at ${revision}`);
    const builder = new DeltaBuilder(bounds.partBytesMax - envelopeBytesMax);
    if (watch.coveredTo < revision) {
      if (watch.coveredTo < state.historyFloor) return this.#resetNow(watch);
      for (const event of state.changes(namespace, service, watch.coveredTo, revision)) {
        builder.add(event);
        if (builder.closed > 0) break;
      }
    }
    const header = this.#hub.header(false);
    const [batch] = builder.closed > 0 ? [builder.firstClosed(header)] : builder.finish(revision, header);
    work.spend(Math.max(pieceWorkBytes, batch?.bytes ?? 0));
    if (batch !== undefined && this.#backlogBytes + batch.bytes > bounds.backlogBytesMax) return this.#resetNow(watch);
    const from = watch.sentTo;
    watch.coveredTo = batch === undefined ? revision : batch.to;
    if (batch !== undefined) {
      watch.sentTo = batch.to;
      watch.sentMs = this.#hub.nowMs();
      this.#backlogBytes += watch.enqueue(batch.responses(watchId, from));
    }
    const response = watch.queued ? this.#dequeue(watch) : undefined;
    // Where parts of the batch are left they go first: with `once` the end is seen when it is asked again.
    if (watch.coveredTo === revision && !(watch.queued && watch.spec.once)) this.#goLive(watch);
    return response;
  }

  #resetNow(watch: Watch): Uint8Array | undefined {
    this.reset(watch);
    return this.#snapshotPart(watch);
  }

  /** From here on each turn's changes are delivered; or, with `once`, it was all. */
  #goLive(watch: Watch): void {
    if (watch.spec.once) {
      this.#end(watch, '', '');
      return;
    }
    watch.phase = 'live';
    this.#hub.index.add(watch.key, watch);
    this.#hub.wheel.add(watch);
  }

  #end(watch: Watch, reason: string, message: string): void {
    this.#forget(watch);
    this.#watches.delete(watch.spec.watchId);
    this.#backlogBytes -= watch.dropAll();
    watch.phase = 'ended';
    this.#endings++;
    const ended = encodeEnded(watch.spec.watchId, reason, message.slice(0, errorMessageLengthMax));
    this.#backlogBytes += watch.enqueue([ended]);
    this.#ready.add(watch);
  }

  /** Takes it out of everything that would wake it. */
  #forget(watch: Watch): void {
    this.#hub.index.remove(watch.key, watch);
    this.#hub.wheel.remove(watch);
    this.#hub.snapshots.release(watch);
  }

  #ended(): void {
    if (this.#closed) return;
    this.#endings--;
    if (this.#endings === 0 && this.#watches.size === 0) this.#onEmpty();
  }
}

/** It will be asked again: there is more to be made of the history or of the snapshot that it holds. */
function isMaking(watch: Watch): boolean {
  return watch.phase === 'snapshot' || watch.phase === 'catch-up';
}

/** For the ENDED batch of a watch that could not be opened. */
function neverOpened(watchId: number): WatchSpec {
  return {
    watchId,
    namespace: '',
    service: '',
    resumeRevision: 0,
    once: false,
    progressIntervalMs: 0,
    linearizable: false,
  };
}
