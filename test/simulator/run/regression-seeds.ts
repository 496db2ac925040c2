import type { SeedRun } from './run-seed.ts';

/**
 * Seeds that once broke a promise, and some that reach what few do. They run in CI beside fresh ones. A seed is only as
 * good as the code that draws from it: after a change of the generator it is one seed like any other, and what it had
 * found is held by the test that docs/BUGS.md names.
 */
export const regressionSeeds: readonly SeedRun[] = [
  { seed: 2_002, profile: 'mixed' },
  { seed: 2_007, profile: 'mixed' },
  { seed: 2_008, profile: 'mixed' },
  { seed: 60_906_608_921, profile: 'swarm' },
  { seed: 42_444_452_805, profile: 'leases' },
  { seed: 4_711, profile: 'chaos' },
  { seed: 4_711, profile: 'storage' },
  { seed: 4_711, profile: 'leases' },
  { seed: 4_711, profile: 'watch' },
  { seed: 4_711, profile: 'swarm' },
];
