/**
 * Measures what watchers cost that stop reading: `node --import tsx scripts/bench-slow-watchers.ts [--seconds 20]`.
 * Three runs, each in a process of its own: no such watcher, one, and 1,000, each on a stream of its own. They read a
 * snapshot of 50,000 instances, then nothing while 200,000 changes pass, and then all of it. Beside them ten watchers
 * read as it comes. Prints the memory above the run without (after a collection), and the delay from a change to those
 * who read, while the others stand still and while they catch up. Takes about a minute and a half.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Timer } from '../src/base/clock.ts';
import { SystemClock } from '../src/base/system-clock.ts';
import { WireReader } from '../src/base/wire-reader.ts';
import { WireWriter } from '../src/base/wire-writer.ts';
import { matchAll } from '../src/filter/compile-filter.ts';
import { grpcLimits } from '../src/grpc/limits.ts';
import { encodeBatch, encodeCommand } from '../src/state-machine/command-codec.ts';
import { RegistryState } from '../src/state-machine/registry-state.ts';
import type { WatchSink, WatchStream } from '../src/watch/types.ts';
import { WatchHub } from '../src/watch/watch-hub.ts';

const instances = 50_000;
const changes = 200_000;
const readers = 10;
const turnMs = 5;
/** At most: less where all have caught up. */
const catchUpSeconds = 120;
const mib = 1024 * 1024;

/** Holds copies of what it is sent, as a connection does, up to the bound of one; a reader takes them at once. */
class Sink implements WatchSink {
  reads = true;
  stream: WatchStream | undefined;
  heldBytes = 0;
  to = 0;
  responses = 0;
  coalesced = 0;
  onTo: () => void = () => undefined;
  #held: Buffer[] = [];

  send(response: Uint8Array): boolean {
    this.responses++;
    const reader = new WireReader(response);
    let [to, more, coalesced] = [0, false, false];
    while (reader.next()) {
      if (reader.field === 4) to = reader.uint();
      else if (reader.field === 6) more = reader.bool();
      else if (reader.field === 10) coalesced = reader.bool();
      else reader.skip();
    }
    if (coalesced) this.coalesced++;
    if (!more) this.to = to;
    this.onTo();
    if (this.reads) return true;
    this.#held.push(Buffer.from(response));
    this.heldBytes += response.length;
    return this.heldBytes < grpcLimits.watchQueueBytesMax;
  }

  read(): void {
    this.reads = true;
    this.#held = [];
    this.heldBytes = 0;
    this.stream?.drained();
  }
}

/** Of this process, collections included: what others do on the machine does not count. */
function cpuMs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

/** Measures what the hub does in turns of its own. */
class MeasuredClock extends SystemClock {
  readonly #turnsMs: number[];

  constructor(turnsMs: number[]) {
    super();
    this.#turnsMs = turnsMs;
  }

  override nextTurn(callback: () => void): Timer {
    return super.nextTurn(() => {
      const start = process.cpuUsage();
      callback();
      this.#turnsMs.push(cpuMs(start));
    });
  }
}

class Run {
  readonly state = new RegistryState();
  /** CPU time that the hub took at a time: told of changes, and in turns of its own. */
  readonly toldMs: number[] = [];
  readonly turnsMs: number[] = [];
  readonly hub = new WatchHub({
    state: () => this.state,
    clock: new MeasuredClock(this.turnsMs),
    memberId: 'a',
    ageMs: () => 5,
  });
  #index = 0;
  #put = 0;

