import { assert } from '../base/assert.ts';
import { clientLimits } from './limits.ts';
import type { Instance, WatchBatch, WatchEvent } from './types.ts';

/** `service/id`: unique within a watch, since neither holds a slash. */
export function instanceKey(service: string, id: string): string {
  return `${service}/${id}`;
}

/** Applies a batch to the set that a watcher holds. */
export function applyBatch(set: Map<string, Instance>, batch: Pick<WatchBatch, 'kind' | 'events'>): void {
  if (batch.kind === 'snapshot' || batch.kind === 'reset') set.clear();
  for (const event of batch.events) {
    if (event.kind === 'put') set.set(instanceKey(event.instance.service, event.instance.id), event.instance);
    else set.delete(instanceKey(event.key.service, event.key.id));
  }
}

/**
 * Batches between the stream and the reader of one watch: at most `watchQueueEventsMax` events and as many as the set
 * has instances. A reader that is slower gets one reset with what is there in the end in place of the steps.
 */
export class BatchQueue {
  readonly #eventsMax: number;
  /** As of the last batch that was put in. */
  readonly #latest = new Map<string, Instance>();
  #batches: WatchBatch[] = [];
  /** Invariant: the sum over #batches. */
  #events = 0;
  /** `to` of the last batch put in. */
  #to: number;
  /** `#latest` is the whole set, not only what changed behind a resume point. */
  #complete = false;

  /** @param since Resume point; 0: the first batch is a snapshot. */
  constructor(since: number, eventsMax: number = clientLimits.watchQueueEventsMax) {
    this.#to = since;
    this.#eventsMax = eventsMax;
  }

  get size(): number {
    return this.#batches.length;
  }

  /**
   * Puts a batch behind the others, with the `from` that its reader expects. False: there is no room, all that waited
   * is dropped, and the watch must begin anew with a snapshot.
   */
  push(batch: WatchBatch): boolean {
    assert(batch.to >= this.#to, () => `batch up to ${batch.to} behind one up to ${this.#to}`);
    const replaces = batch.kind === 'snapshot' || batch.kind === 'reset';
    if (replaces) this.#clear();
    // One mark says as much as several.
    const last = this.#batches.at(-1);
    const merged = batch.kind === 'progress' && last?.kind === 'progress' ? this.#batches.pop() : undefined;
    const from = replaces ? 0 : (merged?.from ?? this.#to);
    this.#batches.push({ ...batch, from });
    this.#events += batch.events.length;
    this.#to = batch.to;
    this.#complete ||= replaces;
    applyBatch(this.#latest, batch);
    if (this.#events <= this.#eventsMax + this.#latest.size) return true;
    this.#clear();
    if (!this.#complete) return false;
    this.#pushReset(batch);
    return true;
  }

  shift(): WatchBatch | undefined {
    const batch = this.#batches.shift();
    this.#events -= batch?.events.length ?? 0;
    return batch;
  }

  #clear(): void {
    this.#batches = [];
    this.#events = 0;
  }

  #pushReset({ to, header }: WatchBatch): void {
    const events: WatchEvent[] = [];
    for (const instance of this.#latest.values()) {
      events.push({ kind: 'put', revision: instance.modifyRevision, instance });
    }
    this.#batches = [{ kind: 'reset', from: 0, to, events, header, coalesced: false }];
    this.#events = events.length;
  }
}
