import type { Clock, Timer } from '../base/clock.ts';
import { rollcall } from '../gen/rollcall.js';
import { applyBatch, BatchQueue } from './batch-queue.ts';
import { ClientError, tellsMore } from './client-error.ts';
import { defaultNamespace, fromEvent, fromHeader, toConsistency, toFilter } from './convert.ts';
import { clientLimits } from './limits.ts';
import type { Instance, WatchBatch, WatchEvent, WatchOptions } from './types.ts';

const kinds = rollcall.v1.WatchBatchKind;

/** What a watch asks of the stream that feeds it. */
export interface WatchFeed {
  /** Send nothing more. */
  remove(watch: Watch): void;
  /** Begin anew at the watch's `resumeRevision`. */
  restart(watch: Watch): void;
  /** There may be more to acknowledge: `takeAck` tells. */
  applied(watch: Watch): void;
}

/** What a response meant for the stream: go on; this watch is over; or it must be asked for again. */
export type Accepted = 'taken' | 'ended' | ClientError;

type Waiter = {
  readonly resolve: (result: IteratorResult<WatchBatch, undefined>) => void;
  readonly reject: (error: ClientError) => void;
};

/**
 * One watch, read by one `for await` loop. Every batch is delivered once and in order, across broken streams and
 * changed members; a reader that is too slow gets a `reset` instead of the steps that it missed. Ending the loop closes
 * the watch. `next()` rejects once with ClientError where the watch cannot go on.
 */
export class Watch implements AsyncIterableIterator<WatchBatch, undefined> {
  readonly #options: WatchOptions;
  readonly #feed: WatchFeed;
  readonly #queue: BatchQueue;
  /** What the reader holds: as of the batch it was given last. */
  readonly #instances = new Map<string, Instance>();
  #deliveredTo: number;
  /** The reader is done with everything up to here: it has come back for more. */
  #appliedTo = 0;
  #ackedTo = 0;
  /** The first batch that this stream brought ends here: below it the member has sent nothing to acknowledge. */
  #streamFrom = Number.POSITIVE_INFINITY;
  /** Up to where all was received in whole batches; nothing below is ever taken again. */
  #receivedTo: number;
  /** The stream goes on here: `#receivedTo`, or 0 where the watch must begin anew. */
  #resumeFrom: number;
  /** Parts of a batch whose last part is not there yet. */
  #parts: WatchEvent[] = [];
  /** A snapshot replaces what was there; after the first batch it is told as a reset. */
  #anyBatch = false;
  #waiter: Waiter | undefined;
  #failure: ClientError | undefined;
  #ended = false;
  #firstBatchTimer: Timer | undefined;
  #lastTrouble: ClientError | undefined;

  /** For the client only: use RollcallClient.watch. */
  constructor(options: WatchOptions, feed: WatchFeed, clock: Clock) {
    this.#options = options;
    this.#feed = feed;
    this.#receivedTo = this.#resumeFrom = this.#deliveredTo = options.since ?? 0;
    this.#queue = new BatchQueue(this.#receivedTo);
    const { firstBatchTimeoutMs } = options;
    if (firstBatchTimeoutMs !== undefined) {
      this.#firstBatchTimer = clock.setTimer(firstBatchTimeoutMs, () => this.#firstBatchLate(firstBatchTimeoutMs));
    }
  }

  /**
   * What is there as of `revision`, by `service/id`. With `since` it holds only what was told from there on, until a
   * reset comes.
   */
  get instances(): ReadonlyMap<string, Instance> {
    return this.#instances;
  }

  /** `to` of the batch delivered last: give it as `since` to go on in another process. */
  get revision(): number {
    return this.#deliveredTo;
  }

  /** Ends the watch; a reader that waits is told that it is done. What was not read is dropped. */
  close(): void {
    this.#end(undefined);
  }

