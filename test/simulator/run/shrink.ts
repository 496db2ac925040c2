import type { SeedReport, SeedRun } from './run-seed.ts';

export interface ShrinkOptions {
  readonly run: SeedRun;
  /** Numbers of what may be left out; what `run` leaves out already stays so. */
  readonly faults: readonly number[];
  readonly actions: readonly number[];
  /** Whether a run still breaks the same promise. */
  readonly fails: (run: SeedRun) => Promise<boolean>;
  readonly onProgress: (text: string) => void;
  /** Runs at most. */
  readonly runsMax: number;
}

/**
 * Leaves out as many faults and actions as it can so that the same promise is still broken: halves first, then smaller
 * parts (delta debugging: Zeller, Hildebrandt 2002). What is left out changes no draw of what remains.
 */
export async function shrink(options: ShrinkOptions): Promise<SeedRun> {
  const budget = { left: options.runsMax };
  const { run } = options;
  const { withoutFaults = [], withoutActions = [] } = run;
  const withFaults = options.faults.filter((one) => !withoutFaults.includes(one));
  const faults = await reduce('faults', withFaults, options, budget, (without) => ({
    ...run,
    withoutFaults: inOrder(withoutFaults, without),
  }));
  const lessFaults = { ...run, withoutFaults: inOrder(withoutFaults, faults) };
  const withActions = options.actions.filter((one) => !withoutActions.includes(one));
  const actions = await reduce('actions', withActions, options, budget, (without) => ({
    ...lessFaults,
    withoutActions: inOrder(withoutActions, without),
  }));
  return { ...lessFaults, withoutActions: inOrder(withoutActions, actions) };
}

function inOrder(before: readonly number[], more: readonly number[]): readonly number[] {
  return [...before, ...more].sort((one, other) => one - other);
}

/** Returns what can be left out of `all`. */
async function reduce(
  what: string,
  all: readonly number[],
  { fails, onProgress }: ShrinkOptions,
  budget: { left: number },
  withoutThese: (without: readonly number[]) => SeedRun,
): Promise<readonly number[]> {
  let kept = [...all];
  let parts = 2;
  const outside = (rest: readonly number[]): readonly number[] => all.filter((one) => !rest.includes(one));
  while (kept.length > 0 && parts <= 2 * kept.length && budget.left > 0) {
    const size = Math.ceil(kept.length / parts);
    let found = false;
    for (let at = 0; at < kept.length && budget.left > 0; at += size) {
      const rest = [...kept.slice(0, at), ...kept.slice(at + size)];
      budget.left--;
      if (!(await fails(withoutThese(outside(rest))))) continue;
      kept = rest;
      found = true;
      onProgress(`${kept.length} of ${all.length} ${what} are left`);
      break;
    }
    if (found) parts = Math.max(2, parts - 1);
    else if (size === 1) break;
    else parts = Math.min(kept.length, parts * 2);
  }
  return outside(kept);
}

export function samePromise(report: SeedReport, checker: string): boolean {
  return report.breach?.checker === checker;
}
