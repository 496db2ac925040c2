import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { SystemClock } from '../base/system-clock.ts';
import { SystemRandom } from '../base/system-random.ts';
import { rollcall } from '../gen/rollcall.js';
import { checkedAddress, checkedAddresses } from './addresses.ts';
import type { Connect } from './channel.ts';
import { ClientError } from './client-error.ts';
import { ClusterOrders } from './cluster-orders.ts';
import { defaultNamespace, fromBatchRegistered, fromHeader, fromStatus, fromView } from './convert.ts';
import { toBatchItem, toConsistency, toFilter, toKey, toLifetime, toSpec } from './convert.ts';
import { grpcChannel } from './grpc-channel.ts';
import { checkFilter, checkName, checkWithin } from './input-checks.ts';
import type { LeaseListener } from './lease-keeper.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { clientLimits } from './limits.ts';
import { Member, MemberPool } from './member-pool.ts';
import type { MethodName } from './methods.ts';
import { asBuffer } from './methods.ts';
import { OpenSlots } from './open-slots.ts';
import { gatherPages } from './pages.ts';
import { RegistrySession } from './registry-session.ts';
import type { Session, SessionOptions } from './session-types.ts';
import { StreamLanes } from './stream-lanes.ts';
import type * as types from './types.ts';
import type { CallKind } from './unary-calls.ts';
import { UnaryCalls } from './unary-calls.ts';
import { Watch } from './watch.ts';
import { WatchedSet } from './watched-set.ts';
import { WatchStream } from './watch-stream.ts';

export interface ClientOptions {
  /** `host:port` of members, 1 to 64. One is used as long as it works; any member serves every call. */
  readonly servers: string | readonly string[];
  /** A whole call with its retries, ms; 1 to 600,000, default 10,000. Writes end after 45,000 at the latest. */
  readonly callTimeoutMs?: number;
  /** One attempt, ms; default 3,000. A member that is alive answers within two election timeouts. */
  readonly attemptTimeoutMs?: number;
  /** Begin with a member drawn at random, so that clients spread over members; false: with the first. Default true. */
  readonly spread?: boolean;
  /** Fail at once where no address takes a connection, in place of waiting for one. Default false. */
  readonly failFast?: boolean;
  /** Default: those of the system. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** How a member is reached. Default: by gRPC over sockets of this process. */
  readonly connect?: Connect;
}

export interface KeepAliveOptions extends LeaseListener {
  /** Kept from the start; others by `LeaseKeeper.add`. */
  readonly leaseIds?: readonly number[];
}

const requestIdBytes = 12;

/**
 * Talks to a cluster. Calls may run at the same time. Each rejects with ClientError and nothing else: reads are
 * repeated until the deadline, and so are writes, since each carries a request id by which members know a repeat.
 * Nothing is connected before the first call, and `close()` leaves nothing open.
 */
