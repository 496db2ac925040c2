import { assert } from '../base/assert.ts';
import { invalidField, RollcallError } from '../base/errors.ts';
import { matchAll } from '../filter/compile-filter.ts';
import { encodeBody, encodeEnded, encodeHead, joined } from './batch-encoder.ts';
import type { CatchUpHost } from './catch-up.ts';
import { CatchUp } from './catch-up.ts';
import type { DeltaBatch } from './delta-batch.ts';
import type { HubParts } from './hub-parts.ts';
import type { WatchSink, WatchSpec, WatchStream } from './types.ts';
import type { WatchOwner } from './watch.ts';
import { Watch } from './watch.ts';

const errorMessageLengthMax = 1_024;
const empty = new Uint8Array(0);

/**
 * The watches of one client stream and what waits for its sink. Watches that have something to send take turns, one
 * response each; a watch's own batches stay in order.
 */
export class HubStream implements WatchStream, WatchOwner, CatchUpHost {
  readonly #hub: HubParts;
  readonly #catchUp: CatchUp;
  readonly #sink: WatchSink;
  readonly #onClose: () => void;
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

  constructor(hub: HubParts, sink: WatchSink, onClose: () => void) {
    this.#hub = hub;
    this.#catchUp = new CatchUp(hub, this);
    this.#sink = sink;
    this.#onClose = onClose;
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
    const watch = new Watch(spec, this, this.#hub.index, this.#hub.room);
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

  ack(watchId: number, revision: number): void {
    const watch = this.#watches.get(watchId);
    if (watch === undefined) return;
    if (revision > watch.takenTo) {
      throw invalidField('ack.revision', `is ${revision}, and the watch was sent up to ${watch.takenTo} only`);
    }
    watch.ackedTo = Math.max(watch.ackedTo, revision);
  }

  fail(watchId: number, reason: string, message: string): void {
    if (this.#closed) return;
    let watch = this.#watches.get(watchId);
    if (watch === undefined) {
      const max = this.#hub.bounds.endingsPerStreamMax;
      if (this.#endings >= max) {
        throw new RollcallError('OVERLOADED', `${max} answers of this stream are not read`, { retryAfterMs: 1_000 });
      }
      watch = new Watch(neverOpened(watchId), this, this.#hub.index, this.#hub.room);
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
      watch.dropAll();
      watch.phase = 'ended';
    }
    this.#watches.clear();
    this.#ready.clear();
    this.#backlogBytes = 0;
    this.#endings = 0;
    this.#onClose();
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

  /** In place of what it missed: a snapshot of a later revision. */
  reset(watch: Watch): void {
    assert(watch.phase === 'catch-up' && !watch.queued, () => `reset of a watch in phase ${watch.phase}`);
    this.#hub.counters.resets++;
    watch.phase = 'snapshot';
    watch.snapshotKind = 'reset';
  }

  /** The state was replaced as of `revision`; everything up to `served` was told. */
  missed(revision: number, served: number): void {
    for (const watch of this.#watches.values()) {
      if (watch.phase !== 'live') continue;
      watch.coveredTo = Math.max(watch.coveredTo, served);
      if (watch.coveredTo < revision) this.#leaveLive(watch);
    }
  }

  mark(watch: Watch): boolean {
    // Not behind what the client has not read: a mark says how fresh things are now.
    if (watch.phase === 'live' && this.#writable && !watch.queued) {
      const to = Math.max(watch.coveredTo, this.#hub.served());
      const body = encodeBody(to, empty, { more: false }, this.#hub.header(false));
      const head = encodeHead(watch.spec.watchId, 'progress', watch.sentTo);
      watch.sentTo = watch.coveredTo = watch.takenTo = to;
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
      if (hasMore(watch)) this.#ready.add(watch);
      if (response !== undefined) this.#send(response);
      if (watch.phase === 'ended' && !watch.queued) this.#ended();
    }
  }

  #deliverBatch(watch: Watch, batch: DeltaBatch): void {
    const { logs } = this.#hub;
    const direct = this.#writable && !watch.queued;
    if (!(direct && batch.parts === 1) && !this.#hasRoom(batch, batch.bytes)) {
      this.#fallBehind(watch);
      return;
    }
    const from = watch.sentTo;
    const coveredBefore = watch.coveredTo;
    watch.sentTo = watch.coveredTo = batch.to;
    watch.sentMs = this.#hub.nowMs();
    let sent = 0;
    if (direct) {
      for (const response of batch.responses(watch.spec.watchId, from)) {
        if (!this.#writable || this.#closed) break;
        this.#send(response);
        sent++;
      }
    }
    if (this.#closed) return;
    if (sent === batch.parts) {
      watch.takenTo = batch.to;
      return;
    }
    if (!watch.hasUnbegun) {
      // From here on it may come to need what changed since.
      const told = sent > 0 ? batch.to : Math.max(coveredBefore, logs.notedTo);
      watch.neededFrom = Math.max(watch.neededFrom, told);
      logs.need(watch, watch.spec);
    }
    this.#backlogBytes += watch.enqueue(batch, from, sent);
    this.#ready.add(watch);
  }

  /** Batches that wait and are not begun are dropped; only where it stands is kept until its client reads again. */
  #fallBehind(watch: Watch): void {
    const { logs } = this.#hub;
    if (!watch.hasUnbegun) {
      watch.coveredTo = Math.max(watch.coveredTo, logs.notedTo);
      watch.neededFrom = Math.max(watch.neededFrom, watch.coveredTo);
    }
    const log = logs.need(watch, watch.spec);
    const dropped = watch.dropUnbegun();
    this.#backlogBytes -= dropped;
    watch.logMark = log.noted - dropped;
    watch.behind = true;
    this.#hub.counters.behind++;
    this.#leaveLive(watch);
  }

  #leaveLive(watch: Watch): void {
    watch.group.live.delete(watch);
    this.#hub.wheel.remove(watch);
    watch.phase = 'catch-up';
    this.#ready.add(watch);
    if (this.#writable) this.#hub.later(this);
  }

  queueRest(watch: Watch, batch: DeltaBatch, from: number, anyway: boolean): boolean {
    const bytes = batch.bytes - batch.partBytes(0);
    const fits = anyway ? this.#backlogBytes + bytes <= this.#hub.bounds.backlogBytesMax : this.#hasRoom(batch, bytes);
    if (!fits) return false;
    this.#backlogBytes += watch.enqueue(batch, from, 1);
    return true;
  }

  #hasRoom(batch: DeltaBatch, bytes: number): boolean {
    return this.#backlogBytes + bytes <= this.#hub.bounds.backlogBytesMax && this.#hub.room.hasRoom(batch);
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
      case 'catch-up':
        return this.#catchUp.next(watch);
      case 'live':
      case 'ended':
        return undefined;
    }
  }

  #dequeue(watch: Watch): Uint8Array {
    const { response, bytes } = watch.dequeue();
    this.#backlogBytes -= bytes;
    if (watch.phase === 'live' && !watch.hasUnbegun) this.#hub.logs.release(watch);
    return response;
  }

  /** From here on each turn's changes are delivered; or, with `once`, it was all. */
  goLive(watch: Watch): void {
    if (watch.spec.once) {
      this.#end(watch, '', '');
      return;
    }
    watch.phase = 'live';
    this.#notBehind(watch);
    // What is left of a batch that was begun cannot be told in another way.
    this.#hub.logs.release(watch);
    watch.group.live.add(watch);
    this.#hub.wheel.add(watch);
  }

  #notBehind(watch: Watch): void {
    if (watch.behind) this.#hub.counters.behind--;
    watch.behind = false;
  }

  #end(watch: Watch, reason: string, message: string): void {
    this.#forget(watch);
    this.#watches.delete(watch.spec.watchId);
    this.#backlogBytes -= watch.dropAll();
    watch.phase = 'ended';
    this.#endings++;
    const ended = encodeEnded(watch.spec.watchId, reason, message.slice(0, errorMessageLengthMax));
    watch.enqueueEnding(ended);
    this.#backlogBytes += ended.length;
    this.#ready.add(watch);
  }

  /** Takes it out of everything that would wake it. */
  #forget(watch: Watch): void {
    this.#hub.index.leave(watch, watch.group);
    this.#hub.wheel.remove(watch);
    this.#hub.cuts.release(watch);
    this.#hub.logs.release(watch);
    this.#notBehind(watch);
  }

  #ended(): void {
    if (this.#closed) return;
    this.#endings--;
    if (this.#endings === 0 && this.#watches.size === 0) this.#onEmpty();
  }
}

/** It can go on at once: not where it is live, or waits for a cut that is being made. */
function hasMore(watch: Watch): boolean {
  if (watch.queued) return true;
  if (watch.phase === 'ended' || watch.phase === 'live') return false;
  return watch.lost !== undefined || watch.cut?.complete !== false;
}

/** For the ENDED batch of a watch that could not be opened. */
function neverOpened(watchId: number): WatchSpec {
  return {
    watchId,
    namespace: '',
    service: '',
    servicePrefix: '',
    matcher: matchAll,
    resumeRevision: 0,
    once: false,
    progressIntervalMs: 0,
    linearizable: false,
  };
}
