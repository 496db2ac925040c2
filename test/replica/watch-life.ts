import { ok } from 'node:assert/strict';
import { HubWatchSession } from '../../src/api/watch-session.ts';
import { WatchRooms } from '../../src/api/watch-rooms.ts';
import { must } from '../../src/base/assert.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { WireReader } from '../../src/base/wire-reader.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { compileFilter } from '../../src/filter/compile-filter.ts';
import type { InstanceFilter } from '../../src/filter/types.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { CommandBody, InstanceName } from '../../src/state-machine/types.ts';
import type { WatchSink, WatchSpec } from '../../src/watch/types.ts';
import { WatchHub } from '../../src/watch/watch-hub.ts';
import { ChangeModel } from '../watch/change-model.ts';
import { ModelFollower } from '../watch/model-follower.ts';
import { specOf } from '../watch/registry-driver.ts';
import { MemoryCluster } from './memory-cluster.ts';

const stepMs = 5;
const services = ['api', 'api-v2', 'db', 'web'] as const;
const tags = ['blue', 'green'] as const;
const zones = ['z1', 'z2'] as const;
const idsPerService = 40;
const writesOpenMax = 24;
const clientsMax = 8;
const watchesPerClient = 4;
const historyRevisionsMax = 400;
/** Events of one revision that are surely less than a backlog. */
const largeRevisionEvents = 20;
const noFilter: InstanceFilter = { tags: [], metadata: [], versionRange: '', zones: [], regions: [], statuses: [] };

/** So small that readers fall behind often. */
const hubBounds = {
  partBytesMax: 4_096,
  catchUpPartBytesMax: 2_048,
  backlogBytesMax: 12 * 1024,
  plainCatchUpBytesMax: 2_048,
};

/** The model takes each committed entry from whichever member applies it first, and compares those of the others. */
class CommittedLog {
  readonly model = new ChangeModel(historyRevisionsMax);
  readonly #terms: number[] = [];

  applied(entry: { readonly index: number; readonly term: number; readonly data: Uint8Array }): void {
    const known = this.model.entries[entry.index - 1];
    if (known === undefined) {
      ok(entry.index === this.model.entries.length + 1, `entry ${entry.index} after ${this.model.entries.length}`);
      this.#terms.push(entry.term);
      this.model.applyEntry({ term: entry.term, data: entry.data.slice() });
      return;
    }
    ok(this.#terms[entry.index - 1] === entry.term, `two terms of the committed entry ${entry.index}`);
    ok(Buffer.compare(known, entry.data) === 0, `two contents of the committed entry ${entry.index}`);
  }
}

/** One client: a stream to one member, on which several watches are followed as the model demands. */
class LifeClient implements WatchSink {
  readonly member: string;
  readonly followers = new Map<number, ModelFollower>();
  readonly lost: ModelFollower[] = [];
  readonly seen = new Map<string, number>();
  session!: HubWatchSession;
  credit = Infinity;

  constructor(member: string) {
    this.member = member;
  }

  send(response: Uint8Array): boolean {
    const reader = new WireReader(response);
    reader.next();
    const watchId = reader.uint();
    const follower = must(this.followers.get(watchId), `follower of watch ${watchId}`);
    follower.receive(response);
    this.credit--;
    const { ended } = follower;
    if (ended !== undefined) {
      this.followers.delete(watchId);
      this.close(follower);
      const { errorReason: reason } = ended;
      ok(['', 'MEMBER_BEHIND', 'NO_LEADER', 'NOT_SERVING'].includes(reason), `watch ended with ${reason}`);
      // It goes on elsewhere, from where it stands.
      if (reason !== '') this.lost.push(follower);
    }
    return this.credit > 0;
  }

  close(follower: ModelFollower): void {
    for (const [what, times] of follower.seen) this.seen.set(what, (this.seen.get(what) ?? 0) + times);
    follower.seen.clear();
  }

