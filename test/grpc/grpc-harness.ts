import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { ClusterApi, ClusterStatus } from '../../src/api/types.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { google, rollcall } from '../../src/gen/rollcall.js';
import { GrpcServer } from '../../src/grpc/grpc-server.ts';
import type { GrpcLimits } from '../../src/grpc/limits.ts';
import { grpcLimits } from '../../src/grpc/limits.ts';
import type { CallOutcome, GrpcObserver, MethodName, RefusalCause } from '../../src/grpc/observer.ts';
import { ScriptedAdmin } from '../api/scripted-admin.ts';
import { EdgeRegistry } from './edge-registry.ts';

/** Keeps what it is told. */
export class RecordingObserver implements GrpcObserver {
  readonly calls: { readonly method: MethodName; readonly outcome: CallOutcome; readonly durationMs: number }[] = [];
  readonly refusals: RefusalCause[] = [];
  readonly streams = { KeepAlive: 0, Session: 0, Watch: 0 };
  connections = 0;
  unknown = 0;

  callEnded(method: MethodName, outcome: CallOutcome, durationMs: number): void {
    this.calls.push({ method, outcome, durationMs });
  }

  streamsChanged(method: 'KeepAlive' | 'Session' | 'Watch', open: number): void {
    this.streams[method] = open;
  }

  connectionsChanged(open: number): void {
    this.connections = open;
  }

  connectionRefused(cause: RefusalCause): void {
    this.refusals.push(cause);
  }

  unknownFields(count: number): void {
    this.unknown += count;
  }
}

export const sampleStatus: ClusterStatus = {
  replica: {
    clusterId: 'c1',
    memberId: 'a',
    directoryId: 'd1',
    boot: 3,
    phase: 'serving',
    waitingFor: '',
    role: 'leader',
    leader: 'a',
    term: 4,
    commit: 10,
    applied: 9,
    lastIndex: 12,
    durableIndex: 11,
    flushedIndex: 8,
    firstKeptIndex: 1,
    revision: 7,
    stateHash: '0'.repeat(32),
    fenced: false,
    diskFreeBytes: 2 ** 40,
    logBytes: 4_096,
    uptimeMs: 1_234.5,
    peers: [],
  },
  members: [
    {
      memberId: 'b',
      peerAddress: '127.0.0.1:7421',
      clientAddress: '127.0.0.1:7420',
      reachable: true,
      matchIndex: 12,
      replicationState: 'replicate',
      lastContactMs: 20.2,
      kind: 'voter',
    },
  ],
  version: '0.1.0',
  instances: 5,
  services: 2,
  leases: 3,
  sessions: 6,
  sessionStreams: 4,
  watches: 1,
};

function clusterOf(admin: ScriptedAdmin): ClusterApi {
  return {
    status: () => sampleStatus,
    listMembers: async () => admin.membership(),
    changeMembership: ({ order, force }) => admin.changeMembership(order, force),
    transferLeadership: (to) => admin.transferLeadership(to),
  };
}

/** A front end on a port of its own, with the edge registry behind it. */
export class Harness {
  readonly registry = new EdgeRegistry();
  readonly admin = new ScriptedAdmin();
  readonly observer = new RecordingObserver();
  readonly fatal: unknown[] = [];
  readonly server: GrpcServer;
  readonly #clients: Client[] = [];
  port = 0;

  private constructor(limits: Partial<GrpcLimits>) {
    this.server = new GrpcServer({
      registry: this.registry,
      cluster: clusterOf(this.admin),
      clock: new SystemClock(),
      observer: this.observer,
      limits: { ...grpcLimits, ...limits },
      onFatal: (error) => this.fatal.push(error),
    });
  }

  static async start(limits: Partial<GrpcLimits> = {}, port = 0): Promise<Harness> {
    const harness = new Harness(limits);
    harness.port = await harness.server.listen('127.0.0.1', port);
    return harness;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.drain(50);
  }

