// `npm run simulate`: whole clusters in one process, on virtual time, from seeds. docs/SIMULATION.md says how to read
// what it prints.
import { spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Command, InvalidArgumentError, Option } from 'commander';
import { SeededRandom } from '../src/base/random.ts';
import { regressionSeeds } from '../test/simulator/run/regression-seeds.ts';
import { planRun, type ProfileName, profileNames } from '../test/simulator/run/profiles.ts';
import { runSeed, type SeedReport, type SeedRun } from '../test/simulator/run/run-seed.ts';
import { SeedPool, serveSeeds, workerMark } from '../test/simulator/run/seed-pool.ts';
import { samePromise, shrink } from '../test/simulator/run/shrink.ts';
import { Story } from '../test/simulator/run/story.ts';
import { Summary } from '../test/simulator/run/summary.ts';
import { missedSituations } from '../test/simulator/run/situations.ts';

interface Options {
  readonly seed?: number;
  readonly seeds?: number;
  readonly minutes?: number;
  readonly firstSeed?: number;
  readonly profile: ProfileName | 'all';
  readonly workers: number;
  readonly untilBreach: boolean;
  readonly quiet: boolean;
  readonly shrink: boolean;
  readonly situations: boolean;
  readonly regressions: boolean;
  readonly mutants: boolean;
  readonly only: readonly string[];
  readonly minutesEach: number;
  readonly report?: string;
  readonly withoutFaults: readonly number[];
  readonly withoutActions: readonly number[];
}

const progressEveryMs = 5_000;
/** One seed in a hundred runs a second time: the same trace, or the run depends on something that it should not. */
const twiceEvery = 100;
const shrinkRunsMax = 400;
/** Each fault draws by a number made of the seed and its own: see FaultPlan. */
const seedMax = 9_000_000_000_000;
/** Beyond any number of faults or actions of a run. */
const leftOutMax = 100_000;
/** What a shell makes of a process that a signal has ended. */
const interruptedCodes = { SIGINT: 130, SIGTERM: 143 } as const;

type Interruption = keyof typeof interruptedCodes;

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0)) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