  drain(credit: number): void {
    this.credit = credit;
    if (credit > 0) this.session.drained();
  }
}

/**
 * A random life of a whole cluster with watchers: writes at every member, filters, slow readers, resumes on any member,
 * crashed, frozen and cut members and so changes of leader, snapshots to members that fell behind. Each batch is
 * compared with the model of what was committed.
 */
export class WatchLife {
  readonly seen = new Map<string, number>();
  readonly #random: SeededRandom;
  readonly #log = new CommittedLog();
  readonly #cluster: MemoryCluster;
  readonly #hubs = new Map<string, WatchHub>();
  readonly #rooms = new WatchRooms(clientsMax * watchesPerClient);
  readonly #downUntilMs = new Map<string, number>();
  readonly #frozenUntilMs = new Map<string, number>();
  #clients: LifeClient[] = [];
  /** With the member that was called: those of one that crashes are never answered. */
  readonly #writesOpen = new Set<{ readonly member: string }>();
  #leases: number[] = [];
  #connections = 0;
  #failure: unknown;
  #term = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const log = this.#log;
    this.#cluster = new MemoryCluster({
      seed,
      logKeepBytes: 64 * 1024,
      segmentBytes: 128 * 1024,
      createState: () => new RecordingState(log.model.bounds, log),
    });
  }

  async run(changes: number): Promise<void> {
    await this.#cluster.startAll();
    for (const { id } of this.#cluster.members) this.#openHub(id);
    await this.#cluster.leader();
    for (let settledAt = 0; this.#log.model.revision < changes; ) {
      await this.#step();
      if (this.#log.model.revision < settledAt + 1_500) continue;
      await this.#settle();
      settledAt = this.#log.model.revision;
    }
    await this.#settle();
    for (const client of this.#clients) for (const follower of client.followers.values()) client.close(follower);
    this.#clients.forEach((client) => this.#count(client));
    await this.#cluster.stop();
  }

  #below(limit: number): number {
    return this.#random.below('watch-life', limit);
  }

  #pick<T>(values: readonly T[]): T {
    return must(values[this.#below(values.length)], 'picked value');
  }

  get #running(): readonly string[] {
    return this.#cluster.members.filter(({ replica }) => replica !== undefined).map(({ id }) => id);
  }

  #openHub(id: string): void {
    const replica = this.#cluster.replica(id);
    const clock = must(this.#cluster.member(id).clock, 'clock of a running member');
    const ageMs = (): number => replica.ageMs();
    const hub = new WatchHub({ state: () => replica.state, clock, memberId: id, ageMs, bounds: hubBounds });
    replica.onApplied((turn) => this.#guard(() => hub.applied(turn)));
    replica.onReplaced((revision) => this.#guard(() => hub.replaced(revision)));
    this.#hubs.set(id, hub);
  }

  /** What a follower finds wrong must not look like a fault of the member. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failure ??= error;
    }
  }

  async #step(): Promise<void> {
    for (let i = this.#below(5); i > 0; i--) this.#write();
    const draw = this.#below(1_000);
    this.#guard(() => {
      if (draw < 120) this.#watchMore();
      else if (draw < 300) this.#pickClient()?.drain(this.#pick([0, 1, 3, 10, Infinity]));
      else if (draw < 330) this.#acknowledge();
      else if (draw < 350) this.#moveClient();
      for (const client of this.#clients) this.#goOn(client);
    });
    if (draw >= 990) await this.#fault();
    await this.#mend();
    await this.#cluster.run(stepMs);
    this.#noteTerm();
    const [fatal] = this.#cluster.members.flatMap((member) => member.fatal);
    this.#failure ??= fatal;
    this.#assertWell();
  }

  #assertWell(): void {
    if (this.#failure === undefined) return;
    throw this.#failure instanceof Error
      ? this.#failure
      : new Error('not an error was thrown', { cause: this.#failure });
  }

  #noteTerm(): void {
    for (const id of this.#running) {
      const { term, role } = this.#cluster.replica(id).status();
      if (role !== 'leader' || term <= this.#term) continue;
      this.#term = term;
      this.#add('leaders', 1);
    }
  }

  #write(): void {
    const members = this.#running;
    if (this.#writesOpen.size >= writesOpenMax || members.length === 0) return;
    const write = { member: this.#pick(members) };
    this.#writesOpen.add(write);
    this.#cluster.execute(write.member, this.#change()).then(
      (result) => {
        this.#writesOpen.delete(write);
        if (result.kind === 'lease-granted') this.#leases.push(result.leaseId);
      },
      () => {
        this.#writesOpen.delete(write);
      },
    );
  }

  #change(): CommandBody {
    const draw = this.#below(100);
    const name = this.#name();
    if (draw < 60) {
      const leaseId = draw < 20 ? (this.#leases.at(-1) ?? 0) : 0;
      const lifetime = leaseId === 0 ? ({ kind: 'persistent' } as const) : ({ kind: 'lease', leaseId } as const);
      return { kind: 'register', name, spec: this.#spec(name), lifetime, ifAbsent: false, ifIncarnation: 0 };
    }
    if (draw < 66) {
      const names = [0, 1, 2, 3].map((i) => ({ ...name, id: `i${i}` }));
      const item = { ifAbsent: false, ifIncarnation: 0, keepEqual: true };
      const items = names.map((one) => ({ ...item, name: one, spec: this.#spec(one) }));
      return { kind: 'batch-register', lifetime: { kind: 'persistent' }, items };
    }
    if (draw < 96) return { kind: 'deregister', name, incarnation: 0 };
    if (draw < 98 || this.#leases.length === 0) return { kind: 'grant-lease', ttlMs: 60_000 };
    return { kind: 'revoke-lease', leaseId: must(this.#leases.pop(), 'lease') };
  }

  #name(): InstanceName {
    return { namespace: 'default', service: this.#pick(services), id: `i${this.#below(idsPerService)}` };
  }

  #spec(name: InstanceName): Uint8Array {
    const out = new WireWriter();
    out.raw(specOf(name, 'x'.repeat(this.#below(80))));
    for (const tag of tags) if (this.#below(2) === 0) out.string(7, tag);
    if (this.#below(3) > 0) out.beginMessage(9).string(2, this.#pick(zones)).endMessage();
    return out.finish();
  }

  #pickClient(): LifeClient | undefined {
    return this.#clients.length === 0 ? undefined : this.#pick(this.#clients);
  }

  #connect(member: string): LifeClient {
    const client = new LifeClient(member);
    const hub = must(this.#hubs.get(member), 'hub of a running member');
    const connection = `connection ${++this.#connections}`;
    client.session = new HubWatchSession(this.#cluster.replica(member), hub, client, this.#rooms, connection);
    this.#clients.push(client);
    return client;
  }

  #watchMore(): void {
    const members = this.#running;
    if (members.length === 0) return;
    const connects = this.#clients.length < clientsMax && this.#below(3) === 0;
    const client = connects ? this.#connect(this.#pick(members)) : this.#pickClient();
    if (client === undefined || client.followers.size >= watchesPerClient) return;
    const filter = this.#pick([
      noFilter,
      noFilter,
      { ...noFilter, tags: ['blue'] },
      { ...noFilter, zones: ['z1'] },
      { ...noFilter, tags: ['green'], zones: ['z1', 'z2'] },
    ]);
    const service = this.#below(3) === 0 ? '' : this.#pick(services);
    const { revision } = this.#log.model;
    const resumes = revision > 0 && this.#below(3) === 0;
    this.#create(client, filter, {
      service,
      servicePrefix: service === '' ? this.#pick(['', 'api', 'w']) : '',
      resumeRevision: resumes ? revision - this.#below(Math.min(revision, 600)) : 0,
      once: this.#below(8) === 0,
    });
  }

  #create(
    client: LifeClient,
    filter: InstanceFilter,
    asked: Pick<WatchSpec, 'service' | 'servicePrefix' | 'resumeRevision' | 'once'>,
  ): void {
    const watchId = 1 + this.#below(2 ** 40);
    if (client.followers.has(watchId)) return;
    const consistency = this.#below(3) === 0 ? 'stale' : 'linearizable';
    const linearizable = consistency === 'linearizable' && asked.resumeRevision === 0;
    const matcher = compileFilter(filter);
    const progressIntervalMs = this.#below(2) === 0 ? 0 : 200;
    const spec = { ...asked, watchId, namespace: 'default', matcher, progressIntervalMs, linearizable };
    const state = (): RegistryState => this.#cluster.replica(client.member).state as RegistryState;
    const watch = { spec, filter, memberId: client.member, state };
    client.followers.set(watchId, new ModelFollower(this.#log.model, watch, this.#hasLargeRevision));
    client.session.create({ ...spec, consistency });
  }

  /** One that may be more than what may wait for a stream. */
  readonly #hasLargeRevision = (from: number, to: number): boolean => {
    let [revision, events] = [0, 0];
    for (const event of this.#log.model.changes(from, to)) {
      events = event.revision === revision ? events + 1 : 1;
      revision = event.revision;
      if (events > largeRevisionEvents) return true;
    }
    return false;
  };

  /** What a member ended, for instance since it is behind, goes on at any other. */
  #goOn(client: LifeClient): void {
    for (const { to, watch } of client.lost.splice(0)) this.#resume(to, watch);
  }

  #resume(to: number, watch: ModelFollower['watch']): void {
    const members = this.#running;
    if (members.length === 0) return;
    const member = this.#pick(members);
    const client = this.#clients.find((one) => one.member === member) ?? this.#connect(member);
    if (client.followers.size >= 4 * watchesPerClient) return;
    const { service, servicePrefix, once } = watch.spec;
    this.#create(client, watch.filter, { service, servicePrefix, once, resumeRevision: to });
    this.#add('resumed', 1);
  }

  #acknowledge(): void {
    const client = this.#pickClient();
    const follower = client === undefined ? undefined : [...client.followers][0];
    if (client !== undefined && follower !== undefined) client.session.ack(follower[0], follower[1].to);
  }

  #moveClient(): void {
    const client = this.#pickClient();
    if (client === undefined) return;
    client.session.close();
    this.#leave(client);
  }

  /** Its stream is gone: all its watches go on elsewhere. */
  #leave(client: LifeClient): void {
    this.#clients = this.#clients.filter((other) => other !== client);
    for (const follower of client.followers.values()) {
      client.close(follower);
      this.#resume(follower.to, follower.watch);
    }
    client.followers.clear();
    this.#count(client);
  }

  async #fault(): Promise<void> {
    const now = this.#cluster.clock.monotonicMs();
    if (this.#downUntilMs.size + this.#frozenUntilMs.size > 0) return;
    const leader = this.#running.find((id) => this.#cluster.replica(id).status().role === 'leader');
    const id = this.#below(2) === 0 && leader !== undefined ? leader : this.#pick(this.#running);
    if (this.#below(3) === 0) {
      this.#cluster.freeze(id);
      this.#frozenUntilMs.set(id, now + 200 + this.#below(2_500));
      this.#add('freezes', 1);
      return;
    }
    if (this.#below(2) === 0) this.#cluster.crash(id);
    else this.#cluster.kill(id);
    this.#add('crashes', 1);
    this.#hubs.delete(id);
    for (const write of this.#writesOpen) if (write.member === id) this.#writesOpen.delete(write);
    this.#downUntilMs.set(id, now + 100 + this.#below(4_000));
    for (const client of this.#clients.filter(({ member }) => member === id)) this.#guard(() => this.#leave(client));
  }

  async #mend(all = false): Promise<void> {
    const now = this.#cluster.clock.monotonicMs();
    for (const [id, untilMs] of this.#frozenUntilMs) {
      if (untilMs > now && !all) continue;
      this.#frozenUntilMs.delete(id);
      this.#cluster.thaw(id);
    }
    for (const [id, untilMs] of this.#downUntilMs) {
      if (untilMs > now && !all) continue;
      this.#downUntilMs.delete(id);
      await this.#cluster.start(id);
      this.#openHub(id);
    }
  }

  /** Everybody is well and reads everything: each watch then holds what is there. */
  async #settle(): Promise<void> {
    await this.#mend(true);
    await this.#cluster.leader();
    await this.#cluster.until('the open writes', () => (this.#writesOpen.size === 0 ? true : undefined), 20_000);
    await this.#cluster.hashes();
    const settled = async (): Promise<void> => {
      this.#guard(() => {
        for (const client of this.#clients) client.drain(Infinity);
        for (const client of this.#clients) this.#goOn(client);
      });
      await this.#cluster.run(100);
      this.#assertWell();
    };
    for (let i = 0; i < 20; i++) await settled();
    for (const client of this.#clients) {
      ok(client.lost.length === 0, 'a watch finds no member that goes on with it');
      for (const follower of client.followers.values()) {
        ok(!follower.watch.spec.once, 'a watch that is to end with what is there goes on');
        follower.assertAtEnd();
      }
    }
  }

  #count(client: LifeClient): void {
    for (const [what, times] of client.seen) this.#add(what, times);
    client.seen.clear();
  }

  #add(what: string, times: number): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + times);
  }
}

/** Tells the log of each entry that it is given; what a member loads from disk or a snapshot was told by others. */
class RecordingState extends RegistryState {
  readonly #log: CommittedLog;

  constructor(bounds: ConstructorParameters<typeof RegistryState>[0], log: CommittedLog) {
    super(bounds);
    this.#log = log;
  }

  override apply(entry: Parameters<RegistryState['apply']>[0]): ReturnType<RegistryState['apply']> {
    this.#log.applied(entry);
    return super.apply(entry);
  }
}
