import { assert, must } from '../base/assert.ts';
import type { DeltaBatch, Responses } from './delta-batch.ts';
import type { ProgressEntry } from './progress-wheel.ts';
import type { CutHolder, SnapshotCut } from './snapshot-cut.ts';
import type { WatchSpec } from './types.ts';
import { watchKey } from './watch-index.ts';

/**
 * What a watch is doing. 'snapshot': it is to be sent everything. 'catch-up': what changed behind `coveredTo` comes out
 * of the history. 'live': it is in the index and is sent each turn's changes. 'ended': only its ENDED batch may be
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

/** One watch: where it stands, and the batches that wait for its stream's sink. */
export class Watch implements CutHolder, ProgressEntry {
  readonly spec: WatchSpec;
  readonly key: string;
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

  cut: SnapshotCut | undefined = undefined;
  cutPart = 0;
  cutTo = 0;
  takenMs = 0;
  /** Why the snapshot that was being sent is gone. */
  lost: string | undefined = undefined;

  sentMs = 0;
  slot: number | undefined = undefined;

  #queue: Responses[] = [];
  /** Of the first batch in the queue: parts that are sent already. */
  #partsSent = 0;
  #queuedBytes = 0;

  constructor(spec: WatchSpec, owner: WatchOwner) {
    this.spec = spec;
    this.key = watchKey(spec.namespace, spec.service);
    this.progressIntervalMs = spec.progressIntervalMs;
    this.phase = spec.resumeRevision === 0 ? 'snapshot' : 'catch-up';
    this.sentTo = spec.resumeRevision;
    this.coveredTo = spec.resumeRevision;
    this.owner = owner;
  }

  cutReady(): void {
    this.owner.watchReady(this);
  }

  cutLost(message: string): void {
    this.lost = message;
    this.owner.watchReady(this);
  }

  get queued(): boolean {
    return this.#queue.length > 0;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  enqueue(batch: Responses, partsSent = 0): number {
    assert(partsSent < batch.length && (partsSent === 0 || !this.queued), 'batch queued behind its own parts');
    if (!this.queued) this.#partsSent = partsSent;
    this.#queue.push(batch);
    const bytes = bytesOf(batch.slice(partsSent));
    this.#queuedBytes += bytes;
    return bytes;
  }

  /** The next queued response. */
  dequeue(): Uint8Array {
    const batch = must(this.#queue[0], 'queued batch');
    const response = must(batch[this.#partsSent], 'part of a queued batch');
    this.#partsSent++;
    if (this.#partsSent === batch.length) {
      this.#queue.shift();
      this.#partsSent = 0;
    }
    this.#queuedBytes -= response.length;
    return response;
  }

  /** Forgets the batches of which the client has seen nothing; returns their bytes. */
  dropUnbegun(): number {
    const begun = this.#partsSent > 0 ? this.#queue[0] : undefined;
    const before = this.#queuedBytes;
    this.#queue = begun === undefined ? [] : [begun];
    this.#queuedBytes = begun === undefined ? 0 : bytesOf(begun.slice(this.#partsSent));
    return before - this.#queuedBytes;
  }

  /** Forgets also the rest of a batch that was begun: only an ENDED batch may follow. Returns the bytes. */
  dropAll(): number {
    const bytes = this.#queuedBytes;
    this.#queue = [];
    this.#partsSent = 0;
    this.#queuedBytes = 0;
    return bytes;
  }
}

function bytesOf(responses: Responses): number {
  let bytes = 0;
  for (const response of responses) bytes += response.length;
  return bytes;
}
