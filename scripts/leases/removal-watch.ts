import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { rollcall } from '../../src/gen/rollcall.js';

const { RemovalCause, WatchBatchKind, WatchEventKind, WatchRequest, WatchResponse } = rollcall.v1;

export interface RemovalWatchOptions {
  readonly addresses: readonly string[];
  readonly namespace: string;
  readonly onRemoved: (instance: string, nowMs: number) => void;
  readonly onBreach: (text: string) => void;
}

/**
 * Tells of every removal in a namespace when it is first seen: one watch at each member, so that a member which stands
 * still, or is not there, hides nothing. Each resumes where it was.
 */
export class RemovalWatch {
  readonly #options: RemovalWatchOptions;
  readonly #watches: MemberWatch[];

  constructor(options: RemovalWatchOptions) {
    this.#options = options;
    this.#watches = options.addresses.map((address) => new MemberWatch(address, this.#options));
  }

  start(): void {
    for (const watch of this.#watches) watch.connect();
  }

  stop(): void {
    for (const watch of this.#watches) watch.stop();
  }
}

class MemberWatch {
  readonly #address: string;
  readonly #options: RemovalWatchOptions;
  #client: Client | undefined;
  #stream: ClientDuplexStream<Buffer, Buffer> | undefined;
  #to = 0;
  #stopped = false;

  constructor(address: string, options: RemovalWatchOptions) {
    this.#address = address;
    this.#options = options;
  }

  connect(): void {
    if (this.#stopped) return;
    const same = (bytes: Buffer): Buffer => bytes;
    const own = { 'grpc.use_local_subchannel_pool': 1 };
    this.#client = new Client(this.#address, credentials.createInsecure(), own);
    const stream = this.#client.makeBidiStreamRequest('/rollcall.v1.Registry/Watch', same, same);
    this.#stream = stream;
    stream.on('data', (bytes: Buffer) => this.#batch(stream, WatchResponse.decode(bytes)));
    stream.on('error', () => this.#broke(stream));
    stream.on('end', () => this.#broke(stream));
    const create = { watchId: 1, namespace: this.#options.namespace, resumeRevision: this.#to };
    stream.write(Buffer.from(WatchRequest.encode({ create }).finish()));
  }

  stop(): void {
    this.#stopped = true;
    this.#client?.close();
  }

  #batch(stream: ClientDuplexStream<Buffer, Buffer>, response: rollcall.v1.WatchResponse): void {
    if (response.kind === WatchBatchKind.WATCH_BATCH_KIND_ENDED) {
      this.#broke(stream);
      return;
    }
    if (response.kind === WatchBatchKind.WATCH_BATCH_KIND_RESET) {
      this.#options.onBreach(`the watch at ${this.#address} got a reset, which hides removals`);
    }
    const nowMs = performance.now();
    for (const event of response.events) {
      if (event.kind !== WatchEventKind.WATCH_EVENT_KIND_DELETE) continue;
      const id = event.key?.id ?? '';
      if (event.cause !== RemovalCause.REMOVAL_CAUSE_LEASE_EXPIRED && !response.coalesced) {
        this.#options.onBreach(`${id} was removed for another cause than the end of its lease`);
      }
      this.#options.onRemoved(id, nowMs);
    }
    if (!response.more) this.#to = response.toRevision;
  }

  #broke(stream: ClientDuplexStream<Buffer, Buffer>): void {
    if (stream !== this.#stream) return;
    this.#stream = undefined;
    this.#client?.close();
    if (!this.#stopped) setTimeout(() => this.connect(), 100);
  }
}
