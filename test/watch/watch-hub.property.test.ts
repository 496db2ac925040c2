// Random changes, readers, cancels, resumes and replaced states; every watch is followed as a client would, and each
// batch compared with a registry that keeps every set of every revision.
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { WireReader } from '../../src/base/wire-reader.ts';
import type { WatchSpec, WatchStream } from '../../src/watch/types.ts';
import { WatchHub } from '../../src/watch/watch-hub.ts';
import { Follower, TestSink } from './follower.ts';
import { namespaces, RegistryDriver, registerBody } from './registry-driver.ts';

const services = ['api', 'db', 'web'] as const;
const bounds = {
  partBytesMax: 2_048,
  backlogBytesMax: 8 * 1024,
  turnWorkBytesMax: 3 * 1024,
  snapshotCacheBytesMax: 12 * 1024,
  watchesPerStreamMax: 6,
};

class Client {
  readonly sink = new TestSink();
  readonly followers = new Map<number, Follower>();
  readonly all: Follower[] = [];
  readonly stream: WatchStream;

  constructor(hub: WatchHub) {
    this.stream = hub.open(this.sink);
    this.sink.onSend = (bytes) => {
      const reader = new WireReader(bytes);
      reader.next();
      const watchId = reader.uint();
      const follower = must(this.followers.get(watchId), `follower of watch ${watchId}`);
      follower.receive(bytes);
      if (follower.ended !== undefined) this.followers.delete(watchId);
    };
  }
}

