import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceDefinition,
  ServiceError,
} from '@grpc/grpc-js';
import { Client, credentials, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { AnswerCallback, ByteStream, RunningCall } from '../../../src/client/channel.ts';
import { RollcallError } from '../../../src/base/errors.ts';
import { bytesService } from '../../../src/grpc/method-table.ts';
import { callStatusOf } from '../../../src/grpc/status-errors.ts';
import { EdgeRegistry } from '../../grpc/edge-registry.ts';
import { MachineClock, ProcessClock } from '../world/process-clock.ts';
import { settled } from '../world/microtasks.ts';
import { WorldClock } from '../world/world-clock.ts';
import type { CallExtras } from './memory-channel.ts';
import { MemoryWire } from './memory-wire.ts';
import type { Service } from './serving-process.ts';

/** A channel whose calls may carry a deadline, and whose streams can be held up. */
export interface RigChannel {
  call(path: string, request: Buffer, callback: AnswerCallback, extras?: CallExtras): RunningCall;
  stream(path: string, extras?: CallExtras): ByteStream & { pause(): unknown; resume(): unknown };
  close(): void;
}

/** One way from a client to the probe, and what both of its ends saw. */
export interface Rig {
  readonly server: string[];
  readonly channel: RigChannel;
  /** Lets time pass until this holds. */
  until(what: string, holds: () => boolean): Promise<void>;
  /** Lets so much time pass, so that what should not come would have come. */
  pass(ms: number): Promise<void>;
  /** The member's process ends without a word, or its socket does. */
  kill(): void;
  /** The client's process does. */
  killClient(): void;
  stop(): Promise<void>;
}

type Stream = ServerDuplexStream<Buffer, Buffer>;

/** Handlers that do what the bytes of a request say and note all that they are told. */
export function probe(log: string[]): Service {
  const definition: ServiceDefinition = bytesService('probe.Probe', { Ask: 'unary', Talk: 'bidi' });
  const refusal = (): ReturnType<typeof callStatusOf> =>
    callStatusOf(new RollcallError('OVERLOADED', 'not now, ünïcode', { retryAfterMs: 1_500, facts: { member: 'a' } }));
  return {
    definition,
    implementation: {
      Ask: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
        const text = String(call.request);
        const left = Number(call.getDeadline()) === Infinity ? 'none' : 'some';
        log.push(`asked ${text}, deadline ${left}`);
        call.on('cancelled', () => log.push(`ask ${text} is over: ${call.cancelled}`));
        if (text === 'echo') callback(null, call.request);
        else if (text === 'refuse') callback(refusal());
        // Else: no answer.
      },
      Talk: (stream: Stream) => {
        log.push('opened');
        stream.on('data', (bytes: Buffer) => talk(stream, String(bytes.subarray(0, 100)), log, refusal));
        stream.on('end', () => {
          log.push('end');
          if (!log.includes('got keep')) stream.end();
        });
        stream.on('cancelled', () => log.push(`cancelled ${stream.cancelled}`));
      },
    },
  };
}

function talk(stream: Stream, text: string, log: string[], refusal: () => object): void {
  log.push(`got ${text}`);
  const [word, count] = text.split(' ');
  if (word === 'echo') stream.write(Buffer.from(text), () => log.push('taken echo'));
  if (word === 'refuse') {
    stream.write(Buffer.from('before'));
    stream.emit('error', refusal());
    stream.resume();
  }
  if (word === 'end') stream.end();
  if (word === 'pause') stream.pause();
  if (word === 'flood') {
    for (let n = 0; n < Number(count); n += 1) {
      stream.write(Buffer.alloc(10_000, n), () => log.push(`taken ${n}`));
    }
    log.push(stream.writableNeedDrain ? 'needs drain' : 'has room');
  }
}

/** grpc-js over sockets of this machine. */
export async function socketRig(): Promise<Rig> {
  const log: string[] = [];
  const grpc = new Server();
  const { definition, implementation } = probe(log);
  grpc.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const between = await tcpProxy(port);
  const client = new Client(`dns:127.0.0.1:${between.port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
  });
  const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const options = ({ timeoutMs }: CallExtras = {}): { deadline?: number } =>
    timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
  return {
    server: log,
    channel: {
      call: (path, request, callback, extras) =>
        client.makeUnaryRequest(path, same, same, request, new Metadata(), options(extras), callback),
      stream: (path, extras) => client.makeBidiStreamRequest(path, same, same, new Metadata(), options(extras)),
      close: () => client.close(),
    },
    until: async (what, holds) => {
      const endMs = performance.now() + 10_000;
      while (!holds()) {
        if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
        await pass(1);
      }
    },
    pass,
    kill: () => {
      grpc.forceShutdown();
      between.close();
    },
    killClient: () => between.end(),
    stop: async () => {
      client.close();
      grpc.forceShutdown();
      between.close();
      await pass(0);
    },
  };
}

/** Between a client and its member, so that the connection can end on the member's side as that of a killed client. */
async function tcpProxy(toPort: number): Promise<{ readonly port: number; end(): void; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const onward = connect(toPort, '127.0.0.1');
    sockets.add(socket).add(onward);
    socket.pipe(onward).pipe(socket);
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
    onward.on('close', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const end = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    end,
    close: () => {
      end();
      server.close();
    },
  };
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

/** The same in memory, with all that a test may turn. */
export class MemoryRig implements Rig {
  readonly world = new WorldClock();
  readonly clientMachine = new MachineClock(this.world);
  readonly serverMachine = new MachineClock(this.world);
  readonly clientClock = new ProcessClock(this.clientMachine);
  readonly serverClock = new ProcessClock(this.serverMachine);
  readonly cuts = new Set<string>();
  readonly server: string[] = [];
  readonly wire = new MemoryWire({
    world: this.world,
    delayMs: () => this.delayMs,
    isCut: (from, to) => this.cuts.has(`${from} ${to}`),
  });
  delayMs = 1;
  readonly sockets = this.wire.connector('client', this.clientClock);
  readonly channel = this.sockets.open('member:7400');
  process = this.serve(this.serverClock);

  serve(clock: ProcessClock): ReturnType<MemoryWire['serve']> {
    return this.wire.serve('member', {
      clock,
      registry: new EdgeRegistry(),
      services: [probe(this.server)],
      onFatal: (error) => this.server.push(`fatal ${String(error)}`),
    });
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const endMs = this.world.monotonicMs() + 100_000;
    while (!holds()) {
      if (!this.world.step(endMs)) throw new Error(`waited in vain for ${what}`);
      await settled();
    }
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.world.monotonicMs() + ms;
    while (this.world.step(endMs)) await settled();
  }

  kill(): void {
    this.serverClock.end();
    this.process.kill();
  }

  killClient(): void {
    this.clientClock.end();
    this.sockets.kill();
  }

  async stop(): Promise<void> {
    this.channel.close();
    await Promise.resolve();
  }
}

/** What the client saw of a stream, in order. */
export function heard(stream: ByteStream): string[] {
  const log: string[] = [];
  stream.on('data', (bytes) => log.push(`got ${String(bytes.subarray(0, 20))}`));
  stream.on('error', (error) => log.push(`error ${told(error)}`));
  stream.on('status', ({ code }) => log.push(`status ${code}`));
  return log;
}

/** What of an error a client goes by. */
export function told(error: ServiceError): string {
  const [details] = error.metadata.get('grpc-status-details-bin');
  const bytes = Buffer.isBuffer(details) ? details.toString('hex') : 'none';
  return `${status[error.code]} ${error.details} (${error.message}) ${bytes}`;
}
