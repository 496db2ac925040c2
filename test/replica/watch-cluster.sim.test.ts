// Watchers over whole clusters in memory, with crashes, frozen members and changes of leader; each batch is compared
// with a second version. ROLLCALL_WATCH_CLUSTER_CHANGES: how many revisions in all.
// ROLLCALL_WATCH_CLUSTER_SEED: the first.
import { afterAll, describe, expect, it } from 'vitest';
import { WatchLife } from './watch-life.ts';

const changesTotal = Number(process.env['ROLLCALL_WATCH_CLUSTER_CHANGES'] ?? 1_500);
const firstSeed = Number(process.env['ROLLCALL_WATCH_CLUSTER_SEED'] ?? 1);
const changesPerSeed = Math.max(1_500, Math.min(5_000, Math.ceil(changesTotal / 6)));
const seeds = Math.ceil(changesTotal / changesPerSeed);

describe('watches of a cluster against a second version', () => {
  const totals = new Map<string, number>();

  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    it(`follow ${changesPerSeed} random changes exactly (seed ${seed})`, { timeout: 600_000 }, async () => {
      const life = new WatchLife(seed);
      // Every batch is compared on the way.
      await expect(life.run(changesPerSeed)).resolves.toBeUndefined();
      for (const [what, times] of life.seen) totals.set(what, (totals.get(what) ?? 0) + times);
    });
  }

  it('have met what they are about', () => {
    for (const what of ['snapshot', 'delta', 'coalesced', 'reset', 'progress', 'resumed', 'crashes', 'leaders']) {
      expect([what, totals.get(what) ?? 0]).not.toEqual([what, 0]);
    }
  });

  afterAll(() => {
    if (process.env['ROLLCALL_WATCH_CLUSTER_CHANGES'] !== undefined) {
      console.info(seeds, 'seeds', Object.fromEntries(totals));
    }
  });
});