  next(): Promise<IteratorResult<WatchBatch, undefined>> {
    this.#readerIsDone();
    const batch = this.#deliver();
    if (batch !== undefined) return Promise.resolve({ done: false, value: batch });
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return Promise.reject(failure);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (this.#waiter !== undefined) {
      return Promise.reject(new ClientError('FAILED_PRECONDITION', 'TOO_MANY', 'a watch has one reader at a time'));
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<WatchBatch, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** For the stream: what to acknowledge now; undefined where it is said already. */
  takeAck(): number | undefined {
    if (this.#appliedTo <= this.#ackedTo || this.#appliedTo < this.#streamFrom) return undefined;
    this.#ackedTo = this.#appliedTo;
    return this.#ackedTo;
  }

  get hasFilter(): boolean {
    return this.#options.filter !== undefined;
  }

  /** For the stream: true until the first batch, so that an error may be this watch's fault. */
  get unconfirmed(): boolean {
    return !this.#anyBatch;
  }

  /** For the stream: what to ask a member for. A batch that was cut off begins anew. */
  createMessage(watchId: number): rollcall.v1.WatchCreate.$Properties {
    this.#parts = [];
    this.#streamFrom = Number.POSITIVE_INFINITY;
    this.#ackedTo = 0;
    const { namespace, service, servicePrefix, filter, consistency, once, progressIntervalMs } = this.#options;
    return {
      watchId,
      namespace: namespace ?? defaultNamespace,
      service: service ?? '',
      servicePrefix: servicePrefix ?? '',
      filter: toFilter(filter) ?? null,
      resumeRevision: this.#resumeFrom,
      consistency: toConsistency(consistency),
      once: once ?? false,
      progressIntervalMs: progressIntervalMs ?? clientLimits.progressIntervalMs,
    };
  }

  /** For the stream: one response of `address`. */
  accept(response: rollcall.v1.WatchResponse, address: string): Accepted {
    if (this.#ended) return 'ended';
    if (response.kind === kinds.WATCH_BATCH_KIND_ENDED) return this.#acceptEnd(response, address);
    const kind = this.#kindOf(response);
    const broken = kind === undefined ? `a batch of kind ${response.kind}` : this.#breach(kind, response);
    if (kind === undefined || broken !== undefined) return ClientError.badAnswer(address, broken ?? '');
    for (const message of response.events) {
      const event = fromEvent(message);
      if (event === undefined) return ClientError.badAnswer(address, `an event of kind ${message.kind}`);
      this.#parts.push(event);
    }
    if (response.more) return 'taken';
    const events = this.#parts;
    this.#parts = [];
    this.#receivedTo = this.#resumeFrom = response.toRevision;
    this.#streamFrom = Math.min(this.#streamFrom, response.toRevision);
    this.#take({
      kind,
      from: response.fromRevision,
      to: response.toRevision,
      events,
      header: fromHeader(response.header),
      coalesced: response.coalesced,
    });
    return 'taken';
  }

  /** For the stream: it broke or moved; the watch will be asked for again. */
  interrupted(error: ClientError): void {
    this.#parts = [];
    if (tellsMore(error, this.#lastTrouble)) this.#lastTrouble = error;
    this.#options.onInterrupted?.(error);
  }

  /** For the stream: the watch cannot go on. The reader gets what is queued, then the error. */
  fail(error: ClientError): void {
    this.#end(error);
  }

  #acceptEnd(response: rollcall.v1.WatchResponse, address: string): Accepted {
    const { errorReason, errorMessage } = response;
    if (errorReason !== '') return ClientError.ofReason(address, errorReason, errorMessage);
    if (this.#options.once !== true) return ClientError.badAnswer(address, 'the end of a watch that goes on');
    this.#finish();
    return 'ended';
  }

  #kindOf(response: rollcall.v1.WatchResponse): WatchBatch['kind'] | undefined {
    const { kind } = response;
    if (kind === kinds.WATCH_BATCH_KIND_SNAPSHOT || kind === kinds.WATCH_BATCH_KIND_RESET) {
      return this.#anyBatch || (this.#options.since ?? 0) > 0 ? 'reset' : 'snapshot';
    }
    if (kind === kinds.WATCH_BATCH_KIND_DELTA) return 'delta';
    return kind === kinds.WATCH_BATCH_KIND_PROGRESS ? 'progress' : undefined;
  }

  /** How the response breaks what a watch is promised; taken, it would lose or repeat changes. */
  #breach(kind: WatchBatch['kind'], response: rollcall.v1.WatchResponse): string | undefined {
    const { fromRevision, toRevision } = response;
    if (!Number.isSafeInteger(toRevision)) return `revision ${toRevision}`;
    if (toRevision < this.#receivedTo) return `revision ${toRevision} behind ${this.#receivedTo}`;
    const follows = kind === 'delta' || kind === 'progress';
    if (!follows || fromRevision === this.#resumeFrom) return undefined;
    return `a batch from revision ${fromRevision}, expected ${this.#resumeFrom}`;
  }

  #take(batch: WatchBatch): void {
    this.#anyBatch = true;
    this.#firstBatchTimer?.cancel();
    if (batch.kind === 'progress' && this.#options.progressIntervalMs === undefined) {
      if (this.#waiter !== undefined) this.#readerIsDone();
      return;
    }
    if (!this.#queue.push(batch)) {
      // Only a watch with `since` knows too little to sum up what its reader missed.
      this.#resumeFrom = 0;
      this.#streamFrom = Number.POSITIVE_INFINITY;
      this.#feed.restart(this);
      return;
    }
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    this.#waiter = undefined;
    const first = this.#deliver();
    if (first !== undefined) waiter.resolve({ done: false, value: first });
  }

  /** The reader asks for more: what it was given is applied, and where nothing waits, so is all that was received. */
  #readerIsDone(): void {
    const { acks = true, once = false } = this.#options;
    if (!acks || once || this.#ended) return;
    const appliedTo = this.#queue.size === 0 ? Math.max(this.#deliveredTo, this.#receivedTo) : this.#deliveredTo;
    if (appliedTo <= this.#appliedTo) return;
    this.#appliedTo = appliedTo;
    this.#feed.applied(this);
  }

  #deliver(): WatchBatch | undefined {
    const batch = this.#queue.shift();
    if (batch === undefined) return undefined;
    applyBatch(this.#instances, batch);
    this.#deliveredTo = batch.to;
    return batch;
  }

  #firstBatchLate(timeoutMs: number): void {
    const trouble = this.#lastTrouble;
    const message = trouble === undefined ? `no answer within ${timeoutMs} ms` : trouble.message;
    const code = trouble === undefined ? 'DEADLINE_EXCEEDED' : trouble.code;
    this.#end(new ClientError(code, trouble?.reason ?? 'TIMEOUT', message, { address: trouble?.address }));
  }

  #end(error: ClientError | undefined): void {
    if (this.#ended) return;
    if (error === undefined) while (this.#queue.shift() !== undefined);
    this.#failure = error;
    this.#finish();
  }

  #finish(): void {
    this.#ended = true;
    this.#firstBatchTimer?.cancel();
    this.#feed.remove(this);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter === undefined) return;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) waiter.resolve({ done: true, value: undefined });
    else waiter.reject(failure);
  }
}