/** A file that cannot be written is told at once, and not behind hours of runs. */
function writable(path: string): string {
  try {
    closeSync(openSync(path, 'a'));
    return path;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

/** `3,7,10-14` */
function numbers(text: string): readonly number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (!(from <= to && to <= leftOutMax)) {
      throw new InvalidArgumentError(`Expected numbers up to ${leftOutMax} and ranges of them, as in 3,7,10-14.`);
    }
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

/** The other way round: runs of numbers are drawn together. */
function ranges(list: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < list.length; ) {
    let end = at;
    while (end + 1 < list.length && list[end + 1] === (list[end] ?? 0) + 1) end++;
    parts.push(end === at ? `${list[at]}` : `${list[at]}-${list[end]}`);
    at = end + 1;
  }
  return parts.join(',');
}

function replayCommand({ seed, profile, withoutFaults = [], withoutActions = [] }: SeedRun): string {
  const faults = withoutFaults.length > 0 ? ` --without-faults ${ranges(withoutFaults)}` : '';
  const actions = withoutActions.length > 0 ? ` --without-actions ${ranges(withoutActions)}` : '';
  return `npm run simulate -- --seed ${seed} --profile ${profile}${faults}${actions}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The text in one line. */
function briefly({ text }: { readonly text: string }): string {
  return text.replaceAll('\n', ' | ').slice(0, 1_500);
}

function sayBreach(report: SeedReport): void {
  const { breach, seed, profile } = report;
  if (breach === undefined) return;
  const text = briefly(breach);
  say(`BREACH seed=${seed} profile=${profile} checker=${breach.checker} at=${Math.round(breach.atMs)}ms ${text}`);
  say(`  to replay: ${replayCommand(report)}`);
}

/** What the seed has drawn, without which nobody can tell a long time from a short one. */
function sayPlan({ seed, profile }: SeedRun): void {
  const { ids, setup, faults, work, safetyMs } = planRun(seed, profile, new SeededRandom(seed));
  const { tickMs, electionTicksMin, electionTicksMax } = setup.times;
  const [least, most] = [tickMs * electionTicksMin, tickMs * electionTicksMax];
  const threads = setup.twoThreads ? ' (with two threads each)' : '';
  say(`seed ${seed}, profile ${profile}: members ${ids.join(', ')}${threads}; a tick of ${tickMs} ms;`);
  say(`a follower that hears no leader waits ${least} to ${most} ms;`);
  say(`${faults.count} faults, ${work.actions} actions of ${work.clients} clients in ${safetyMs / 1_000} s`);
}

/** One seed, told as a story. */
async function replay(options: Options, seed: number): Promise<number> {
  const { withoutFaults, withoutActions } = options;
  const run = { seed, profile: profileOf(options, seed), withoutFaults, withoutActions };
  if (!options.quiet) sayPlan(run);
  const report = await runSeed(run, (view) => (options.quiet ? [] : [new Story(() => view.nowMs, say)]));
  const { ok, refused, failed, unknown } = report.operations;
  say(`${(report.virtualMs / 1_000).toFixed(1)} s of virtual time in ${(report.wallMs / 1_000).toFixed(2)} s`);
  say(`calls: ${ok} ok, ${refused} refused, ${failed} without effect, ${unknown} of unknown outcome`);
  say(`trace ${report.traceHash} of ${report.events} events`);
  if (report.undecided !== '') say(`no verdict on the order of a key: ${report.undecided}`);
  if (report.breach === undefined) {
    say(`no promise was broken${options.shrink ? ': there is nothing to reduce' : ''}`);
    return 0;
  }
  sayBreach(report);
  if (briefly(report.breach) !== report.breach.text) say(`  ${report.breach.text}`);
  if (options.shrink) await reduce(run, report);
  return 1;
}

async function reduce(run: SeedRun, report: SeedReport): Promise<void> {
  const checker = report.breach?.checker ?? '';
  const { faults, work } = planRun(run.seed, run.profile, new SeededRandom(run.seed));
  const small = await shrink({
    run,
    faults: Array.from({ length: faults.count }, (_, i) => i + 1),
    actions: Array.from({ length: work.actions }, (_, i) => i),
    fails: async (one) => samePromise(await runSeed(one), checker),
    onProgress: say,
    runsMax: shrinkRunsMax,
  });
  say(`reduced; its story: ${replayCommand(small)}`);
}

/** Many seeds, over several processes. */
async function many(options: Options): Promise<number> {
  const first = options.firstSeed ?? (Date.now() % 1_000_000) * 1_000;
  const seedsMax = options.seeds ?? (options.minutes === undefined ? 100 : Number.MAX_SAFE_INTEGER);
  const startMs = performance.now();
  const endMs = options.minutes === undefined ? Number.POSITIVE_INFINITY : startMs + options.minutes * 60_000;
  const summary = new Summary();
  const again = new Map<number, string>();
  const repeats: SeedRun[] = [];
  let given = 0;
  const listed: SeedRun[] = options.regressions ? [...regressionSeeds] : [];
  const pool = new SeedPool({
    script: process.argv[1] ?? '',
    workers: options.workers,
    next: () => {
      const repeat = repeats.shift();
      if (repeat !== undefined) return repeat;
      const regression = listed.shift();
      if (regression !== undefined) return regression;
      const isOver = options.untilBreach && summary.breaches.length > 0;
      if (given >= seedsMax || performance.now() >= endMs || isOver) return undefined;
      const seed = first + given++;
      return { seed, profile: profileOf(options, seed) };
    },
    onReport: (report) => {
      const known = report.profile === profileOf(options, report.seed) ? again.get(report.seed) : undefined;
      if (known !== undefined) {
        summary.twice++;
        if (known !== report.traceHash) summary.different.push(report.seed);
        return;
      }
      summary.add(report);
      sayBreach(report);
      if (report.breach !== undefined && options.untilBreach) pool.stop();
      if (report.breach?.checker === 'worker') return;
      if (report.seed < first || (report.seed - first) % twiceEvery !== 0) return;
      again.set(report.seed, report.traceHash);
      repeats.push({ seed: report.seed, profile: report.profile });
    },
  });
  const timer = setInterval(() => say(summary.progress(performance.now() - startMs)), progressEveryMs);
  let interruption: Interruption | undefined;
  const interrupted = (signal: NodeJS.Signals): void => {
    interruption = signal === 'SIGINT' ? signal : 'SIGTERM';
    pool.stop();
    say(`interrupted by ${signal}`);
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  // Behind that: whoever reads the first line may send a signal at once.
  say(`profile ${options.profile}, seeds from ${first}, ${options.workers} processes`);
  try {
    await pool.run();
  } finally {
    clearInterval(timer);
  }
  say(summary.text(performance.now() - startMs));
  const missed = missedSituations(summary.situations, options.profile, summary.seeds);
  if (options.report !== undefined) writeReport(options.report, first, given, options.profile, summary);
  if (options.situations) for (const line of missed.table) say(line);
  for (const name of missed.names) say(`MISSED situation: ${name} (${summary.situations.get(name) ?? 0} seeds)`);
  if (interruption !== undefined) return interruptedCodes[interruption];
  const isWell = summary.breaches.length === 0 && summary.different.length === 0 && missed.names.length === 0;
  return isWell ? 0 : 1;
}

/** What the runs came to, for whoever keeps count of many of them. */
function writeReport(path: string, first: number, seeds: number, profile: string, summary: Summary): void {
  const { virtualMs, operations, watchSteps } = summary;
  const breaches = summary.breaches.map(({ seed, profile: of, breach }) => ({ seed, profile: of, ...breach }));
  const faults = Object.fromEntries(summary.faults);
  const situations = Object.fromEntries([...summary.situations].sort(([, one], [, other]) => other - one));
  const report = { profile, first, seeds, virtualMs, operations, watchSteps, breaches, faults, situations };
  writeFileSync(path, `${JSON.stringify(report, undefined, 1)}\n`);
}

/** With `all` each seed has one of them, soak aside, whose runs are long. */
function profileOf({ profile }: Options, seed: number): ProfileName {
  if (profile !== 'all') return profile;
  const short = profileNames.filter((name) => name !== 'soak');
  return short[seed % short.length] ?? 'mixed';
}

/** The table of planted bugs, and whether each is found: a script of its own, which ends with this one. */
function plantedBugs({ only, minutesEach }: Options): Promise<number> {
  const script = join(import.meta.dirname, 'mutants.ts');
  const names = only.flatMap((name) => ['--only', name]);
  const args = [...process.execArgv, script, '--minutes-each', `${minutesEach}`, ...names];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  // It has processes and directories of its own to take down.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

function readOptions(): Options {
  const command = new Command('npm run simulate --')
    .description('Runs whole clusters on virtual time, network and disks, from seeds, and checks what they promise.')
    .addOption(
      new Option('--seed <number>', 'replay one seed and tell its story')
        .argParser(whole(0, seedMax))
        .conflicts(['seeds', 'minutes', 'firstSeed', 'workers', 'untilBreach', 'situations', 'report', 'regressions']),
    )
    .option('--seeds <count>', 'run so many seeds (default 100)', whole(1, seedMax))
    .option('--minutes <minutes>', 'run seeds for so long', positive)
    .option('--first-seed <number>', 'the first of many seeds (default: by the clock)', whole(0, seedMax))
    .addOption(
      new Option('--profile <name>', 'what a run is like; all: each in turn, without soak')
        .choices([...profileNames, 'all'])
        .default('mixed'),
    )
    .option('--workers <count>', 'processes that run seeds', whole(1, 256), availableParallelism())
    .option('--until-breach', 'end at the first breach', false)
    .option('--quiet', 'with --seed: the outcome only', false)
    .option('--shrink', 'with --seed: leave out what the breach does not need', false)
    .option('--situations', 'print how many seeds came into each named situation', false)
    .option('--report <file>', 'write what the runs came to as JSON', writable)
    .option('--regressions', 'run the seeds that have once found something, before the others', false)
    .addOption(
      new Option('--mutants', 'look for each planted bug, and print which were found by what')
        .default(false)
        .conflicts(['seed', 'seeds', 'minutes', 'firstSeed', 'profile', 'workers', 'situations', 'report']),
    )
    .option('--only <names...>', 'with --mutants: these alone', [])
    .option('--minutes-each <minutes>', 'with --mutants: how long to look for each', positive, 3)
    .option('--without-faults <numbers>', 'with --seed: leave out these, as in 3,7,10-14', numbers, [])
    .option('--without-actions <numbers>', 'with --seed: leave out these actions of clients', numbers, [])
    .addHelpText(
      'after',
      [
        '',
        'A breach ends with code 1, and with the command that replays it; what is interrupted, with 130 or 143.',
        'Faults have the numbers of the story; actions are counted from 0, and are not its #N: those are calls.',
        'docs/SIMULATION.md says more.',
        '',
        'Examples:',
        '  npm run simulate -- --minutes 10',
        '  npm run simulate -- --seeds 1000 --profile storage',
        '  npm run simulate -- --seed 4711 --shrink',
        '  npm run simulate -- --mutants --only canary',
        '',
      ].join('\n'),
    );
  const options = command.parse().opts<Options>();
  const without = (name: string, needed: string): never =>
    command.error(`error: option '--${name}' says nothing without '--${needed}'`, { exitCode: 1 });
  for (const [name, key, needed] of needing) {
    if (command.getOptionValueSource(key) === 'cli' && !options[needed] && options[needed] !== 0) without(name, needed);
  }
  return options;
}

/** Options that only go with another one. */
const needing = [
  ['quiet', 'quiet', 'seed'],
  ['shrink', 'shrink', 'seed'],
  ['without-faults', 'withoutFaults', 'seed'],
  ['without-actions', 'withoutActions', 'seed'],
  ['only', 'only', 'mutants'],
  ['minutes-each', 'minutesEach', 'mutants'],
] as const;

if (process.env[workerMark] === '1') {
  serveSeeds((run) => runSeed(run));
} else {
  const options = readOptions();
  // Whoever reads the story may stop to.
  process.stdout.on('error', () => process.exit(1));
  if (options.mutants) process.exitCode = await plantedBugs(options);
  else process.exitCode = options.seed === undefined ? await many(options) : await replay(options, options.seed);
}
