// Random changes, filters, slow readers, cancels, resumes on other members, restarts and installed snapshots; every
// watch is followed as a client would, and each batch compared with a second version that keeps every change.
// ROLLCALL_WATCH_CHANGES: how many revisions in all.
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { afterAll, describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { compileFilter } from '../../src/filter/compile-filter.ts';
import type { InstanceFilter } from '../../src/filter/types.ts';
import type { CommandBody, InstanceName } from '../../src/state-machine/types.ts';
import type { WatchSpec } from '../../src/watch/types.ts';
import { ChangeModel, StateFiles } from './change-model.ts';
import { assertIdle, ModelClient, ModelMember } from './model-cluster.ts';
import { ModelFollower } from './model-follower.ts';
import { specOf } from './registry-driver.ts';

const changesTotal = Number(process.env['ROLLCALL_WATCH_CHANGES'] ?? 3_000);
const changesPerSeed = Math.max(500, Math.min(5_000, Math.ceil(changesTotal / 6)));
const seeds = Math.ceil(changesTotal / changesPerSeed);

const namespaces = ['default', 'other'] as const;
const services = ['api', 'api-v2', 'db', 'web'] as const;
const prefixes = ['', '', 'a', 'api', 'api-', 'w', 'zz'] as const;
const tags = ['blue', 'green', 'canary'] as const;
const zones = ['z1', 'z2'] as const;
const watchesPerStreamMax = 6;
const historyRevisionsMax = 120;
/** Events of one revision that are surely less than a backlog. */
const largeRevisionEvents = 10;

const bounds = {
  partBytesMax: 2_048,
  catchUpPartBytesMax: 1_024,
  backlogBytesMax: 8 * 1024,
  plainCatchUpBytesMax: 1_024,
  changesReuseMs: 40,
  turnWorkBytesMax: 6 * 1024,
  snapshotCacheBytesMax: 12 * 1024,
  watchesPerStreamMax,
};
/** Bounds of all streams together, so small that they are reached in some of the runs. */
const tightBounds = [{}, { changedKeysBytesMax: 4 * 1024 }, { backlogsBytesMax: 6 * 1024 }] as const;

const noFilter: InstanceFilter = { tags: [], metadata: [], versionRange: '', zones: [], regions: [], statuses: [] };

class Scenario {
  readonly model = new ChangeModel(historyRevisionsMax);
  readonly clock = new ManualClock();
  readonly seen = new Map<string, number>();
  readonly #random: SeededRandom;
  readonly #members: readonly ModelMember[];
  #clients: ModelClient[] = [];
  #leases: number[] = [];
  #files = new StateFiles();

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const tight = tightBounds[seed % tightBounds.length];
    this.#members = ['a', 'b', 'c'].map((id) => new ModelMember(id, this.model, this.clock, { ...bounds, ...tight }));
  }

  run(changes: number): void {
    for (let settledAt = 0; this.model.revision < changes; ) {
      this.#step();
      if (this.model.revision < settledAt + 700) continue;
      this.#settle();
      settledAt = this.model.revision;
    }
    this.#settle();
    for (const client of this.#clients) this.#close(client);
    // No timer is left for watches that are gone, and what was kept for a while is dropped with the next turn.
    this.clock.advance(1_000);
    strictEqual(this.clock.pendingCount, 0);
    for (const member of this.#members) {
      assertIdle(member, bounds.snapshotCacheBytesMax);
      this.#count('coalesced counted', member.hub.counts().coalesced);
    }
  }

  #below(limit: number): number {
    return this.#random.below('scenario', limit);
  }

  #pick<T>(values: readonly T[]): T {
    return must(values[this.#below(values.length)], 'picked value');
  }

  #step(): void {
    const draw = this.#below(1_000);
    const client = this.#clients.length === 0 ? undefined : this.#pick(this.#clients);
    if (draw < 400 || client === undefined) {
      for (let i = this.#below(5); i >= 0; i--) this.#change();
      this.#applySome();
      if (this.#clients.length < 7) this.#clients.push(new ModelClient(this.#pick(this.#members)));
    } else if (draw < 520) this.#create(client, this.#newWatch());
    else if (draw < 560) client.stream.cancel(1 + this.#below(9));
    else if (draw < 690) client.drain(this.#pick([0, 0, 1, 2, 5, Infinity]));
    else if (draw < 900) this.clock.advance(this.#pick([0, 0, 0, 30, 120]));
    else if (draw < 930) this.#acknowledge(client);
    else if (draw < 950) this.#resumeElsewhere(client);
    else if (draw < 953) this.#restart(this.#pick(this.#members));
    else if (draw < 956) this.#install(this.#pick(this.#members));
    for (const { stream } of this.#clients) {
      ok(
        stream.backlogBytes <= bounds.backlogBytesMax + stream.endings * 64,
        `backlog of ${stream.backlogBytes} bytes`,
      );
    }
  }

  /** Members apply at their own pace, and their hubs are told at times later. */
  #applySome(): void {
    for (const member of this.#members) {
      if (this.#below(3) === 0) continue;
      member.apply(this.#below(4) === 0 ? this.#below(3) : Infinity);
      if (this.#below(4) > 0) member.tell();
    }
  }

  #change(): void {
    const draw = this.#below(100);
    const name = this.#name();
    if (draw < 55) {
      const leaseId = draw < 25 ? (this.#leases.at(-1) ?? 0) : 0;
      const lifetime = leaseId === 0 ? ({ kind: 'persistent' } as const) : ({ kind: 'lease', leaseId } as const);
      this.model.apply({ kind: 'register', name, spec: this.#spec(name), lifetime, ifAbsent: false, ifIncarnation: 0 });
    } else if (draw < 65) {
      // Several revisions in one entry.
      this.model.apply(...[name, this.#name(), this.#name()].map((other) => this.#update(other)));
    } else if (draw < 68) this.model.apply(this.#batch(name));
    else if (draw < 94) this.model.apply({ kind: 'deregister', name, incarnation: 0 });
    else if (draw < 97 || this.#leases.length === 0) {
      const [granted] = this.model.apply({ kind: 'grant-lease', ttlMs: 10_000 });
      if (granted?.kind === 'lease-granted') this.#leases.push(granted.leaseId);
    } else {
      // Many instances in one revision: more than one part, and at times more than the backlog.
      this.model.apply({ kind: 'revoke-lease', leaseId: must(this.#leases.pop(), 'lease') });
    }
  }

  #name(): InstanceName {
    return { namespace: this.#pick(namespaces), service: this.#pick(services), id: `i${this.#below(25)}` };
  }

  #update(name: InstanceName): CommandBody {
    const incarnation = this.model.state.incarnationOf(name.namespace, name.service, name.id) ?? 1;
    return { kind: 'update', name, spec: this.#spec(name), incarnation };
  }

  #batch(first: InstanceName): CommandBody {
    const items = Array.from({ length: 6 }, (_, i) => ({ ...first, id: `i${i * 4}` })).map((name) => ({
      name,
      spec: this.#spec(name),
      ifAbsent: false,
      ifIncarnation: 0,
      keepEqual: true,
    }));
    return { kind: 'batch-register', lifetime: { kind: 'persistent' }, items };
  }

  #spec(name: InstanceName): Uint8Array {
    const out = new WireWriter();
    out.raw(specOf(name, 'x'.repeat(this.#below(60))));
    for (const tag of tags) if (this.#below(2) === 0) out.string(7, tag);
    if (this.#below(2) === 0)
      out
        .beginMessage(8)
        .string(1, 'tier')
        .string(2, this.#pick(['1', '2']))
        .endMessage();
    if (this.#below(3) > 0) out.beginMessage(9).string(2, this.#pick(zones)).endMessage();
    return out.finish();
  }

  #filter(): InstanceFilter {
    switch (this.#below(6)) {
      case 0:
        return { ...noFilter, tags: [this.#pick(tags)] };
      case 1:
        return { ...noFilter, zones: [this.#pick(zones)] };
      case 2:
        return { ...noFilter, tags: ['blue'], metadata: [{ key: 'tier', operator: 'in', values: ['2'] }] };
      default:
        return noFilter;
    }
  }

  #newWatch(): { readonly spec: WatchSpec; readonly filter: InstanceFilter } {
    const { revision } = this.model;
    const resumes = this.#below(3) === 0 && revision > 0;
    const recent = Math.min(revision, this.#below(3) === 0 ? revision : 100);
    const filter = this.#filter();
    const service = this.#below(3) === 0 ? '' : this.#pick(services);
    const spec: WatchSpec = {
      watchId: 1 + this.#below(9),
      namespace: this.#pick(namespaces),
      service,
      servicePrefix: service === '' ? this.#pick(prefixes) : '',
      matcher: compileFilter(filter),
      resumeRevision: resumes ? revision - this.#below(recent) : 0,
      once: this.#below(6) === 0,
      progressIntervalMs: this.#below(2) === 0 ? 0 : 100,
      linearizable: this.#below(2) === 0,
    };
    return { spec, filter };
  }

  #create(client: ModelClient, { spec, filter }: { readonly spec: WatchSpec; readonly filter: InstanceFilter }): void {
    const { member } = client;
    const watch = { spec, filter, memberId: member.id, state: () => member.state };
    client.create(watch, watchesPerStreamMax, () => new ModelFollower(this.model, watch, this.#hasLargeRevision));
  }

  readonly #hasLargeRevision = (from: number, to: number): boolean => {
    let [revision, events] = [0, 0];
    for (const event of this.model.changes(from, to)) {
      events = event.revision === revision ? events + 1 : 1;
      revision = event.revision;
      if (events > largeRevisionEvents) return true;
    }
    return false;
  };

  #acknowledge(client: ModelClient): void {
    if (client.followers.size === 0) return;
    const [watchId, { to }] = this.#pick([...client.followers]);
    client.stream.ack(watchId, this.#below(2) === 0 ? to : this.#below(to + 1));
  }

  /** As a client does whose connection broke: what it stands at is good on every member that is so far. */
  #resumeElsewhere(client: ModelClient): void {
    this.#close(client);
    const next = new ModelClient(this.#pick(this.#members));
    this.#clients.push(next);
    for (const follower of client.followers.values()) {
      if (follower.to === 0 || follower.ended !== undefined) continue;
      const { spec, filter } = follower.watch;
      this.#create(next, { spec: { ...spec, resumeRevision: follower.to }, filter });
      this.#count('resumed elsewhere', 1);
    }
  }

  #restart(member: ModelMember): void {
    const cut = this.#clients.filter((client) => client.member === member);
    for (const client of cut) this.#close(client);
    member.restart();
    this.#count('restarts', 1);
    for (const client of cut) {
      const next = new ModelClient(member);
      this.#clients.push(next);
      for (const { to, watch } of client.followers.values()) {
        if (to > 0) this.#create(next, { spec: { ...watch.spec, resumeRevision: to }, filter: watch.filter });
      }
    }
  }

  /** A member that is behind gets the state as it is. */
  #install(member: ModelMember): void {
    this.#files.flush(this.model.state);
    member.install(this.#files.copy());
    this.#count('installs', 1);
  }

  #close(client: ModelClient): void {
    client.stream.close();
    this.#clients = this.#clients.filter((other) => other !== client);
    for (const { seen } of client.all) for (const [what, times] of seen) this.#count(what, times);
  }

  #count(what: string, times: number): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + times);
  }

  /** Everybody reads everything: each watch must then hold what is there now. */
  #settle(): void {
    for (const member of this.#members) {
      member.apply(Infinity);
      member.tell();
    }
    for (const client of this.#clients) client.drain(Infinity);
    this.clock.advance(0);
    for (const client of this.#clients) client.assertAtEnd();
    for (const { hub } of this.#members) deepStrictEqual([hub.counts().behind, hub.counts().changedKeysBytes], [0, 0]);
  }
}

describe('watch hubs against a second version', () => {
  const totals = new Map<string, number>();

  for (let seed = 1; seed <= seeds; seed++) {
    it(`follow ${changesPerSeed} random changes exactly (seed ${seed})`, { timeout: 300_000 }, () => {
      const scenario = new Scenario(seed);
      scenario.run(changesPerSeed);
      for (const [what, times] of scenario.seen) totals.set(what, (totals.get(what) ?? 0) + times);
      expect(scenario.model.events.length).toBeGreaterThan(changesPerSeed);
    });
  }

  it('have met every kind of batch and event often', () => {
    const wanted = ['snapshot', 'delta', 'coalesced', 'reset', 'progress', 'ended', 'parts', 'resumed elsewhere'];
    expect(wanted.filter((what) => (totals.get(what) ?? 0) < 40)).toEqual([]);
    for (const what of ['restarts', 'installs']) expect(totals.get(what) ?? 0).toBeGreaterThan(3);
  });

  afterAll(() => {
    if (process.env['ROLLCALL_WATCH_CHANGES'] !== undefined) console.info(seeds, 'seeds', Object.fromEntries(totals));
  });
});
