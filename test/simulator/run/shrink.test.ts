import { describe, expect, it } from 'vitest';
import { shrink } from './shrink.ts';
import type { SeedRun } from './run-seed.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** Fails as long as none of these is left out. */
function needs(faults: readonly number[], actions: readonly number[]) {
  let runs = 0;
  const fails = async ({ withoutFaults = [], withoutActions = [] }: SeedRun): Promise<boolean> => {
    runs++;
    return !faults.some((one) => withoutFaults.includes(one)) && !actions.some((one) => withoutActions.includes(one));
  };
  return { fails, runs: () => runs };
}

describe('the reduction of a run', () => {
  it('leaves what the breach needs, and nothing else', async () => {
    const { fails } = needs([3, 17], [250, 251]);
    const small = await shrink({
      run: { seed: 7, profile: 'mixed' },
      faults: upTo(24),
      actions: upTo(400),
      fails,
      onProgress: () => undefined,
      runsMax: 1_000,
    });
    expect(upTo(24).filter((one) => !small.withoutFaults?.includes(one))).toEqual([3, 17]);
    expect(upTo(400).filter((one) => !small.withoutActions?.includes(one))).toEqual([250, 251]);
  });

  it('goes on from what was left out before', async () => {
    // With either of the faults 5 and 6 it does not break: what was left out must stay so.
    const fails = async ({ withoutFaults = [], withoutActions = [] }: SeedRun): Promise<boolean> =>
      [5, 6].every((one) => withoutFaults.includes(one)) && !withoutFaults.includes(9) && !withoutActions.includes(3);
    const small = await shrink({
      run: { seed: 7, profile: 'mixed', withoutFaults: [5, 6], withoutActions: [8] },
      faults: upTo(10),
      actions: upTo(10),
      fails,
      onProgress: () => undefined,
      runsMax: 1_000,
    });
    expect(small.withoutFaults).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 10]);
    expect(small.withoutActions).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('ends at its bound with something that still fails', async () => {
    const { fails, runs } = needs(upTo(24), upTo(400));
    const small = await shrink({
      run: { seed: 7, profile: 'mixed' },
      faults: upTo(24),
      actions: upTo(400),
      fails,
      onProgress: () => undefined,
      runsMax: 20,
    });
    expect(runs()).toBe(20);
    expect(await fails(small)).toBe(true);
  });
});
