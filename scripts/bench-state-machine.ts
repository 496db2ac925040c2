/**
 * Measures the state machine: `node --expose-gc --import tsx scripts/bench-state-machine.ts [instances] [part...]`.
 * Each part registers that many instances (1,000,000) of 283 bytes, in entries of 100 commands, a flush frozen and
 * released every 100 entries, then a tenth of them again: `persistent`, `leases` (100 on each), `ttl` (a lease each),
 * all in 1,000 services; `one-service`; `sessions` (100 instances on each, one write) and `small-sessions` (one on
 * each). `load` loads a state of at most 200,000. Prints memory an instance, commands a second, the longest single call
 * and the longest pause of the collector. Without a part: all of them.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert, must } from '../src/base/assert.ts';
import { encodeBatch, encodeCommand } from '../src/state-machine/command-codec.ts';
import { RegistryState } from '../src/state-machine/registry-state.ts';
import {
  type Command,
  type CommandBody,
  type InstanceName,
  type Lifetime,
  stateMachineBounds,
} from '../src/state-machine/types.ts';

const instances = Number(process.argv[2] ?? 1_000_000);
const chosen = process.argv.slice(3);
const commandsAnEntry = 100;
const entriesAFlush = 100;
const instancesALease = 100;
const spec = new Uint8Array(283).fill(120);

/** Pauses of the collector. Those of its own accord count; those forced here show what a full one takes. */
class Pauses {
  readonly #observer: PerformanceObserver;
  #worstMs = 0;
  #forcedMs = Number.POSITIVE_INFINITY;

