import { assert, must } from '../base/assert.ts';
import type { BacklogRoom } from './backlog-room.ts';
import type { ChangeLog, LogUser } from './change-log.ts';
import type { Cut, CutHolder } from './cut.ts';
import type { DeltaBatch } from './delta-batch.ts';
import type { ProgressEntry } from './progress-wheel.ts';
import type { WatchSpec } from './types.ts';
import type { WatchGroup, WatchIndex } from './watch-index.ts';

/**
 * What a watch is doing. 'snapshot': it is to be sent everything. 'catch-up': what changed behind `coveredTo` comes out
 * of the history, or as coalesced changes. 'live': it is sent each turn's changes. 'ended': only its ENDED batch may be
 * left.
 */
export type WatchPhase = 'snapshot' | 'catch-up' | 'live' | 'ended';

/** The stream of a watch, as the watch and the hub use it. */
export interface WatchOwner {
  /** It has something to send. Only takes note of it. */
  watchReady(watch: Watch): void;
  /** A turn's changes for one live watch, in batches that others share. */
  deliver(watch: Watch, batches: readonly DeltaBatch[]): void;
  /** Its time for a progress mark. False: the watch has ended. */
  mark(watch: Watch): boolean;
}

/** Processed places of a queue that are kept before it is moved together. */
const emptyPlacesMax = 64;

/** One watch: where it stands, and the batches that wait for its stream's sink. */
export class Watch implements CutHolder, ProgressEntry, LogUser {
  readonly spec: WatchSpec;
  readonly group: WatchGroup;
  readonly owner: WatchOwner;
  readonly progressIntervalMs: number;
  phase: WatchPhase;
  /** The first snapshot, or one in place of deltas. */
  snapshotKind: 'snapshot' | 'reset' = 'snapshot';
  /** `to` of the batch that was sent or queued last: the next one's `from`. */
  sentTo: number;
  /**
   * Everything up to here is sent or queued, though there may have been nothing to say. Invariant: sentTo <=
   * coveredTo.
   */
  coveredTo: number;
  /** `to` of the last batch that the sink has taken as a whole. */
  takenTo: number;
  /** The client says that it has applied everything up to here; 0: it has said nothing. */
  ackedTo = 0;

  cut: Cut | undefined = undefined;
  partsTaken = 0;
  cutTo = 0;
  takenMs = 0;
  /** Why the cut that was being sent is gone. */
  lost: string | undefined = undefined;

  log: ChangeLog | undefined = undefined;
  neededFrom = 0;
  /** True from when batches were dropped because it did not read, until it is live again. */
  behind = false;
  /** What the log had noted, in bytes, where `coveredTo` stands. */
  logMark = 0;

  sentMs = 0;
  slot: number | undefined = undefined;

  readonly #room: BacklogRoom;
  #queue: DeltaBatch[] = [];
  /** Place of the first batch in the queue. */
  #first = 0;
  /** Its `from`; that of each other one is the `to` of the one before. */
  #firstFrom = 0;
  /** Of the first batch: parts that are sent already. */
  #partsSent = 0;
  #ending: Uint8Array | undefined;

  constructor(spec: WatchSpec, owner: WatchOwner, index: WatchIndex, room: BacklogRoom) {
    this.spec = spec;
    this.progressIntervalMs = spec.progressIntervalMs;
    this.phase = spec.resumeRevision === 0 ? 'snapshot' : 'catch-up';
    this.sentTo = spec.resumeRevision;
    this.coveredTo = spec.resumeRevision;
    this.takenTo = spec.resumeRevision;
    this.owner = owner;
    this.#room = room;
    this.group = index.join(this, spec, spec.matcher);
  }

  cutReady(): void {
    this.owner.watchReady(this);
  }

  cutLost(message: string): void {
    this.lost = message;
    this.owner.watchReady(this);
  }

  get queued(): boolean {
    return this.#first < this.#queue.length || this.#ending !== undefined;
  }

  /** Batches wait of which nothing is sent. */
  get hasUnbegun(): boolean {
    return this.#queue.length - this.#first > (this.#partsSent > 0 ? 1 : 0);
  }

  /** Queues what is left of a batch that begins at `from`; returns its bytes. */
  enqueue(batch: DeltaBatch, from: number, partsSent = 0): number {
    const isFirst = this.#first === this.#queue.length;
    assert(partsSent < batch.parts && (partsSent === 0 || isFirst), 'batch queued behind its own parts');
    if (isFirst) {
      this.#firstFrom = from;
      this.#partsSent = partsSent;
    }
    this.#queue.push(batch);
    this.#room.take(batch);
    return restBytes(batch, partsSent);
  }

  /** The last thing to be sent. */
  enqueueEnding(ended: Uint8Array): void {
    assert(!this.queued, 'end of a watch behind its batches');
    this.#ending = ended;
  }

  /** The next queued response, with the bytes that were counted for it. */
  dequeue(): { readonly response: Uint8Array; readonly bytes: number } {
    const ending = this.#ending;
    if (ending !== undefined) {
      this.#ending = undefined;
      return { response: ending, bytes: ending.length };
    }
    const batch = must(this.#queue[this.#first], 'queued batch');
    const response = batch.response(this.#partsSent, this.spec.watchId, this.#firstFrom);
    const bytes = batch.partBytes(this.#partsSent);
    this.#partsSent++;
    // It is begun: only what comes behind it may be told in another way.
    this.neededFrom = Math.max(this.neededFrom, batch.to);
    if (this.#partsSent === batch.parts) {
      this.takenTo = batch.to;
      this.#firstFrom = batch.to;
      this.#partsSent = 0;
      this.#first++;
      this.#room.giveBack(batch);
      this.#tidy();
    }
    return { response, bytes };
  }

  /**
   * Forgets the batches of which the client has seen nothing: it stands at the last one of which it has. Returns their
   * bytes.
   */
  dropUnbegun(): number {
    let at = this.#first;
    let from = this.#firstFrom;
    if (this.#partsSent > 0) from = must(this.#queue[at++], 'begun batch').to;
    const dropped = this.#queue.splice(at);
    let bytes = 0;
    for (const batch of dropped) {
      this.#room.giveBack(batch);
      bytes += batch.bytes;
    }
    if (dropped.length > 0) {
      this.sentTo = from;
      // Nothing for it has changed from there to where it began to need what comes later.
      this.coveredTo = Math.max(from, this.neededFrom);
    }
    return bytes;
  }

  /** Forgets also the rest of a batch that was begun: only an ENDED batch may follow. Returns the bytes. */
  dropAll(): number {
    const begun = this.#partsSent > 0 ? this.#queue[this.#first] : undefined;
    let bytes = begun === undefined ? 0 : restBytes(begun, this.#partsSent);
    for (const batch of this.#queue.slice(this.#first)) {
      this.#room.giveBack(batch);
      if (batch !== begun) bytes += batch.bytes;
    }
    bytes += this.#ending?.length ?? 0;
    this.#queue = [];
    this.#first = this.#partsSent = 0;
    this.#ending = undefined;
    return bytes;
  }

  #tidy(): void {
    if (this.#first < emptyPlacesMax && this.#first < this.#queue.length) return;
    if (this.#first * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#first);
    this.#first = 0;
  }
}

function restBytes(batch: DeltaBatch, partsSent: number): number {
  let bytes = 0;
  for (let part = partsSent; part < batch.parts; part++) bytes += batch.partBytes(part);
  return bytes;
}
