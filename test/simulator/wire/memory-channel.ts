import type { AnswerCallback, Channel } from '../../../src/client/channel.ts';
import type { PendingCall } from './client-calls.ts';
import { MemoryClientCall, MemoryClientStream, unavailable } from './client-calls.ts';
import type { ConnectionOptions, MemoryConnection } from './memory-connection.ts';
import type { HostClock } from './pipe.ts';

/** As the client sets them for grpc-js. */
const reconnectMsMin = 100;
const reconnectMsMax = 1_000;
const reconnectFactor = 1.6;

type Events = 'onReady' | 'onRefused' | 'onGoingAway' | 'onLost';

export interface MemoryChannelOptions {
  readonly clock: HostClock;
  /** `host:port`, for messages. */
  readonly address: string;
  /** See Reading. */
  readonly pauseMs: (path: string) => number;
  readonly dial: (events: Pick<ConnectionOptions, Events>) => MemoryConnection;
}

/** A call that may carry what the client itself never sets. */
export interface CallExtras {
  /** The caller's deadline from now, ms. Default: none. */
  readonly timeoutMs?: number;
}

/**
 * A client's channel to one address, as grpc-js keeps it: one connection, made at the first call and again when it has
 * ended. While none can be made, calls fail at once with why the last attempt failed, until it is time for another.
 */
export class MemoryChannel implements Channel {
  readonly #options: MemoryChannelOptions;
  #connection: MemoryConnection | undefined;
  /** Asked to leave, with calls on them. */
  readonly #leaving = new Set<MemoryConnection>();
  #waiting: PendingCall[] = [];
  #failures = 0;
  #failure = '';
  #retryAtMs = 0;
  #closed = false;

  constructor(options: MemoryChannelOptions) {
    this.#options = options;
  }

  call(path: string, request: Buffer, callback: AnswerCallback, { timeoutMs }: CallExtras = {}): MemoryClientCall {
    const call = new MemoryClientCall(this.#options.clock, path, request, callback, timeoutMs);
    this.#begin(call);
    return call;
  }

  stream(path: string, { timeoutMs }: CallExtras = {}): MemoryClientStream {
    const stream = new MemoryClientStream(this.#options.clock, path, timeoutMs, this.#options.pauseMs);
    this.#begin(stream);
    return stream;
  }

  close(): void {
    this.#closed = true;
    this.#failWaiting('Channel closed before call started');
    this.#connection?.leave();
  }

  /** The client's process is gone. */
  kill(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#connection?.killClient();
    for (const connection of this.#leaving) connection.killClient();
    this.#leaving.clear();
  }

  #begin(call: PendingCall): void {
    if (this.#closed) {
      call.finish(unavailable('Channel has been shut down'));
    } else if (this.#connection?.isReady === true) {
      this.#connection.begin(call);
    } else if (this.#connection === undefined && this.#options.clock.monotonicMs() < this.#retryAtMs) {
      call.finish(unavailable(this.#failure));
    } else {
      this.#waiting.push(call);
      this.#connection ??= this.#dial();
    }
  }

  #dial(): MemoryConnection {
    const connection: MemoryConnection = this.#options.dial({
      onReady: () => this.#ready(connection),
      onRefused: (cause) => this.#refused(cause),
      onGoingAway: () => this.#goingAway(connection),
      onLost: () => this.#lost(connection),
    });
    return connection;
  }

  #ready(connection: MemoryConnection): void {
    this.#failures = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) if (!call.isOver) connection.begin(call);
    if (this.#closed) connection.leave();
  }

  #refused(cause: string): void {
    const { address, clock } = this.#options;
    this.#connection = undefined;
    this.#failure = `No connection established. Last error: Error: ${cause} ${address}. Resolution note: `;
    this.#retryAtMs =
      clock.monotonicMs() + Math.min(reconnectMsMax, reconnectMsMin * reconnectFactor ** this.#failures);
    this.#failures += 1;
    this.#failWaiting(this.#failure);
  }

  #goingAway(connection: MemoryConnection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#leaving.add(connection);
    connection.leave();
  }

  #lost(connection: MemoryConnection): void {
    this.#leaving.delete(connection);
    if (this.#connection === connection) this.#connection = undefined;
  }

  #failWaiting(details: string): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) if (!call.isOver) call.finish(unavailable(details));
  }
}
