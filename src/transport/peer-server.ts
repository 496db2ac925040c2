import { createServer, type Server as NetServer, type Socket } from 'node:net';
import {
  type ChannelOptions,
  Metadata,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerErrorResponse,
  type ServerReadableStream,
  type ServerUnaryCall,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import type { TransportLimits } from './limits.ts';
import { asBuffer, identityHeader, peerService, refuserHeader } from './peer-service.ts';
import type { IncomingMessages, WireAcceptor } from './peer-wire.ts';
import { PeerRefusal } from './refusal.ts';
import { guardStreams } from './stream-guard.ts';

/** Every peer needs two connections; what comes above waits for nobody and is closed. */
const connectionsMax = 128;

type Call = { getPeer(): string };

/**
 * The listener of the peer port. grpc-js has no bound on silent connections, so the sockets are accepted here: one that
 * has not made a call in time is closed, whatever it sent meanwhile.
 */
export class PeerServer {
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  readonly #server: Server;
  readonly #listener: NetServer;
  /** By remote address. */
  readonly #sockets = new Map<string, Socket>();
  /** Those from which a call has come. */
  readonly #spoken = new WeakSet<Socket>();

  constructor(acceptor: WireAcceptor, clock: Clock, limits: TransportLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#server = new Server(serverOptions(limits));
    guardStreams(this.#server);
    this.#server.addService(peerService, {
      messages: (call: ServerDuplexStream<Uint8Array, Uint8Array>) => {
        this.#heard(call);
        serveMessages(call, acceptor);
      },
      installSnapshot: (call: ServerReadableStream<Uint8Array, Uint8Array>, answer: sendUnaryData<Uint8Array>) => {
        this.#heard(call);
        serveSnapshot(call, acceptor, answer);
      },
      form: (call: ServerUnaryCall<Uint8Array, Uint8Array>, answer: sendUnaryData<Uint8Array>) => {
        this.#heard(call);
        serveForm(call, acceptor, answer);
      },
    });
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = createServer({ noDelay: true }, (socket) => {
      this.#watch(socket);
      injector.injectConnection(socket);
    });
    this.#listener.maxConnections = connectionsMax;
  }

  /** Resolves with the port; rejects where it cannot be had. */
  async listen(host: string, port: number): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen({ host, port }, () => {
        this.#listener.removeListener('error', reject);
        // An accept that fails (no file descriptor left) is not the end of the listener.
        this.#listener.on('error', () => {});
        const address = this.#listener.address();
        if (address === null || typeof address === 'string') reject(new Error(`no port of ${host}:${port}`));
        else resolve(address.port);
      });
    });
  }

  /** Lets calls end for `graceMs`, then ends them. Resolves when every socket is closed. */
  async close(graceMs: number): Promise<void> {
    const listenerClosed = new Promise<void>((resolve) => {
      if (this.#listener.listening) this.#listener.close(() => resolve());
      else resolve();
    });
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(graceMs, () => resolve());
      this.#server.tryShutdown(() => {
        timer.cancel();
        resolve();
      });
    });
    this.#server.forceShutdown();
    for (const socket of this.#sockets.values()) socket.destroy();
    await listenerClosed;
  }

  #watch(socket: Socket): void {
    const remote = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#sockets.set(remote, socket);
    const timer = this.#clock.setTimer(
      this.#limits.silentMsMax,
      () => {
        if (!this.#spoken.has(socket)) socket.destroy();
      },
      { unref: true },
    );
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      timer.cancel();
      if (this.#sockets.get(remote) === socket) this.#sockets.delete(remote);
    });
  }

  #heard(call: Call): void {
    const socket = this.#sockets.get(call.getPeer());
    if (socket !== undefined) this.#spoken.add(socket);
  }
}

function serverOptions(limits: TransportLimits): ChannelOptions {
  return {
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': limits.messageBytesMax,
    'grpc.max_send_message_length': limits.messageBytesMax,
    'grpc.max_concurrent_streams': 16,
    // Megabytes.
    'grpc-node.max_session_memory': 64,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveAnswerMsMax,
    'grpc.max_connection_idle_ms': 60_000,
  };
}

function serveMessages(call: ServerDuplexStream<Uint8Array, Uint8Array>, acceptor: WireAcceptor): void {
  let over = false;
  const stream: IncomingMessages = {
    accept: (identity) => {
      const metadata = new Metadata();
      metadata.set(identityHeader, asBuffer(identity));
      call.sendMetadata(metadata);
    },
    refuse: (refusal) => {
      if (over) return;
      over = true;
      // The stream turns an error with a code into the status of the call.
      call.emit('error', asServerError(refusal));
    },
  };
  const events = acceptor.messages(stream);
  const end = (): void => {
    if (over) return;
    over = true;
    events.onEnded();
    call.end();
  };
  call.on('data', (batch: Uint8Array) => {
    if (!over) events.onBatch(batch);
  });
  call.on('end', end);
  call.on('cancelled', end);
  call.on('close', end);
}

function serveSnapshot(
  call: ServerReadableStream<Uint8Array, Uint8Array>,
  acceptor: WireAcceptor,
  answer: sendUnaryData<Uint8Array>,
): void {
  call.on('error', () => {});
  // Left in the middle the stream stays: it still has to carry the answer.
  const chunks: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>,
  };
  acceptor.snapshot(chunks).then(
    (bytes) => answer(null, bytes),
    (error: unknown) => {
      if (error instanceof PeerRefusal) answer(asServerError(error));
      else crash(error);
    },
  );
}

function serveForm(
  call: ServerUnaryCall<Uint8Array, Uint8Array>,
  acceptor: WireAcceptor,
  answer: sendUnaryData<Uint8Array>,
): void {
  try {
    answer(null, acceptor.form(call.request));
  } catch (error) {
    if (error instanceof PeerRefusal) answer(asServerError(error));
    else crash(error);
  }
}

function asServerError(refusal: PeerRefusal): ServerErrorResponse {
  const metadata = new Metadata();
  if (refusal.refuser !== undefined) metadata.set(refuserHeader, asBuffer(refusal.refuser));
  return Object.assign(new Error(refusal.message), { code: status[refusal.code], details: refusal.message, metadata });
}

/** grpc-js answers the caller when a handler throws and goes on: what is broken here must end the process instead. */
function crash(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
