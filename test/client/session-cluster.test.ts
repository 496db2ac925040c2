// Sessions of the client against three real members: what a process is promised while members, connections and other
// processes come and go.
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { planMembers, ProcessCluster } from '../../scripts/cluster/process-cluster.ts';
import { must } from '../../src/base/assert.ts';
import type { ClientOptions } from '../../src/client/client.ts';
import { RollcallClient } from '../../src/client/client.ts';
import type { ClientError } from '../../src/client/client-error.ts';
import type { LostInstance, Restored, Session, SessionOptions } from '../../src/client/session-types.ts';
import type { InstanceInput, WatchEvent } from '../../src/client/types.ts';
import type { Watch } from '../../src/client/watch.ts';
import { until } from './fake-member.ts';

/** Several members start at once, and the machine may have other work. */
const startedWithinMs = 60_000;

let directory: string;
let cluster: ProcessCluster;
const clients: RollcallClient[] = [];
const relays: Relay[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-session-cluster-'));
  cluster = new ProcessCluster({ directory, members: await planMembers(3) });
  cluster.startAll();
  await cluster.leader(startedWithinMs);
}, startedWithinMs);

afterEach(async () => {
  for (const made of clients.splice(0)) made.close();
  for (const relay of relays.splice(0)) relay.stop();
  cluster.startAll();
  await cluster.leader(startedWithinMs);
}, startedWithinMs);

afterAll(async () => {
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

function client(options: Partial<ClientOptions> = {}): RollcallClient {
  const made = new RollcallClient({ servers: cluster.clientAddresses, ...options });
  clients.push(made);
  return made;
}

function instanceOf(service: string, id: string, changes: Partial<InstanceInput> = {}): InstanceInput {
  const endpoints = [{ name: 'main', protocol: 'http', address: '10.0.0.1', port: 80 }];
  return { service, id, endpoints, ...changes };
}

interface Told {
  readonly lost: LostInstance[];
  readonly restored: Restored[];
}

function open(from: RollcallClient, options: SessionOptions = {}): { readonly session: Session; readonly told: Told } {
  const told: Told = { lost: [], restored: [] };
  const session = from.openSession({
    ttlMs: 3_000,
    onLost: (lost) => told.lost.push(lost),
    onRestored: (restored) => told.restored.push(restored),
    ...options,
  });
  return { session, told };
}

/** Every event of a watch behind its snapshot. */
class Events {
  readonly all: WatchEvent[] = [];
  readonly #watch: Watch;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  static async of(from: RollcallClient, service: string): Promise<Events> {
    const watch = from.watch({ service });
    const events = new Events(watch);
    await watch.next();
    void events.#read();
    return events;
  }

  /** Kind, id and cause of each. */
  get told(): string[] {
    return this.all.map((event) => {
      if (event.kind === 'put') return `put ${event.instance.id}`;
      return event.kind === 'delete' ? `${event.cause} ${event.key.id}` : `leaves ${event.key.id}`;
    });
  }

  async #read(): Promise<void> {
    for await (const { kind, events } of this.#watch) {
      if (kind === 'reset') throw new Error('the watch was reset');
      this.all.push(...events);
    }
  }
}

