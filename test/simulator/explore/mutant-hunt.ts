import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { boundedRun } from '../mutation/bounded-run.ts';
import { RepositoryCopy } from '../mutation/repository-copy.ts';
import { completeBudgets, runJob } from './jobs.ts';
import type { Job, JobHost, JobResult } from './jobs.ts';
import { situations } from './situations.ts';

const patches = join(import.meta.dirname, 'mutants');

/** Rounds of a hunt: each looks further than the one before. */
const rounds = [
  { states: 3_000, steps: 30_000 },
  { states: 30_000, steps: 300_000 },
  { states: 300_000, steps: 3_000_000 },
  { states: 3_000_000, steps: 30_000_000 },
] as const;

/** Everything in turn, with ever more states, until a breach is found or the time is over. */
export async function hunt(host: JobHost): Promise<JobResult | undefined> {
  for (const [round, { states, steps }] of rounds.entries()) {
    const jobs: Job[] = [{ kind: 'walk', name: `walk of seed ${round + 1}`, seed: round + 1, steps }];
    for (const { name } of situations) jobs.push({ kind: 'situation', name, statesMax: states });
    for (const [name, budget] of Object.entries(completeBudgets).slice(0, 2)) {
      jobs.push({ kind: 'complete', name, budget, statesMax: states });
    }
    for (const job of jobs) {
      if (host.nowMs() >= host.untilMs) return undefined;
      const result = await attempt(job, host);
      if (result?.breach !== undefined) return result;
    }
    host.progress(`round ${round + 1}: nothing in ${states} states of each and ${steps} steps`);
  }
  return undefined;
}

/** A planted fault may make the way to a situation impossible without breaking a promise; then the others are left. */
async function attempt(job: Job, host: JobHost): Promise<JobResult | undefined> {
  try {
    return await runJob(job, { ...host, comparedPaths: 0 });
  } catch (error) {
    host.progress(`${job.name}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

export interface MutantsOptions {
  /** `all`, or names with commas. */
  readonly names: string;
  /** For each. */
  readonly timeMs: number;
  readonly say: (line: string) => void;
}

/** A hunt looks at the time by itself; a planted fault that loops for ever is ended so much later. */
const graceMs = 60_000;

/**
 * Plants each fault in a copy of the sources and hunts it there. Returns 0 when every one was found, else 1; throws
 * where a name is none of them.
 */
export async function huntMutants({ names, timeMs, say }: MutantsOptions): Promise<number> {
  const known = mutantNames();
  const chosen = names === 'all' ? known : names.split(',').filter((name) => name !== '');
  for (const name of chosen) if (!known.includes(name)) throw new Error(`${name} is none of ${known.join(', ')}`);
  say('| fault | seconds | found in | by |');
  say('|---|---:|---|---|');
  let missed = 0;
  for (const name of chosen) {
    const startMs = Date.now();
    const found = await huntOne(name, timeMs);
    const seconds = ((Date.now() - startMs) / 1000).toFixed(1);
    const [, where, what] = /BREACH in ([^:]+): (.*)/.exec(found) ?? [];
    if (where === undefined) missed += 1;
    say(`| ${name} | ${seconds} | ${where ?? 'NOT FOUND'} | ${what ?? ''} |`);
  }
  say(`${chosen.length - missed} of ${chosen.length} found`);
  return missed === 0 && chosen.length > 0 ? 0 : 1;
}

export function mutantNames(): string[] {
  return readdirSync(patches)
    .filter((name) => name.endsWith('.patch'))
    .map((name) => name.slice(0, -'.patch'.length))
    .sort();
}

/** Text of a patch, what it is about first. */
export function mutantText(name: string): string {
  return readFileSync(join(patches, `${name}.patch`), 'utf8');
}

async function huntOne(name: string, timeMs: number): Promise<string> {
  const copy = new RepositoryCopy();
  try {
    plant(name, copy.directory);
    const args = ['--import', 'tsx', 'scripts/explore.ts', '--hunt', '--minutes', String(timeMs / 60_000)];
    const limits = { directory: copy.directory, limitMs: timeMs + graceMs };
    const { standardOutput, standardError } = await boundedRun([process.execPath, ...args], limits);
    if (standardError !== '') process.stderr.write(standardError);
    return standardOutput;
  } finally {
    copy.remove();
  }
}

/** Throws when the patch does not apply exactly. */
export function plant(name: string, directory: string): void {
  const patched = spawnSync('patch', ['-p1', '--fuzz=0', '--no-backup-if-mismatch', '-s'], {
    cwd: directory,
    input: mutantText(name),
    encoding: 'utf8',
  });
  if (patched.status !== 0) throw new Error(`${name}.patch does not apply: ${patched.stdout}${patched.stderr}`);
}
