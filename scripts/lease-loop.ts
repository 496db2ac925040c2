// Keeps leases alive over changes of the leader, by kills and by pauses, and lets some of them end: none may end before
// its time, nor later than promised. `--help` says how to call it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../src/base/random.ts';
import { planMembers, ProcessCluster } from './cluster/process-cluster.ts';
import { LeaseRun } from './leases/lease-run.ts';

const help = `Usage: node --import tsx scripts/lease-loop.ts [options]    (after npm run build)

  --leases N      default 50000
  --rounds N      changes of the leader, kills and pauses in turn (default 20)
  --left N        leases that are left to end in each round (default 500)
  --ttl-s N       time to live of a lease (default 10)
  --seed N        draws the leases that are left (default 1)
  --minutes N     stop after so long, with what was done (default 30)
  --report FILE   write the figures as Markdown
  --keep          leave data and logs of the members in place
`;

const { values } = parseArgs({
  options: {
    leases: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '20' },
    left: { type: 'string', default: '500' },
    'ttl-s': { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '30' },
    report: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** As members are configured by default: 20 ticks of 50 ms. */
const electionTimeoutMs = 1_000;

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const directory = mkdtempSync(join(tmpdir(), 'rollcall-leases-'));
  const cluster = new ProcessCluster({ directory, members: await planMembers(3) });
  const run = new LeaseRun({
    cluster,
    random: new SeededRandom(Number(values.seed)),
    leases: Number(values.leases),
    rounds: Number(values.rounds),
    leftPerRound: Number(values.left),
    ttlMs: Number(values['ttl-s']) * 1_000,
    electionTimeoutMs,
    untilMs: performance.now() + Number(values.minutes) * 60_000,
    onProgress: (line) => process.stdout.write(`${line}\n`),
  });
  const stop = (): void => {
    run.close();
    void cluster.stop();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    const { rounds, breaches, ended, lateMs, complete } = await run.run();
    const [p50 = 0, p99 = 0, most = 0] = lateMs.map((ms) => Math.round(ms));
    const summary = [
      `\`node --import tsx scripts/lease-loop.ts ${process.argv.slice(2).join(' ')}\``,
      '',
      ...rounds.map((line) => `- ${line}`),
      '',
      `${values.leases} leases of ${values['ttl-s']} s over ${rounds.length} changes of the leader:`,
      `${ended} were left and ended;`,
      `from the earliest moment allowed to their end seen: p50 ${p50} ms, p99 ${p99} ms, most ${most} ms.`,
      breaches.length === 0 ? 'No lease ended early, none too late, none that was kept.' : 'BREACHES:',
      ...breaches.slice(0, 20).map((breach) => `- ${breach}`),
      '',
    ].join('\n');
    process.stdout.write(`\n${summary}`);
    if (values.report !== undefined) writeFileSync(values.report, summary);
    return breaches.length === 0 && complete ? 0 : 1;
  } finally {
    run.close();
    await cluster.stop();
    if (values.keep) process.stdout.write(`data and logs: ${directory}\n`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();
