import { SeededRandom } from '../../../src/base/random.ts';
import type { Observer, RunView } from '../types.ts';
import { type ProfileName, planRun } from './profiles.ts';
import { type Breach, type RunReport, Simulation } from './simulation.ts';

/** What is run: a seed says everything but the profile, and what is left out of it. */
export interface SeedRun {
  readonly seed: number;
  readonly profile: ProfileName;
  readonly withoutFaults?: readonly number[];
  readonly withoutActions?: readonly number[];
}

/** A report that passes between processes. */
export interface SeedReport {
  readonly seed: number;
  readonly profile: ProfileName;
  readonly breach: Breach | undefined;
  readonly virtualMs: number;
  readonly wallMs: number;
  readonly steps: number;
  readonly events: number;
  readonly operations: RunReport['operations'];
  readonly watchSteps: number;
  readonly faults: readonly (readonly [string, number])[];
  readonly situations: readonly string[];
  readonly traceHash: string;
  readonly undecided: string;
}

/** Runs one seed from its beginning to its end, or to its first breach. One at a time in a process. */
export async function runSeed(run: SeedRun, observers?: (view: RunView) => readonly Observer[]): Promise<SeedReport> {
  const { seed, profile } = run;
  const startMs = performance.now();
  const simulation = new Simulation({
    plan: planRun(seed, profile, new SeededRandom(seed)),
    withoutFaults: new Set(run.withoutFaults),
    withoutActions: new Set(run.withoutActions),
    ...(observers === undefined ? {} : { observers }),
  });
  const unhandled = (error: unknown): void => simulation.unhandled(error);
  process.on('unhandledRejection', unhandled);
  try {
    const report = await simulation.run();
    return {
      seed,
      profile,
      breach: report.breach,
      virtualMs: report.virtualMs,
      wallMs: performance.now() - startMs,
      steps: report.steps,
      events: report.events,
      operations: report.operations,
      watchSteps: report.watchSteps,
      faults: [...report.faults],
      situations: [...report.situations],
      traceHash: report.traceHash,
      undecided: report.undecided,
    };
  } finally {
    process.off('unhandledRejection', unhandled);
  }
}