class Scenario {
  readonly driver = new RegistryDriver(300);
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly hub: WatchHub;
  clients: Client[] = [];
  readonly seen = new Map<string, number>();
  #leases: number[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const { clock, driver } = this;
    this.hub = new WatchHub({ state: () => driver.state, clock, memberId: 'a', ageMs: () => 7.5, bounds });
  }

  below(limit: number): number {
    return this.random.below('scenario', limit);
  }

  pick<T>(values: readonly T[]): T {
    return must(values[this.below(values.length)], 'picked value');
  }

  change(): void {
    const name = { namespace: this.pick(namespaces), service: this.pick(services), id: `i${this.below(30)}` };
    const draw = this.below(100);
    if (draw < 60) {
      const leaseId = draw < 25 ? (this.#leases.at(-1) ?? 0) : 0;
      this.driver.apply(registerBody(name, 'x'.repeat(this.below(120)), leaseId));
    } else if (draw < 94) {
      this.driver.apply({ kind: 'deregister', name, incarnation: 0 });
    } else if (draw < 97 || this.#leases.length === 0) {
      const granted = this.driver.apply({ kind: 'grant-lease', ttlMs: 10_000 });
      if (granted.kind === 'lease-granted') this.#leases.push(granted.leaseId);
    } else {
      // Many instances in one revision: more than one part, and at times more than the backlog.
      this.driver.apply({ kind: 'revoke-lease', leaseId: must(this.#leases.pop(), 'lease') });
    }
  }

  create(client: Client): void {
    const watchId = 1 + this.below(9);
    const resumes = this.below(3) === 0 && this.driver.revision > 0;
    const recent = Math.min(this.driver.revision, this.below(2) === 0 ? 40 : this.driver.revision);
    const spec: WatchSpec = {
      watchId,
      namespace: this.pick(namespaces),
      service: this.below(3) === 0 ? '' : this.pick(services),
      resumeRevision: resumes ? this.driver.revision - this.below(recent) : 0,
      once: this.below(5) === 0,
      progressIntervalMs: this.below(2) === 0 ? 0 : 100,
      linearizable: this.below(2) === 0,
    };
    const known = client.followers.get(watchId);
    const open = client.stream.has(watchId);
    const full = client.stream.watches + client.stream.endings >= bounds.watchesPerStreamMax;
    // An id is free for the server once its watch has ended, though the client may not have read it: it must wait.
    if (known !== undefined && !open) return;
    if (open || full) {
      throws(() => client.stream.create(spec), RollcallError);
      return;
    }
    const follower = new Follower(this.driver, spec);
    client.followers.set(watchId, follower);
    client.all.push(follower);
    client.stream.create(spec);
  }

  step(): void {
    const draw = this.below(100);
    const client = this.clients.length === 0 ? undefined : this.pick(this.clients);
    if (draw < 45 || client === undefined) {
      for (let i = this.below(4); i >= 0; i--) this.change();
      // The state is ahead of what is told for a while.
      if (this.below(4) > 0) this.hub.applied(this.driver.takeTurn());
      if (this.clients.length < 6) this.clients.push(new Client(this.hub));
    } else if (draw < 60) {
      this.create(client);
    } else if (draw < 66) {
      client.stream.cancel(1 + this.below(9));
    } else if (draw < 75) {
      client.sink.credit = this.pick([0, 1, 2, 5, Infinity]);
      if (client.sink.credit > 0) client.stream.drained();
    } else if (draw < 90) {
      this.clock.advance(this.pick([0, 0, 0, 30, 120]));
    } else if (draw < 91 && this.below(3) === 0) {
      this.close(client);
    } else if (draw < 92 && this.below(20) === 0) {
      for (let i = this.below(3); i > 0; i--) this.change();
      this.hub.replaced(this.driver.replace());
    }
    for (const { stream } of this.clients) {
      ok(stream.backlogBytes <= bounds.backlogBytesMax + stream.endings * 64);
    }
  }

  close(client: Client): void {
    client.stream.close();
    this.count(client);
    this.clients = this.clients.filter((other) => other !== client);
  }

  count(client: Client): void {
    for (const { seen } of client.all) {
      for (const [kind, times] of seen) this.seen.set(kind, (this.seen.get(kind) ?? 0) + times);
    }
  }

  /** Everybody reads everything: each watch must then stand at the registry as it is. */
  settle(): void {
    this.hub.applied(this.driver.takeTurn());
    for (const { sink, stream } of this.clients) {
      sink.credit = Infinity;
      stream.drained();
    }
    this.clock.advance(0);
    for (const client of this.clients) {
      strictEqual(client.stream.backlogBytes, 0);
      strictEqual(client.stream.watches, client.followers.size);
      for (const { spec, set, to } of client.followers.values()) {
        const { namespace, service } = spec;
        const now = this.driver.setAt(this.driver.revision, namespace, service);
        deepStrictEqual([...set.keys()].toSorted(), [...now.keys()].toSorted());
        deepStrictEqual(this.driver.changes(namespace, service, to, this.driver.revision), []);
      }
    }
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.step();
      if (i % 1_000 === 999) this.settle();
    }
    this.settle();
    for (const client of this.clients) this.close(client);
    const { streams, watches, backlogBytes, snapshotBytes } = this.hub.counts();
    deepStrictEqual([streams, watches, backlogBytes], [0, 0, 0]);
    ok(snapshotBytes <= bounds.snapshotCacheBytesMax);
    // No timer is left for watches that are gone.
    this.clock.advance(1_000);
    strictEqual(this.clock.pendingCount, 0);
  }
}

describe('watch hub against a second version', () => {
  const totals = new Map<string, number>();
  for (const seed of [1, 2, 3, 4]) {
    it(`follows random changes exactly (seed ${seed})`, () => {
      const scenario = new Scenario(seed);
      scenario.run(5_000);
      for (const [kind, times] of scenario.seen) totals.set(kind, (totals.get(kind) ?? 0) + times);
      expect(scenario.driver.events.length).toBeGreaterThan(2_000);
    });
  }

  it('has met every kind of batch often', () => {
    const rare = ['snapshot', 'delta', 'reset', 'progress', 'ended'].filter((kind) => (totals.get(kind) ?? 0) < 200);
    expect(rare).toEqual([]);
  });
});
