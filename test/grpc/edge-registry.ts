import type {
  BatchRegisterAnswer,
  BatchRegisterRequest,
  Caller,
  CheckedSpec,
  DeregisterAnswer,
  DeregisterRequest,
  DiscoverAnswer,
  DiscoverRequest,
  GrantLeaseAnswer,
  GrantLeaseRequest,
  Header,
  ListServicesAnswer,
  RegisterAnswer,
  RegisterRequest,
  RegistryApi,
  RenewAnswer,
  RevokeLeaseAnswer,
  SessionCall,
  SessionMessage,
  SessionOpenRequest,
  SessionSink,
  UpdateAnswer,
  UpdateRequest,
  WatchCreateRequest,
  WatchSession,
} from '../../src/api/types.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { WireWriter } from '../../src/base/wire-writer.ts';
import type { WatchSink } from '../../src/watch/types.ts';

/** A registry of one map, with the interface of the use cases: what stands behind the front end in its own tests. */
export class EdgeRegistry implements RegistryApi {
  readonly #instances = new Map<string, Uint8Array>();
  readonly callers: Caller[] = [];
  readonly renewBatches: (readonly number[])[] = [];
  readonly watches: EdgeWatchSession[] = [];
  readonly sessions: EdgeSession[] = [];
  revision = 0;
  discoverCalls = 0;
  /** What the next calls do before they answer. */
  before: () => Promise<void> = async () => undefined;

  async register(request: RegisterRequest, caller: Caller): Promise<RegisterAnswer> {
    this.callers.push(caller);
    await this.before();
    const key = keyOf(request.spec);
    const replaced = this.#instances.has(key);
    this.revision += 1;
    this.#instances.set(key, viewOf(request.spec, this.revision));
    const { lifetime } = request;
    const leaseId = lifetime.kind === 'lease' ? lifetime.leaseId : lifetime.kind === 'ttl' ? 7_000 : 0;
    const ttlMs = lifetime.kind === 'ttl' ? lifetime.ttlMs : 0;
    return { header: this.header(), incarnation: this.revision, leaseId, ttlMs, replaced };
  }

  async batchRegister(request: BatchRegisterRequest, caller: Caller): Promise<BatchRegisterAnswer> {
    this.callers.push(caller);
    await this.before();
    this.revision += 1;
    const results = request.items.map(({ spec }) => {
      const status = this.#instances.has(keyOf(spec)) ? ('replaced' as const) : ('registered' as const);
      this.#instances.set(keyOf(spec), viewOf(spec, this.revision));
      return { status, incarnation: this.revision };
    });
    const ttlMs = request.lifetime.kind === 'ttl' ? request.lifetime.ttlMs : 0;
    return { header: this.header(), leaseId: ttlMs === 0 ? 0 : 7_000, ttlMs, results };
  }

  async update(request: UpdateRequest): Promise<UpdateAnswer> {
    await this.before();
    if (!this.#instances.has(keyOf(request.spec))) {
      throw new RollcallError('UNKNOWN_INSTANCE', 'no such instance; register it first');
    }
    this.#instances.set(keyOf(request.spec), viewOf(request.spec, request.incarnation));
    return { header: this.header(), changed: true };
  }

