import { assert, must } from '../base/assert.ts';
import { WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { eventInstanceField, eventsField, writePut } from './batch-encoder.ts';
import { instanceKey } from './scope.ts';
import { nameOf } from './view-reader.ts';

interface Events {
  bytes: Uint8Array;
  /** Of each event, ascending. */
  revisions: readonly number[];
}

interface Part extends Events {
  /** Of the last event that was added to it. */
  readonly lastRevision: number;
  readonly addedBytes: number;
  /** Instances that changed after they were read: their events still have to go. */
  fixed: ReadonlySet<string> | undefined;
}

const noEvents = new Uint8Array(0);

/** Encoded PUT events in parts of bounded size, in the order in which they were added. */
export class PutParts {
  readonly #partBytesMax: number;
  readonly #parts: Part[] = [];
  #out = new WireWriter();
  #revisions: number[] = [];
  #bytes = 0;
  /** Parts whose `fixed` is known already. */
  #closed = 0;

  constructor(partBytesMax: number) {
    this.#partBytesMax = partBytesMax;
  }

  get count(): number {
    return this.#parts.length;
  }

  /** Stays as it is once all is added, though less may be left of a part. */
  get bytes(): number {
    return this.#bytes + this.#out.length + 8 * this.#revisions.length;
  }

  /** As it was when all was added. */
  get lastPartBytes(): number {
    return this.#parts.at(-1)?.addedBytes ?? 0;
  }

  add(revision: number, view: Uint8Array): void {
    // A view alone may be larger than a part should be; its encoded event has a few bytes more.
    if (this.#out.length > 0 && this.#out.length + view.length + 32 > this.#partBytesMax) this.#endPart();
    writePut(this.#out, revision, view);
    this.#revisions.push(revision);
  }

  /** What was added since the last call is without the instances of `fixed`. */
  close(fixed: ReadonlySet<string> | undefined): void {
    this.#endPart();
    for (const part of this.#parts.slice(this.#closed)) part.fixed = fixed;
    this.#closed = this.#parts.length;
    // It may have grown to the size of a part.
    this.#out = new WireWriter();
  }

  /** Parts that hold something that changed behind `after`, where revisions ascend. */
  partsBehind(after: number): number {
    return this.#parts.length - this.#firstBehind(after);
  }

  /** The `index`th of those, without what changed up to `after`. */
  part(index: number, after: number): Uint8Array {
    const part = this.#parts[this.#firstBehind(after) + index];
    // A cut of everything has one part, though there be nothing.
    if (part === undefined) return noEvents;
    if (part.fixed !== undefined) {
      const { fixed } = part;
      Object.assign(
        part,
        selected(part, (_, event) => !fixed.has(fixKeyOf(event))),
      );
      part.fixed = undefined;
    }
    if ((part.revisions[0] ?? Infinity) > after) return part.bytes;
    return selected(part, (revision) => revision > after).bytes;
  }

  #firstBehind(after: number): number {
    if (after === 0) return 0;
    const index = this.#parts.findIndex(({ lastRevision }) => lastRevision > after);
    return index < 0 ? this.#parts.length : index;
  }

  #endPart(): void {
    if (this.#out.length === 0) return;
    const bytes = this.#out.finish();
    const revisions = this.#revisions;
    const lastRevision = must(revisions.at(-1), 'last event');
    this.#parts.push({ bytes, revisions, lastRevision, addedBytes: bytes.length, fixed: undefined });
    this.#bytes += bytes.length + 8 * this.#revisions.length;
    this.#revisions = [];
  }
}

function selected(part: Events, isKept: (revision: number, event: WireReader) => boolean): Events {
  const out = new WireWriter();
  const revisions: number[] = [];
  const reader = new WireReader(part.bytes);
  let start = 0;
  for (const revision of part.revisions) {
    assert(reader.next() && reader.field === eventsField, 'a part holds something else than its events');
    const event = reader.message();
    const end = reader.offset;
    if (isKept(revision, event)) {
      out.raw(part.bytes.subarray(start, end));
      revisions.push(revision);
    }
    start = end;
  }
  return { bytes: out.finish(), revisions };
}

function fixKeyOf(event: WireReader): string {
  while (event.next()) {
    if (event.field !== eventInstanceField) {
      event.skip();
      continue;
    }
    const { service, id } = nameOf(event.bytes());
    return instanceKey(service, id);
  }
  return must(undefined, 'instance of a put event');
}
