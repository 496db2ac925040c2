import { assert } from '../base/assert.ts';
import { WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { RecordQueue } from './record-queue.ts';
import { readChoice, readFlag } from './strict-decode.ts';
import type { ChangeEvent, InstanceName, RemovalCause } from './types.ts';

const kinds = ['put', 'delete'] as const;
const causes = ['deregistered', 'lease-expired', 'lease-revoked'] as const satisfies readonly RemovalCause[];
const writer = new WireWriter();

export interface HistoryBounds {
  readonly historyRevisionsMax: number;
  readonly historyBytesMax: number;
}

/**
 * The changes of the last revisions, bounded in revisions and bytes, in this member's memory only. Views are copies of
 * its own, so the arenas may drop theirs at any time. Each record names the one before it of the same service: the
 * changes of one service are found without looking at those of others.
 *
 *   record = (sequence of the service's previous record + 1, or 0) revision kind namespace service id
 *            (hasBefore [before] view | incarnation cause reason before)
 */
export class History {
  readonly #bounds: HistoryBounds;
  readonly #queue = new RecordQueue(0);
  /** Namespace to service to the sequence of its last record. */
  readonly #lastOf = new Map<string, Map<string, number>>();
  #floor = 0;
  #revision = 0;

  constructor(bounds: HistoryBounds) {
    this.#bounds = bounds;
  }

  /** Changes of (floor, revision] are known. */
  get floor(): number {
    return this.#floor;
  }

  /** An empty history that goes on from `revision`. */
  startAt(revision: number): void {
    assert(this.#queue.count === 0, 'history has begun already');
    this.#floor = revision;
    this.#revision = revision;
  }

  /** Adds a put; returns both views in memory that is never written again. */
  put(
    revision: number,
    name: InstanceName,
    view: Uint8Array,
    before: Uint8Array | undefined,
  ): { readonly kept: Uint8Array; readonly before: Uint8Array | undefined } {
    const record = this.#begin(revision, 'put', name).byte(before === undefined ? 0 : 1);
    if (before !== undefined) record.sized(before);
    const beforeEnd = record.length;
    record.sized(view);
    const kept = this.#push(name);
    return {
      kept: kept.subarray(kept.length - view.length),
      before: before === undefined ? undefined : kept.subarray(beforeEnd - before.length, beforeEnd),
    };
  }

  /** Adds a delete; returns what was there in memory that is never written again. */
  delete(
    revision: number,
    name: InstanceName,
    incarnation: number,
    cause: RemovalCause,
    reason: string,
    before: Uint8Array,
  ): Uint8Array {
    this.#begin(revision, 'delete', name)
      .varint(incarnation)
      .byte(causes.indexOf(cause))
      .sizedString(reason)
      .sized(before);
    const kept = this.#push(name);
    return kept.subarray(kept.length - before.length);
  }

  /** Drops the oldest revisions, each as a whole, until the bounds hold. */
  trim(): void {
    while (
      this.#queue.count > 0 &&
      (this.#revision - this.#floor > this.#bounds.historyRevisionsMax ||
        this.#queue.bytes > this.#bounds.historyBytesMax)
    ) {
      this.#floor = this.#revisionAt(this.#queue.first);
      while (this.#queue.count > 0 && this.#revisionAt(this.#queue.first) === this.#floor) this.#forgetFirst();
    }
  }

  remembers(namespace: string, service: string): boolean {
    return this.#lastOf.get(namespace)?.has(service) ?? false;
  }

  /**
   * Changes in (from, to] of one service, or of a namespace where service is ''. What is there is fixed by the call,
   * but use the result before the next change: what is trimmed meanwhile is an invariant broken.
   */
  *changes(namespace: string, service: string, from: number, to: number): Generator<ChangeEvent, void, undefined> {
    if (service === '') {
      for (let sequence = this.#firstAfter(from); sequence < this.#queue.next; sequence += 1) {
        const event = this.#decode(sequence);
        if (event.revision > to) return;
        if (event.name.namespace === namespace) yield event;
      }
      return;
    }
    const sequences = this.#sequencesOf(namespace, service, from, to);
    for (const sequence of sequences.toReversed()) yield this.#decode(sequence);
  }

  /** Newest first. */
  #sequencesOf(namespace: string, service: string, from: number, to: number): number[] {
    const found: number[] = [];
    let sequence = this.#lastOf.get(namespace)?.get(service) ?? -1;
    while (sequence >= this.#queue.first) {
      const reader = new WireReader(this.#queue.get(sequence));
      const previous = reader.varint() - 1;
      const revision = reader.varint();
      if (revision <= from) break;
      if (revision <= to) found.push(sequence);
      sequence = previous;
    }
    return found;
  }

  #begin(revision: number, kind: (typeof kinds)[number], name: InstanceName): WireWriter {
    assert(revision === this.#revision || revision === this.#revision + 1, 'history skips a revision');
    this.#revision = revision;
    const previous = this.#lastOf.get(name.namespace)?.get(name.service) ?? -1;
    writer.reset();
    return writer
      .varint(previous + 1)
      .varint(revision)
      .byte(kinds.indexOf(kind))
      .sizedString(name.namespace)
      .sizedString(name.service)
      .sizedString(name.id);
  }

  #push(name: InstanceName): Uint8Array {
    let services = this.#lastOf.get(name.namespace);
    if (services === undefined) {
      services = new Map();
      this.#lastOf.set(name.namespace, services);
    }
    services.set(name.service, this.#queue.next);
    return this.#queue.push(writer.peek());
  }

  #forgetFirst(): void {
    const sequence = this.#queue.first;
    const { namespace, service } = this.#decode(sequence).name;
    const services = this.#lastOf.get(namespace);
    assert(services !== undefined, 'history of an unknown namespace');
    if (services.get(service) === sequence) services.delete(service);
    if (services.size === 0) this.#lastOf.delete(namespace);
    this.#queue.shift();
  }

  /** The first sequence whose revision is above `revision`. */
  #firstAfter(revision: number): number {
    let low = this.#queue.first;
    let high = this.#queue.next;
    while (low < high) {
      // Sequences may pass 2^32: no shift.
      const middle = low + (high - low - ((high - low) % 2)) / 2;
      if (this.#revisionAt(middle) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #revisionAt(sequence: number): number {
    const reader = new WireReader(this.#queue.get(sequence));
    reader.varint();
    return reader.varint();
  }

  #decode(sequence: number): ChangeEvent {
    const record = this.#queue.get(sequence);
    const reader = new WireReader(record);
    reader.varint();
    const revision = reader.varint();
    const kind = readChoice(reader, kinds, 'change');
    const name = { namespace: reader.sizedString(), service: reader.sizedString(), id: reader.sizedString() };
    if (kind === 'put') {
      const before = readFlag(reader) ? reader.sized() : undefined;
      return { kind, revision, name, view: reader.sized(), before };
    }
    const incarnation = reader.varint();
    const cause = readChoice(reader, causes, 'cause');
    return { kind, revision, name, incarnation, cause, reason: reader.sizedString(), before: reader.sized() };
  }
}
