// Measures how late heartbeats are while a cluster of three members works on as many calls as it is offered. Real
// members as processes, with the configuration of production. `--help` says how to call it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { planMembers, ProcessCluster } from './cluster/process-cluster.ts';
import { IdleTimer } from './heartbeats/idle-timer.ts';
import type { GeneratorResult, GeneratorTask } from './heartbeats/generator.ts';
import { type Lateness, lateness, rise, type Scrape, scrape } from './heartbeats/scrape.ts';

const help = `Usage: node --import tsx scripts/bench-heartbeats.ts [options]    (after npm run build)

  --instances N   loaded before (default 0)
  --calls N       unary calls offered at once, over all members (default 6400)
  --seconds N     for so long (default 60)
  --quiet N       seconds without a call that are measured before (default 10)
  --variant TEXT  lines added to the members' configuration; may be given several times, each is run (default: none)
  --rounds N      runs of each variant, in turn (default 1)
`;

const { values } = parseArgs({
  options: {
    instances: { type: 'string', default: '0' },
    calls: { type: 'string', default: '6400' },
    seconds: { type: 'string', default: '60' },
    quiet: { type: 'string', default: '10' },
    variant: { type: 'string', multiple: true, default: [''] },
    rounds: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});

const instances = Number(values.instances);
/** Batches under way while instances are loaded. */
const loadingLanes = 8;

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const variant of values.variant) await run(variant.replaceAll('\\n', '\n'));
  }
}

async function run(variant: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'rollcall-heartbeats-'));
  const extraConfiguration = `log:\n  level: warn\n${variant}`;
  const members = await planMembers(3);
  const cluster = new ProcessCluster({ directory, members, extraConfiguration });
  const generator = new Generator();
  try {
    const title = variant === '' ? 'as configured by default' : variant.replaceAll('\n', ' ');
    say(`## ${title}, load of the machine ${load()}`);
    cluster.startAll();
    const leader = await cluster.leader(30_000);
    await loadInstances(cluster, generator, leader);
    await phase(cluster, 'no calls', async () => {
      await new Promise((resolve) => setTimeout(resolve, Number(values.quiet) * 1_000));
    });
    await phase(cluster, `${values.calls} calls at once`, async () => {
      const task: GeneratorTask = {
        kind: 'offer',
        addresses: cluster.clientAddresses,
        lanes: Number(values.calls),
        loaded: instances,
        seconds: Number(values.seconds),
      };
      sayCalls(await generator.perform(task));
    });
    await cluster.leader(60_000);
    await cluster.converged(60_000);
  } catch (error) {
    for (const { id } of cluster.members) process.stderr.write(`--- ${id}\n${cluster.logTail(id)}\n`);
    throw error;
  } finally {
    generator.end();
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function loadInstances(cluster: ProcessCluster, generator: Generator, leader: string): Promise<void> {
  if (instances === 0) return;
  const plan = cluster.members.find(({ id }) => id === leader);
  const addresses = [`127.0.0.1:${plan?.client}`];
  const result = await generator.perform({ kind: 'load', addresses, instances, lanes: loadingLanes });
  if (result.refused.length > 0) throw new Error('instances could not be loaded');
  await cluster.converged(120_000);
  say(`loaded ${instances} instances in ${result.seconds.toFixed(1)} s`);
}

/** Runs `work` and says what the members' metrics tell of that time. */
async function phase(cluster: ProcessCluster, name: string, work: () => Promise<void>): Promise<void> {
  const before = await scrapes(cluster);
  const startMs = performance.now();
  const idle = new IdleTimer();
  await work();
  const seconds = (performance.now() - startMs) / 1_000;
  const machine = idle.stop();
  const after = await scrapes(cluster);
  say(`${name}, ${seconds.toFixed(0)} s, load of the machine ${load()}`);
  say('  an idle process');
  sayLateness('its timer', machine);
  for (const [id, last] of after) {
    const first = before.get(id) ?? new Map<string, number>();
    const cpu = rise(first, last, 'process_cpu_seconds_total') / seconds;
    const role = last.get('rollcall_raft_role{role="leader"}') === 1 ? 'leader' : 'follower';
    const events = [
      `terms ${rise(first, last, 'rollcall_raft_term')}`,
      `role changes ${rise(first, last, 'rollcall_raft_role_changes_total')}`,
      `stalls ${rise(first, last, 'rollcall_raft_stalls_total')}`,
      `CPU ${(cpu * 100).toFixed(0)} %`,
      `memory ${((last.get('process_resident_memory_bytes') ?? 0) / 2 ** 20).toFixed(0)} MiB`,
    ];
    say(`  ${id} (${role} at the end): ${events.join(', ')}`);
    for (const what of ['tick', 'heartbeat-sent', 'heartbeat-heard']) sayLateness(what, lateness(first, last, what));
  }
}

async function scrapes(cluster: ProcessCluster): Promise<Map<string, Scrape>> {
  const all = cluster.members.map(async ({ id, http }) => [id, await scrape(http)] as const);
  return new Map(await Promise.all(all));
}

function sayLateness(what: string, { count, p50Ms, p99Ms, p999Ms, maxMs }: Lateness): void {
  if (count === 0) return;
  const [p50, p99, p999, max] = [p50Ms, p99Ms, p999Ms, maxMs].map((ms) => ms.toFixed(1).padStart(7));
  say(`    ${what.padEnd(16)} p50 ${p50}  p99 ${p99}  p99.9 ${p999}  max <= ${max} ms  (${count})`);
}

function sayCalls({ seconds, calls, refused }: GeneratorResult): void {
  for (const { name, ok, p50Ms, p99Ms, maxMs } of calls) {
    const rate = (ok / seconds).toFixed(0).padStart(6);
    const times = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(0).padStart(5));
    say(`  ${name.padEnd(15)} ${rate}/s  p50 ${times[0]}  p99 ${times[1]}  max ${times[2]} ms`);
  }
  const statuses = refused.map(([status, count]) => `${count} with status ${status}`).join(', ');
  say(`  refused: ${statuses === '' ? 'none' : statuses}`);
}

/** The process that makes the calls: were it this one, it would wait for itself. */
class Generator {
  readonly #child = fork(join(import.meta.dirname, 'heartbeats/generator.ts'));

  async perform(task: GeneratorTask): Promise<GeneratorResult> {
    const ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`the generator ended with ${String(code)}`);
    });
    const answered = once(this.#child, 'message').then(([result]) => result as GeneratorResult);
    this.#child.send(task);
    return Promise.race([answered, ended]);
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

function load(): string {
  return loadavg()
    .slice(0, 1)
    .map((value) => value.toFixed(1))
    .join();
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
