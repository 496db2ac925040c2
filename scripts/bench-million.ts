// Loads a million instances on ten thousand sessions into three members through the public interface, and measures
// what a member takes for it: memory, keep-alive, discovery, and a cold start. `--help` says how to call it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RollcallClient } from '../src/client/client.ts';
import { planMembers, ProcessCluster, waitFor } from './cluster/process-cluster.ts';
import { Fleet } from './million/fleet.ts';
import { quantile, usageOf } from './million/member-figures.ts';
import { scrape } from './heartbeats/scrape.ts';

const help = `Usage: node --import tsx scripts/bench-million.ts [options]    (Linux; after npm run build)

  --instances N   default 1000000
  --sessions N    default 10000
  --services N    default 1000
  --ttl-s N       time to live of a session (default 30)
  --lanes N       sessions being loaded at once (default 64)
  --minutes N     stop after so long (default 20)
  --report FILE   append the figures as Markdown
  --keep          leave data and logs of the members in place
`;

const { values } = parseArgs({
  options: {
    instances: { type: 'string', default: '1000000' },
    sessions: { type: 'string', default: '10000' },
    services: { type: 'string', default: '1000' },
    'ttl-s': { type: 'string', default: '30' },
    lanes: { type: 'string', default: '64' },
    minutes: { type: 'string', default: '20' },
    report: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const instances = Number(values.instances);
const sessions = Number(values.sessions);
const services = Number(values.services);
const ttlMs = Number(values['ttl-s']) * 1_000;
const untilMs = performance.now() + Number(values.minutes) * 60_000;
const restMs = 30_000;
const lines: string[] = [];

function tell(line: string): void {
  lines.push(line);
  process.stdout.write(`${line}\n`);
}

function progress(line: string): void {
  process.stdout.write(`  ${line}\n`);
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

async function memory(cluster: ProcessCluster, when: string): Promise<void> {
  for (const { id, http } of cluster.members) {
    const { rssMib } = usageOf(cluster.pidOf(id) ?? 0);
    const series = await scrape(http);
    const mib = (name: string): string => ((series.get(name) ?? Number.NaN) / 1024 / 1024).toFixed(0);
    const heap = mib('nodejs_heap_size_used_bytes');
    const external = mib('nodejs_external_memory_bytes');
    tell(`- ${when}, member ${id}: ${rssMib.toFixed(0)} MiB RSS (heap ${heap} MiB, external ${external} MiB)`);
  }
}

async function keepAlive(cluster: ProcessCluster, fleet: Fleet): Promise<void> {
  fleet.takePingsMs();
  const pingsBefore = fleet.counts.pings;
  const before = new Map(cluster.members.map(({ id }) => [id, usageOf(cluster.pidOf(id) ?? 0).cpuMs]));
  const startMs = performance.now();
  await pause(restMs);
  const elapsedMs = performance.now() - startMs;
  const took = fleet.takePingsMs();
  const rate = ((fleet.counts.pings - pingsBefore) * 1_000) / elapsedMs;
  for (const { id } of cluster.members) {
    const share = ((usageOf(cluster.pidOf(id) ?? 0).cpuMs - (before.get(id) ?? 0)) / elapsedMs) * 100;
    tell(
      `- keep-alive of ${sessions} sessions (${rate.toFixed(0)} pings/s in all), member ${id}: ` +
        `${share.toFixed(1)} % of a core`,
    );
  }
  tell(`- a ping: p50 ${quantile(took, 0.5).toFixed(1)} ms, p99 ${quantile(took, 0.99).toFixed(1)} ms`);
}

async function discover(cluster: ProcessCluster): Promise<void> {
  for (const consistency of ['stale', 'linearizable'] as const) {
    const client = new RollcallClient({ servers: cluster.clientAddresses, spread: false });
    const took: number[] = [];
    let found = 0;
    for (let i = 0; i < 300; i++) {
      const service = `service-${String(i % services).padStart(4, '0')}`;
      const startMs = performance.now();
      const answer = await client.discover({ namespace: 'million', service, consistency });
      took.push(performance.now() - startMs);
      found = answer.instances.length;
    }
    client.close();
    const p50 = quantile(took, 0.5).toFixed(1);
    tell(
      `- Discover (${consistency}) of a service of ${found} instances, decoded by the client: ` +
        `p50 ${p50} ms, p99 ${quantile(took, 0.99).toFixed(1)} ms`,
    );
  }
}

async function coldStart(cluster: ProcessCluster, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const leader = await cluster.leader(30_000);
  const id = cluster.members.find((member) => member.id !== leader)?.id ?? '';
  await cluster.kill(id, signal);
  const startMs = performance.now();
  cluster.start(id);
  await waitFor(`${id} to serve`, 120_000, async () => {
    const status = await cluster.statusOf(id, 500);
    return status !== undefined && Number(status.instances) >= instances ? true : undefined;
  });
  const seconds = (performance.now() - startMs) / 1_000;
  tell(`- cold start of a follower after ${signal}, until it has all ${instances} instances: ${seconds.toFixed(1)} s`);
}

async function measure(cluster: ProcessCluster): Promise<void> {
  cluster.startAll();
  await cluster.leader(60_000);
  await memory(cluster, 'empty');
  const fleet = new Fleet({
    addresses: cluster.clientAddresses,
    sessions,
    instances,
    services,
    ttlMs,
    lanes: Number(values.lanes),
    untilMs,
    onProgress: progress,
  });
  try {
    const startMs = performance.now();
    await fleet.load();
    const seconds = (performance.now() - startMs) / 1_000;
    const rate = Math.round(instances / seconds);
    tell(
      `- loaded ${fleet.counts.registered} instances on ${fleet.counts.opened} sessions in ${seconds.toFixed(0)} s ` +
        `(${rate} a second; ${fleet.counts.refused} refused, ${fleet.counts.retried} sessions begun anew)`,
    );
    await keepAlive(cluster, fleet);
    await memory(cluster, 'loaded');
    await discover(cluster);
    const { ended, unconfirmed, pings } = fleet.counts;
    tell(
      `- streams that ended before the restarts: ${ended}${ended > 0 ? ` (${fleet.lastEnd})` : ''}; ` +
        `pings not confirmed: ${unconfirmed} of ${pings}`,
    );
    await coldStart(cluster, 'SIGTERM');
    await coldStart(cluster, 'SIGKILL');
    const statuses = await cluster.converged(60_000);
    const [status] = statuses.values();
    tell(
      `- all members equal by state hash at index ${status?.appliedIndex ?? 0}: ` +
        `${status?.instances ?? 0} instances, ${status?.sessions ?? 0} sessions`,
    );
  } finally {
    fleet.stop();
  }
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const directory = mkdtempSync(join(tmpdir(), 'rollcall-million-'));
  const cluster = new ProcessCluster({ directory, members: await planMembers(3) });
  const stop = (): void => void cluster.stop();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    tell(`Three members and the load on one machine, ${cpus().length} cores, Node ${process.version}:`);
    tell('');
    await measure(cluster);
    if (values.report !== undefined) writeFileSync(values.report, `${lines.join('\n')}\n`, { flag: 'a' });
    return 0;
  } finally {
    await cluster.stop();
    if (values.keep) process.stdout.write(`data and logs: ${directory}\n`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();
