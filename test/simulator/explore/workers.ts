import { join } from 'node:path';
import { boundedRun } from '../mutation/bounded-run.ts';
import type { Job, JobResult } from './jobs.ts';

export interface WorkersOptions {
  readonly workers: number;
  readonly untilMs: number;
  readonly say: (line: string) => void;
  readonly nowMs: () => number;
}

const script = join(import.meta.dirname, '../../../scripts/explore.ts');
const heapMb = 8_192;
/** A job looks at the time by itself; one that does not is ended so much later. */
const graceMs = 60_000;

/**
 * Runs each job in a process of its own, a few at a time; its memory goes with it, and it with this process. Throws
 * when one fails.
 */
export async function runInWorkers(jobs: readonly Job[], options: WorkersOptions): Promise<JobResult[]> {
  const results: JobResult[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let job = jobs[next]; job !== undefined; job = jobs[next]) {
      next += 1;
      if (options.nowMs() >= options.untilMs) {
        options.say(`${job.name}: not begun, the time is over`);
        continue;
      }
      const result = await runChild(job, options);
      const rate = Math.round((result.count / Math.max(1, result.ms)) * 1000);
      const seconds = (result.ms / 1000).toFixed(1);
      options.say(`${result.name}: ${result.count} in ${seconds} s (${rate} a second), ${foundText(result)}`);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.workers) }, lane));
  const order = jobs.map((job) => job.name);
  return results.sort((left, right) => order.indexOf(left.name) - order.indexOf(right.name));
}

function foundText({ breach, complete }: JobResult): string {
  if (breach !== undefined) return `BREACH ${breach.what}`;
  return complete ? 'complete, no breach' : 'no breach';
}

async function runChild(job: Job, options: WorkersOptions): Promise<JobResult> {
  const args = ['--import', 'tsx', `--max-old-space-size=${heapMb}`, script];
  const call = ['--job', JSON.stringify(job), '--until-ms', String(options.untilMs)];
  let result: JobResult | undefined;
  const { exitCode, standardError } = await boundedRun([process.execPath, ...args, ...call], {
    directory: process.cwd(),
    limitMs: Math.max(0, options.untilMs - options.nowMs()) + graceMs,
    onLine: (line) => {
      const told = JSON.parse(line) as { readonly progress?: string; readonly result?: JobResult };
      if (told.progress !== undefined) options.say(told.progress);
      if (told.result !== undefined) result = told.result;
    },
  });
  if (result !== undefined) return result;
  throw new Error(`${job.name} ended with ${exitCode ?? 'a signal'} and no result: ${standardError.trim()}`);
}
