import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { must } from '../../src/base/assert.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import type { WatchSink, WatchSpec } from '../../src/watch/types.ts';
import type { RegistryDriver } from './registry-driver.ts';

type Response = rollcall.v1.WatchResponse;
type Event = rollcall.v1.IWatchEvent;

export const kinds = ['', 'snapshot', 'delta', 'reset', 'progress', 'ended'] as const;

/** A sink that takes as much as it is told to, and keeps what it was sent. */
export class TestSink implements WatchSink {
  /** Responses that it still takes; Infinity: a fast reader. */
  credit = Infinity;
  readonly sent: Uint8Array[] = [];
  onSend: (response: Uint8Array) => void = () => {};

  send(response: Uint8Array): boolean {
    this.sent.push(response);
    this.onSend(response);
    this.credit--;
    return this.credit > 0;
  }

  responses(): Response[] {
    return this.sent.map((bytes) => rollcall.v1.WatchResponse.decode(bytes));
  }
}

/**
 * Does what a client does with the responses of one watch, and compares every step with the registry: batches join up
 * without gap or repeat, are whole, say exactly what changed, and give the set as of their `to`.
 */
export class Follower {
  readonly spec: WatchSpec;
  readonly set = new Map<string, Uint8Array>();
  readonly #driver: RegistryDriver;
  to: number;
  ended: Response | undefined;
  batches = 0;
  readonly seen = new Map<string, number>();
  #parts: Response[] = [];

  constructor(driver: RegistryDriver, spec: WatchSpec) {
    this.#driver = driver;
    this.spec = spec;
    this.to = spec.resumeRevision;
    const { namespace, service, resumeRevision } = spec;
    if (resumeRevision > 0) this.set = driver.setAt(resumeRevision, namespace, service);
  }

  receive(bytes: Uint8Array): void {
    const response = rollcall.v1.WatchResponse.decode(bytes);
    strictEqual(response.watchId, this.spec.watchId);
    strictEqual(this.ended, undefined, 'a response after the end');
    const kind = must(kinds[response.kind], 'kind');
    this.seen.set(kind, (this.seen.get(kind) ?? 0) + 1);
    if (kind === 'ended') {
      this.ended = response;
      return;
    }
    strictEqual(response.header?.member, 'a');
    strictEqual(response.header?.revision, response.toRevision);
    const [first] = this.#parts;
    if (first !== undefined) {
      const numbers = [response.kind, response.fromRevision, response.toRevision];
      deepStrictEqual(numbers, [first.kind, first.fromRevision, first.toRevision], 'parts of one batch');
    }
    this.#parts.push(response);
    if (response.more) return;
    this.#batch(
      kind,
      response.fromRevision,
      response.toRevision,
      this.#parts.flatMap((part) => part.events),
    );
    this.#parts = [];
    this.batches++;
  }

  #batch(kind: string, from: number, to: number, events: readonly Event[]): void {
    const { namespace, service, resumeRevision } = this.spec;
    if (kind === 'snapshot' || kind === 'reset') {
      strictEqual(from, 0);
      ok(to >= this.to, `a snapshot as of ${to}, below ${this.to}`);
      if (kind === 'snapshot') deepStrictEqual([this.batches, resumeRevision], [0, 0], 'a second snapshot');
      this.set.clear();
      strictEqual(new Set(events.map((event) => keyOf(event))).size, events.length, 'instances twice');
      ok(events.every((event) => event.kind === 1));
    } else {
      strictEqual(from, this.to, 'gap or repeat');
      if (kind === 'progress') deepStrictEqual(events, []);
      else ok(to > from, `delta (${from}, ${to}]`);
      this.#compareChanges(from, to, events);
    }
    for (const event of events) {
      if (event.kind === 1) this.set.set(keyOf(event), encoded(event));
      else this.set.delete(keyOf(event));
    }
    this.to = to;
    const expected = comparable(this.#driver.setAt(to, namespace, service));
    deepStrictEqual(comparable(this.set), expected, `set of ${namespace}/${service} at ${to}`);
  }

  #compareChanges(from: number, to: number, events: readonly Event[]): void {
    const { namespace, service } = this.spec;
    const expected = this.#driver.changes(namespace, service, from, to).map((event) => {
      const key = `${event.name.service}/${event.name.id}`;
      return event.kind === 'put'
        ? `${event.revision} put ${key}`
        : `${event.revision} delete ${key} ${event.incarnation} ${causeNumbers[event.cause]} ${event.reason}`;
    });
    const found = events.map((event) =>
      event.kind === 1
        ? `${event.revision} put ${keyOf(event)}`
        : `${event.revision} delete ${keyOf(event)} ${event.incarnation} ${event.cause} ${event.reason}`,
    );
    deepStrictEqual(found, expected, `changes in (${from}, ${to}]`);
  }
}

const causeNumbers = { deregistered: 1, 'lease-expired': 2, 'lease-revoked': 3 } as const;

function keyOf(event: Event): string {
  const name = event.kind === 1 ? event.instance?.spec : event.key;
  return `${name?.service}/${name?.id}`;
}

/** The instance as the decoder of protobufjs understood it, encoded again. */
function encoded(event: Event): Uint8Array {
  return rollcall.v1.InstanceView.encode(must(event.instance, 'instance')).finish();
}

function comparable(set: ReadonlyMap<string, Uint8Array>): string[] {
  return [...set].map(([key, view]) => `${key} ${Buffer.from(view).toString('latin1')}`).toSorted();
}
