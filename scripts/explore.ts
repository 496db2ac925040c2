// Searches the states of the real Raft core for a breach of its promises: breadth first from chosen situations, to the
// end where that is possible, and by random walks. `--help` says how to call it.
import { readFileSync, existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { RaftCore } from '../src/raft/raft-core.ts';
import { budgetText, noBudget } from '../test/simulator/explore/budget.ts';
import { completeBudgets, runJob } from '../test/simulator/explore/jobs.ts';
import type { Job, JobResult } from '../test/simulator/explore/jobs.ts';
import { hunt, huntMutants, mutantNames } from '../test/simulator/explore/mutant-hunt.ts';
import { followText } from '../test/simulator/explore/path.ts';
import { runInWorkers } from '../test/simulator/explore/workers.ts';
import { situations } from '../test/simulator/explore/situations.ts';
import { positiveOption, readOptions, refuse, wholeOption } from './command-line.ts';

const help = `Usage: node --import tsx scripts/explore.ts [options]

What to do (all but the last four by default):
  --complete LIST     exhaust these searches of one term and one entry; "all", or names of --list
  --situations LIST   search from these situations; "all", or names of --list
  --walks             random walks
  --hunt              all of these in turn, short ones first, until a breach is found (exit code 3) or the time is over
  --mutants LIST      plant each named fault ("all") in a copy of the sources and hunt there
  --replay PATH       tell a path in words: the text that a breach prints, or a file that holds it
  --list              name the complete searches and the situations

How much:
  --states N          states of each situation (default 100000)
  --complete-states N states of each complete search at most (default 100000000)
  --budget "k=n ..."  what may happen, in place of each situation's own budget
  --steps N           steps of the walks (default 1000000)
  --seed N            of the walks (default 1)
  --minutes N         for everything together (default 60); of --mutants for each (default 2)
  --workers N         processes (default 2, or 1 on one core)
`;

const { values } = readOptions({
  options: {
    complete: { type: 'string' },
    situations: { type: 'string' },
    walks: { type: 'boolean', default: false },
    hunt: { type: 'boolean', default: false },
    mutants: { type: 'string' },
    replay: { type: 'string' },
    list: { type: 'boolean', default: false },
    states: { type: 'string', default: '100000' },
    'complete-states': { type: 'string', default: '100000000' },
    budget: { type: 'string' },
    steps: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    workers: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    job: { type: 'string' },
    'until-ms': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** A breach was found, and nothing else went wrong. */
const breachCode = 3;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const minutesMs = positiveOption('minutes', values.minutes ?? (values.mutants === undefined ? '60' : '2')) * 60_000;
  const untilMs = Number(values['until-ms'] ?? Date.now() + minutesMs);
  if (values.help) say(help);
  else if (values.list) list();
  else if (values.replay !== undefined) return replay(values.replay);
  else if (values.job !== undefined) await child(JSON.parse(values.job) as Job, untilMs);
  else if (values.mutants !== undefined)
    return huntMutants({ names: namesOf(values.mutants, mutantNames()).join(','), timeMs: minutesMs, say });
  else if (values.hunt) return told(await hunt({ nowMs: Date.now, progress: say, untilMs }));
  else return explore(untilMs);
  return 0;
}

function list(): void {
  say('Complete searches:');
  for (const [name, budget] of Object.entries(completeBudgets)) say(`  ${name.padEnd(32)} ${budgetText(budget)}`);
  say('Situations:');
  for (const { name, about, members, budget } of situations) {
    say(`  ${name.padEnd(32)} ${about}\n${' '.repeat(35)}${members} members, ${budgetText(budget)}`);
  }
}

function replay(given: string): number {
  const text = existsSync(given) ? readFileSync(given, 'utf8') : given;
  // Neither is such a path a file, nor does it begin with a number of members.
  if (!/^\s*[1-9]\s+\S/.test(text)) refuse(`${given} is neither a file nor a path that a breach has printed`);
  const { story, breach } = followText(RaftCore, text);
  for (const line of story) say(line);
  if (breach === undefined) say('No breach.');
  return breach === undefined ? 0 : breachCode;
}

/** In a process of its own: progress and the result as lines for the parent. */
async function child(job: Job, untilMs: number): Promise<void> {
  const progress = (line: string): void => say(JSON.stringify({ progress: line }));
  say(JSON.stringify({ result: await runJob(job, { nowMs: Date.now, progress, untilMs }) }));
}

async function explore(untilMs: number): Promise<number> {
  const results = await runInWorkers(chosenJobs(), {
    workers: wholeOption('workers', values.workers, 1),
    untilMs,
    say,
    nowMs: Date.now,
  });
  table(results);
  const breaches = results.filter((result) => result.breach !== undefined);
  for (const result of breaches) told(result);
  return breaches.length === 0 ? 0 : breachCode;
}

function chosenJobs(): Job[] {
  const all = values.complete === undefined && values.situations === undefined && !values.walks;
  const jobs: Job[] = [];
  for (const name of namesOf(values.complete ?? (all ? 'all' : ''), Object.keys(completeBudgets))) {
    const budget = completeBudgets[name] ?? noBudget;
    jobs.push({
      kind: 'complete',
      name,
      budget,
      statesMax: wholeOption('complete-states', values['complete-states'], 1),
    });
  }
  const chosen = namesOf(
    values.situations ?? (all ? 'all' : ''),
    situations.map((situation) => situation.name),
  );
  const budget = values.budget === undefined ? {} : { budget: values.budget };
  for (const name of chosen)
    jobs.push({ kind: 'situation', name, statesMax: wholeOption('states', values.states, 1), ...budget });
  if (all || values.walks) jobs.push(...walkJobs());
  return jobs;
}

/** As many walks as workers, each with a seed of its own. */
function walkJobs(): Job[] {
  const workers = wholeOption('workers', values.workers, 1);
  const steps = Math.ceil(wholeOption('steps', values.steps, 1) / workers);
  return Array.from({ length: workers }, (_, at): Job => {
    const seed = wholeOption('seed', values.seed) + at;
    return { kind: 'walk', name: `walk of seed ${seed}`, seed, steps };
  });
}

function namesOf(text: string, known: readonly string[]): readonly string[] {
  if (text === 'all') return known;
  const names = text.split(',').filter((name) => name !== '');
  for (const name of names) if (!known.includes(name)) refuse(`${name} is none of ${known.join(', ')}`);
  return names;
}

function table(results: readonly JobResult[]): void {
  say('');
  say('| search | states or steps | transitions | depth | complete | seconds | found |');
  say('|---|---:|---:|---:|---|---:|---|');
  for (const { name, count, transitions, depth, complete, ms, breach } of results) {
    const found = breach === undefined ? 'nothing' : breach.what;
    const seconds = (ms / 1000).toFixed(1);
    say(`| ${name} | ${count} | ${transitions} | ${depth} | ${complete ? 'yes' : 'no'} | ${seconds} | ${found} |`);
  }
  for (const { name, notes } of results) say(`${name}: ${notes}`);
}

/** Tells a breach, if there is one, and how to see it again. Returns the exit code. */
function told(result: JobResult | undefined): number {
  const breach = result?.breach;
  if (result === undefined || breach === undefined) return 0;
  say(`\nBREACH in ${result.name}: ${breach.what}`);
  for (const line of breach.story) say(line);
  say(`Again: node --import tsx scripts/explore.ts --replay "${breach.text}"`);
  return breachCode;
}

process.exitCode = await main();
