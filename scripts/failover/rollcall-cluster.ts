import { rollcall } from '../../src/gen/rollcall.js';
import type { ProcessCluster } from '../cluster/process-cluster.ts';
import { GrpcCalls } from './grpc-calls.ts';
import type { MeasuredClient, MeasuredCluster } from './peer.ts';

const { DiscoverRequest, DiscoverResponse, RegisterRequest } = rollcall.v1;
const namespace = 'gap';

/** Our own members, from `dist/`. */
export class RollcallCluster implements MeasuredCluster {
  readonly name = 'Rollcall';
  readonly ids: readonly string[];
  readonly #cluster: ProcessCluster;

  constructor(cluster: ProcessCluster) {
    this.#cluster = cluster;
    this.ids = cluster.members.map(({ id }) => id);
  }

  async startAll(): Promise<void> {
    this.#cluster.startAll();
    await this.leader(30_000);
  }

  start(id: string): void {
    this.#cluster.start(id);
  }

  async kill(id: string, signal: NodeJS.Signals): Promise<void> {
    await this.#cluster.kill(id, signal);
  }

  signal(id: string, signal: NodeJS.Signals): void {
    this.#cluster.signal(id, signal);
  }

  leader(timeoutMs: number): Promise<string> {
    return this.#cluster.leader(timeoutMs);
  }

  client(name: string): MeasuredClient {
    return new RollcallWriter(name, new GrpcCalls(this.#cluster.clientAddresses));
  }

  stop(): Promise<void> {
    return this.#cluster.stop();
  }
}

class RollcallWriter implements MeasuredClient {
  readonly #service: string;
  readonly #calls: GrpcCalls;

  constructor(name: string, calls: GrpcCalls) {
    this.#service = name;
    this.#calls = calls;
  }

  async write(at: number, slot: number, value: number): Promise<void> {
    const endpoints = [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 1 }];
    const id = `s${slot}`;
    const instance = { namespace, service: this.#service, id, endpoints, metadata: { value: String(value) } };
    const request = RegisterRequest.create({ instance, persistent: true, requestId: `${this.#service}-${value}` });
    await this.#calls.call(at, '/rollcall.v1.Registry/Register', RegisterRequest.encode(request).finish());
  }

  async read(at: number): Promise<ReadonlyMap<number, number>> {
    const found = new Map<number, number>();
    let pageToken = '';
    do {
      const request = DiscoverRequest.encode(DiscoverRequest.create({ namespace, service: this.#service, pageToken }));
      const bytes = await this.#calls.call(at, '/rollcall.v1.Registry/Discover', request.finish(), 5_000);
      const page = DiscoverResponse.decode(bytes);
      for (const { spec } of page.instances) {
        found.set(Number((spec?.id ?? 's').slice(1)), Number(spec?.metadata?.['value'] ?? Number.NaN));
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return found;
  }

  close(): void {
    this.#calls.close();
  }
}
