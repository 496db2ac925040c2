import type { ConnectionInjector } from '@grpc/grpc-js';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ClusterApi, RegistryApi } from '../api/types.ts';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import { guardStreams } from '../transport/stream-guard.ts';
import type { CallContext } from './call-context.ts';
import { ClientListener } from './client-listener.ts';
import { clusterServiceName, ClusterService } from './cluster-service.ts';
import { HealthService } from './health-service.ts';
import { boundHeaderList, serverOptions } from './http2-settings.ts';
import type { GrpcLimits } from './limits.ts';
import { grpcLimits } from './limits.ts';
import type { GrpcObserver } from './observer.ts';
import { addReflection } from './reflection-service.ts';
import { RegistryService, registryServiceName } from './registry-service.ts';

export interface GrpcServerOptions {
  readonly registry: RegistryApi;
  readonly cluster: ClusterApi;
  readonly clock: Clock;
  readonly observer: GrpcObserver;
  /** Default `grpcLimits`. */
  readonly limits?: GrpcLimits;
  /** Told of an exception that is no answer to a caller: a broken invariant. The owner ends the process. */
  readonly onFatal: (error: unknown) => void;
}

/** What a stream that is cut by a stop tells its client: another member serves it at once. */
const stoppingRetryAfterMs = 100;
/** How often a drain looks whether the last connection has gone. */
const drainPollMs = 10;

/**
 * The gRPC front end of one member: rollcall.v1.Registry and Cluster, health and reflection on one port.
 * `listen` once, then `setServing` as the replica's state changes, then `drain` once.
 */
export class GrpcServer {
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #listener: ClientListener;
  readonly #registry: RegistryService;
  readonly #health: HealthService;
  #state: 'new' | 'listening' | 'draining' = 'new';

  constructor(options: GrpcServerOptions) {
    const limits = options.limits ?? grpcLimits;
    const context: CallContext = {
      clock: options.clock,
      limits,
      observer: options.observer,
      onFatal: options.onFatal,
    };
    this.#clock = options.clock;
    this.#server = new Server(serverOptions(limits));
    boundHeaderList(this.#server, limits);
    guardStreams(this.#server);
    this.#registry = new RegistryService(options.registry, context);
    this.#server.addService(this.#registry.definition, this.#registry.implementation);
    const cluster = new ClusterService(options.cluster, context);
    this.#server.addService(cluster.definition, cluster.implementation);
    this.#health = new HealthService([registryServiceName]);
    this.#health.addTo(this.#server);
    addReflection(this.#server, [registryServiceName, clusterServiceName, 'grpc.health.v1.Health']);
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = new ClientListener({
      clock: options.clock,
      limits,
      observer: options.observer,
      onConnection: (socket) => this.#injector.injectConnection(socket),
    });
  }

  /** Connections open now. */
  get connections(): number {
    return this.#listener.connections;
  }

  /** Resolves with the port bound (another than asked for where that was 0); rejects where it is not to be had. */
  listen(host: string, port: number): Promise<number> {
    assert(this.#state === 'new', () => `listen while ${this.#state}`);
    this.#state = 'listening';
    return this.#listener.listen(host, port);
  }

  /** What the health service says. False until called. */
  setServing(serving: boolean): void {
    if (this.#state !== 'draining') this.#health.setServing(serving);
  }

  /**
   * Takes no more connections, sends GOAWAY on each, ends the streams with NOT_SERVING, lets unary calls finish, and
   * resolves when the last connection has gone; after `graceMs` those left are cut.
   */
  async drain(graceMs: number): Promise<void> {
    assert(this.#state !== 'draining', 'drain is called once');
    this.#state = 'draining';
    this.#health.setServing(false);
    this.#listener.close();
    const stopping = new RollcallError('NOT_SERVING', 'this member is stopping; go on with another one', {
      retryAfterMs: stoppingRetryAfterMs,
    });
    this.#registry.endStreams(stopping);
    this.#health.endStreams(stopping);
    this.#injector.drain(graceMs);
    await this.#connectionsGone(this.#clock.monotonicMs() + graceMs);
    this.#server.forceShutdown();
    this.#listener.destroyAll();
  }

  #connectionsGone(untilMs: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#listener.connections === 0 || this.#clock.monotonicMs() >= untilMs) resolve();
        else this.#clock.setTimer(drainPollMs, look);
      };
      look();
    });
  }
}
