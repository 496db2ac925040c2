import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { GrpcLimits } from './limits.ts';
import type { GrpcObserver, RefusalCause } from './observer.ts';
import type { PrefaceVerdict } from './preface.ts';
import { http1Answer, judgePreface } from './preface.ts';

export interface ClientListenerOptions {
  readonly clock: Clock;
  readonly limits: GrpcLimits;
  readonly observer: GrpcObserver;
  /** Takes over a connection that has begun to speak HTTP/2; what was read of it is back in its buffer. */
  readonly onConnection: (socket: Socket) => void;
}

/**
 * The TCP side of the gRPC front end, since grpc-js has none of these bounds: connections in all and from one address,
 * and the time until the first HTTP/2 frame. Only then does a connection cost more than its socket.
 */
export class ClientListener {
  readonly #options: ClientListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Open connections by address; no entry is zero. */
  readonly #perAddress = new Map<string, number>();

  constructor(options: ClientListenerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Connections open now, also those that have not spoken yet. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Resolves with the port bound; rejects where the address is not to be had. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: this.#options.limits.acceptBacklogMax }, () => {
        this.#server.off('error', reject);
        // An accept that fails later (no file descriptor left) costs that connection and nothing else.
        this.#server.on('error', () => this.#options.observer.connectionRefused('broken', ''));
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Takes no more connections; those open stay. */
  close(): void {
    if (this.#server.listening) this.#server.close();
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const refusal = this.#refusalFor(address);
    if (refusal !== undefined) {
      socket.on('error', ignore);
      socket.destroy();
      this.#options.observer.connectionRefused(refusal, address);
      return;
    }
    this.#count(socket, address);
    this.#awaitPreface(socket, address);
  }

  #refusalFor(address: string): RefusalCause | undefined {
    const { limits } = this.#options;
    if (this.#sockets.size >= limits.connectionsMax) return 'connections';
    return (this.#perAddress.get(address) ?? 0) >= limits.connectionsPerAddressMax ? 'address' : undefined;
  }

  #count(socket: Socket, address: string): void {
    this.#sockets.add(socket);
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1);
    this.#options.observer.connectionsChanged(this.#sockets.size);
    socket.once('close', () => {
      const left = (this.#perAddress.get(address) ?? 0) - 1;
      assert(left >= 0 && this.#sockets.delete(socket), () => `${left} connections counted for one that closes`);
      if (left === 0) this.#perAddress.delete(address);
      else this.#perAddress.set(address, left);
      this.#options.observer.connectionsChanged(this.#sockets.size);
    });
  }

  #awaitPreface(socket: Socket, address: string): void {
    const { clock, limits, observer, onConnection } = this.#options;
    let seen: Buffer = Buffer.alloc(0);
    const refuse = (cause: RefusalCause): void => {
      release();
      observer.connectionRefused(cause, address);
      socket.on('error', ignore);
      if (cause === 'http1') socket.end(http1Answer, () => socket.destroy());
      else socket.destroy();
    };
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const verdict: PrefaceVerdict = judgePreface(seen);
      if (verdict === 'more') return;
      if (verdict !== 'http2') return refuse(verdict);
      release();
      socket.unshift(seen);
      onConnection(socket);
    };
    const onError = (): void => refuse('broken');
    const onEnd = (): void => refuse(seen.length === 0 ? 'silent' : 'garbage');
    const timer: Timer = clock.setTimer(limits.firstFrameTimeoutMs, () => refuse('silent'), { unref: true });
    const release = (): void => {
      timer.cancel();
      socket.off('readable', onReadable).off('error', onError).off('end', onEnd).off('close', release);
    };
    socket.on('readable', onReadable).on('error', onError).on('end', onEnd).on('close', release);
  }
}

function ignore(): void {
  // A connection that is refused has nobody to tell.
}
