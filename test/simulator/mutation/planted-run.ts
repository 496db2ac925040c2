import { boundedRun } from './bounded-run.ts';
import type { PlantedBug } from './planted-bugs.ts';
import { RepositoryCopy } from './repository-copy.ts';
import { replayCommand, simulatorCommand, simulatorFinding } from './simulator-run.ts';
import type { Finding } from './simulator-run.ts';

/** What the simulator made of one planted bug. */
export interface PlantedResult {
  readonly bug: PlantedBug;
  /** Undefined: not found. */
  readonly finding: Finding | undefined;
  /** Why the run could not tell; undefined where it could. */
  readonly trouble: string | undefined;
  readonly seconds: number;
}

export interface PlantedRunOptions {
  readonly bugs: readonly PlantedBug[];
  readonly minutesEach: number;
  readonly firstSeed: number;
  /** Bugs looked for at once. */
  readonly lanes: number;
  /** Another command than scripts/simulate.ts, as a JSON list. */
  readonly simulator?: string | undefined;
  /** What is copied and broken; default: this repository. */
  readonly root?: string | undefined;
  readonly say: (line: string) => void;
}

/** Starting and the last seed may take so much longer than the minutes that the simulator was given. */
const graceMs = 60_000;

/**
 * Looks for each bug in a copy of its own; a breach is counted only where the sources without the bug pass the same
 * seed. Resolves with one result a bug, in their order.
 */
export async function runPlantedBugs(options: PlantedRunOptions): Promise<PlantedResult[]> {
  // Made once: the repository may change while this runs.
  const sound = new RepositoryCopy(options.root);
  try {
    return await runInLanes(sound, options);
  } finally {
    sound.remove();
  }
}

async function runInLanes(sound: RepositoryCopy, options: PlantedRunOptions): Promise<PlantedResult[]> {
  const { bugs, lanes, say } = options;
  const results: (PlantedResult | undefined)[] = bugs.map(() => undefined);
  let next = 0;
  let done = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < bugs.length; at = next++) {
      const bug = bugs[at];
      if (bug === undefined) return;
      const result = await runOne(bug, sound, options);
      results[at] = result;
      done += 1;
      say(`${done} of ${bugs.length}: ${bug.name}: ${verdictOf(result)} after ${result.seconds.toFixed(1)} s`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, bugs.length) }, lane));
  return results.filter((result) => result !== undefined);
}

async function runOne(
  bug: PlantedBug,
  sound: RepositoryCopy,
  { minutesEach, firstSeed, simulator }: PlantedRunOptions,
): Promise<PlantedResult> {
  const startMs = performance.now();
  const limitMs = minutesEach * 60_000 + graceMs;
  let seconds: number | undefined;
  const ended = (): number => (seconds ??= (performance.now() - startMs) / 1000);
  const copy = new RepositoryCopy(sound.directory);
  try {
    copy.apply(bug.name, bug.diff);
    const { directory } = copy;
    const outcome = await boundedRun(simulatorCommand(simulator, minutesEach, firstSeed), { directory, limitMs });
    const finding = simulatorFinding(outcome);
    ended();
    const trouble = finding === undefined ? undefined : await notOfTheBug(sound, finding, simulator, limitMs);
    return { bug, finding: trouble === undefined ? finding : undefined, trouble, seconds: ended() };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { bug, finding: undefined, trouble: error.message, seconds: ended() };
  } finally {
    copy.remove();
  }
}

/** Why a breach says nothing of the bug; undefined where it does. */
async function notOfTheBug(
  sound: RepositoryCopy,
  finding: Finding,
  simulator: string | undefined,
  limitMs: number,
): Promise<string | undefined> {
  const { directory } = sound;
  const outcome = await boundedRun(replayCommand(simulator, finding), { directory, limitMs });
  const same = simulatorFinding(outcome);
  if (same === undefined) return undefined;
  return `seed ${finding.seed} breaches (${same.checker}) without the bug as well; it was found by ${finding.checker}`;
}

function verdictOf({ finding, trouble }: PlantedResult): string {
  if (finding !== undefined) return `${finding.checker} (seed ${finding.seed})`;
  return trouble ?? 'NOT FOUND';
}

/** The results as a Markdown table, slowest first, with the median below it. */
export function plantedTable(results: readonly PlantedResult[]): string {
  const rows = results
    .toSorted((one, other) => rank(other) - rank(one))
    .map(({ bug, finding, trouble, seconds }) => {
      const found = finding?.checker ?? (trouble === undefined ? '**not found**' : '**no verdict**');
      return `| ${bug.name} | ${bug.title} | ${found} | ${finding?.seed ?? ''} | ${seconds.toFixed(1)} |`;
    });
  const found = results.filter(({ finding }) => finding !== undefined);
  const median = medianOf(results.map(({ finding, seconds }) => (finding === undefined ? Infinity : seconds)));
  const medianText = Number.isFinite(median) ? `${median.toFixed(1)} s` : 'none, since too few were found';
  return [
    '| planted bug | what it is | found by | seed | seconds |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    `${found.length} of ${results.length} found; median ${medianText}`,
  ].join('\n');
}

function rank({ finding, seconds }: PlantedResult): number {
  return finding === undefined ? Infinity : seconds;
}

/** One that was not found counts as found after an endless time. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Infinity;
  const lower = sorted[middle - 1];
  return sorted.length % 2 === 1 || lower === undefined ? upper : (lower + upper) / 2;
}
