import { assert, must } from '../base/assert.ts';
import { WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { ChangeEvent } from '../state-machine/types.ts';
import type { BatchHeader, BatchKind } from './batch-encoder.ts';
import {
  encodeBody,
  encodeHead,
  eventInstanceField,
  eventsField,
  joined,
  writeEvent,
  writeSnapshotEvent,
} from './batch-encoder.ts';
import { modifyRevisionOf, nameOf } from './view-reader.ts';

/** Whoever is sent a snapshot, or waits for one that is being made. What it is told it only takes note of. */
export interface CutHolder {
  /** Held, or waited for; set and cleared by the store alone. */
  cut: SnapshotCut | undefined;
  /** The revision that the snapshot is sent as; set by the store with a complete one. */
  cutTo: number;
  /** Parts taken so far. */
  cutPart: number;
  /** When it last took a part, by the clock's monotonic time. */
  takenMs: number;
  /** The snapshot that was waited for is complete and held; or is gone before a part was taken: ask for another. */
  cutReady(): void;
  /** There is no room for the snapshot, or it is gone after parts of it were taken. */
  cutLost(message: string): void;
}

/** What an empty snapshot takes in memory, about. */
const cutOverheadBytes = 2 * 1024;

/**
 * All instances of one service (or namespace) at one revision, as encoded events in segments. Made over several turns
 * where it is large: changes that come meanwhile are noted by instance and put in place at the end, so that what is
 * sent is exactly one revision.
 */
export class SnapshotCut {
  readonly key: string;
  readonly namespace: string;
  /** '' = the whole namespace. */
  readonly service: string;
  /** Of the state when the first instance was read. */
  readonly startRevision: number;
  readonly waiting = new Set<CutHolder>();
  readonly holders = new Set<CutHolder>();
  /** Where reading goes on. */
  readonly cursor = { service: '', id: '', done: false };
  #complete = false;
  #revision = 0;
  #bytes = cutOverheadBytes;
  readonly #segmentBytesMax: number;
  #out = new WireWriter();
  readonly #segments: { bytes: Uint8Array; settled: boolean; shared: SharedResponse | undefined }[] = [];
  /** What changed while it was made, by service and id. */
  readonly #fixes = new Map<string, ChangeEvent>();

  constructor(key: string, namespace: string, service: string, startRevision: number, segmentBytesMax: number) {
    this.key = key;
    this.namespace = namespace;
    this.service = service;
    this.startRevision = startRevision;
    this.#segmentBytesMax = segmentBytesMax;
  }

  get complete(): boolean {
    return this.#complete;
  }

  /** The revision that it shows; only when complete. */
  get revision(): number {
    assert(this.#complete, 'revision of a snapshot that is not complete');
    return this.#revision;
  }

  /** That it holds; grows while it is made and stays from then on. */
  get bytes(): number {
    return this.#bytes + this.#out.length;
  }

  get segments(): number {
    return this.#segments.length;
  }

  /** One more instance as it is now. */
  add(view: Uint8Array): void {
    assert(!this.#complete, 'instance added to a complete snapshot');
    // A view alone may be larger than a segment should be; its encoded event has a few bytes more.
    if (this.#out.length > 0 && this.#out.length + view.length + 32 > this.#segmentBytesMax) this.#closeSegment();
    writeSnapshotEvent(this.#out, modifyRevisionOf(view), view);
  }

  /**
   * An event that came while it is made. The last one of an instance counts, whatever was read of it before or after.
   */
  fix(event: ChangeEvent): void {
    this.#fixes.set(fixKey(event.name.service, event.name.id), event);
  }

  /** All is read and all changes up to `revision` are noted. */
  finish(revision: number): void {
    assert(this.cursor.done && !this.#complete, 'snapshot finished before everything was read, or twice');
    this.#closeSegment();
    const read = this.#segments.length;
    for (const event of this.#fixes.values()) {
      if (event.kind === 'delete') continue;
      if (this.#out.length > 0 && this.#out.length + event.view.length + 32 > this.#segmentBytesMax)
        this.#closeSegment();
      writeEvent(this.#out, event);
    }
    this.#closeSegment();
    // An empty service has a snapshot, too.
    if (this.#segments.length === 0)
      this.#segments.push({ bytes: new Uint8Array(0), settled: true, shared: undefined });
    // A response that is kept beside its segment takes the same room again.
    if (this.#segments.length === 1) this.#bytes *= 2;
    if (this.#fixes.size > 0) for (const segment of this.#segments.slice(0, read)) segment.settled = false;
    this.#revision = revision;
    this.#complete = true;
    // It may have grown to the size of a segment.
    this.#out = new WireWriter();
  }

  /** One part of the snapshot for one watch. Not to be changed: others may be sent the same buffer. */
  response(part: number, watchId: number, kind: BatchKind, to: number, header: BatchHeader): Uint8Array {
    assert(this.#complete && to >= this.#revision, () => `snapshot of ${this.key} sent as of ${to}`);
    const segment = must(this.#segments[part], 'segment');
    if (!segment.settled) {
      segment.bytes = withoutFixed(segment.bytes, this.#fixes);
      segment.settled = true;
    }
    const name = `${watchId} ${kind} ${to} ${header.linearizable} ${header.ageMs}`;
    if (segment.shared?.name === name) return segment.shared.response;
    const body = encodeBody(to, segment.bytes, part + 1 < this.#segments.length, header);
    const response = joined(encodeHead(watchId, kind, 0), body);
    // Most snapshots have one part: many watches that begin together are sent the same buffer.
    if (this.#segments.length === 1) segment.shared = { name, response };
    return response;
  }

  #closeSegment(): void {
    if (this.#out.length === 0) return;
    const bytes = this.#out.finish();
    this.#segments.push({ bytes, settled: true, shared: undefined });
    this.#bytes += bytes.length;
  }
}

interface SharedResponse {
  readonly name: string;
  readonly response: Uint8Array;
}

function fixKey(service: string, id: string): string {
  return `${service}/${id}`;
}

/** The events of a segment save those of instances that changed after they were read. */
function withoutFixed(segment: Uint8Array, fixes: ReadonlyMap<string, ChangeEvent>): Uint8Array {
  const out = new WireWriter();
  const reader = new WireReader(segment);
  let start = 0;
  while (reader.next()) {
    assert(reader.field === eventsField, () => `field ${reader.field} in a segment of events`);
    const event = reader.message();
    const end = reader.offset;
    if (!fixes.has(fixKeyOf(event))) out.raw(segment.subarray(start, end));
    start = end;
  }
  return out.finish();
}

function fixKeyOf(event: WireReader): string {
  while (event.next()) {
    if (event.field !== eventInstanceField) {
      event.skip();
      continue;
    }
    const { service, id } = nameOf(event.bytes());
    return fixKey(service, id);
  }
  return must(undefined, 'instance of a snapshot event');
}
