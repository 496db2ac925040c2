import { assert } from '../base/assert.ts';
import { WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { historyKey } from './keys.ts';
import { isInstanceName } from './names.ts';
import type { PersistedRecords } from './persisted-records.ts';
import { RecordQueue } from './record-queue.ts';
import { SequenceList } from './sequence-list.ts';
import { decodeStrictly, expectFormat, readChoice, readFlag } from '../base/strict-decode.ts';
import type { ChangeEvent, InstanceName, RemovalCause } from './types.ts';
import { checkedMetaOf, metaOf } from './view-codec.ts';

const historyFormat = 1;
/** The place in a list is the number on disk: append only. */
const kinds = ['put', 'delete'] as const;
const causes = ['deregistered', 'lease-expired', 'lease-revoked'] as const satisfies readonly RemovalCause[];
const writer = new WireWriter();

/** With each command at most so many records are forgotten, and two more for each that it added. */
export const historyTrimmedMin = 8;

export interface HistoryBounds {
  readonly historyRevisionsMax: number;
  readonly historyBytesMax: number;
}

interface OfNamespace {
  readonly all: SequenceList;
  readonly services: Map<string, SequenceList>;
}

/**
 * The changes of the last revisions, bounded in revisions and bytes; part of the persisted state. Views are copies of
 * its own, so the arenas may drop theirs at any time.
 *
 *   record = format revision kind namespace service id (hasBefore [before] view | cause reason before)
 *
 * Its key is its revision and its place within it. A revision is forgotten as a whole: the floor rises at once, though
 * its records go a few with each command, so that no command has to drop very many.
 */
export class History {
  readonly #bounds: HistoryBounds;
  readonly #records: PersistedRecords;
  readonly #queue = new RecordQueue(0);
  /** Sequences of the records by namespace and service. */
  readonly #namespaces = new Map<string, OfNamespace>();
  #floor = 0;
  #revision = 0;
  /** Of the oldest and the newest record within their revisions. */
  #firstIndex = 0;
  #lastIndex = -1;

  constructor(bounds: HistoryBounds, records: PersistedRecords) {
    this.#bounds = bounds;
    this.#records = records;
  }

  /** Changes of (floor, revision] are known. */
  get floor(): number {
    return this.#floor;
  }

  /** Adds a put; returns both views in memory that is never written again. */
  put(
    revision: number,
    name: InstanceName,
    view: Uint8Array,
    before: Uint8Array | undefined,
  ): { readonly kept: Uint8Array; readonly before: Uint8Array | undefined } {
    begin(revision, 'put', name).byte(before === undefined ? 0 : 1);
    if (before !== undefined) writer.sized(before);
    const beforeEnd = writer.length;
    writer.sized(view);
    const kept = this.#add(revision, name);
    return {
      kept: kept.subarray(kept.length - view.length),
      before: before === undefined ? undefined : kept.subarray(beforeEnd - before.length, beforeEnd),
    };
  }

  /** Adds a delete; returns what was there in memory that is never written again. */
  delete(revision: number, name: InstanceName, cause: RemovalCause, reason: string, before: Uint8Array): Uint8Array {
    begin(revision, 'delete', name).byte(causes.indexOf(cause)).sizedString(reason).sized(before);
    const kept = this.#add(revision, name);
    return kept.subarray(kept.length - before.length);
  }

  /** Forgets the oldest until the bounds hold, or enough is done for a command that added so many records. */
  trim(added: number): void {
    for (let left = historyTrimmedMin + 2 * added; left > 0 && this.#mustForget(); left -= 1) this.#forgetFirst();
  }

  remembers(namespace: string, service: string): boolean {
    const last = this.#namespaces.get(namespace)?.services.get(service)?.last;
    return last !== undefined && this.#revisionAt(last) > this.#floor;
  }

  /**
   * Changes in (from, to] of one service, or of a namespace where service is ''; the first is found by bisection, and
   * no others are looked at. Use the result before the next change: what is forgotten meanwhile is an invariant broken.
   */
  *changes(namespace: string, service: string, from: number, to: number): Generator<ChangeEvent, void, undefined> {
    const found = this.#namespaces.get(namespace);
    const sequences = service === '' ? found?.all : found?.services.get(service);
    if (sequences === undefined) return;
    const start = sequences.firstWhere((sequence) => this.#revisionAt(sequence) > from);
    for (let at = start; at < sequences.count; at += 1) {
      const event = decodeEvent(this.#queue.get(sequences.at(at)));
      if (event.revision > to) return;
      yield event;
    }
  }

  /** A record from the store, in order. */
  load(revision: number, index: number, record: Uint8Array): void {
    const event = decodeEvent(record);
    assertEvent(event);
    assert(event.revision === revision, () => `history: revision ${event.revision} at ${revision}`);
    if (this.#queue.count === 0) {
      // What is there of a revision that has lost its first records is forgotten already.
      this.#floor = index === 0 ? revision - 1 : revision;
      this.#firstIndex = index;
    } else {
      const follows = revision === this.#revision ? index === this.#lastIndex + 1 : index === 0;
      assert(follows && revision <= this.#revision + 1, () => `history: ${revision}/${index} loaded out of order`);
    }
    this.#revision = revision;
    this.#lastIndex = index;
    this.#enter(event.name);
    this.#queue.push(record);
  }

  /** After a load: the history ends where the state stands; an empty one begins there. */
  finishLoad(revision: number): void {
    if (this.#queue.count === 0) {
      this.#floor = revision;
      this.#revision = revision;
    }
    assert(this.#revision === revision, () => `history ends at ${this.#revision}, the state at ${revision}`);
  }

  /** Takes what the writer holds. */
  #add(revision: number, name: InstanceName): Uint8Array {
    assert(revision === this.#revision || revision === this.#revision + 1, 'history skips a revision');
    this.#lastIndex = revision === this.#revision ? this.#lastIndex + 1 : 0;
    this.#revision = revision;
    this.#enter(name);
    const record = this.#queue.push(writer.peek());
    this.#records.changed(historyKey(revision, this.#lastIndex), undefined, record);
    return record;
  }

  /** The next record of the queue is of this service. */
  #enter({ namespace, service }: InstanceName): void {
    let found = this.#namespaces.get(namespace);
    if (found === undefined) {
      found = { all: new SequenceList(), services: new Map() };
      this.#namespaces.set(namespace, found);
    }
    let sequences = found.services.get(service);
    if (sequences === undefined) {
      sequences = new SequenceList();
      found.services.set(service, sequences);
    }
    found.all.push(this.#queue.next);
    sequences.push(this.#queue.next);
  }

  #mustForget(): boolean {
    if (this.#queue.count === 0) return false;
    return (
      this.#firstIndex > 0 ||
      this.#revision - this.#floor > this.#bounds.historyRevisionsMax ||
      this.#queue.bytes > this.#bounds.historyBytesMax
    );
  }

  #forgetFirst(): void {
    const sequence = this.#queue.first;
    const record = this.#queue.get(sequence);
    const { revision, name } = decodeEvent(record);
    this.#floor = revision;
    this.#records.forgotten(historyKey(revision, this.#firstIndex), record);
    const found = this.#namespaces.get(name.namespace);
    const sequences = found?.services.get(name.service);
    assert(found?.all.shift() === sequence && sequences?.shift() === sequence, 'history out of order');
    if (sequences.count === 0) found.services.delete(name.service);
    if (found.all.count === 0) this.#namespaces.delete(name.namespace);
    this.#queue.shift();
    const isSame = this.#queue.count > 0 && this.#revisionAt(this.#queue.first) === revision;
    this.#firstIndex = isSame ? this.#firstIndex + 1 : 0;
  }

  #revisionAt(sequence: number): number {
    return readRevision(new WireReader(this.#queue.get(sequence)));
  }
}

function begin(revision: number, kind: (typeof kinds)[number], name: InstanceName): WireWriter {
  writer.reset();
  return writer
    .byte(historyFormat)
    .varint(revision)
    .byte(kinds.indexOf(kind))
    .sizedString(name.namespace)
    .sizedString(name.service)
    .sizedString(name.id);
}

function readRevision(reader: WireReader): number {
  expectFormat(reader, historyFormat);
  return reader.varint();
}

function decodeEvent(record: Uint8Array): ChangeEvent {
  return decodeStrictly('history record', record, (reader) => {
    const revision = readRevision(reader);
    const kind = readChoice(reader, kinds, 'change');
    const name = { namespace: reader.sizedString(), service: reader.sizedString(), id: reader.sizedString() };
    if (kind === 'put') {
      const before = readFlag(reader) ? reader.sized() : undefined;
      return { kind, revision, name, view: reader.sized(), before };
    }
    const cause = readChoice(reader, causes, 'cause');
    const reason = reader.sizedString();
    const before = reader.sized();
    return { kind, revision, name, incarnation: metaOf(before).incarnation, cause, reason, before };
  });
}

/** Throws InvariantError unless the event is one that apply can have caused. */
function assertEvent(event: ChangeEvent): void {
  const { revision, name, before } = event;
  assert(isInstanceName(name), 'history: malformed instance name');
  assert(before === undefined || checkedMetaOf(before).modifyRevision < revision, 'history: before from the future');
  if (event.kind === 'delete') return;
  assert(checkedMetaOf(event.view).modifyRevision === revision, 'history: view of another revision');
}
