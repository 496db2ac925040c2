import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { rollcall } from '../../src/gen/rollcall.js';

const { KeepAliveRequest, KeepAliveResponse, KeepAliveStatus } = rollcall.v1;

/** What is known of one lease, by this process's clock. */
export interface KeptLease {
  readonly leaseId: number;
  readonly instance: string;
  /** When the last acknowledged sign of life was sent, and when its acknowledgement came. */
  sentMs: number;
  acknowledgedMs: number;
  /** From here on nothing is sent for it; Infinity while it is kept. */
  leftMs: number;
}

export interface KeeperOptions {
  readonly addresses: readonly string[];
  readonly first: number;
  readonly everyMs: number;
  readonly leases: readonly KeptLease[];
  /** A lease that is kept is said to be gone. */
  readonly onGone: (lease: KeptLease) => void;
}

const answerTimeoutMs = 1_500;
const backOffMs = 100;

/** Keeps some leases alive over one stream, and goes on at the next member where that breaks or does not answer. */
export class Keeper {
  readonly counts = { requests: 0, renewed: 0, unavailable: 0, reconnects: 0 };
  readonly #options: KeeperOptions;
  #at: number;
  #client: Client | undefined;
  #stream: ClientDuplexStream<Buffer, Buffer> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #asked: { readonly sentMs: number; readonly leases: readonly KeptLease[] } | undefined;
  #stopped = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#at = options.first;
  }

  start(): void {
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#client?.close();
  }

  #connect(): void {
    if (this.#stopped) return;
    const address = this.#options.addresses[this.#at % this.#options.addresses.length] ?? '';
    const same = (bytes: Buffer): Buffer => bytes;
    const own = { 'grpc.use_local_subchannel_pool': 1 };
    this.#client = new Client(address, credentials.createInsecure(), own);
    const stream = this.#client.makeBidiStreamRequest('/rollcall.v1.Registry/KeepAlive', same, same);
    this.#stream = stream;
    stream.on('data', (bytes: Buffer) => this.#answer(bytes));
    stream.on('error', () => this.#broke(stream));
    stream.on('end', () => this.#broke(stream));
    this.#ask();
  }

  #ask(): void {
    const leases = this.#options.leases.filter(({ leftMs }) => leftMs === Number.POSITIVE_INFINITY);
    if (leases.length === 0 || this.#stopped) return;
    this.counts.requests++;
    const request = KeepAliveRequest.encode({ leaseIds: leases.map(({ leaseId }) => leaseId) }).finish();
    this.#asked = { sentMs: performance.now(), leases };
    const stream = this.#stream;
    stream?.write(Buffer.from(request));
    this.#timer = setTimeout(() => {
      if (stream !== undefined) this.#broke(stream);
    }, answerTimeoutMs);
  }

  #answer(bytes: Buffer): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    this.#asked = undefined;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    let unavailable = false;
    KeepAliveResponse.decode(bytes).results.forEach(({ status }, i) => {
      const lease = asked.leases[i];
      if (lease === undefined) return;
      if (status === KeepAliveStatus.KEEP_ALIVE_STATUS_RENEWED) {
        lease.sentMs = asked.sentMs;
        lease.acknowledgedMs = nowMs;
        this.counts.renewed++;
      } else if (status === KeepAliveStatus.KEEP_ALIVE_STATUS_UNKNOWN) {
        this.#options.onGone(lease);
      } else {
        this.counts.unavailable++;
        unavailable = true;
      }
    });
    this.#timer = setTimeout(() => this.#ask(), unavailable ? backOffMs : this.#options.everyMs);
  }

  #broke(stream: ClientDuplexStream<Buffer, Buffer>): void {
    if (this.#stopped || stream !== this.#stream) return;
    this.counts.reconnects++;
    clearTimeout(this.#timer);
    this.#asked = undefined;
    this.#stream = undefined;
    this.#client?.close();
    this.#at++;
    this.#timer = setTimeout(() => this.#connect(), backOffMs);
  }
}
