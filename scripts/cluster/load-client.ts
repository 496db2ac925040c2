import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { rollcall } from '../../src/gen/rollcall.js';

const { DeregisterRequest, DeregisterResponse, RegisterRequest, RegisterResponse } = rollcall.v1;

/** What is known of one id that a client has written. */
export type Known =
  /** Acknowledged: this incarnation is there. */
  | { readonly state: 'present'; readonly incarnation: number }
  /** Acknowledged: it is gone. */
  | { readonly state: 'absent' }
  /** The last write on it had no answer: it may be there or not. */
  | { readonly state: 'unknown' };

export interface LoadClientOptions {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly first: number;
  readonly namespace: string;
  /** Ids that this client keeps registered: beyond it the oldest is removed for each new one. */
  readonly keptMax: number;
  /** Writes under way at once. */
  readonly lanes: number;
  /** Pause of a lane between two writes, ms; 0 = none. */
  readonly pauseMs: number;
  readonly onAcknowledged: (nowMs: number) => void;
  readonly onBreach: (text: string) => void;
}

const attemptTimeoutMs = 3_000;
const writeTimeoutMs = 15_000;

/**
 * Registers new ids and removes old ones over the wire, and remembers what was acknowledged. A write that fails is
 * tried again on the next member with the same request id: it must be applied once.
 */
export class LoadClient {
  readonly known = new Map<string, Known>();
  readonly counts = { acknowledged: 0, retries: 0, unknown: 0 };
  readonly #options: LoadClientOptions;
  readonly #clients: Client[];
  readonly #kept: { service: string; id: string }[] = [];
  #at: number;
  #sequence = 0;
  #running = false;
  #lanes: Promise<void>[] = [];

  constructor(options: LoadClientOptions) {
    this.#options = options;
    this.#at = options.first;
    const channel = { 'grpc.initial_reconnect_backoff_ms': 50, 'grpc.max_reconnect_backoff_ms': 300 };
    this.#clients = options.addresses.map((address) => new Client(address, credentials.createInsecure(), channel));
  }

  /** Begins at the first member again: after many rounds all clients would be at the same one otherwise. */
  start(): void {
    this.#running = true;
    this.#at = this.#options.first;
    this.#lanes = Array.from({ length: this.#options.lanes }, () => this.#lane());
  }

  /** Begins no further write; resolves once those under way have ended. */
  async pause(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#lanes);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  async #lane(): Promise<void> {
    while (this.#running) {
      const oldest = this.#kept.length >= this.#options.keptMax ? this.#kept.shift() : undefined;
      if (oldest === undefined) await this.#register();
      else await this.#deregister(oldest);
      if (this.#options.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#options.pauseMs));
    }
  }

  async #register(): Promise<void> {
    const sequence = ++this.#sequence;
    const service = `load-${sequence % 10}`;
    const id = `${this.#options.name}-${sequence}`;
    const instance = {
      namespace: this.#options.namespace,
      service,
      id,
      endpoints: [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 1 + (sequence % 65_000) }],
      tags: ['load'],
      metadata: { client: this.#options.name },
    };
    const request = RegisterRequest.create({ instance, persistent: true, requestId: `r-${id}` });
    const bytes = Buffer.from(RegisterRequest.encode(request).finish());
    const answer = await this.#write('Register', bytes, `${service}/${id}`);
    if (answer === undefined) return;
    const { incarnation, replaced } = RegisterResponse.decode(answer);
    if (replaced) this.#options.onBreach(`registration of ${id} was applied twice`);
    this.known.set(`${service}/${id}`, { state: 'present', incarnation: Number(incarnation) });
    this.#kept.push({ service, id });
  }

  async #deregister({ service, id }: { service: string; id: string }): Promise<void> {
    const key = { namespace: this.#options.namespace, service, id };
    const request = DeregisterRequest.create({ key, requestId: `d-${id}` });
    const bytes = Buffer.from(DeregisterRequest.encode(request).finish());
    const answer = await this.#write('Deregister', bytes, `${service}/${id}`);
    if (answer === undefined) return;
    if (!DeregisterResponse.decode(answer).existed) {
      this.#options.onBreach(`removal of ${id} found nothing, though its registration was acknowledged`);
    }
    this.known.set(`${service}/${id}`, { state: 'absent' });
  }

  /** Tries until it is answered; undefined where it is not within `writeTimeoutMs`. */
  async #write(method: string, bytes: Buffer, name: string): Promise<Buffer | undefined> {
    this.known.set(name, { state: 'unknown' });
    const deadlineMs = performance.now() + writeTimeoutMs;
    while (performance.now() < deadlineMs) {
      const at = this.#at % this.#clients.length;
      try {
        const answer = await this.#attempt(at, method, bytes);
        this.counts.acknowledged++;
        this.#options.onAcknowledged(performance.now());
        return answer;
      } catch (error) {
        const { code, details } = error as ServiceError;
        const retryable =
          code === status.UNAVAILABLE ||
          code === status.DEADLINE_EXCEEDED ||
          code === status.RESOURCE_EXHAUSTED ||
          code === status.CANCELLED;
        if (!retryable) {
          this.#options.onBreach(`${method} of ${name} failed with code ${code}: ${details}`);
          return undefined;
        }
        this.counts.retries++;
        // Another lane may have moved on already.
        if (this.#at % this.#clients.length === at) this.#at++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    this.counts.unknown++;
    return undefined;
  }

  #attempt(at: number, method: string, bytes: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const same = (value: Buffer): Buffer => value;
      this.#clients[at]?.makeUnaryRequest(
        `/rollcall.v1.Registry/${method}`,
        same,
        same,
        bytes,
        { deadline: Date.now() + attemptTimeoutMs },
        (error, answer) => (error === null && answer !== undefined ? resolve(answer) : reject(error as Error)),
      );
    });
  }
}
