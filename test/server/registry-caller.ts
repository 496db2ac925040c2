// Calls of one member over its real port, with what they say decoded; no client of ours in between.
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { Client, credentials } from '@grpc/grpc-js';
import { waitFor } from '../../scripts/cluster/process-cluster.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { detailsOf, drainedStream, RawClient } from '../grpc/grpc-harness.ts';

const { v1 } = rollcall;

interface Encoder<Properties> {
  encode(message: Properties): { finish(): Uint8Array };
}
interface Decoder<Message> {
  decode(bytes: Uint8Array): Message;
}

export class RegistryCaller {
  readonly raw: RawClient;

  constructor(address: string) {
    const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': -1 };
    this.raw = new RawClient(
      new Client(address, credentials.createInsecure(), { ...options, 'grpc.enable_retries': 0 }),
    );
  }

  register(request: rollcall.v1.IRegisterRequest): Promise<rollcall.v1.RegisterResponse> {
    return this.#call('Register', v1.RegisterRequest, v1.RegisterResponse, request);
  }

  batchRegister(request: rollcall.v1.IBatchRegisterRequest): Promise<rollcall.v1.BatchRegisterResponse> {
    return this.#call('BatchRegister', v1.BatchRegisterRequest, v1.BatchRegisterResponse, request);
  }

  /** Opens a session on a stream of its own; rejects with what ends the stream. */
  async openSession(ttlMs: number): Promise<never> {
    const stream = this.raw.bidi('Session');
    const drained = drainedStream(stream);
    stream.write(Buffer.from(v1.SessionRequest.encode({ open: { ttlMs } }).finish()));
    throw (await drained).error ?? new Error('the stream has ended without an error');
  }

  update(request: rollcall.v1.IUpdateRequest): Promise<rollcall.v1.UpdateResponse> {
    return this.#call('Update', v1.UpdateRequest, v1.UpdateResponse, request);
  }

  deregister(request: rollcall.v1.IDeregisterRequest): Promise<rollcall.v1.DeregisterResponse> {
    return this.#call('Deregister', v1.DeregisterRequest, v1.DeregisterResponse, request);
  }

  grantLease(request: rollcall.v1.IGrantLeaseRequest): Promise<rollcall.v1.GrantLeaseResponse> {
    return this.#call('GrantLease', v1.GrantLeaseRequest, v1.GrantLeaseResponse, request);
  }

  revokeLease(request: rollcall.v1.IRevokeLeaseRequest): Promise<rollcall.v1.RevokeLeaseResponse> {
    return this.#call('RevokeLease', v1.RevokeLeaseRequest, v1.RevokeLeaseResponse, request);
  }

  discover(request: rollcall.v1.IDiscoverRequest): Promise<rollcall.v1.DiscoverResponse> {
    return this.#call('Discover', v1.DiscoverRequest, v1.DiscoverResponse, request);
  }

  listServices(request: rollcall.v1.IListServicesRequest): Promise<rollcall.v1.ListServicesResponse> {
    return this.#call('ListServices', v1.ListServicesRequest, v1.ListServicesResponse, request);
  }

  /** One KeepAlive request on a stream of its own. */
  async keepAlive(leaseIds: number[]): Promise<rollcall.v1.IKeepAliveResult[]> {
    const stream = this.raw.bidi('KeepAlive');
    stream.write(Buffer.from(v1.KeepAliveRequest.encode({ leaseIds }).finish()));
    stream.end();
    for await (const bytes of stream) return v1.KeepAliveResponse.decode(bytes as Buffer).results;
    throw new Error('no answer to a renewal');
  }

  watch(): WatchReader {
    return new WatchReader(this.raw.bidi('Watch'));
  }

  close(): void {
    this.raw.grpc.close();
  }

  async #call<Properties, Message>(
    method: string,
    request: Encoder<Properties>,
    response: Decoder<Message>,
    properties: Properties,
  ): Promise<Message> {
    const deadline = Date.now() + 15_000;
    const bytes = request.encode(properties).finish();
    return response.decode(await this.raw.unary(`/rollcall.v1.Registry/${method}`, bytes, { deadline }));
  }
}

const kinds = ['', 'snapshot', 'delta', 'reset', 'progress', 'ended'] as const;

/** One Watch stream: keeps what it was sent, by watch. */
export class WatchReader {
  readonly responses: rollcall.v1.WatchResponse[] = [];
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  /** How the stream ended: 0 for OK; undefined while it is open. */
  code: number | undefined;

  constructor(stream: ClientDuplexStream<Buffer, Buffer>) {
    this.#stream = stream;
    stream.on('data', (bytes: Buffer) => this.responses.push(v1.WatchResponse.decode(bytes)));
    stream.on('error', () => undefined);
    stream.on('status', ({ code }: { code: number }) => (this.code = code));
  }

  create(create: rollcall.v1.IWatchCreate): this {
    this.#stream.write(Buffer.from(v1.WatchRequest.encode({ create }).finish()));
    return this;
  }

  stop(watchId: number): void {
    this.#stream.write(Buffer.from(v1.WatchRequest.encode({ cancel: { watchId } }).finish()));
  }

  halfClose(): this {
    this.#stream.end();
    return this;
  }

  cancel(): void {
    this.#stream.cancel();
  }

  of(watchId: number): rollcall.v1.WatchResponse[] {
    return this.responses.filter((response) => response.watchId === watchId);
  }

  /** `snapshot +a +b`, `delta -a LEASE_EXPIRED`, `ended SUPERSEDED`: one line a response of the watch. */
  lines(watchId: number): string[] {
    return this.of(watchId).map(({ kind, events, errorReason }) =>
      [kinds[kind], ...events.map(eventText), errorReason].filter((part) => part !== '').join(' '),
    );
  }

  /** Resolves once the watch was sent that many responses. */
  async sent(watchId: number, count: number): Promise<string[]> {
    await waitFor(
      `response ${count} of watch ${watchId}; there are: ${this.lines(watchId).join(', ')}`,
      15_000,
      async () => (this.of(watchId).length >= count ? true : undefined),
    );
    return this.lines(watchId);
  }

  /** What does not join up: each delta begins where the batch before ended, and none goes back. */
  breaks(watchId: number): string[] {
    const batches = this.of(watchId).filter(({ kind }) => kind !== v1.WatchBatchKind.WATCH_BATCH_KIND_ENDED);
    return batches.flatMap(({ fromRevision, toRevision }, i) => {
      const before = batches[i - 1]?.toRevision ?? fromRevision;
      return fromRevision === before && toRevision >= fromRevision
        ? []
        : [`${before}: (${fromRevision}, ${toRevision}]`];
    });
  }
}

function eventText(event: rollcall.v1.IWatchEvent): string {
  if (event.kind === v1.WatchEventKind.WATCH_EVENT_KIND_PUT) return `+${event.instance?.spec?.id}`;
  return `-${event.key?.id} ${v1.RemovalCause[event.cause ?? 0]?.replace('REMOVAL_CAUSE_', '')}`;
}

/** The reason of the closed list with which a call is refused. */
export async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return detailsOf(error as ServiceError).errorInfo?.reason ?? 'no reason';
  }
  return 'no error';
}

export function instanceOf(
  service: string,
  id: string,
  more: rollcall.v1.IInstanceSpec = {},
): rollcall.v1.IInstanceSpec {
  return { service, id, endpoints: [{ name: 'main', protocol: 'grpc', address: '10.0.0.1', port: 8_080 }], ...more };
}
