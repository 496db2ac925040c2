// Kills members with SIGKILL under load, round after round, and checks after each that nothing acknowledged is missing,
// that no watcher saw a gap or a repeat, and that all members hold the same state. `--help` says how to call it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../src/base/random.ts';
import { KillRun, type RoundKind, roundKinds } from './cluster/kill-run.ts';
import { renderReport } from './cluster/kill-report.ts';
import { planMembers, ProcessCluster } from './cluster/process-cluster.ts';

const help = `Usage: node --import tsx scripts/kill-loop.ts [options]    (after npm run build)

  --seed N        draws members, moments and pauses (default 1)
  --rounds N      rounds of each kind (default 100)
  --kinds LIST    of random,leader,all: SIGKILL; pause: SIGSTOP of the leader for
                  1.5 to 3 s; term: SIGTERM of the leader (default the first three)
  --clients N     writing clients (default 12)
  --watchers N    checking watchers (default 4)
  --pause-ms N    pause of a client's lane between writes (default 4)
  --minutes N     stop after so long, with what was done (default 60)
  --report FILE   write the figures as Markdown
  --keep          leave data and logs of the members in place
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '100' },
    kinds: { type: 'string', default: 'random,leader,all' },
    clients: { type: 'string', default: '12' },
    watchers: { type: 'string', default: '4' },
    'pause-ms': { type: 'string', default: '4' },
    minutes: { type: 'string', default: '60' },
    report: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function kindsOf(list: string): RoundKind[] {
  return list.split(',').map((name) => {
    const kind = roundKinds.find((one) => one === name);
    if (kind === undefined) throw new Error(`--kinds takes ${roundKinds.join(', ')}; ${name} is none of them`);
    return kind;
  });
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const directory = mkdtempSync(join(tmpdir(), 'rollcall-kill-loop-'));
  const cluster = new ProcessCluster({ directory, members: await planMembers(3) });
  const run = new KillRun({
    cluster,
    random: new SeededRandom(Number(values.seed)),
    rounds: Number(values.rounds),
    kinds: kindsOf(values.kinds),
    clients: Number(values.clients),
    watchers: Number(values.watchers),
    pauseMs: Number(values['pause-ms']),
    untilMs: performance.now() + Number(values.minutes) * 60_000,
    onProgress: (line) => process.stdout.write(`${line}\n`),
  });
  const stop = (): void => run.interrupt();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    const result = await run.run();
    const command = `node --import tsx scripts/kill-loop.ts ${process.argv.slice(2).join(' ')}`;
    const report = renderReport(result, command);
    process.stdout.write(`\n${report}`);
    if (values.report !== undefined) writeFileSync(values.report, report);
    return result.breaches.length === 0 && result.complete ? 0 : 1;
  } finally {
    run.close();
    await cluster.stop();
    if (values.keep) process.stdout.write(`data and logs: ${directory}\n`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();
