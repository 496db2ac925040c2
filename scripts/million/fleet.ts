import { Client, credentials } from '@grpc/grpc-js';
import { rollcall } from '../../src/gen/rollcall.js';
import { SessionStream } from './session-stream.ts';

const { SessionRegisterMode, SessionResultStatus } = rollcall.v1;

export interface FleetOptions {
  readonly addresses: readonly string[];
  readonly sessions: number;
  readonly instances: number;
  readonly services: number;
  readonly ttlMs: number;
  /** Sessions that are being opened and written at once. */
  readonly lanes: number;
  readonly untilMs: number;
  readonly onProgress: (line: string) => void;
}

const streamsPerConnection = 100;
const operationsPerWrite = 500;
const retriesMax = 20;

/** All sessions of a load with their instances, spread over the members, and kept alive until `stop`. */
export class Fleet {
  readonly counts = { opened: 0, registered: 0, refused: 0, pings: 0, unconfirmed: 0, ended: 0, retried: 0 };
  /** How long pings took, ms, since the last `takePingsMs`. */
  #pingsMs: number[] = [];
  readonly #options: FleetOptions;
  readonly #clients: Client[] = [];
  readonly #streams: SessionStream[] = [];
  #timer: NodeJS.Timeout | undefined;
  #nextPing = 0;
  #stopped = false;
  lastEnd = '';

  constructor(options: FleetOptions) {
    this.#options = options;
    const connections = Math.ceil(options.sessions / streamsPerConnection);
    for (let i = 0; i < connections; i++) {
      const address = options.addresses[i % options.addresses.length] ?? '';
      // Of one address there would be one connection otherwise, and one connection carries 128 streams.
      const own = { 'grpc.use_local_subchannel_pool': 1 };
      this.#clients.push(new Client(address, credentials.createInsecure(), own));
    }
  }

  /** Opens all sessions and registers all instances; sessions that are open are kept alive meanwhile. */
  async load(): Promise<void> {
    const { sessions, lanes, onProgress } = this.#options;
    this.#keepAlive();
    const startMs = performance.now();
    let next = 0;
    let told = 0;
    const lane = async (): Promise<void> => {
      while (next < sessions && !this.#stopped) {
        if (performance.now() > this.#options.untilMs) throw new Error('the time for loading is over');
        await this.#loadWithRetries(next++);
        if (this.counts.opened < told + sessions / 20) continue;
        told = this.counts.opened;
        const seconds = (performance.now() - startMs) / 1_000;
        const rate = Math.round(this.counts.registered / seconds);
        onProgress(`${told} sessions, ${this.counts.registered} instances, ${rate} instances/s`);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  takePingsMs(): number[] {
    const taken = this.#pingsMs;
    this.#pingsMs = [];
    return taken;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const client of this.#clients) client.close();
  }

  /** A member that is asked for too much ends streams and says when to come again: a client begins anew elsewhere. */
  async #loadWithRetries(i: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#loadOne(i, i + attempt);
        return;
      } catch (error) {
        if (attempt >= retriesMax || this.#stopped) throw error;
        this.counts.retried++;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  async #loadOne(i: number, connection: number): Promise<void> {
    const client = this.#clients[connection % this.#clients.length];
    if (client === undefined) throw new Error('no connection');
    const stream = new SessionStream(client, (reason) => {
      if (this.#stopped) return;
      this.counts.ended++;
      this.lastEnd = reason;
    });
    await stream.open(this.#options.ttlMs);
    this.#streams.push(stream);
    const { instances, sessions } = this.#options;
    const first = Math.floor((instances * i) / sessions);
    const end = Math.floor((instances * (i + 1)) / sessions);
    let sequence = 0;
    let registered = 0;
    let refused = 0;
    for (let at = first; at < end; at += operationsPerWrite) {
      const operations = [];
      for (let n = at; n < Math.min(end, at + operationsPerWrite); n++) operations.push(this.#operation(n));
      const results = await stream.write(++sequence, operations);
      for (const { status } of results) {
        if (status === SessionResultStatus.SESSION_RESULT_STATUS_REFUSED) refused++;
        else registered++;
      }
    }
    this.counts.opened++;
    this.counts.registered += registered;
    this.counts.refused += refused;
  }

  /** As real ones are: two endpoints, some tags and metadata; about 330 bytes. */
  #operation(n: number): rollcall.v1.ISessionOperation {
    const service = `service-${String(n % this.#options.services).padStart(4, '0')}`;
    const address = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
    const instance: rollcall.v1.IInstanceSpec = {
      namespace: 'million',
      service,
      id: `${service}-${n.toString(16).padStart(8, '0')}`,
      endpoints: [
        { name: 'grpc', protocol: 'grpc', address, port: 8_080 },
        { name: 'admin', protocol: 'http', address, port: 9_090 },
      ],
      version: `1.${n % 10}.${n % 7}`,
      tags: ['production', n % 2 === 0 ? 'blue' : 'green'],
      metadata: { team: `team-${n % 40}`, commit: 'f3a9c1d77be20c4e8a6f', build: String(n) },
      locality: { region: 'eu-west-1', zone: `eu-west-1${'abc'.charAt(n % 3)}` },
    };
    return { register: { instance, mode: SessionRegisterMode.SESSION_REGISTER_MODE_START } };
  }

  /** A third of the time to live from ping to ping, spread evenly over it. */
  #keepAlive(): void {
    const { sessions, ttlMs } = this.#options;
    const perMs = sessions / (ttlMs / 3);
    let due = 0;
    let lastMs = performance.now();
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      // By the time that passed: this process, too, may be late.
      due += (nowMs - lastMs) * perMs * Math.min(1, this.#streams.length / sessions);
      lastMs = nowMs;
      for (; due >= 1; due--) this.#pingNext();
    }, 20);
  }

  #pingNext(): void {
    if (this.#nextPing >= this.#streams.length) this.#nextPing = 0;
    const stream = this.#streams[this.#nextPing++];
    if (stream === undefined) return;
    const startMs = performance.now();
    this.counts.pings++;
    stream.ping().then(
      (renewed) => {
        this.#pingsMs.push(performance.now() - startMs);
        if (!renewed) this.counts.unconfirmed++;
      },
      () => undefined,
    );
  }
}