export class RollcallClient {
  /** For operators: the members of the cluster, and who leads. */
  readonly cluster = new ClusterOrders((...call) => this.#call(...call));
  readonly #pool: MemberPool;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #connect: Connect;
  readonly #callTimeoutMs: number;
  readonly #attemptTimeoutMs: number;
  readonly #calls: UnaryCalls;
  readonly #watchStream: WatchStream;
  readonly #keepers = new Set<LeaseKeeper>();
  readonly #sessions = new Set<RegistrySession>();
  readonly #routes: readonly StreamLanes[];
  readonly #openSlots = new OpenSlots(clientLimits.sessionOpeningsMax);
  readonly #spread: boolean;
  readonly #failFast: boolean;
  #closed = false;

  /** @throws ClientError INVALID_FIELD for an address or time that cannot be. */
  constructor(options: ClientOptions) {
    const { callTimeoutMs = clientLimits.callTimeoutMs, failFast = false } = options;
    const { attemptTimeoutMs = clientLimits.attemptTimeoutMs } = options;
    checkWithin('callTimeoutMs', callTimeoutMs, 1, clientLimits.callTimeoutMsMax);
    checkWithin('attemptTimeoutMs', attemptTimeoutMs, 1, clientLimits.callTimeoutMsMax);
    const { servers } = options;
    const addresses = checkedAddresses(typeof servers === 'string' ? [servers] : servers);
    const clock = (this.#clock = options.clock ?? new SystemClock());
    const random = (this.#random = options.random ?? new SystemRandom());
    const connect = (this.#connect = options.connect ?? grpcChannel);
    this.#callTimeoutMs = callTimeoutMs;
    this.#attemptTimeoutMs = attemptTimeoutMs;
    this.#failFast = failFast;
    this.#spread = options.spread !== false;
    const { sessionStreamsPerConnection } = clientLimits;
    this.#routes = addresses.map((each) => new StreamLanes(each, sessionStreamsPerConnection, connect));
    const start = !this.#spread ? 0 : random.below('first-member', addresses.length);
    const pool = (this.#pool = new MemberPool(addresses, start, connect));
    this.#calls = new UnaryCalls({ pool, clock, random, callTimeoutMs, attemptTimeoutMs, failFast });
    this.#watchStream = new WatchStream({ pool, clock, random, failFast });
  }

  /** Registers an instance, or takes its id over. Acknowledged means: on a majority of disks. */
  async register(options: types.RegisterOptions): Promise<types.Registered> {
    const request = rollcall.v1.RegisterRequest.encode({
      instance: toSpec(options.instance),
      ...toLifetime(options.lifetime),
      ifAbsent: options.ifAbsent ?? false,
      ifIncarnation: options.ifIncarnation ?? 0,
      requestId: this.#requestId(),
    });
    const answer = await this.#write('register', request, (bytes) => rollcall.v1.RegisterResponse.decode(bytes));
    const { incarnation, leaseId, ttlMs, replaced } = answer;
    return { header: fromHeader(answer.header), incarnation, leaseId, ttlMs, replaced };
  }

  /** Registers many instances: all of them at one revision, or none. */
  async batchRegister(options: types.BatchRegisterOptions): Promise<types.BatchRegistered> {
    const request = rollcall.v1.BatchRegisterRequest.encode({
      items: options.instances.map(toBatchItem),
      ...toLifetime(options.lifetime),
      requestId: this.#requestId(),
    });
    return this.#write('batchRegister', request, fromBatchRegistered);
  }

  /** Replaces the spec of one incarnation; SUPERSEDED where the id was registered anew meanwhile. */
  async update(options: types.UpdateOptions): Promise<types.Updated> {
    const request = rollcall.v1.UpdateRequest.encode({
      instance: toSpec(options.instance),
      incarnation: options.incarnation,
      requestId: this.#requestId(),
    });
    const answer = await this.#write('update', request, (bytes) => rollcall.v1.UpdateResponse.decode(bytes));
    return { header: fromHeader(answer.header), changed: answer.changed };
  }

  /** Removes an instance; OK with `existed: false` where it is absent. */
  async deregister(options: types.DeregisterOptions): Promise<types.Deregistered> {
    const request = rollcall.v1.DeregisterRequest.encode({
      key: toKey(options),
      incarnation: options.incarnation ?? 0,
      reason: options.reason ?? '',
      requestId: this.#requestId(),
    });
    const answer = await this.#write('deregister', request, (bytes) => rollcall.v1.DeregisterResponse.decode(bytes));
    return { header: fromHeader(answer.header), existed: answer.existed };
  }

  /** A lease for several instances; keep it alive, or they are removed when its time is over. */
  async grantLease({ ttlMs }: { readonly ttlMs: number }): Promise<types.LeaseGranted> {
    const request = rollcall.v1.GrantLeaseRequest.encode({ ttlMs, requestId: this.#requestId() });
    const answer = await this.#write('grantLease', request, (bytes) => rollcall.v1.GrantLeaseResponse.decode(bytes));
    return { header: fromHeader(answer.header), leaseId: answer.leaseId, ttlMs: answer.ttlMs };
  }

  /** Ends a lease and removes its instances. */
  async revokeLease(options: { readonly leaseId: number; readonly reason?: string }): Promise<types.LeaseRevoked> {
    const { leaseId, reason = '' } = options;
    const request = rollcall.v1.RevokeLeaseRequest.encode({ leaseId, reason, requestId: this.#requestId() });
    const answer = await this.#write('revokeLease', request, (bytes) => rollcall.v1.RevokeLeaseResponse.decode(bytes));
    return { header: fromHeader(answer.header), existed: answer.existed, instances: answer.instances };
  }

  /** All instances of one service, page by page. */
  async discover(options: types.DiscoverOptions): Promise<types.Discovered> {
    const instances: types.Instance[] = [];
    let known = false;
    const paged = await gatherPages(options, async (position) => {
      const request = rollcall.v1.DiscoverRequest.encode({
        namespace: options.namespace ?? defaultNamespace,
        service: options.service,
        consistency: toConsistency(options.consistency),
        pageSize: options.pageSize ?? 0,
        filter: toFilter(options.filter) ?? null,
        ...position,
      });
      const answer = await this.#read('discover', request, (bytes) => rollcall.v1.DiscoverResponse.decode(bytes));
      for (const view of answer.instances) instances.push(fromView(view));
      known ||= answer.known;
      return answer;
    });
    return { ...paged, known, instances };
  }

  /**
   * All instances of a service or a namespace as of one revision, however many they are: asked for over the stream of
   * the watches. Rejects with TIMEOUT, or what was in the way, where the answer is not complete in time.
   */
  async discoverStream(options: types.DiscoverStreamOptions): Promise<types.DiscoveredCut> {
    const { timeoutMs = this.#callTimeoutMs, ...watchOptions } = options;
    checkWithin('timeoutMs', timeoutMs, 1, clientLimits.callTimeoutMsMax);
    const watch = this.watch({ ...watchOptions, once: true, firstBatchTimeoutMs: timeoutMs });
    const { value: batch } = await watch.next();
    watch.close();
    // It ends without one only where it is closed from outside.
    if (batch === undefined) throw ClientError.closed('the client');
    return { header: batch.header, revision: batch.to, instances: [...watch.instances.values()] };
  }

  /** The services of a namespace, by name. */
  async listServices(options: types.ListServicesOptions = {}): Promise<types.ServicesListed> {
    const services: types.ServiceSummary[] = [];
    const paged = await gatherPages(options, async (position) => {
      const request = rollcall.v1.ListServicesRequest.encode({
        namespace: options.namespace ?? defaultNamespace,
        prefix: options.prefix ?? '',
        consistency: toConsistency(options.consistency),
        pageSize: options.pageSize ?? 0,
        ...position,
      });
      const answer = await this.#read('listServices', request, (bytes) =>
        rollcall.v1.ListServicesResponse.decode(bytes),
      );
      for (const { namespace, service, instances, modifyRevision } of answer.services) {
        services.push({
          namespace: namespace ?? defaultNamespace,
          service: service ?? '',
          instances: instances ?? 0,
          modifyRevision: modifyRevision ?? 0,
        });
      }
      return answer;
    });
    return { ...paged, services };
  }

  /** What the member in use knows of the cluster; also without a leader. */
  status(): Promise<types.MemberReport> {
    return this.#read('status', rollcall.v1.StatusRequest.encode({}), fromStatus);
  }

  /** The same of one member, which need not be one of `servers`; asked once. */
  async statusOf(address: string, options: { readonly timeoutMs?: number } = {}): Promise<types.MemberReport> {
    const known = this.#pool.byAddress(checkedAddress(address));
    const member = known ?? new Member(address, this.#connect);
    const request = asBuffer(rollcall.v1.StatusRequest.encode({}).finish());
    try {
      const bytes = await this.#calls.once(member, 'status', request, options.timeoutMs ?? this.#attemptTimeoutMs);
      return decoded(bytes, fromStatus, address);
    } finally {
      if (known === undefined) member.close();
    }
  }

  /**
   * Watches a service, or all of a namespace: first what is there, then each change. All watches of a client, at most
   * 1,000, share one stream.
   */
  watch(options: types.WatchOptions = {}): Watch {
    this.#assertOpen();
    // A request that cannot be read ends the stream with all its watches: it must not leave.
    checkName('namespace', options.namespace ?? '');
    checkName('service', options.service ?? '');
    checkName('servicePrefix', options.servicePrefix ?? '');
    if ((options.service ?? '') !== '' && (options.servicePrefix ?? '') !== '') {
      throw ClientError.invalidField('servicePrefix', 'is given with a service, allowed is one of them');
    }
    if (options.filter !== undefined) checkFilter(options.filter);
    checkWithin('since', options.since ?? 0, 0, Number.MAX_SAFE_INTEGER);
    const { progressIntervalMs } = options;
    if (progressIntervalMs !== undefined) checkWithin('progressIntervalMs', progressIntervalMs, 100, 86_400_000);
    const max = clientLimits.watchesMax;
    if (this.#watchStream.watches >= max) {
      throw new ClientError('RESOURCE_EXHAUSTED', 'TOO_MANY', `${max} watches are open, allowed are at most ${max}`);
    }
    const watch = new Watch(options, this.#watchStream, this.#clock);
    this.#watchStream.add(watch);
    return watch;
  }

  /** What a watch shows, kept as a set that is always as of one revision. It counts as a watch. */
  watchSet(options: types.WatchedSetOptions = {}): WatchedSet {
    const { progressIntervalMs = clientLimits.progressIntervalMs, onChange, onFailed, ...watchOptions } = options;
    const watch = this.watch({ ...watchOptions, progressIntervalMs });
    return new WatchedSet(watch, { onChange, onFailed }, this.#clock);
  }

  /** Keeps leases alive until the keeper or the client is closed. One keeper does for all leases of a process. */
  keepAlive(options: KeepAliveOptions = {}): LeaseKeeper {
    this.#assertOpen();
    const { leaseIds = [], ...listener } = options;
    const keeper = new LeaseKeeper({
      ...listener,
      pool: this.#pool,
      clock: this.#clock,
      random: this.#random,
      onClosed: (closed) => void this.#keepers.delete(closed),
    });
    this.#keepers.add(keeper);
    try {
      for (const leaseId of leaseIds) keeper.add(leaseId);
    } catch (error) {
      keeper.close();
      throw error;
    }
    return keeper;
  }

  /**
   * Opens a session: what it registers stays as long as this process gives signs of life, which it does by itself. At
   * most 10,000 a client, each with a stream of its own.
   */
  openSession(options: SessionOptions = {}): Session {
    this.#assertOpen();
    const { ttlMs = clientLimits.sessionTtlMs } = options;
    const { sessionsMax: max, sessionTtlMsMin, sessionTtlMsMax } = clientLimits;
    checkWithin('ttlMs', ttlMs, sessionTtlMsMin, sessionTtlMsMax);
    if (this.#sessions.size >= max) {
      throw new ClientError('RESOURCE_EXHAUSTED', 'TOO_MANY', `${max} sessions are open, allowed are at most ${max}`);
    }
    const session = new RegistrySession({
      session: options,
      routes: this.#routes,
      openSlots: this.#openSlots,
      start: this.#spread ? this.#random.below('first-member', this.#routes.length) : 0,
      failFast: this.#failFast,
      closeTimeoutMs: this.#callTimeoutMs,
      clock: this.#clock,
      random: this.#random,
      onGone: (gone) => void this.#sessions.delete(gone),
    });
    this.#sessions.add(session);
    return session;
  }

  /**
   * Ends calls (CLOSED), watches and keepers, abandons sessions, and closes all connections. Leases end by themselves,
   * and so do sessions that were not closed before.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const keeper of this.#keepers) keeper.close();
    for (const session of this.#sessions) session.abandon();
    this.#watchStream.close();
    this.#calls.close();
    this.#pool.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw ClientError.closed('the client');
  }

  #requestId(): string {
    return Buffer.from(this.#random.bytes('request-id', requestIdBytes)).toString('hex');
  }

  #write<A>(method: MethodName, request: Encoded, decode: Decode<A>): Promise<A> {
    return this.#call(method, request, decode, { write: true });
  }

  #read<A>(method: MethodName, request: Encoded, decode: Decode<A>): Promise<A> {
    return this.#call(method, request, decode, { write: false });
  }

  async #call<A>(method: MethodName, request: Encoded, decode: Decode<A>, kind: CallKind): Promise<A> {
    const bytes = await this.#calls.run(method, asBuffer(request.finish()), kind);
    return decoded(bytes, decode, 'a member', kind.write);
  }
}

type Encoded = { finish(): Uint8Array };
type Decode<A> = (bytes: Uint8Array) => A;

function decoded<A>(bytes: Uint8Array, decode: Decode<A>, from: string, mayHaveApplied = false): A {
  try {
    return decode(bytes);
  } catch (cause) {
    throw ClientError.badAnswer(from, 'a message that cannot be read', cause, mayHaveApplied);
  }
}
