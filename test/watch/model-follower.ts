import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { must } from '../../src/base/assert.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import type { InstanceFilter } from '../../src/filter/types.ts';
import type { Registry } from '../../src/state-machine/interfaces.ts';
import type { ChangeEvent } from '../../src/state-machine/types.ts';
import type { WatchSpec } from '../../src/watch/types.ts';
import type { ChangeModel, InstanceView } from './change-model.ts';
import { decoded, isMatched, keyOf } from './change-model.ts';
import { kinds } from './follower.ts';

type Response = rollcall.v1.WatchResponse;
type Event = rollcall.v1.IWatchEvent;

const causeNumbers = { deregistered: 1, 'lease-expired': 2, 'lease-revoked': 3 } as const;
/** Whole sets are compared at every so many plain batches, and after all others. */
const compareEvery = 20;

export interface FollowedWatch {
  readonly spec: WatchSpec;
  readonly filter: InstanceFilter;
  /** Of the member that is watched. */
  readonly state: () => Registry;
  readonly memberId: string;
}

/**
 * Does what a client does with the responses of one watch, and compares each step with the model: batches join up
 * without gap or repeat; plain ones say exactly what changed for the filter, revision by revision; coalesced ones name
 * each instance once; and what is held after each is what is there at its `to`.
 */
export class ModelFollower {
  readonly watch: FollowedWatch;
  readonly seen = new Map<string, number>();
  /** What the client holds, by `service/id`. */
  readonly set: Map<string, string>;
  to: number;
  ended: Response | undefined;
  /** Revisions that hold more than what may wait for one stream: they may have to be skipped by a reset. */
  readonly largeRevisions: (from: number, to: number) => boolean;
  readonly #model: ChangeModel;
  /** Everything that is there at `to`, matched or not: the model's. */
  readonly #all: Map<string, Uint8Array>;
  #allTo: number;
  #batches = 0;
  #parts: Response[] = [];

  constructor(model: ChangeModel, watch: FollowedWatch, largeRevisions: (from: number, to: number) => boolean) {
    this.#model = model;
    this.watch = watch;
    this.largeRevisions = largeRevisions;
    this.to = watch.spec.resumeRevision;
    this.#all = model.setAt(this.to);
    this.#allTo = this.to;
    this.set = this.to === 0 ? new Map() : this.#expectedSet();
  }

