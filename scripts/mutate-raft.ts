// Breaks src/raft in small mechanical ways, one at a time in a copy, and asks the unit tests of src/raft, and for what
// they leave one minute of the simulator, whether they notice. `--help` says how to call it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { boundedRun } from '../test/simulator/mutation/bounded-run.ts';
import type { Mutation } from '../test/simulator/mutation/mutate-source.ts';
import { drawnRaftMutations, mutationKey, raftTests, withMutation } from '../test/simulator/mutation/raft-mutants.ts';
import type { TestResult } from '../test/simulator/mutation/raft-mutants.ts';
import { RepositoryCopy, repositoryRoot } from '../test/simulator/mutation/repository-copy.ts';
import { simulatorCommand, simulatorFinding } from '../test/simulator/mutation/simulator-run.ts';
import { readOptions, wholeOption } from './command-line.ts';

const help = `Usage: node --import tsx scripts/mutate-raft.ts [options]

  --count N         how many mutants (default 300)
  --seed N          the same seed draws the same mutants of the same sources (default 1)
  --resume FILE     keep the results in this file, and go on with it where it ended
  --minutes M       stop after so long, to go on another time
  --limit-s S       a mutant whose tests take longer counts as noticed (default 60)
  --no-simulation   unit tests alone
  --retest          run the unit tests again for those that survived, and the simulator after them
  --simulator JSON  the command of the simulator as a list, instead of scripts/simulate.ts
`;

interface Simulated {
  /** Undefined where one minute found nothing. */
  readonly checker: string | undefined;
  readonly seconds: number;
}

interface Row {
  readonly mutation: Mutation;
  tests: TestResult;
  simulation?: Simulated;
}

const { values } = readOptions({
  options: {
    count: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    resume: { type: 'string' },
    minutes: { type: 'string', default: '100000' },
    'limit-s': { type: 'string', default: '60' },
    simulation: { type: 'boolean', default: true },
    retest: { type: 'boolean', default: false },
    simulator: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
  allowNegative: true,
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** The rows of an earlier run, as far as its mutants are still those of these sources. */
function readRows(file: string | undefined, drawn: readonly Mutation[]): Map<string, Row> {
  if (file === undefined || !existsSync(file)) return new Map();
  const known = new Set(drawn.map(mutationKey));
  const rows = JSON.parse(readFileSync(file, 'utf8')) as Row[];
  return new Map(rows.map((row) => [mutationKey(row.mutation), row] as const).filter(([key]) => known.has(key)));
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const count = wholeOption('count', values.count, 1);
  const limitMs = wholeOption('limit-s', values['limit-s'], 1) * 1000;
  const deadline = performance.now() + wholeOption('minutes', values.minutes) * 60_000;
  const drawn = drawnRaftMutations(repositoryRoot, wholeOption('seed', values.seed));
  const rows = readRows(values.resume, drawn);
  const save = (): void => {
    if (values.resume !== undefined) writeFileSync(values.resume, `${JSON.stringify([...rows.values()], null, 1)}\n`);
  };
  const copy = new RepositoryCopy();
  try {
    const sound = await raftTests(copy, limitMs);
    if (sound.verdict !== 'survived')
      throw new Error(`the tests fail without a mutation: ${sound.by ?? sound.verdict}`);
    say(`${drawn.length} mutations are known; the tests take ${sound.seconds.toFixed(1)} s without one`);
    const sample: Row[] = [];
    for (const mutation of drawn) {
      if (sample.length >= count || performance.now() > deadline) break;
      const key = mutationKey(mutation);
      const known = rows.get(key);
      if (known === undefined || (values.retest && known.tests.verdict === 'survived')) {
        const tests = await withMutation(copy, mutation, () => raftTests(copy, limitMs));
        rows.set(key, { ...known, mutation, tests });
        save();
        say(
          `${String(sample.length + 1).padStart(4)} ${tests.verdict.padEnd(8)} ${shown(mutation)}  ${tests.by ?? ''}`,
        );
      }
      const row = rows.get(key);
      if (row !== undefined && row.tests.verdict !== 'invalid') sample.push(row);
    }
    if (values.simulation) await simulateSurvivors(copy, sample, deadline, save);
    return report(sample, count);
  } finally {
    copy.remove();
  }
}

async function simulateSurvivors(
  copy: RepositoryCopy,
  sample: readonly Row[],
  deadline: number,
  save: () => void,
): Promise<void> {
  const command = simulatorCommand(values.simulator, 1, 1);
  for (const row of sample) {
    if (row.tests.verdict !== 'survived' || row.simulation !== undefined || performance.now() > deadline) continue;
    const outcome = await withMutation(copy, row.mutation, () =>
      boundedRun(command, { directory: copy.directory, limitMs: 150_000 }),
    );
    // A core that loops for ever stops the simulator too, which nobody would overlook.
    const checker = outcome.timedOut ? 'hung' : simulatorFinding(outcome)?.checker;
    row.simulation = { checker, seconds: outcome.elapsedMs / 1000 };
    save();
    say(`simulated ${shown(row.mutation)}: ${checker ?? 'not found'}`);
  }
}

function report(sample: readonly Row[], count: number): number {
  const byTests = sample.filter((row) => row.tests.verdict !== 'survived').length;
  const bySimulation = sample.filter((row) => row.simulation?.checker !== undefined).length;
  const survivors = sample.filter((row) => row.tests.verdict === 'survived' && row.simulation?.checker === undefined);
  say('');
  for (const { mutation, simulation } of survivors) {
    say(`survived ${shown(mutation)}${simulation === undefined ? ' (not simulated)' : ''}`);
  }
  const killed = byTests + bySimulation;
  const share = sample.length === 0 ? 0 : (100 * killed) / sample.length;
  say(
    `${sample.length} of ${count} mutants: ${byTests} noticed by tests, ${bySimulation} by simulation, ` +
      `${survivors.length} survived; ${share.toFixed(1)} % noticed`,
  );
  return sample.length >= count && share >= 80 ? 0 : 1;
}

function shown({ path, line, kind, before, after }: Mutation): string {
  const short = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 70);
  return `${path}:${line} ${kind}: ${short(before)} -> ${short(after)}`;
}

process.exitCode = await main();
