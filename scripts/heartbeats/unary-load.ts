import { type ClientHttp2Session, connect } from 'node:http2';
import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks';

/** One call to make: the path of its method, the framed message, and the name that its figures go under. */
export interface UnaryCall {
  readonly name: string;
  readonly path: string;
  readonly frame: Buffer;
}

export interface UnaryLoadOptions {
  readonly addresses: readonly string[];
  /** Calls under way at once, spread evenly over the addresses. */
  readonly lanes: number;
  /** What a lane does next. undefined: the lane is done. */
  readonly next: (lane: number) => UnaryCall | undefined;
}

export interface CallFigures {
  readonly name: string;
  readonly ok: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** As many streams as a member takes on one connection. */
const streamsPerConnection = 128;
/** As long as the member's RetryInfo says. */
const overloadedPauseMs = 50;
const unavailablePauseMs = 100;
const reconnectPauseMs = 200;
const microsPerMs = 1_000;

/** Frames a message as gRPC does: no compression, its length, itself. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/**
 * Unary gRPC calls in closed loop, made with bare HTTP/2: a call costs this side less than the member, so that the load
 * is the members', not the generator's. A lane begins its next call as soon as the one before has ended.
 */
export class UnaryLoad {
  readonly #options: UnaryLoadOptions;
  readonly #sessions: (ClientHttp2Session | undefined)[] = [];
  readonly #latencies = new Map<string, RecordableHistogram>();
  /** Calls that ended otherwise than well, by status of gRPC; -1: without one. */
  readonly refused = new Map<number, number>();
  #stopped = false;

  constructor(options: UnaryLoadOptions) {
    this.#options = options;
  }

  /** Connects everywhere first, then begins all lanes in one turn. Resolves once every lane is done. */
  async run(): Promise<void> {
    const { addresses, lanes } = this.#options;
    const perAddress = Math.ceil(lanes / addresses.length);
    const sessions = Math.ceil(perAddress / streamsPerConnection) * addresses.length;
    const opened = Array.from({ length: sessions }, (_, at) => this.#open(at));
    await Promise.all(opened);
    await Promise.all(Array.from({ length: lanes }, (_, lane) => this.#lane(lane)));
    for (const session of this.#sessions) session?.close();
  }

  /** No lane begins another call. */
  stop(): void {
    this.#stopped = true;
  }

  /** What ended well since the start, by name. */
  figures(): CallFigures[] {
    return [...this.#latencies].map(([name, latency]) => ({
      name,
      ok: latency.count,
      p50Ms: latency.percentile(50) / microsPerMs,
      p99Ms: latency.percentile(99) / microsPerMs,
      maxMs: latency.max / microsPerMs,
    }));
  }

  /** Sessions of one address stand `addresses.length` apart, as its lanes do. */
  #sessionOf(lane: number): number {
    const { addresses } = this.#options;
    const ofAddress = Math.floor(lane / addresses.length);
    return Math.floor(ofAddress / streamsPerConnection) * addresses.length + (lane % addresses.length);
  }

  #open(at: number): Promise<void> {
    const { addresses } = this.#options;
    return new Promise((resolve) => {
      const session = connect(`http://${addresses[at % addresses.length]}`, { settings: { enablePush: false } });
      session.once('connect', () => {
        session.setLocalWindowSize(16 * 1024 * 1024);
        resolve();
      });
      session.on('error', () => session.destroy());
      session.on('close', () => {
        if (this.#sessions[at] === session) this.#sessions[at] = undefined;
        resolve();
      });
      this.#sessions[at] = session;
    });
  }

  async #lane(lane: number): Promise<void> {
    const at = this.#sessionOf(lane);
    while (!this.#stopped) {
      const session = this.#sessions[at];
      if (session === undefined || session.closed || session.destroyed) {
        await pause(reconnectPauseMs);
        if (this.#sessions[at] === undefined) await this.#open(at);
        continue;
      }
      const call = this.#options.next(lane);
      if (call === undefined) return;
      const startMs = performance.now();
      const status = await made(session, call);
      if (status === 0) this.#ended(call.name, performance.now() - startMs);
      else this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
      if (status === 8) await pause(overloadedPauseMs);
      else if (status !== 0) await pause(unavailablePauseMs);
    }
  }

  #ended(name: string, ms: number): void {
    const latency = this.#latencies.get(name) ?? createHistogram();
    this.#latencies.set(name, latency);
    latency.record(Math.max(1, Math.round(ms * microsPerMs)));
  }
}

/** Makes one call; resolves with its status, -1 where it ended without one. */
function made(session: ClientHttp2Session, call: UnaryCall): Promise<number> {
  return new Promise((resolve) => {
    let status = -1;
    const note = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status']);
    };
    const stream = session.request({
      ':method': 'POST',
      ':path': call.path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('error', () => undefined);
    stream.on('close', () => resolve(status));
    stream.resume();
    stream.end(call.frame);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
