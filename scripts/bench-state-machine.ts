/**
 * Measures the state machine: `node --expose-gc --import tsx scripts/bench-state-machine.ts [instances]`.
 * Registers that many instances (1,000,000) of 283 bytes in 1,000 services, in entries of 100 commands, a flush frozen
 * and released every 100 entries; then registers a tenth of them again, for each way in which instances live; and loads
 * a state. Prints memory an instance, commands a second and the longest single call.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { assert, must } from '../src/base/assert.ts';
import { encodeBatch, encodeCommand } from '../src/state-machine/command-codec.ts';
import { RegistryState } from '../src/state-machine/registry-state.ts';
import { type Command, type CommandBody, type Lifetime, stateMachineBounds } from '../src/state-machine/types.ts';

const instances = Number(process.argv[2] ?? 1_000_000);
const services = 1_000;
const commandsAnEntry = 100;
const entriesAFlush = 100;
const instancesALease = 100;
const spec = new Uint8Array(283).fill(120);

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
      if (value !== undefined) this.store?.set(key, Uint8Array.from(value));
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

  report(what: string): void {
    const aSecond = Math.round((this.commands / this.totalMs) * 1_000).toLocaleString('en');
    const cpuEach = (this.cpuUs / this.commands).toFixed(1);
    print(`${what}: ${aSecond} commands/s, ${cpuEach} us of CPU each, longest call ${this.worstMs.toFixed(1)} ms`);
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
function registration(i: number, lifetime: Lifetime): CommandBody {
  const name = { namespace: 'default', service: `service-${i % services}`, id: `host-${(i * 7919) % instances}-8080` };
  return { kind: 'register', name, spec, lifetime, ifAbsent: false, ifIncarnation: 0 };
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

async function measure(what: string, lifetimeOf: (i: number) => Lifetime, leases: number): Promise<void> {
  const before = await usedBytes();
  const run = new Run(undefined);
  for (let i = 0; i < leases; i += commandsAnEntry) {
    run.entry(Array.from({ length: commandsAnEntry }, () => ({ kind: 'grant-lease', ttlMs: 10_000 })));
  }
  for (let i = 0; i < instances; i += commandsAnEntry) {
    run.entry(Array.from({ length: commandsAnEntry }, (_, k) => registration(i + k, lifetimeOf(i + k))));
  }
  run.report(`${what}: register`);
  run.flush();
  const bytes = (await usedBytes()) - before;
  // The history holds the newest revisions, however many instances there are: the view and some 60 bytes each.
  const remembered = Math.min(instances, stateMachineBounds.historyRevisionsMax);
  const historyBytes = remembered * (must(run.state.view('default', 'service-0', 'host-0-8080'), 'view').length + 60);
  const each = ((bytes - historyBytes) / instances).toFixed(0);
  print(`${what}: ${each} bytes an instance, and ${(historyBytes / 2 ** 20).toFixed(0)} MiB of history`);
  assert(run.state.counts().instances === instances, 'instances are missing');

  for (let i = 0; i < instances / 10; i += commandsAnEntry) {
    run.entry(Array.from({ length: commandsAnEntry }, (_, k) => registration((i + k) * 3, lifetimeOf((i + k) * 3))));
  }
  run.report(`${what}: register again`);
}

function measureLoad(): void {
  const store = new Map<string, Uint8Array>();
  const run = new Run(store);
  const count = Math.min(instances, 200_000);
  for (let i = 0; i < count; i += commandsAnEntry) {
    run.entry(Array.from({ length: commandsAnEntry }, (_, k) => registration(i + k, { kind: 'persistent' })));
  }
  run.flush();
  run.report('for the load: register');
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

await measure('persistent', () => ({ kind: 'persistent' }), 0);
await measure(
  `${instancesALease} on a lease`,
  (i) => ({ kind: 'lease', leaseId: 1 + Math.floor(i / instancesALease) }),
  instances / instancesALease,
);
await measure('a lease each', () => ({ kind: 'ttl', ttlMs: 10_000 }), 0);
measureLoad();
