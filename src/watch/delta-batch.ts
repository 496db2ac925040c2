import { assert, must } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { ChangeEvent } from '../state-machine/types.ts';
import type { BatchHeader } from './batch-encoder.ts';
import { encodeBody, encodeHead, headBytesMax, joined, writeEvent } from './batch-encoder.ts';
import type { EventKind } from './judge.ts';

/** The responses of one watch for one batch, in order. */
type Responses = readonly Uint8Array[];

/**
 * Whole revisions up to `to`, encoded once for all watches of a group. What belongs to one watch is put in front when
 * it is sent: what waits for slow readers is there once.
 */
export class DeltaBatch {
  readonly to: number;
  /** Of all responses of one watch, at most. */
  readonly bytes: number;
  /** In how many queues it waits; kept by BacklogRoom. */
  waiting = 0;
  readonly #bodies: readonly Uint8Array[];
  /** By the watch's previous revision, then by its id: only while it is handed to the live watches of its turn. */
  readonly #responses = new Map<number, Map<number, Responses>>();
  // Most watches have both numbers in common with the one before.
  #lastFrom = -1;
  #lastWatchId = -1;
  #last: Responses = [];

  constructor(to: number, segments: readonly Uint8Array[], header: BatchHeader) {
    this.to = to;
    this.#bodies = segments.map((segment, i) => encodeBody(to, segment, { more: i + 1 < segments.length }, header));
    this.bytes = this.#bodies.reduce((sum, body) => sum + headBytesMax + body.length, 0);
  }

  get parts(): number {
    return this.#bodies.length;
  }

  /** Of one response, at most. */
  partBytes(part: number): number {
    return headBytesMax + must(this.#bodies[part], 'part of a batch').length;
  }

  /** What all watches with these numbers are sent. Not to be changed: the buffers are shared. */
  responses(watchId: number, from: number): Responses {
    if (from === this.#lastFrom && watchId === this.#lastWatchId) return this.#last;
    let byWatchId = this.#responses.get(from);
    if (byWatchId === undefined) this.#responses.set(from, (byWatchId = new Map()));
    let responses = byWatchId.get(watchId);
    if (responses === undefined) {
      responses = this.#bodies.map((_, part) => this.response(part, watchId, from));
      byWatchId.set(watchId, responses);
    }
    this.#lastFrom = from;
    this.#lastWatchId = watchId;
    this.#last = responses;
    return responses;
  }

  /** One response, made anew. */
  response(part: number, watchId: number, from: number): Uint8Array {
    assert(from < this.to, () => `delta from ${from} to ${this.to}`);
    return joined(encodeHead(watchId, 'delta', from), must(this.#bodies[part], 'part of a batch'));
  }

  /** All live watches have it: who waits for it is sent responses of its own. */
  forgetResponses(): void {
    this.#responses.clear();
    this.#lastFrom = this.#lastWatchId = -1;
    this.#last = [];
  }
}

/**
 * Gathers events into batches of at most `segmentBytesMax`, cut between revisions only. A revision that is larger alone
 * is one batch of several segments.
 */
export class DeltaBuilder {
  readonly #segmentBytesMax: number;
  readonly #out = new WireWriter();
  #closed: { readonly to: number; readonly segments: readonly Uint8Array[] }[] = [];
  /** Whole revisions, ending with `#segmentTo`. */
  #segment: Uint8Array[] = [];
  #segmentBytes = 0;
  #segmentTo = 0;
  /** Events of the revision that is still open. */
  #revision = 0;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(segmentBytesMax: number) {
    this.#segmentBytesMax = segmentBytesMax;
  }

  /** Batches that are complete, whatever follows. */
  get closed(): number {
    return this.#closed.length;
  }

  add(event: ChangeEvent, kind: EventKind): void {
    assert(event.revision >= this.#revision, () => `event of revision ${event.revision} after ${this.#revision}`);
    if (event.revision > this.#revision) this.#closeRevision();
    this.#revision = event.revision;
    writeEvent(this.#out, event, kind);
    const encoded = this.#out.finish();
    this.#pending.push(encoded);
    this.#pendingBytes += encoded.length;
  }

  /** The first closed batch; what was added after it is forgotten. */
  firstClosed(header: BatchHeader): DeltaBatch {
    const { to, segments } = must(this.#closed[0], 'closed batch');
    return new DeltaBatch(to, segments, header);
  }

  /** Everything added; the last batch reaches `to`, in which nothing else has changed. */
  finish(to: number, header: BatchHeader): DeltaBatch[] {
    this.#closeRevision();
    this.#closeBatch();
    assert(this.#revision <= to, () => `events of revision ${this.#revision} in a batch to ${to}`);
    const last = this.#closed.length - 1;
    const batches = this.#closed.map((batch, i) => new DeltaBatch(i === last ? to : batch.to, batch.segments, header));
    this.#closed = [];
    return batches;
  }

  #closeRevision(): void {
    if (this.#pending.length === 0) return;
    if (this.#segmentBytes + this.#pendingBytes > this.#segmentBytesMax) this.#closeBatch();
    this.#segment.push(...this.#pending);
    this.#segmentBytes += this.#pendingBytes;
    this.#segmentTo = this.#revision;
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  #closeBatch(): void {
    if (this.#segment.length === 0) return;
    this.#closed.push({ to: this.#segmentTo, segments: packed(this.#segment, this.#segmentBytesMax) });
    this.#segment = [];
    this.#segmentBytes = 0;
  }
}

/** Joins encoded events into segments of at most `bytesMax`; an event that is larger alone has its own. */
function packed(events: readonly Uint8Array[], bytesMax: number): Uint8Array[] {
  const segments: Uint8Array[] = [];
  const out = new WireWriter();
  for (const event of events) {
    if (out.length > 0 && out.length + event.length > bytesMax) segments.push(out.finish());
    out.raw(event);
  }
  segments.push(out.finish());
  return segments;
}
