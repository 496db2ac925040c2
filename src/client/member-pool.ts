import type { CallOptions, ClientDuplexStream, ClientUnaryCall, ServiceError } from '@grpc/grpc-js';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { must } from '../base/assert.ts';
import { clientLimits } from './limits.ts';

const channelOptions = {
  'grpc.max_receive_message_length': clientLimits.receiveBytesMax,
  'grpc.max_send_message_length': clientLimits.receiveBytesMax,
  // A member that came back is found within a second.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // Half-open connections are noticed by pings, also where nobody calls.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  // Retries are made here, where it is known what is safe.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // Nobody is contacted whom the user did not name.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // Connections are this client's own, so that close() ends them.
  'grpc.use_local_subchannel_pool': 1,
};
const callOptions: CallOptions = {};

/** A call's answer, as bytes. */
export type AnswerCallback = (error: ServiceError | null, answer?: Buffer) => void;

/** A bidirectional stream of encoded messages. */
export type ByteStream = ClientDuplexStream<Buffer, Buffer>;

/** One address and its connection, which is made at the first call. */
export class Member {
  readonly address: string;
  #client: Client | undefined;

  constructor(address: string) {
    this.address = address;
  }

  call(path: string, request: Buffer, callback: AnswerCallback): ClientUnaryCall {
    return this.#open().makeUnaryRequest(path, same, same, request, new Metadata(), callOptions, callback);
  }

  stream(path: string): ByteStream {
    return this.#open().makeBidiStreamRequest(path, same, same, new Metadata(), callOptions);
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  #open(): Client {
    this.#client ??= new Client(`dns:${this.address}`, credentials.createInsecure(), channelOptions);
    return this.#client;
  }
}

/** The members that a client knows. One of them is current: what works is kept, and left only when it fails. */
export class MemberPool {
  readonly #members: readonly Member[];
  #current: number;

  /** @param start Position of the member that is asked first. */
  constructor(addresses: readonly string[], start: number) {
    this.#members = addresses.map((address) => new Member(address));
    this.#current = start;
  }

  get size(): number {
    return this.#members.length;
  }

  get current(): Member {
    return must(this.#members[this.#current], 'current member');
  }

  /** `failed` did not work: the next one is current, unless another call has moved on already. */
  moveOn(failed: Member): void {
    if (this.current === failed) this.#current = (this.#current + 1) % this.#members.length;
  }

  byAddress(address: string): Member | undefined {
    return this.#members.find((member) => member.address === address);
  }

  close(): void {
    for (const member of this.#members) member.close();
  }
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
