import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { rollcall } from '../../src/gen/rollcall.js';

const { WatchBatchKind, WatchEventKind, WatchRequest, WatchResponse } = rollcall.v1;
type Response = rollcall.v1.IWatchResponse;
type Stream = ClientDuplexStream<rollcall.v1.IWatchRequest, Response>;

export interface WatchCheckerOptions {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly namespace: string;
  /** Index of the address to begin with. */
  readonly first: number;
  /** Told of every breach of a promise; the checker goes on. */
  readonly onBreach: (text: string) => void;
}

/**
 * A watcher that believes nothing: it speaks the wire itself and checks every batch against the promises (from is the
 * previous to, revisions rise, no event twice, a reset is never below the resume point), and keeps the set that the
 * batches give. When its stream breaks it resumes on the next member.
 */
export class WatchChecker {
  readonly #options: WatchCheckerOptions;
  readonly #instances = new Map<string, number>();
  #at: number;
  #client: Client | undefined;
  #stream: Stream | undefined;
  #to = 0;
  #parts: Response[] = [];
  #stopped = false;
  #retry: NodeJS.Timeout | undefined;
  readonly counts = { batches: 0, events: 0, snapshots: 0, resets: 0, resumes: 0, coalesced: 0 };

  constructor(options: WatchCheckerOptions) {
    this.#options = options;
    this.#at = options.first;
  }

  /** Revision up to which it has seen everything. */
  get revision(): number {
    return this.#to;
  }

  /** "service/id" of every instance it knows, with its incarnation. */
  get instances(): ReadonlyMap<string, number> {
    return this.#instances;
  }

  start(): void {
    if (this.#stopped) return;
    const address = this.#options.addresses[this.#at % this.#options.addresses.length] ?? '';
    this.#client = new Client(address, credentials.createInsecure(), { 'grpc.initial_reconnect_backoff_ms': 50 });
    const stream = this.#client.makeBidiStreamRequest(
      '/rollcall.v1.Registry/Watch',
      (request: rollcall.v1.IWatchRequest) => Buffer.from(WatchRequest.encode(request).finish()),
      (bytes: Buffer): Response => WatchResponse.decode(bytes),
    );
    this.#stream = stream;
    this.#parts = [];
    if (this.#to > 0) this.counts.resumes++;
    stream.on('data', (response: Response) => this.#receive(response));
    stream.on('error', () => this.#again(stream));
    stream.on('end', () => this.#again(stream));
    stream.write({ create: { watchId: 1, namespace: this.#options.namespace, resumeRevision: this.#to } });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#stream?.cancel();
    this.#client?.close();
  }

  #again(stream: Stream): void {
    if (this.#stream !== stream || this.#stopped) return;
    this.#stream = undefined;
    this.#client?.close();
    this.#at++;
    this.#retry = setTimeout(() => this.start(), 50);
  }

  #receive(response: Response): void {
    if (response.kind === WatchBatchKind.WATCH_BATCH_KIND_ENDED) {
      this.#stream?.cancel();
      return;
    }
    this.#parts.push(response);
    if (response.more === true) return;
    const parts = this.#parts;
    this.#parts = [];
    this.counts.batches++;
    if (response.coalesced === true) this.counts.coalesced++;
    this.#check(parts, response);
  }

  #check(parts: readonly Response[], last: Response): void {
    const from = Number(last.fromRevision ?? 0);
    const to = Number(last.toRevision ?? 0);
    const fresh =
      last.kind === WatchBatchKind.WATCH_BATCH_KIND_SNAPSHOT || last.kind === WatchBatchKind.WATCH_BATCH_KIND_RESET;
    if (fresh) {
      if (this.#to > 0 && last.kind === WatchBatchKind.WATCH_BATCH_KIND_SNAPSHOT) this.#breach(`snapshot on a resume`);
      if (to < this.#to) this.#breach(`reset at ${to} below the resume point ${this.#to}`);
      this.#instances.clear();
      if (last.kind === WatchBatchKind.WATCH_BATCH_KIND_RESET) this.counts.resets++;
      else this.counts.snapshots++;
    } else if (from !== this.#to) this.#breach(`batch (${from}, ${to}] after one up to ${this.#to}`);
    const seen = new Set<string>();
    let revision = fresh ? 0 : from;
    for (const event of parts.flatMap((part) => part.events ?? [])) {
      this.counts.events++;
      const at = Number(event.revision ?? 0);
      // In a coalesced batch each instance stands once, in the order of their names.
      const coalesced = last.coalesced === true;
      if (!fresh && ((at < revision && !coalesced) || at <= from || at > to)) {
        this.#breach(`event of ${at} in (${from}, ${to}]`);
      }
      revision = at;
      const name = nameOf(event);
      const unique = coalesced ? name : `${at} ${name}`;
      if (seen.has(unique)) this.#breach(`event ${unique} twice`);
      seen.add(unique);
      this.#apply(event, name, at, { fresh, coalesced });
    }
    this.#to = to;
  }

  #apply(
    event: rollcall.v1.IWatchEvent,
    name: string,
    at: number,
    { fresh, coalesced }: { readonly fresh: boolean; readonly coalesced: boolean },
  ): void {
    if (event.kind === WatchEventKind.WATCH_EVENT_KIND_PUT) {
      this.#instances.set(name, Number(event.instance?.meta?.incarnation ?? 0));
      return;
    }
    if (fresh) this.#breach(`removal of ${name} in a snapshot`);
    // What came and went between two coalesced batches was never seen.
    if (!this.#instances.delete(name) && !coalesced) this.#breach(`removal of ${name} at ${at}, which was not there`);
  }

  #breach(text: string): void {
    this.#options.onBreach(`watcher ${this.#options.name}: ${text}`);
  }
}

function nameOf(event: rollcall.v1.IWatchEvent): string {
  const key = event.kind === WatchEventKind.WATCH_EVENT_KIND_PUT ? event.instance?.spec : event.key;
  return `${key?.service ?? ''}/${key?.id ?? ''}`;
}