/** Passes bytes on to a member, until the connections are cut. */
class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  static async to(address: string): Promise<Relay> {
    const relay = new Relay(Number(address.split(':')[1]));
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    relays.push(relay);
    return relay;
  }

  private constructor(port: number) {
    this.#server = createServer((near) => {
      if (this.#isCut) {
        near.destroy();
        return;
      }
      const far = connect(port, '127.0.0.1');
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
  }

  get address(): string {
    const bound = must(this.#server.address(), 'address');
    return `127.0.0.1:${typeof bound === 'string' ? bound : bound.port}`;
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Until it is mended no connection is passed on. */
  cutForLong(): void {
    this.#isCut = true;
    this.cut();
  }

  mend(): void {
    this.#isCut = false;
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }
}

async function found(service: string): Promise<string[]> {
  const { instances } = await client().discover({ service });
  return instances.map(({ id }) => id);
}

const sessionTtlMs = 3_000;

/** Twenty sessions of ten instances each, spread over all members, and who watches them. */
class Fleet {
  readonly trouble: ClientError[] = [];
  readonly #service: string;
  readonly #sessions: ReturnType<typeof open>[] = [];
  readonly #incarnations = new Map<string, number>();
  #events: Events | undefined;

  static async of(service: string): Promise<Fleet> {
    const fleet = new Fleet(service);
    const from = client();
    for (let s = 0; s < 20; s++) {
      fleet.#sessions.push(open(from, { ttlMs: sessionTtlMs, onTrouble: (error) => fleet.trouble.push(error) }));
    }
    await Promise.all(fleet.#sessions.map((_, s) => fleet.#register(s)));
    fleet.#events = await Events.of(client(), service);
    return fleet;
  }

  private constructor(service: string) {
    this.#service = service;
  }

  confirmedSince(ms: number): boolean {
    const leftMs = sessionTtlMs - (performance.now() - ms);
    return this.#sessions.every(({ session }) => (session.remainingMs ?? 0) > leftMs);
  }

  /** What is not as it was, or was told meanwhile. */
  async differences(): Promise<unknown[]> {
    const { instances } = await client().discover({ service: this.#service });
    const found = new Map(instances.map(({ id, incarnation }) => [id, incarnation]));
    const gone = [...this.#incarnations].filter(([id, incarnation]) => found.get(id) !== incarnation);
    const states = this.#sessions.filter(({ session }) => session.state !== 'live');
    const told = this.#sessions.flatMap(({ told: { lost, restored } }) => [...lost, ...restored]);
    return [...gone, ...states.map(({ session }) => session.state), ...told, ...(this.#events?.told ?? [])];
  }

  async #register(s: number): Promise<void> {
    const { session } = must(this.#sessions[s], 'session');
    for (let i = 0; i < 10; i++) {
      const id = `${s}-${i}`;
      const { incarnation } = await session.register(instanceOf(this.#service, id));
      this.#incarnations.set(id, incarnation);
    }
  }
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a session with real members', { timeout: 60_000 }, () => {
  it.each(['a', 'b', 'c'])('registers, changes and removes at member %s', async (id) => {
    const { client: port } = must(
      cluster.members.find((member) => member.id === id),
      'member',
    );
    const { session } = open(client({ servers: `127.0.0.1:${port}` }));
    const service = `calls-${id}`;
    const events = await Events.of(client(), service);
    const first = await session.register(instanceOf(service, '1'));
    expect(first).toMatchObject({ replaced: false, header: { member: id, revision: first.incarnation } });
    expect(await session.update(instanceOf(service, '1', { weight: 5 }))).toMatchObject({ changed: true });
    expect(await session.update(instanceOf(service, '1', { weight: 5 }))).toMatchObject({ changed: false });
    expect(await session.register(instanceOf(service, '1'))).toMatchObject({ replaced: true });
    const bad = instanceOf(service, 'bad', { endpoints: [] });
    await expect(
      Promise.all([session.register(bad), session.register(instanceOf(service, '2'))]),
    ).rejects.toMatchObject({
      reason: 'INVALID_FIELD',
      field: 'instance.endpoints',
    });
    expect(await session.deregister({ service, id: '1' }, { reason: 'done' })).toMatchObject({ existed: true });
    await expect(session.update(instanceOf(service, '1'))).rejects.toMatchObject({ reason: 'UNKNOWN_INSTANCE' });
    await session.close();
    await until(() => events.all.length >= 6, 'all events');
    expect(events.told).toEqual(['put 1', 'put 1', 'put 1', 'put 2', 'deregistered 1', 'deregistered 2']);
  });

  it('keeps everything registered without any event while the leader is killed', async () => {
    const fleet = await Fleet.of('failover');
    await cluster.kill(await cluster.leader(20_000), 'SIGKILL');
    const killedMs = performance.now();
    // Each has been confirmed since: by another leader, many over another member.
    await until(() => fleet.confirmedSince(killedMs), 'all confirmed');
    expect(performance.now() - killedMs).toBeLessThan(sessionTtlMs);
    // What had been forgotten would be removed by now.
    await wait(sessionTtlMs + 1_000);
    expect(await fleet.differences()).toEqual([]);
  });

  it('keeps everything registered without any event while a member stands still', async () => {
    const fleet = await Fleet.of('standstill');
    const leader = await cluster.leader(20_000);
    const still = must(
      cluster.members.find(({ id }) => id !== leader),
      'a follower',
    ).id;
    const pid = must(cluster.pidOf(still), 'pid');
    // It answers nothing, and its connections stay.
    process.kill(pid, 'SIGSTOP');
    await wait(sessionTtlMs + 2_000);
    expect(fleet.trouble.length).toBeGreaterThan(0);
    process.kill(pid, 'SIGCONT');
    expect(await fleet.differences()).toEqual([]);
  });

  it('has each write applied once over streams that break', async () => {
    const service = 'once';
    const relay = await Relay.to(must(cluster.clientAddresses[0], 'address'));
    const { session, told } = open(client({ servers: relay.address }));
    await session.register(instanceOf(service, 'first'));
    const events = await Events.of(client(), service);
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 150; i++) {
      calls.push(session.register(instanceOf(service, String(i))));
      if (i % 10 === 0) relay.cut();
      await wait(3);
    }
    await Promise.all(calls);
    await until(() => events.all.length >= 150, 'all events');
    await wait(200);
    // One put each: nothing was registered twice, nothing removed.
    expect(new Set(events.told).size).toBe(150);
    expect(events.all).toHaveLength(150);
    expect([session.size, told]).toEqual([151, { lost: [], restored: [] }]);
  });

  it('does not deregister where the stream or the connection only breaks, and does after its time', async () => {
    const service = 'broken';
    const relay = await Relay.to(must(cluster.clientAddresses[1], 'address'));
    const cutOff = open(client({ servers: relay.address }), { restore: false });
    const abandoned = open(client());
    const closing = client();
    const closed = open(closing);
    await cutOff.session.register(instanceOf(service, 'cut-off'));
    await abandoned.session.register(instanceOf(service, 'abandoned'));
    await closed.session.register(instanceOf(service, 'closed'));
    const events = await Events.of(client(), service);
    const startMs = performance.now();
    relay.cutForLong();
    abandoned.session.abandon();
    closing.close();
    await wait(1_500);
    expect(await found(service)).toEqual(['abandoned', 'closed', 'cut-off']);
    expect(events.told).toEqual([]);
    await until(() => events.all.length === 3, 'their time runs out', 15_000);
    expect(performance.now() - startMs).toBeGreaterThan(2_000);
    expect([...events.told].sort()).toEqual([
      'lease-expired abandoned',
      'lease-expired closed',
      'lease-expired cut-off',
    ]);
    expect(cutOff.session.state).toBe('uncertain');
    relay.mend();
    await until(() => cutOff.session.state === 'ended', 'it learns of it');
  });

  it('is restored after it was cut off for too long, but for what another process has by then', async () => {
    const service = 'restored';
    const relay = await Relay.to(must(cluster.clientAddresses[2], 'address'));
    const { session, told } = open(client({ servers: relay.address }), { ttlMs: 1_000 });
    await Promise.all(['1', '2', '3'].map((id) => session.register(instanceOf(service, id))));
    const { sessionId } = session;
    relay.cutForLong();
    const events = await Events.of(client(), service);
    await until(() => events.all.length === 3, 'its time runs out', 15_000);
    const rival = open(client());
    const { incarnation } = await rival.session.register(instanceOf(service, '2'));
    relay.mend();
    await until(() => told.restored.length > 0, 'the restoration', 15_000);
    expect(told.restored).toEqual([{ instances: 2, lost: 1 }]);
    const lostKey = { namespace: 'default', service, id: '2' };
    expect(told.lost).toEqual([{ key: lostKey, cause: 'superseded', incarnation }]);
    expect([session.state, session.size, session.sessionId === sessionId]).toEqual(['live', 2, false]);
    expect(await found(service)).toEqual(['1', '2', '3']);
    await session.close();
    expect(await found(service)).toEqual(['2']);
  });

  it('hears what others take and remove, also while no stream is there', async () => {
    const service = 'lost';
    const relay = await Relay.to(must(cluster.clientAddresses[0], 'address'));
    const { session, told } = open(client({ servers: relay.address }), { ttlMs: 10_000 });
    await Promise.all(['1', '2', '3', '4'].map((id) => session.register(instanceOf(service, id))));
    const rival = open(client()).session;
    const operator = client();
    await rival.register(instanceOf(service, '1'));
    await operator.deregister({ service, id: '2' });
    await until(() => told.lost.length === 2, 'both losses');
    relay.cutForLong();
    await rival.register(instanceOf(service, '3'));
    await operator.deregister({ service, id: '4' });
    relay.mend();
    await until(() => told.lost.length === 4, 'all losses');
    const causes = told.lost.map(({ key, cause }) => `${key.id} ${cause}`);
    expect(causes.sort()).toEqual(['1 superseded', '2 deregistered', '3 superseded', '4 deregistered']);
    expect([session.size, session.state]).toEqual([0, 'live']);
    // Only an explicit start takes it back.
    expect(await session.register(instanceOf(service, '1'))).toMatchObject({ replaced: true });
  });

  it('opens 300 sessions over few connections, and closes them', async () => {
    const service = 'many';
    const relay = await Relay.to(must(cluster.clientAddresses[0], 'address'));
    const from = client({ servers: relay.address });
    const sessions = Array.from({ length: 300 }, () => open(from).session);
    await Promise.all(sessions.map((session, i) => session.register(instanceOf(service, String(i)))));
    expect(relay.connections).toBe(3);
    expect(await found(service)).toHaveLength(300);
    await Promise.all(sessions.map((session) => session.close()));
    expect(await found(service)).toEqual([]);
    await until(() => relay.connections === 0, 'the connections end');
  });
});

describe('the rest of the client with real members', { timeout: 60_000 }, () => {
  it('registers a batch at one revision, and finds it by filters, pages and one cut', async () => {
    const service = 'batch';
    const from = client();
    const instances = Array.from({ length: 1_000 }, (_, i) =>
      instanceOf(service, `i${i}`, { tags: i % 10 === 0 ? ['canary'] : [], version: `1.${i % 3}.0` }),
    );
    const { header, results } = await from.batchRegister({ instances, lifetime: { persistent: true } });
    expect(new Set(results.map(({ status, incarnation }) => `${status} ${incarnation}`))).toEqual(
      new Set([`registered ${header.revision}`]),
    );
    const kept = await from.batchRegister({
      instances: instances.slice(0, 10).map((instance) => ({ ...instance, keepEqual: true })),
      lifetime: { persistent: true },
    });
    expect(kept.results.every(({ status }) => status === 'kept')).toBe(true);
    const refused = from.batchRegister({
      instances: [instanceOf(service, 'new'), { ...instanceOf(service, 'i1'), ifAbsent: true }],
      lifetime: { ttlMs: 5_000 },
    });
    await expect(refused).rejects.toMatchObject({ reason: 'ALREADY_REGISTERED' });
    const filter = { tags: ['canary'], versionRange: '^1.1' } as const;
    const matching = instances.filter(({ tags, version }) => tags?.length === 1 && version !== '1.0.0').length;
    expect((await from.discover({ service, filter, pageSize: 7 })).instances).toHaveLength(matching);
    const cut = await from.discoverStream({ service });
    // The sessions of other tests may have ended since.
    expect(cut.instances).toHaveLength(1_000);
    expect(cut.revision).toBeGreaterThanOrEqual(header.revision);
    expect((await from.discoverStream({ service, filter })).instances).toHaveLength(matching);
    expect((await from.discoverStream({ servicePrefix: 'bat' })).instances).toHaveLength(1_000);
  });

  it('watches through a filter, acknowledges what was read, and goes on when the member is killed', async () => {
    const service = 'filtered';
    const { session } = open(client());
    const set = client().watchSet({ service, filter: { tags: ['canary'] } });
    await session.register(instanceOf(service, '1', { tags: ['canary'] }));
    await set.ready();
    await until(() => set.instances.size === 1, 'the instance');
    await session.update(instanceOf(service, '1', { tags: [] }));
    await until(() => set.instances.size === 0, 'it leaves');
    const trouble: string[] = [];
    const acknowledged = client().watch({ service, onInterrupted: ({ reason }) => trouble.push(reason) });
    await acknowledged.next();
    for (let i = 0; i < 20; i++) {
      await session.update(instanceOf(service, '1', { version: String(i) }));
      await acknowledged.next();
      await wait(20);
    }
    await cluster.kill(await cluster.leader(20_000), 'SIGKILL');
    await session.update(instanceOf(service, '1', { tags: ['canary'] }));
    await acknowledged.next();
    await until(() => set.instances.size === 1, 'the set goes on');
    await session.deregister({ service, id: '1' });
    await acknowledged.next();
    expect(trouble.every((reason) => reason === 'BROKEN' || reason === 'UNREACHABLE')).toBe(true);
    expect(set.ageMs).toBeLessThan(10_000);
  });
});
