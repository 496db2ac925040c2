import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientWritableStream,
  credentials,
  type Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { HeldConnection } from './held-connection.ts';
import type { TransportLimits } from './limits.ts';
import { asBuffer, identityHeader, peerService, refuserHeader } from './peer-service.ts';
import type { OutgoingEvents, OutgoingMessages, OutgoingSnapshot } from './peer-wire.ts';
import { printable } from './refusal.ts';

interface Cancellable {
  cancel(): void;
}

/**
 * Dials peers. Each stream has a connection of its own that ends with it: so when to dial again is decided here and not
 * by the backoff of a channel, names are looked up anew, and one stream never waits behind another.
 */
export class GrpcDialer {
  readonly #clock: Clock;
  readonly #options: ChannelOptions;
  readonly #open = new Set<Cancellable>();
  #onNoneOpen: (() => void) | undefined;

  constructor(clock: Clock, limits: TransportLimits) {
    this.#clock = clock;
    this.#options = dialOptions(limits);
  }

  openMessages(address: string, events: OutgoingEvents): OutgoingMessages {
    const { client, connection } = this.#dial(address);
    const { path } = peerService.messages;
    const call: ClientDuplexStream<Uint8Array, Uint8Array> = client.makeBidiStreamRequest(path, asBuffer, asBuffer);
    const over = this.#opened(client, connection, call);
    let silent = false;
    call.on('metadata', (metadata: Metadata) => {
      const [identity] = metadata.get(identityHeader);
      // A refusal has none: its status follows.
      if (!silent && Buffer.isBuffer(identity)) events.onAccepted(identity);
    });
    // Says what the status says; unheard it would end the process.
    call.on('error', () => {});
    call.on('status', ({ details, metadata }: StatusObject) => {
      over();
      if (silent) return;
      silent = true;
      const [refuser] = metadata.get(refuserHeader);
      const reason = details === 'OK' ? 'ended by the peer' : printable(details);
      if (Buffer.isBuffer(refuser)) events.onEnded(reason, refuser);
      else events.onEnded(reason);
    });
    call.resume();
    return {
      write: (batch, written) => {
        // The link bounds by this callback, in bytes, what it hands over; that is tighter than waiting for `drain`
        // after the 16 messages at which `write` starts to return false.
        call.write(batch, (error: Error | null | undefined) => {
          if (!silent && (error === null || error === undefined)) written();
        });
      },
      end: () => {
        silent = true;
        call.end();
      },
      cancel: () => {
        silent = true;
        call.cancel();
      },
    };
  }

  openSnapshot(address: string): OutgoingSnapshot {
    const { client, connection } = this.#dial(address);
    return new GrpcSnapshot(client, (call) => this.#opened(client, connection, call));
  }

  async askForm(address: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { client, connection } = this.#dial(address);
    return new Promise<Uint8Array>((resolve, reject) => {
      const { path } = peerService.form;
      const call = client.makeUnaryRequest(path, asBuffer, asBuffer, request, (error: ServiceError | null, answer) => {
        timer.cancel();
        over();
        if (error === null && answer !== undefined) resolve(answer);
        else reject(new Error(printable(late ? `no answer within ${timeoutMs} ms` : (error?.details ?? 'no answer'))));
      });
      let late = false;
      const over = this.#opened(client, connection, call);
      const timer = this.#clock.setTimer(timeoutMs, () => {
        late = true;
        call.cancel();
      });
    });
  }

  /** Lets streams that were ended come to their end for `graceMs`, then drops what is left. */
  async close(graceMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(graceMs, () => {
        for (const call of this.#open) call.cancel();
      });
      this.#onNoneOpen = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #dial(address: string): { readonly client: Client; readonly connection: HeldConnection } {
    const connection = new HeldConnection(credentials.createInsecure());
    return { client: new Client(address, connection, this.#options), connection };
  }

  /** Call what it returns once when the call is over. */
  #opened(client: Client, connection: HeldConnection, call: Cancellable): () => void {
    this.#open.add(call);
    return () => {
      client.close();
      connection.release();
      assert(this.#open.delete(call), 'call that was over before');
      if (this.#open.size === 0) this.#onNoneOpen?.();
    };
  }
}

class GrpcSnapshot implements OutgoingSnapshot {
  readonly failed: Promise<never>;
  readonly #call: ClientWritableStream<Uint8Array>;
  readonly #answer: Promise<Uint8Array>;
  #abortReason = '';

  constructor(client: Client, opened: (call: Cancellable) => () => void) {
    let answer: (bytes: Uint8Array) => void = () => {};
    let fail: (error: Error) => void = () => {};
    this.#answer = new Promise((resolve) => (answer = resolve));
    this.failed = new Promise((_resolve, reject) => (fail = reject));
    const { path } = peerService.installSnapshot;
    this.#call = client.makeClientStreamRequest(path, asBuffer, asBuffer, (error: ServiceError | null, bytes) => {
      over();
      if (error === null && bytes !== undefined) answer(bytes);
      else fail(new Error(printable(this.#abortReason || (error?.details ?? 'no answer'))));
    });
    this.#call.on('error', () => {});
    const over = opened(this.#call);
  }

  async write(chunk: Uint8Array): Promise<void> {
    const written = new Promise<void>((resolve) => {
      // A write that fails is followed by the status of the call, which says more.
      this.#call.write(chunk, (error: Error | null | undefined) => {
        if (error === null || error === undefined) resolve();
      });
    });
    await Promise.race([written, this.failed]);
  }

  async finish(): Promise<Uint8Array> {
    this.#call.end();
    return Promise.race([this.#answer, this.failed]);
  }

  abort(reason: string): void {
    if (this.#abortReason === '') this.#abortReason = reason;
    this.#call.cancel();
  }
}

function dialOptions(limits: TransportLimits): ChannelOptions {
  return {
    'grpc.enable_channelz': 0,
    'grpc.enable_retries': 0,
    // A proxy that the environment names is for the way out, not for the way to a peer.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': limits.messageBytesMax,
    'grpc.max_send_message_length': limits.messageBytesMax,
    // Megabytes.
    'grpc-node.max_session_memory': 64,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveAnswerMsMax,
  };
}