  async deregister(request: DeregisterRequest): Promise<DeregisterAnswer> {
    const { namespace, service, id } = request.name;
    return { header: this.header(), existed: this.#instances.delete(`${namespace}/${service}/${id}`) };
  }

  async grantLease(request: GrantLeaseRequest): Promise<GrantLeaseAnswer> {
    return { header: this.header(), leaseId: 2 ** 41, ttlMs: request.ttlMs };
  }

  async revokeLease(): Promise<RevokeLeaseAnswer> {
    return { header: this.header(), existed: true, instances: 3 };
  }

  async renew(leaseIds: readonly number[]): Promise<readonly RenewAnswer[]> {
    this.renewBatches.push(leaseIds);
    await this.before();
    return leaseIds.map((leaseId) => {
      if (leaseId % 10 === 0) return { leaseId, status: 'unknown', ttlMs: 0 };
      if (leaseId % 11 === 0) return { leaseId, status: 'unavailable', ttlMs: 0 };
      return { leaseId, status: 'renewed', ttlMs: 10_000 };
    });
  }

  async discover(request: DiscoverRequest): Promise<DiscoverAnswer> {
    this.discoverCalls += 1;
    await this.before();
    const prefix = `${request.namespace}/${request.service}/`;
    const keys = [...this.#instances.keys()].filter((key) => key.startsWith(prefix)).sort();
    return {
      header: this.header(request.consistency, request.consistency === 'stale' ? 12.5 : 0),
      known: keys.length > 0,
      views: keys
        .map((key) => this.#instances.get(key) ?? new Uint8Array())
        .filter((view) => request.matcher.matches(view)),
      nextPageToken: '',
      firstRevision: this.revision,
    };
  }

  async listServices(): Promise<ListServicesAnswer> {
    const services = [{ namespace: 'default', service: 'shop', instances: 2, modifyRevision: this.revision }];
    return { header: this.header(), services, nextPageToken: 'next', firstRevision: 1 };
  }

  openSession(request: SessionOpenRequest, sink: SessionSink): SessionCall {
    const session = new EdgeSession(request, sink);
    this.sessions.push(session);
    return session;
  }

  openWatch(sink: WatchSink, _caller: Caller): WatchSession {
    const session = new EdgeWatchSession(sink);
    this.watches.push(session);
    return session;
  }

  header(consistency: Header['consistency'] = 'linearizable', ageMs = 0): Header {
    return { revision: this.revision, member: 'a', consistency, ageMs };
  }
}

/** Answers each create with a snapshot; the test drives the rest. */
export class EdgeWatchSession implements WatchSession {
  readonly open = new Set<number>();
  readonly acks: (readonly [watchId: number, revision: number])[] = [];
  readonly #sink: WatchSink;
  #idleListener: () => void = () => undefined;
  closed = false;
  drains = 0;
  /** Called when the sink takes more again. */
  onDrained: () => void = () => undefined;

  constructor(sink: WatchSink) {
    this.#sink = sink;
  }

  get idle(): boolean {
    return this.open.size === 0;
  }

  create(request: WatchCreateRequest): void {
    this.open.add(request.watchId);
    this.send({ watchId: request.watchId, kind: 1, toRevision: 5 });
    if (request.once) this.end(request.watchId);
  }

  cancel(watchId: number): void {
    this.end(watchId);
  }

  ack(watchId: number, revision: number): void {
    this.acks.push([watchId, revision]);
  }

  drained(): void {
    this.drains += 1;
    this.onDrained();
  }

  close(): void {
    this.closed = true;
    this.open.clear();
  }

  onIdle(listener: () => void): void {
    this.#idleListener = listener;
  }

  send(response: rollcall.v1.WatchResponse.$Properties): boolean {
    return this.#sink.send(rollcall.v1.WatchResponse.encode(response).finish());
  }

  end(watchId: number): void {
    if (!this.open.delete(watchId)) return;
    this.send({ watchId, kind: 5 });
    if (this.idle) this.#idleListener();
  }
}

/** Keeps what it receives; the test sends what it likes by the sink. */
export class EdgeSession implements SessionCall {
  readonly request: SessionOpenRequest;
  readonly sink: SessionSink;
  readonly received: SessionMessage[] = [];
  full = false;
  halfClosed = false;
  closed = false;
  room: () => void = () => undefined;

  constructor(request: SessionOpenRequest, sink: SessionSink) {
    this.request = request;
    this.sink = sink;
  }

  receive(message: SessionMessage): void {
    this.received.push(message);
  }

  halfClose(): void {
    this.halfClosed = true;
    this.sink.end(undefined);
  }

  close(): void {
    this.closed = true;
  }

  onRoom(listener: () => void): void {
    this.room = listener;
  }
}

function keyOf(spec: CheckedSpec): string {
  return `${spec.name.namespace}/${spec.name.service}/${spec.name.id}`;
}

function viewOf(spec: CheckedSpec, incarnation: number): Uint8Array {
  const writer = new WireWriter();
  writer.bytesPresent(1, spec.bytes).beginMessage(2).uint(1, incarnation).endMessage();
  return writer.finish();
}
