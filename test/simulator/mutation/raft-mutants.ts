import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '../../../src/base/random.ts';
import { boundedRun } from './bounded-run.ts';
import { mutated, mutationsOf } from './mutate-source.ts';
import type { Mutation } from './mutate-source.ts';
import type { RepositoryCopy } from './repository-copy.ts';

/**
 * What became of one mutant. `invalid`: it does not parse, and counts for nothing. `killed`: a test failed. `hung`: the
 * tests did not end, which a person would notice too. `survived`: they all passed.
 */
export type TestVerdict = 'invalid' | 'killed' | 'hung' | 'survived';

export interface TestResult {
  readonly verdict: TestVerdict;
  /** The first test that failed. */
  readonly by: string | undefined;
  readonly seconds: number;
}

const folder = 'src/raft';

/**
 * All mutations of src/raft, in an order drawn by the seed: the first n of them are a sample of n. Types alone have no
 * mutations.
 */
export function drawnRaftMutations(root: string, seed: number): Mutation[] {
  const all = readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .flatMap((name) => mutationsOf(`${folder}/${name}`, readFileSync(join(root, folder, name), 'utf8')));
  const random = new SeededRandom(seed);
  for (let last = all.length - 1; last > 0; last--) {
    const other = random.below('mutation', last + 1);
    const kept = all[last];
    const moved = all[other];
    if (kept !== undefined && moved !== undefined) [all[last], all[other]] = [moved, kept];
  }
  return all;
}

/** Tells one mutation from every other of the same sources. */
export function mutationKey(mutation: Mutation): string {
  return `${mutation.path}:${mutation.offset}:${mutation.before.length}:${mutation.after}`;
}

/** Runs `work` with the copy broken by the mutation, and mends the copy afterwards. */
export async function withMutation<T>(copy: RepositoryCopy, mutation: Mutation, work: () => Promise<T>): Promise<T> {
  const text = copy.read(mutation.path);
  copy.write(mutation.path, mutated(text, mutation));
  try {
    return await work();
  } finally {
    copy.write(mutation.path, text);
  }
}

// The random schedules are slow and kill what the others leave, so they come last and alone.
const slowTest = 'test/raft/schedule.property.test.ts';

/** Runs the unit tests of src/raft in a copy, the quick ones first, and stops at the first that fails. */
export async function raftTests(copy: RepositoryCopy, limitMs: number): Promise<TestResult> {
  const quick = await vitest(copy, ['test/raft', '--exclude', slowTest], limitMs);
  if (quick.verdict !== 'survived') return quick;
  const slow = await vitest(copy, [slowTest], limitMs);
  return { ...slow, seconds: quick.seconds + slow.seconds };
}

async function vitest(copy: RepositoryCopy, args: readonly string[], limitMs: number): Promise<TestResult> {
  // One process for all files: starting one for each takes longer than the tests do.
  const once = ['--bail=1', '--maxWorkers=1', '--no-file-parallelism', '--no-isolate', '--reporter=default'];
  const outcome = await boundedRun([process.execPath, 'node_modules/vitest/vitest.mjs', 'run', ...args, ...once], {
    directory: copy.directory,
    limitMs,
    environment: { NO_COLOR: '1' },
  });
  const seconds = outcome.elapsedMs / 1000;
  if (outcome.timedOut) return { verdict: 'hung', by: undefined, seconds };
  if (outcome.exitCode === 0) return { verdict: 'survived', by: undefined, seconds };
  const output = outcome.standardOutput + outcome.standardError;
  if (output.includes('PARSE_ERROR')) return { verdict: 'invalid', by: undefined, seconds };
  return { verdict: 'killed', by: / FAIL {2}(.+)/.exec(output)?.[1]?.trim(), seconds };
}
