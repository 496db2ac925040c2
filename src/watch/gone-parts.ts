import { must } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { writeGone } from './batch-encoder.ts';

interface Gone {
  readonly revision: number;
  readonly kind: 'delete' | 'leaves';
  readonly service: string;
  readonly id: string;
}

/** What one takes in memory. Its strings are the changed-keys log's. */
const goneBytes = 64;
/** Of an encoded event, beside the three names: tags, lengths and a revision. */
const fieldBytes = 32;

/**
 * Instances of coalesced changes that are not there, or not matched, in the order of their last changes. They are
 * encoded when they are sent: the revision that they are told with is known last.
 */
export class GoneParts {
  readonly #partBytesMax: number;
  readonly #namespace: string;
  #entries: Gone[] = [];
  /** Where each part begins, and how large it is at most. */
  readonly #starts: number[] = [];
  readonly #sizes: number[] = [];

  constructor(partBytesMax: number, namespace: string) {
    this.#partBytesMax = partBytesMax;
    this.#namespace = namespace;
  }

  get bytes(): number {
    return this.#entries.length * goneBytes;
  }

  add(revision: number, kind: 'delete' | 'leaves', service: string, id: string): void {
    this.#entries.push({ revision, kind, service, id });
  }

  remove(isRemoved: (service: string, id: string) => boolean): void {
    this.#entries = this.#entries.filter(({ service, id }) => !isRemoved(service, id));
  }

  /** All are added. */
  close(): void {
    let bytes = 0;
    for (const [i, { service, id }] of this.#entries.entries()) {
      const length = fieldBytes + this.#namespace.length + service.length + Buffer.byteLength(id);
      if (i === 0 || bytes + length > this.#partBytesMax) {
        this.#starts.push(i);
        bytes = 0;
      }
      bytes += length;
      this.#sizes[this.#starts.length - 1] = bytes;
    }
  }

  /** Parts that hold something that changed behind `after`. */
  partsBehind(after: number): number {
    return this.#starts.length - this.#firstBehind(after);
  }

  /** Of the first of those, at most. */
  firstPartBytes(after: number): number {
    return must(this.#sizes[this.#firstBehind(after)], 'size of a part');
  }

  /** The `index`th of those, told as of `to`, without what changed up to `after`. */
  part(index: number, after: number, to: number): Uint8Array {
    const part = this.#firstBehind(after) + index;
    const out = new WireWriter();
    for (const gone of this.#entries.slice(must(this.#starts[part], 'part'), this.#starts[part + 1])) {
      if (gone.revision <= after) continue;
      writeGone(out, gone.kind, to, { namespace: this.#namespace, service: gone.service, id: gone.id });
    }
    return out.finish();
  }

  #firstBehind(after: number): number {
    const index = this.#starts.findIndex((_, part) => {
      const last = this.#entries[(this.#starts[part + 1] ?? this.#entries.length) - 1];
      return must(last, 'last of a part').revision > after;
    });
    return index < 0 ? this.#starts.length : index;
  }
}
