import { assert } from '../base/assert.ts';
import type { ViewMatcher } from '../filter/types.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { ChangeEvent, InstanceName } from '../state-machine/types.ts';
import type { BatchHeader, BatchKind } from './batch-encoder.ts';
import { encodeBody, encodeHead, joined } from './batch-encoder.ts';
import { GoneParts } from './gone-parts.ts';
import { judge } from './judge.ts';
import { PutParts } from './put-parts.ts';
import type { Scope } from './scope.ts';
import { instanceKey } from './scope.ts';

/** Whoever is sent a cut, or waits for one that is being made. What it is told it only takes note of. */
export interface CutHolder {
  /** Held, or waited for; set and cleared by the store alone. */
  cut: Cut | undefined;
  /** The revision that the cut is sent as; set by the store with a complete one. */
  cutTo: number;
  /** Parts taken so far. */
  partsTaken: number;
  /** When it last took a part, by the clock's monotonic time. */
  takenMs: number;
  /** Everything up to here it was told. */
  readonly coveredTo: number;
  /** The cut that was waited for is complete and held; or is gone before a part was taken: ask for another. */
  cutReady(): void;
  /** There is no room for the cut, or it is gone after parts of it were taken. */
  cutLost(message: string): void;
}

/** What a cut is of: a scope, and the instances in it that a filter matches. */
export interface CutSubject extends Scope {
  /** Equal for equal subjects. */
  readonly key: string;
  readonly matcher: ViewMatcher;
}

/** Where the instances of a cut come from, some at a time. */
export interface CutReader {
  /** 'all': what is there. 'changes': the last state of what changed, present or not. */
  readonly kind: 'all' | 'changes';
  readonly done: boolean;
  /** What it takes in memory beside the cut. */
  readonly bytes: number;
  /** Behind which revision changes are in it; 0 for 'all'. May become less until it has begun. */
  readonly from: number;
  /** Before the first read, with the state at a revision that the hub was told. False: it cannot be read any more. */
  begin(): boolean;
  /** Adds some more as they are now; returns the bytes that were looked at. */
  read(state: Registry, cut: Cut, bytesMax: number): number;
}

/** Of one watch: what its responses of a cut begin with, and what it has already. */
export interface CutReceiver {
  readonly watchId: number;
  readonly kind: BatchKind;
  readonly from: number;
  /** Only what changed last behind this revision. */
  readonly after: number;
}

/** What an empty cut takes in memory, about. */
const cutOverheadBytes = 2 * 1024;

/**
 * Instances of one subject at exactly one revision, as encoded events in parts: all of them, or those that changed
 * behind a revision. Made over several turns where it is large: changes that come meanwhile are noted by instance and
 * put in place at the end. Changes stand in the order of the revisions, so that whoever has some already is sent the
 * rest only.
 */
export class Cut {
  readonly key: string;
  readonly subject: CutSubject;
  readonly reader: CutReader;
  readonly waiting = new Set<CutHolder>();
  readonly holders = new Set<CutHolder>();
  /** When it was completed, by the clock's monotonic time. */
  finishedMs = 0;
  /** Of the state when the first instance was read; undefined: none was. */
  #startRevision: number | undefined;
  #complete = false;
  #revision = 0;
  readonly #partBytesMax: number;
  readonly #puts: PutParts;
  readonly #gone: GoneParts;
  /** What changed while it was made, by service and id, in the order of the last changes. */
  readonly #fixes = new Map<string, ChangeEvent>();
  #shared: { readonly name: string; readonly response: Uint8Array } | undefined;

  constructor(key: string, subject: CutSubject, reader: CutReader, partBytesMax: number) {
    this.key = key;
    this.subject = subject;
    this.reader = reader;
    this.#partBytesMax = partBytesMax;
    this.#puts = new PutParts(partBytesMax);
    this.#gone = new GoneParts(partBytesMax, subject.namespace);
  }

  get begun(): boolean {
    return this.#startRevision !== undefined;
  }

