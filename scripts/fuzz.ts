// Sends three members whatever a client could send, right and wrong, over all methods and ports, and checks that none
// ends, that every answer is typed, that a good client is served all the while, that all members agree at the end, and
// that memory, files and streams come back. `--help` says how to call it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { corpus } from '../test/fuzz/corpus.ts';
import { planMembers, ProcessCluster, waitFor } from './cluster/process-cluster.ts';
import { seedMax } from './fuzz/draw.ts';
import { FuzzRun } from './fuzz/fuzz-run.ts';
import { renderReport } from './fuzz/report.ts';
import { Probe } from './fuzz/probe.ts';
import { Watchman } from './fuzz/watchman.ts';

const help = `Usage: node --import tsx scripts/fuzz.ts [options]    (after npm run build)

  --requests N     how many are sent (default 1000000)
  --seed N         0 to ${seedMax}; the same seed sends the same cases (default 1)
  --only K[-L]     only the case K, or those from K to L, of this seed
  --minutes M      stop after so long (default 60)
  --lanes N        cases at once (default 96)
  --settle-s N     how long the members rest before their memory is read (default 75)
  --report FILE    write the figures as Markdown
  --keep           leave data and logs of the members in place
`;

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    minutes: { type: 'string', default: '60' },
    lanes: { type: 'string', default: '96' },
    'settle-s': { type: 'string', default: '75' },
    report: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** What the log may keep is small here, so that what is left in memory is what should not be there. */
const extraConfiguration = 'storage:\n  logKeepBytes: 1048576\nlog:\n  level: info\n  format: json\n';

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const breaches: string[] = [];
  const onBreach = (text: string): void => {
    breaches.push(text);
    say(`BREACH: ${text}`);
  };
  const directory = mkdtempSync(join(tmpdir(), 'rollcall-fuzz-'));
  let ending = false;
  let run: FuzzRun | undefined;
  const members = await planMembers(3);
  const cluster = new ProcessCluster({
    directory,
    members,
    extraConfiguration,
    onExit: (id, code, signal) => {
      if (ending) return;
      run?.stop();
      onBreach(
        `member ${id} ended (${code ?? signal}); cases under way: ${run?.running.join(' ')}\n${cluster.logTail(id)}`,
      );
    },
  });
  const stop = (): void => run?.stop();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    cluster.startAll();
    await cluster.leader(30_000);
    run = new FuzzRun({
      targets: members,
      corpus,
      seed: Number(values.seed),
      lanes: Number(values.lanes),
      kinds: 'all',
      onBreach,
    });
    await fuzz(cluster, run, breaches, say);
    return breaches.length === 0 ? 0 : 1;
  } finally {
    ending = true;
    run?.close();
    await cluster.stop();
    if (values.keep) say(`data and logs: ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

async function fuzz(
  cluster: ProcessCluster,
  run: FuzzRun,
  breaches: string[],
  say: (line: string) => void,
): Promise<void> {
  const onBreach = (text: string): void => {
    breaches.push(text);
    say(`BREACH: ${text}`);
  };
  const probe = new Probe(cluster.clientAddresses, onBreach);
  const watchman = new Watchman(cluster, run, say);
  const timer = setTimeout(() => run.stop(), Number(values.minutes) * 60_000);
  probe.start();
  await run.runCorpus();
  await watchman.begin();
  const startMs = performance.now();
  if (values.only === undefined) {
    const requests = Number(values.requests);
    // The first twentieth is what memory is compared with: the heap has then grown as far as a working member's does.
    await run.runUntil(requests / 20);
    watchman.warm();
    await run.runUntil(requests);
  } else await runOnly(run, values.only);
  const seconds = (performance.now() - startMs) / 1_000;
  clearTimeout(timer);
  run.close();
  if (cluster.members.some(({ id }) => !cluster.isRunning(id))) {
    watchman.stop();
    return probe.stop();
  }
  say(`${run.requests} requests in ${Math.round(seconds)} s; the members rest`);
  await watchman.settle(Number(values['settle-s']) * 1_000, probe);
  const rounds = probe.rounds;
  if (rounds === 0) onBreach('the probe has not done a single round');
  await waitFor('members to have let go of all connections', 30_000, () => watchman.alone()).catch((error: Error) =>
    onBreach(error.message),
  );
  await cluster.converged(30_000).catch((error: Error) => onBreach(error.message));
  for (const { id } of cluster.members) checkLog(id, cluster.logFileOf(id), onBreach);
  for (const fault of watchman.faults()) onBreach(fault);
  const command = `node --import tsx scripts/fuzz.ts ${process.argv.slice(2).join(' ')}`;
  const report = renderReport({ run, probe, watchman, seconds, breaches, command });
  say(`\n${report}`);
  if (values.report !== undefined) writeFileSync(values.report, report);
}

async function runOnly(run: FuzzRun, only: string): Promise<void> {
  const [from = 0, to = from] = only.split('-').map(Number);
  for (let number = from; number <= to; number++) await run.runCase(number);
}

/** Errors and what is no JSON line at all: a stack trace of a runtime that gave up. */
function checkLog(id: string, file: string, onBreach: (text: string) => void): void {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  for (const line of lines.filter((one) => !/^\{"level":"(?:debug|info|warn)",.*\}$/.test(one)).slice(0, 5)) {
    onBreach(`member ${id} says ${line}`);
  }
}

process.exitCode = await main();
