import type { ClusterApi, RegistryApi } from '../../../src/api/types.ts';
import { RollcallError } from '../../../src/base/errors.ts';
import type { CallContext } from '../../../src/grpc/call-context.ts';
import { ClusterService } from '../../../src/grpc/cluster-service.ts';
import type { GrpcLimits } from '../../../src/grpc/limits.ts';
import { grpcLimits } from '../../../src/grpc/limits.ts';
import type { GrpcObserver } from '../../../src/grpc/observer.ts';
import { RegistryService } from '../../../src/grpc/registry-service.ts';
import type { MemoryConnection } from './memory-connection.ts';
import type { HostClock } from './pipe.ts';
import type { ServerStreamWire } from './server-calls.ts';
import { MemoryServerStream } from './server-calls.ts';
import { runUnary } from './unary-server.ts';

export interface ServeOptions {
  /** Of the member's process, its serving side. */
  readonly clock: HostClock;
  readonly registry: RegistryApi;
  readonly cluster?: ClusterApi;
  readonly limits?: Partial<GrpcLimits>;
  /** Served besides. */
  readonly services?: readonly Service[];
  readonly observer?: GrpcObserver;
  /** A fault of the member's own: its owner ends the process. */
  readonly onFatal: (error: unknown) => void;
}

/** One call at the member, as its connection knows it. */
export interface ServerCall {
  receive(bytes: Buffer | undefined): void;
  credit(bytes: number): void;
  reset(): void;
}

/** A service as grpc-js takes it, its messages bytes. */
export type Service = Pick<RegistryService, 'definition' | 'implementation'>;

interface Method {
  readonly isStream: boolean;
  readonly handler: unknown;
}

const silent: GrpcObserver = {
  callEnded: () => undefined,
  streamsChanged: () => undefined,
  connectionsChanged: () => undefined,
  connectionRefused: () => undefined,
  unknownFields: () => undefined,
};

/** What a stream that is cut by a stop tells its client, as the gRPC front end does. */
const stoppingRetryAfterMs = 100;
const drainPollMs = 10;

/** The gRPC front end of one life of a member: the real handlers, and the connections that have reached it. */
export class ServingProcess {
  readonly clock: HostClock;
  readonly limits: GrpcLimits;
  readonly #methods = new Map<string, Method>();
  readonly #registry: RegistryService;
  readonly #connections = new Set<MemoryConnection>();
  readonly #onGone: () => void;
  #state: 'listening' | 'draining' | 'gone' = 'listening';

  constructor(options: ServeOptions, onGone: () => void) {
    this.clock = options.clock;
    this.limits = { ...grpcLimits, ...options.limits };
    this.#onGone = onGone;
    const context: CallContext = {
      clock: options.clock,
      limits: this.limits,
      observer: options.observer ?? silent,
      onFatal: options.onFatal,
    };
    this.#registry = new RegistryService(options.registry, context);
    this.#add(this.#registry);
    if (options.cluster !== undefined) this.#add(new ClusterService(options.cluster, context));
    for (const service of options.services ?? []) this.#add(service);
  }

  get connections(): number {
    return this.#connections.size;
  }

  get isListening(): boolean {
    return this.#state === 'listening';
  }

  /**
   * The member stops: it takes no more connections, tells its streams so, and lets calls end; those left after
   * `graceMs` are cut. Resolves when the last connection has gone.
   */
  close(graceMs: number = 0): Promise<void> {
    if (this.#state !== 'listening') return Promise.resolve();
    this.#state = 'draining';
    this.#onGone();
    const stopping = new RollcallError('NOT_SERVING', 'this member is stopping; go on with another one', {
      retryAfterMs: stoppingRetryAfterMs,
    });
    this.#registry.endStreams(stopping);
    for (const connection of this.#connections) connection.goAway();
    return new Promise((resolve) => this.#awaitEmpty(this.clock.monotonicMs() + graceMs, resolve));
  }

  /** The process is gone. Its machine's kernel resets what was connected, as far as the links let it. */
  kill(): void {
    if (this.#state === 'gone') return;
    if (this.#state === 'listening') this.#onGone();
    this.#state = 'gone';
    for (const connection of this.#connections) connection.killServer(true);
  }

  // What follows is for the connections.

  enter(connection: MemoryConnection): void {
    this.#connections.add(connection);
  }

  exit(connection: MemoryConnection): void {
    this.#connections.delete(connection);
  }

  /** Undefined where the call was answered or refused already. */
  accept(
    path: string,
    request: Buffer | undefined,
    timeoutMs: number | undefined,
    peer: string,
    wire: ServerStreamWire,
  ): ServerCall | undefined {
    const method = this.#methods.get(path);
    const origin = { peer, clock: this.clock, timeoutMs };
    if (request !== undefined)
      return runUnary(method?.isStream === false ? method.handler : path, request, origin, this.limits, wire);
    const stream = new MemoryServerStream(origin, wire);
    if (method?.isStream !== true) return runUnary(path, undefined, origin, this.limits, wire);
    const handle = method.handler as (call: MemoryServerStream) => void;
    handle(stream);
    return stream;
  }

  #add(service: Service): void {
    for (const [name, { path, requestStream }] of Object.entries(service.definition)) {
      this.#methods.set(path, { isStream: requestStream, handler: service.implementation[name] });
    }
  }

  #awaitEmpty(endMs: number, done: () => void): void {
    if (this.#connections.size > 0 && this.clock.monotonicMs() >= endMs) {
      for (const connection of this.#connections) connection.killServer(false);
    }
    if (this.#connections.size === 0) done();
    else this.clock.setTimer(drainPollMs, () => this.#awaitEmpty(endMs, done));
  }
}
