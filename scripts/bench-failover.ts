// How long no write is acknowledged when the leader is killed, stands still, or is asked to end; ours beside etcd's.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../src/base/random.ts';
import { planMembers, ProcessCluster } from './cluster/process-cluster.ts';
import { EtcdCluster } from './failover/etcd-cluster.ts';
import { type EventKind, type Gap, GapRun, type GapResult } from './failover/gap-run.ts';
import type { MeasuredCluster } from './failover/peer.ts';
import { RollcallCluster } from './failover/rollcall-cluster.ts';

const help = `Usage: node --import tsx scripts/bench-failover.ts [options]    (after npm run build)

  --against LIST  of rollcall,etcd (default rollcall, and etcd where it is installed)
  --kills N       SIGKILL to the leader (default 20)
  --pauses N      SIGSTOP of the leader for 1.5 to 3 s (default 5)
  --terms N       SIGTERM to the leader (default 5)
  --clients N     writing clients (default 12), each with 3 writes under way
  --pause-ms N    pause of each between two writes (default 4)
  --seed N        draws moments (default 1)
  --minutes N     stop after so long, with what was done (default 30)
  --report FILE   write the figures as Markdown
`;

const { values } = parseArgs({
  options: {
    against: { type: 'string' },
    kills: { type: 'string', default: '20' },
    pauses: { type: 'string', default: '5' },
    terms: { type: 'string', default: '5' },
    clients: { type: 'string', default: '12' },
    'pause-ms': { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '30' },
    report: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const untilMs = performance.now() + Number(values.minutes) * 60_000;

function hasEtcd(): boolean {
  return spawnSync('etcd', ['--version']).status === 0;
}

async function clusterOf(name: string, directory: string): Promise<MeasuredCluster> {
  const plans = await planMembers(3);
  if (name === 'etcd') return new EtcdCluster(join(directory, 'etcd'), plans);
  if (name !== 'rollcall') throw new Error(`--against takes rollcall and etcd; ${name} is neither`);
  return new RollcallCluster(new ProcessCluster({ directory: join(directory, 'rollcall'), members: plans }));
}

async function measure(name: string, directory: string): Promise<GapResult> {
  const cluster = await clusterOf(name, directory);
  const run = new GapRun({
    cluster,
    random: new SeededRandom(Number(values.seed)),
    rounds: new Map<EventKind, number>([
      ['kill', Number(values.kills)],
      ['pause', Number(values.pauses)],
      ['term', Number(values.terms)],
    ]),
    clients: Number(values.clients),
    lanes: 3,
    pauseMs: Number(values['pause-ms']),
    untilMs,
    onProgress: (line) => process.stdout.write(`${line}\n`),
  });
  const stop = (): void => run.interrupt();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await run.run();
  } finally {
    run.close();
    await cluster.stop();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

function row(name: string, kind: EventKind, gaps: readonly Gap[]): string {
  const sorted = gaps.map(({ gapMs }) => gapMs).toSorted((a, b) => a - b);
  const rates = gaps.map(({ writesPerSecond }) => writesPerSecond).toSorted((a, b) => a - b);
  const at = (of: readonly number[], quantile: number): number =>
    of[Math.min(of.length - 1, Math.floor(of.length * quantile))] ?? 0;
  const failed = gaps.reduce((sum, gap) => sum + gap.failed, 0);
  const figures = [gaps.length, at(sorted, 0.5), at(sorted, 0.99), at(sorted, 1), failed, at(rates, 0.5)];
  return `| ${[name, kind, ...figures].join(' | ')} |`;
}

function report(results: readonly GapResult[]): string {
  const rows = results.flatMap(({ name, gaps }) =>
    [...new Set(gaps.map(({ kind }) => kind))].map((kind) =>
      row(
        name,
        kind,
        gaps.filter((gap) => gap.kind === kind),
      ),
    ),
  );
  const totals = results.map(
    ({ name, acknowledged, lost, isComplete }) =>
      `- ${name}: ${acknowledged} acknowledged writes, ${lost} lost${isComplete ? '' : '; not all rounds done'}`,
  );
  return [
    '# Without a leader',
    '',
    `Three processes on one machine (${cpus().length} cores, Node ${process.versions.node}), one store after the`,
    'other, with the same clients. The gap is the longest time in which no client had a write acknowledged, from just',
    'before the leader was struck until writes had flowed again for half a second. Each write that fails is tried',
    'again at the next member, as the same write.',
    '',
    `    node --import tsx scripts/bench-failover.ts ${process.argv.slice(2).join(' ')}`,
    '',
    '| store | the leader gets | times | gap p50, ms | p99 | most | failed writes | writes/s before, median |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
    ...totals,
    '',
  ].join('\n');
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const names = values.against?.split(',') ?? (hasEtcd() ? ['rollcall', 'etcd'] : ['rollcall']);
  if (values.against === undefined && names.length === 1) process.stdout.write('etcd is not installed: left out\n');
  const directory = mkdtempSync(join(tmpdir(), 'rollcall-failover-'));
  try {
    const results: GapResult[] = [];
    for (const name of names) results.push(await measure(name, directory));
    const text = report(results);
    process.stdout.write(`\n${text}`);
    if (values.report !== undefined) writeFileSync(values.report, text);
    return results.every(({ lost, isComplete }) => lost === 0 && isComplete) ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();