  constructor() {
    this.#observer = new PerformanceObserver((list) => this.#take(list.getEntries()));
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  async report(): Promise<string> {
    // Entries come with a later turn of the loop.
    await sleep(20);
    this.#take(this.#observer.takeRecords());
    const forced = Number.isFinite(this.#forcedMs) ? `, a full collection ${this.#forcedMs.toFixed(0)} ms` : '';
    const line = `longest pause ${this.#worstMs.toFixed(1)} ms${forced}`;
    this.#worstMs = 0;
    this.#forcedMs = Number.POSITIVE_INFINITY;
    return line;
  }

  #take(entries: readonly { readonly duration: number; readonly detail?: unknown }[]): void {
    for (const { duration, detail } of entries) {
      const flags = (detail as { readonly flags?: number } | undefined)?.flags ?? 0;
      const isForced = (flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0;
      if (isForced) this.#forcedMs = Math.min(this.#forcedMs, duration);
      else this.#worstMs = Math.max(this.#worstMs, duration);
    }
  }
}

const pauses = new Pauses();

class Run {
  readonly state = new RegistryState();
  /** What was flushed, where it is wanted. */
  readonly store: Map<string, Uint8Array> | undefined;
  worstMs = 0;
  totalMs = 0;
  cpuUs = 0;
  commands = 0;

  constructor(store: Map<string, Uint8Array> | undefined) {
    this.store = store;
  }

  entry(bodies: readonly CommandBody[]): void {
    const commands = bodies.map((body) => encodeCommand(commandOf(body)));
    const data = encodeBatch({ wallMs: 1_790_000_000_000, elapsedMs: 1, commands });
    const index = this.state.position.index + 1;
    const outcome = this.timed(() => this.state.apply({ index, term: 1, data }));
    for (const result of outcome.results) assert(result.kind !== 'refused', 'a command was refused');
    this.commands += bodies.length;
    if (index % entriesAFlush === 0) this.flush();
  }

  flush(): void {
    const frozen = this.timed(() => this.state.freeze());
    for (const { key, value } of frozen.changes()) {
      if (value === undefined) this.store?.delete(key);
      else this.store?.set(key, Uint8Array.from(value));
    }
    this.state.releaseFrozen();
  }

  timed<T>(action: () => T): T {
    const cpu = process.cpuUsage();
    const start = performance.now();
    const value = action();
    const used = process.cpuUsage(cpu);
    this.cpuUs += used.user + used.system;
    const tookMs = performance.now() - start;
    this.totalMs += tookMs;
    if (tookMs > this.worstMs) this.worstMs = tookMs;
    return value;
  }

  async report(what: string): Promise<void> {
    if (this.commands === 0) return;
    const aSecond = Math.round((this.commands / this.totalMs) * 1_000).toLocaleString('en');
    const cpuEach = (this.cpuUs / this.commands).toFixed(1);
    const calls = `${aSecond} commands/s, ${cpuEach} us of CPU each, longest call ${this.worstMs.toFixed(1)} ms`;
    print(`${what}: ${calls}, ${await pauses.report()}`);
    this.cpuUs = 0;
    this.worstMs = 0;
    this.totalMs = 0;
    this.commands = 0;
  }
}

function commandOf(body: CommandBody): Command {
  return { actor: 'anonymous', origin: '127.0.0.1:50000', reason: '', requestId: '', body };
}

/** Instances come in an order that jumps between services, with ids as deployments give them. */
function nameOf(i: number, services: number): InstanceName {
  return { namespace: 'default', service: `service-${i % services}`, id: `host-${(i * 7919) % instances}-8080` };
}

function registration(i: number, services: number, lifetime: Lifetime): CommandBody {
  return { kind: 'register', name: nameOf(i, services), spec, lifetime, ifAbsent: false, ifIncarnation: 0 };
}

async function usedBytes(): Promise<number> {
  // Memory of buffers is given back by another thread, some time after a collection.
  for (let round = 0; round < 3; round += 1) {
    must(globalThis.gc, 'node --expose-gc')();
    await sleep(100);
  }
  const usage = process.memoryUsage();
  return usage.heapUsed + usage.arrayBuffers;
}

interface Part {
  readonly services: number;
  /** Leases or sessions opened before. */
  readonly before: CommandBody | undefined;
  readonly beforeCount: number;
  readonly commandOf: (i: number) => CommandBody;
  /** Instances of one command. */
  readonly each: number;
}

function registering(services: number, lifetimeOf: (i: number) => Lifetime, leases: number): Part {
  return {
    services,
    before: { kind: 'grant-lease', ttlMs: 10_000 },
    beforeCount: leases,
    commandOf: (i) => registration(i, services, lifetimeOf(i)),
    each: 1,
  };
}

/** Each session writes once for all its instances, and once more when they are registered again. */
function writing(instancesASession: number): Part {
  const services = 1_000;
  const sequences = new Map<number, number>();
  return {
    services,
    before: { kind: 'open-session', ttlMs: 10_000 },
    beforeCount: instances / instancesASession,
    each: instancesASession,
    commandOf: (i) => {
      const sessionId = 1 + i;
      const sequence = (sequences.get(sessionId) ?? 0) + 1;
      if (instancesASession > 1 || sequence > 1) sequences.set(sessionId, sequence);
      const operations = Array.from({ length: instancesASession }, (_, k) => {
        const name = nameOf(i * instancesASession + k, services);
        return { kind: 'register', name, spec, restore: false, ownIncarnation: 0 } as const;
      });
      return { kind: 'write-session', sessionId, attachment: 1, sequence, operations };
    },
  };
}

async function measure(what: string, part: Part): Promise<void> {
  const memoryBefore = await usedBytes();
  await pauses.report();
  const run = new Run(undefined);
  const { before, beforeCount, each } = part;
  const perEntry = Math.max(1, commandsAnEntry / each);
  for (let i = 0; before !== undefined && i < beforeCount; i += commandsAnEntry) {
    run.entry(Array.from({ length: commandsAnEntry }, () => before));
  }
  await run.report(`${what}: leases and sessions`);
  for (let i = 0; i < instances / each; i += perEntry) {
    run.entry(Array.from({ length: perEntry }, (_, k) => part.commandOf(i + k)));
  }
  await run.report(`${what}: register`);
  run.flush();
  const bytes = (await usedBytes()) - memoryBefore;
  const { revision } = run.state.position;
  // The history holds the newest changes, however many instances there are: the view and some 100 bytes each.
  const view = must(run.state.view('default', 'service-0', 'host-0-8080'), 'view');
  const remembered = Math.min(instances, (revision - run.state.historyFloor) * each);
  const historyBytes = remembered * (view.length + 100);
  const bytesEach = ((bytes - historyBytes) / instances).toFixed(0);
  const rss = (process.memoryUsage().rss / 2 ** 20).toFixed(0);
  const history = `and some ${(historyBytes / 2 ** 20).toFixed(0)} MiB of history`;
  print(`${what}: ${bytesEach} bytes an instance, ${history}; ${rss} MiB resident; ${await pauses.report()}`);
  assert(run.state.counts().instances === instances, 'instances are missing');
  assert(remembered <= stateMachineBounds.historyRevisionsMax * each, 'history beyond its bound');

  for (let i = 0; i < instances / each / 10; i += perEntry) {
    run.entry(Array.from({ length: perEntry }, (_, k) => part.commandOf((i + k) * 3)));
  }
  await run.report(`${what}: register again`);
}

async function measureLoad(): Promise<void> {
  const store = new Map<string, Uint8Array>();
  const run = new Run(store);
  const count = Math.min(instances, 200_000);
  for (let i = 0; i < count; i += commandsAnEntry) {
    run.entry(Array.from({ length: commandsAnEntry }, (_, k) => registration(i + k, 1_000, { kind: 'persistent' })));
  }
  run.flush();
  await run.report('for the load: register');
  const loaded = new RegistryState();
  const keys = [...store.keys()].toSorted();
  loaded.beginLoad(run.state.position);
  const start = performance.now();
  for (const key of keys) loaded.addLoaded(key, must(store.get(key), key));
  const { stateHash } = loaded.finishLoad();
  print(`load: ${Math.round((keys.length / (performance.now() - start)) * 1_000).toLocaleString('en')} records/s`);
  assert(stateHash === run.state.stateHash(), 'the loaded state differs');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const persistent = (): Lifetime => ({ kind: 'persistent' });
const onLease = (i: number): Lifetime => ({ kind: 'lease', leaseId: 1 + Math.floor(i / instancesALease) });
const parts = new Map<string, () => Promise<void>>([
  ['persistent', () => measure('persistent', registering(1_000, persistent, 0))],
  ['leases', () => measure(`${instancesALease} on a lease`, registering(1_000, onLease, instances / instancesALease))],
  [
    'ttl',
    () =>
      measure(
        'a lease each',
        registering(1_000, () => ({ kind: 'ttl', ttlMs: 10_000 }), 0),
      ),
  ],
  ['one-service', () => measure('one service', registering(1, persistent, 0))],
  ['sessions', () => measure('100 on a session', writing(instancesALease))],
  ['small-sessions', () => measure('one on a session', writing(1))],
  ['load', () => measureLoad()],
]);
for (const [name, run] of parts) if (chosen.length === 0 || chosen.includes(name)) await run();