  /** A connection of its own. */
  client(): RawClient {
    const client = new Client(`127.0.0.1:${this.port}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_send_message_length': -1,
      'grpc.max_receive_message_length': -1,
      'grpc.enable_retries': 0,
    });
    this.#clients.push(client);
    return new RawClient(client);
  }
}

const same = (bytes: Buffer): Buffer => bytes;

/** Sends and receives bytes. */
export class RawClient {
  readonly grpc: Client;

  constructor(grpc: Client) {
    this.grpc = grpc;
  }

  /** Rejects with the ServiceError. */
  unary(path: string, request: Uint8Array, options: { deadline?: number; metadata?: Metadata } = {}): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.grpc.makeUnaryRequest(
        path,
        same,
        same,
        Buffer.from(request),
        options.metadata ?? new Metadata(),
        options.deadline === undefined ? {} : { deadline: options.deadline },
        (error, answer) => (error === null ? resolve(answer as Buffer) : reject(error)),
      );
    });
  }

  registry(method: MethodName, request: Uint8Array): Promise<Buffer> {
    return this.unary(`/rollcall.v1.Registry/${method}`, request);
  }

  bidi(method: 'KeepAlive' | 'Session' | 'Watch'): ClientDuplexStream<Buffer, Buffer> {
    return this.grpc.makeBidiStreamRequest(`/rollcall.v1.Registry/${method}`, same, same);
  }
}

export async function failureOf(call: Promise<unknown>): Promise<ServiceError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error as ServiceError,
  );
  if (outcome === undefined) throw new Error('the call succeeded');
  return outcome;
}

/** Resolves with all messages and the status that ended the stream. */
export function drainedStream(
  stream: ClientDuplexStream<Buffer, Buffer>,
): Promise<{ readonly messages: Buffer[]; readonly error: ServiceError | undefined }> {
  return new Promise((resolve) => {
    const messages: Buffer[] = [];
    stream.on('data', (message: Buffer) => messages.push(message));
    stream.on('error', (error: ServiceError) => resolve({ messages, error }));
    stream.on('end', () => undefined);
    stream.on('status', (status: { code: number }) => {
      if (status.code === 0) resolve({ messages, error: undefined });
    });
  });
}

/** The google.rpc.Status of an error, and its details by short type name. */
export function detailsOf(error: ServiceError): {
  readonly status: google.rpc.Status;
  readonly errorInfo: google.rpc.ErrorInfo | undefined;
  readonly retryInfo: google.rpc.RetryInfo | undefined;
  readonly badRequest: google.rpc.BadRequest | undefined;
} {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (!Buffer.isBuffer(bytes)) throw new Error(`no details in: ${error.message}`);
  const status = google.rpc.Status.decode(bytes);
  const find = (name: string): Uint8Array | undefined =>
    status.details.find((any) => any.type_url === `type.googleapis.com/google.rpc.${name}`)?.value ?? undefined;
  const [info, retry, request] = [find('ErrorInfo'), find('RetryInfo'), find('BadRequest')];
  return {
    status,
    errorInfo: info === undefined ? undefined : google.rpc.ErrorInfo.decode(info),
    retryInfo: retry === undefined ? undefined : google.rpc.RetryInfo.decode(retry),
    badRequest: request === undefined ? undefined : google.rpc.BadRequest.decode(request),
  };
}

/** Resolves once `condition` holds; looks at every turn of the loop. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const limit = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > limit) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export function registerBytes(id: string, extra: rollcall.v1.RegisterRequest.$Properties = {}): Uint8Array {
  return rollcall.v1.RegisterRequest.encode({
    instance: {
      service: 'shop',
      id,
      endpoints: [{ name: 'main', protocol: 'grpc', address: '10.0.0.1', port: 8080 }],
    },
    ttlMs: 10_000,
    ...extra,
  }).finish();
}