  /** Puts `count` instances of about 300 bytes, each a revision of its own, and tells the hub as one turn. */
  turn(count: number): void {
    const commands = Array.from({ length: count }, () => {
      const name = { namespace: 'default', service: 'api', id: `instance-${(this.#put * 7_919) % instances}` };
      const out = new WireWriter();
      out.string(1, name.namespace).string(2, name.service).string(3, name.id).beginMessage(4);
      out.string(1, 'main').string(2, 'grpc').string(3, '10.0.0.1').uint(4, 7400).endMessage();
      const spec = out
        .string(5, `1.0.${this.#put++}`)
        .string(7, 'x'.repeat(120))
        .string(7, 'y'.repeat(50))
        .finish();
      const lifetime = { kind: 'persistent' } as const;
      const body = { kind: 'register', name, spec, lifetime, ifAbsent: false, ifIncarnation: 0 } as const;
      return encodeCommand({ actor: 'bench', origin: 'here', reason: '', requestId: '', body });
    });
    const data = encodeBatch({ wallMs: 1, elapsedMs: 1, commands });
    const { events } = this.state.apply({ index: ++this.#index, term: 1, data });
    // What a flusher does: otherwise every value that ever was is kept for it.
    this.state.freeze();
    this.state.releaseFrozen();
    const start = process.cpuUsage();
    this.hub.applied({ events, revision: this.state.position.revision });
    this.toldMs.push(cpuMs(start));
  }

  takeWork(): string {
    return `told ${percentiles(this.toldMs.splice(0))}; turns of its own ${percentiles(this.turnsMs.splice(0))}`;
  }

  watch(sink: Sink, watchId: number, resumeRevision: number): void {
    sink.stream = this.hub.open(sink);
    const scope = { namespace: 'default', service: 'api', servicePrefix: '', matcher: matchAll } as const;
    sink.stream.create({
      ...scope,
      watchId,
      resumeRevision,
      once: false,
      progressIntervalMs: 10_000,
      linearizable: false,
    });
  }
}

function percentiles(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
  return `p50 ${at(0.5)}  p99 ${at(0.99)}  p99.9 ${at(0.999)}  max ${at(1)} ms (${ms.length})`;
}

/** Delays from a turn to the readers' sinks, ms; and the longest the loop was held. */
class Delays {
  readonly #loop = monitorEventLoopDelay({ resolution: 1 });
  readonly #ms: number[] = [];
  startedMs = 0;

  constructor(sinks: readonly Sink[]) {
    this.#loop.enable();
    for (const sink of sinks) sink.onTo = () => this.#ms.push(performance.now() - this.startedMs);
  }

  take(): string {
    const loopMs = ((this.#loop.max - 1e6) / 1e6).toFixed(0);
    this.#loop.reset();
    return `${percentiles(this.#ms.splice(0))}, loop held up to ${loopMs} ms`;
  }

  stop(): void {
    this.#loop.disable();
  }
}

interface Memory {
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
}

async function memory(): Promise<Memory> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await nextTurn();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapBytes: heapUsed, externalBytes: external, rssBytes: rss };
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

class Measurement {
  readonly #run = new Run();
  readonly #fast = Array.from({ length: readers }, () => new Sink());
  readonly #slow: readonly Sink[];
  readonly #delays = new Delays(this.#fast);
  readonly #most = { keys: 0, cuts: 0, rss: 0 };

  constructor(slow: number) {
    this.#slow = Array.from({ length: slow }, () => new Sink());
  }

  /** The instances, and all watches on them. */
  async begin(): Promise<void> {
    for (let put = 0; put < instances; put += 1_000) {
      this.#run.turn(1_000);
      await nextTurn();
    }
    const { revision } = this.#run.state.position;
    for (const sink of this.#fast) this.#run.watch(sink, 1, revision);
    for (const [i, sink] of this.#slow.entries()) {
      sink.reads = false;
      this.#run.watch(sink, i + 1, revision);
    }
  }

  /** All changes, while the slow ones read nothing. */
  async standStill(seconds: number): Promise<object> {
    const startMs = performance.now();
    await this.#change(() => performance.now() - startMs > 4 * seconds * 1_000, changes, changes / seconds);
    const stalledS = ((performance.now() - startMs) / 1_000).toFixed(1);
    const [stalled, stalledWork] = [this.#delays.take(), this.#run.takeWork()];
    const { behind, backlogBytes, changedKeysBytes } = this.#run.hub.counts();
    const used = await memory();
    const sinkBytes = this.#slow.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
    return { stalledS, stalled, stalledWork, behind, backlogBytes, changedKeysBytes, sinkBytes, ...used };
  }

  /** The slow ones read, while some changes go on. */
  async catchUp(): Promise<object> {
    const startMs = performance.now();
    const target = this.#run.state.position.revision;
    const isDone = (): boolean => this.#slow.every(({ to }) => to >= target);
    let reading = 0;
    this.#delays.take();
    const goOn = (): boolean => {
      // As connections come back to life: some in every turn.
      for (const sink of this.#slow.slice(reading, (reading += 50))) sink.read();
      return isDone() || performance.now() - startMs > catchUpSeconds * 1_000;
    };
    await this.#change(goOn, Infinity, 1_000);
    this.#delays.stop();
    return {
      caughtUpS: ((performance.now() - startMs) / 1_000).toFixed(1),
      allCaughtUp: isDone(),
      catchingUp: this.#delays.take(),
      catchingUpWork: this.#run.takeWork(),
      coalescedParts: this.#slow.reduce((sum, sink) => sum + sink.coalesced, 0),
      resets: this.#run.hub.counts().resets,
      changedKeysBytesMost: this.#most.keys,
      cutBytesMost: this.#most.cuts,
      rssBytesMost: this.#most.rss,
    };
  }

  /** Tells up to `total` changes, so many a second, until all are told or `isDone`. */
  async #change(isDone: () => boolean, total: number, perSecond: number): Promise<void> {
    const startMs = performance.now();
    let told = 0;
    while (!isDone() && told < total) {
      const due = Math.min(total, Math.floor(((performance.now() - startMs) / 1_000) * perSecond));
      // Not all at once after a stall: that would be a turn of its own kind.
      const count = Math.min(due - told, 500);
      if (count > 0) {
        this.#delays.startedMs = performance.now();
        this.#run.turn(count);
        told += count;
      }
      const { changedKeysBytes, snapshotBytes } = this.#run.hub.counts();
      this.#most.keys = Math.max(this.#most.keys, changedKeysBytes);
      this.#most.cuts = Math.max(this.#most.cuts, snapshotBytes);
      this.#most.rss = Math.max(this.#most.rss, process.memoryUsage.rss());
      await pause(count === 500 ? 0 : turnMs);
    }
  }
}

async function measure(slow: number, seconds: number): Promise<void> {
  const measurement = new Measurement(slow);
  await measurement.begin();
  const still = await measurement.standStill(seconds);
  process.stdout.write(`${JSON.stringify({ slow, ...still, ...(await measurement.catchUp()) })}\n`);
}

type Result = Memory & Readonly<Record<string, number | string | boolean>>;

/** The same script in a process of its own. */
async function runApart(slow: number, seconds: number): Promise<Result> {
  note(`${slow} watchers that stop reading: filling, then ${seconds} s of changes ...`);
  const args = [
    ...process.execArgv,
    '--expose-gc',
    process.argv[1] ?? '',
    '--slow',
    `${slow}`,
    '--seconds',
    `${seconds}`,
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: (60 + 5 * seconds + catchUpSeconds) * 1_000,
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`the run with ${slow} watchers ended with ${code}`);
  return JSON.parse(text) as Result;
}

const { values } = parseArgs({ options: { slow: { type: 'string' }, seconds: { type: 'string', default: '20' } } });
const seconds = Number(values.seconds);
if (values.slow !== undefined) {
  await measure(Number(values.slow), seconds);
} else {
  let base: Result | undefined;
  for (const slow of [0, 1, 1_000]) {
    const result = await runApart(slow, seconds);
    base ??= result;
    const above = (name: keyof Memory): string => ((result[name] - (base?.[name] ?? 0)) / mib).toFixed(1);
    const { stalled, stalledWork, catchingUp, catchingUpWork, heapBytes, externalBytes, rssBytes, ...rest } = result;
    process.stdout.write(
      `${slow} slow: ${JSON.stringify(rest)}\n` +
        `  memory ${((heapBytes + externalBytes) / mib).toFixed(0)} MiB heap and external, ` +
        `${(rssBytes / mib).toFixed(0)} MiB RSS; above none: heap ${above('heapBytes')}, ` +
        `external ${above('externalBytes')}, RSS ${above('rssBytes')} MiB\n` +
        `  others while they stand still: ${stalled}\n    hub: ${stalledWork}\n` +
        `  others while they catch up: ${catchingUp}\n    hub: ${catchingUpWork}\n`,
    );
  }
}