  receive(bytes: Uint8Array): void {
    const response = rollcall.v1.WatchResponse.decode(bytes);
    strictEqual(response.watchId, this.watch.spec.watchId);
    strictEqual(this.ended, undefined, 'a response after the end');
    const kind = must(kinds[response.kind], 'kind');
    this.#count(response.coalesced ? 'coalesced' : kind);
    if (kind === 'ended') {
      this.ended = response;
      return;
    }
    strictEqual(response.header?.member, this.watch.memberId);
    strictEqual(response.header?.revision, response.toRevision);
    const [first] = this.#parts;
    if (first !== undefined) deepStrictEqual(numbersOf(response), numbersOf(first), 'parts of one batch');
    this.#parts.push(response);
    if (response.more) return;
    const events = this.#parts.flatMap((part) => part.events);
    if (this.#parts.length > 1) this.#count('parts');
    this.#parts = [];
    this.#batch(kind, response, events);
    this.#batches++;
  }

  /** Everything was read, and nothing has changed since. */
  assertAtEnd(): void {
    deepStrictEqual(this.#advance(this.#model.revision), [], 'what was not told');
    this.#compareSets();
  }

  #batch(kind: string, response: Response, events: readonly Event[]): void {
    const { fromRevision: from, toRevision: to, coalesced } = response;
    const { resumeRevision, linearizable } = this.watch.spec;
    ok(to >= this.to, `${kind} to ${to} after ${this.to}`);
    strictEqual(response.header?.consistency, kind === 'snapshot' && linearizable ? 0 : 1);
    const before = this.to;
    this.to = to;
    if (kind === 'snapshot' || kind === 'reset') {
      strictEqual(from, 0);
      if (kind === 'snapshot') deepStrictEqual([this.#batches, resumeRevision], [0, 0], 'a second snapshot');
      else this.#assertResetAllowed(before);
      this.set.clear();
      ok(events.every((event) => event.kind === 1));
      this.#applyOnce(events, 0);
      this.#advance(to);
      this.#compareSets();
      return;
    }
    strictEqual(from, before, 'gap or repeat');
    if (kind === 'progress') deepStrictEqual(events, []);
    else ok(to > from, `delta (${from}, ${to}]`);
    const changed = new Set(coalesced ? this.#model.changes(from, to).map(keyOf) : []);
    const expected = this.#advance(to);
    if (coalesced) {
      for (const event of events) ok(changed.has(this.#keyIn(event)), 'an instance that has not changed');
      this.#applyOnce(events, to);
    } else {
      deepStrictEqual(events.map(told), expected, `changes in (${from}, ${to}]`);
      for (const event of events) this.#apply(event);
    }
    if (coalesced || this.#batches % compareEvery === 0) this.#compareSets();
  }

  /** Each instance once: its last state as of the batch. */
  #applyOnce(events: readonly Event[], goneRevision: number): void {
    const keys = new Set<string>();
    for (const event of events) {
      const key = this.#keyIn(event);
      ok(!keys.has(key), `${key} twice`);
      keys.add(key);
      if (event.kind === 1) strictEqual(event.revision, event.instance?.meta?.modifyRevision);
      else deepStrictEqual([event.revision, event.incarnation, event.cause, event.reason], [goneRevision, 0, 0, '']);
      this.#apply(event);
    }
  }

  #apply(event: Event): void {
    const key = this.#keyIn(event);
    if (event.kind === 1) this.set.set(key, textOf(must(event.instance, 'instance') as InstanceView));
    else this.set.delete(key);
  }

  /** Not where the changes are still to be had from the member. */
  #assertResetAllowed(from: number): void {
    const { historyFloor, position } = this.watch.state();
    ok(
      from < historyFloor || this.largeRevisions(from, position.revision),
      `reset from ${from} with a history since ${historyFloor}`,
    );
  }

  /** Brings what is there to `to`; returns what the filter sees of the changes. */
  #advance(to: number): string[] {
    const last = this.#allTo;
    this.#allTo = to;
    const expected: string[] = [];
    for (const event of this.#model.changes(last, to)) {
      const key = keyOf(event);
      const before = this.#all.get(key);
      if (event.kind === 'put') this.#all.set(key, event.view);
      else this.#all.delete(key);
      if (!this.#covers(event)) continue;
      const matched = before !== undefined && isMatched(this.watch.filter, before);
      const text = expectedText(event, matched, this.watch.filter);
      if (text !== '') expected.push(text);
    }
    return expected;
  }

  #covers({ name }: ChangeEvent): boolean {
    const { namespace, service, servicePrefix } = this.watch.spec;
    if (name.namespace !== namespace) return false;
    return service === '' ? name.service.startsWith(servicePrefix) : name.service === service;
  }

  #expectedSet(): Map<string, string> {
    const { namespace, service, servicePrefix } = this.watch.spec;
    const start = service === '' ? `${namespace}/${servicePrefix}` : `${namespace}/${service}/`;
    const set = new Map<string, string>();
    for (const [key, view] of this.#all) {
      if (key.startsWith(start) && isMatched(this.watch.filter, view)) set.set(key, textOf(decoded(view)));
    }
    return set;
  }

  #compareSets(): void {
    deepStrictEqual([...this.set].toSorted(byKey), [...this.#expectedSet()].toSorted(byKey), `set at ${this.to}`);
  }

  #keyIn(event: Event): string {
    const name = must(event.kind === 1 ? event.instance?.spec : event.key, 'name');
    return `${this.watch.spec.namespace}/${name.service}/${name.id}`;
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}

function expectedText(event: ChangeEvent, matched: boolean, filter: InstanceFilter): string {
  const { service, id } = event.name;
  if (event.kind === 'put') {
    if (isMatched(filter, event.view)) return `${event.revision} put ${service}/${id} ${textOf(decoded(event.view))}`;
    const { incarnation } = must(decoded(event.view).meta, 'meta');
    return matched ? `${event.revision} leaves ${service}/${id} ${incarnation} 0 ` : '';
  }
  if (!matched) return '';
  return `${event.revision} delete ${service}/${id} ${event.incarnation} ${causeNumbers[event.cause]} ${event.reason}`;
}

function told(event: Event): string {
  if (event.kind === 1) {
    const { service, id } = must(event.instance?.spec, 'spec');
    return `${event.revision} put ${service}/${id} ${textOf(must(event.instance, 'instance') as InstanceView)}`;
  }
  const { service, id } = must(event.key, 'key');
  const kind = event.kind === 2 ? 'delete' : 'leaves';
  return `${event.revision} ${kind} ${service}/${id} ${event.incarnation} ${event.cause} ${event.reason}`;
}

const texts = new WeakMap<InstanceView, string>();

function textOf(instance: InstanceView): string {
  let text = texts.get(instance);
  if (text === undefined) texts.set(instance, (text = JSON.stringify(instance)));
  return text;
}

function numbersOf({ kind, fromRevision, toRevision, coalesced }: Response): readonly unknown[] {
  return [kind, fromRevision, toRevision, coalesced];
}

function byKey(a: readonly [string, string], b: readonly [string, string]): number {
  return a[0] < b[0] ? -1 : 1;
}