  get startRevision(): number {
    assert(this.#startRevision !== undefined, 'start of a cut that has not begun');
    return this.#startRevision;
  }

  get complete(): boolean {
    return this.#complete;
  }

  /** The revision that it shows; only when complete. */
  get revision(): number {
    assert(this.#complete, 'revision of a cut that is not complete');
    return this.#revision;
  }

  /** That it holds; grows while it is made and stays from then on. */
  get bytes(): number {
    const bytes = cutOverheadBytes + this.#puts.bytes + this.#gone.bytes;
    // A response that is kept beside its part takes the same room again.
    if (this.#complete) return this.#puts.count <= 1 ? bytes + this.#puts.bytes : bytes;
    return bytes + this.reader.bytes;
  }

  begin(revision: number): void {
    assert(!this.begun, 'cut begun twice');
    this.#startRevision = revision;
  }

  /** One more instance as it is now; `revision` is that of its last change. */
  add(revision: number, view: Uint8Array): void {
    assert(!this.#complete, 'instance added to a complete cut');
    this.#puts.add(revision, view);
  }

  /** One that changed and is not there, or not matched. */
  addGone(revision: number, kind: 'delete' | 'leaves', name: InstanceName): void {
    assert(!this.#complete && this.reader.kind === 'changes', 'absent instance added');
    this.#gone.add(revision, kind, name.service, name.id);
  }

  /**
   * An event that came while it is made. The last one of an instance counts, whatever was read of it before or after.
   */
  fix(event: ChangeEvent): void {
    if (this.reader.kind === 'all' && judge(event, this.subject.matcher) === undefined) return;
    const key = instanceKey(event.name.service, event.name.id);
    this.#fixes.delete(key);
    this.#fixes.set(key, event);
  }

  /** All is read and all changes up to `revision` are noted. */
  finish(revision: number, nowMs: number): void {
    assert(this.reader.done && !this.#complete, 'cut finished before everything was read, or twice');
    const changes = this.reader.kind === 'changes';
    const fixed = this.#fixes.size === 0 ? undefined : new Set(this.#fixes.keys());
    this.#puts.close(fixed);
    if (fixed !== undefined) this.#gone.remove((service, id) => fixed.has(instanceKey(service, id)));
    for (const event of this.#fixes.values()) {
      if (event.kind === 'put' && this.subject.matcher.matches(event.view)) this.#puts.add(event.revision, event.view);
      else if (changes) {
        const kind = event.kind === 'put' ? 'leaves' : 'delete';
        this.#gone.add(event.revision, kind, event.name.service, event.name.id);
      }
    }
    this.#puts.close(undefined);
    this.#gone.close();
    this.#fixes.clear();
    this.#revision = revision;
    this.#complete = true;
    this.finishedMs = nowMs;
  }

  /** Parts for who has what changed up to `after`. Not 0 for a cut of everything, be it empty. */
  parts(after: number): number {
    assert(this.#complete, 'parts of a cut that is not complete');
    if (this.reader.kind === 'all') return Math.max(1, this.#puts.partsBehind(after));
    const gone = this.#gone.partsBehind(after);
    return this.#puts.partsBehind(after) + gone - (this.#isJoined(after) ? 1 : 0);
  }

  /** One part for one watch. Not to be changed: others may be sent the same buffer. */
  response(part: number, to: number, receiver: CutReceiver, header: BatchHeader): Uint8Array {
    assert(this.#complete && to >= this.#revision, () => `cut of ${this.key} sent as of ${to}`);
    const { watchId, kind, from, after } = receiver;
    const parts = this.parts(after);
    const name = `${watchId} ${kind} ${from} ${after} ${to} ${header.linearizable} ${header.ageMs}`;
    if (this.#shared?.name === name) return this.#shared.response;
    const events = this.#events(part, after, to);
    const flags = { more: part + 1 < parts, coalesced: this.reader.kind === 'changes' };
    const response = joined(encodeHead(watchId, kind, from), encodeBody(to, events, flags, header));
    // Most have one part: many watches that begin together are sent the same buffer.
    if (parts === 1 && this.#puts.count <= 1) this.#shared = { name, response };
    return response;
  }

  #events(part: number, after: number, to: number): Uint8Array {
    if (this.reader.kind === 'all') return this.#puts.part(part, after);
    const puts = this.#puts.partsBehind(after);
    const joins = this.#isJoined(after);
    if (part >= puts) return this.#gone.part(part - puts + (joins ? 1 : 0), after, to);
    const events = this.#puts.part(part, after);
    return joins && part === puts - 1 ? joined(events, this.#gone.part(0, after, to)) : events;
  }

  /** Whether what is there last and what is not there first go into one part. */
  #isJoined(after: number): boolean {
    if (this.#puts.partsBehind(after) === 0 || this.#gone.partsBehind(after) === 0) return false;
    return this.#puts.lastPartBytes + this.#gone.firstPartBytes(after) <= this.#partBytesMax;
  }
}
