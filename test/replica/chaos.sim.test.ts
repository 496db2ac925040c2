import { describe, expect, it } from 'vitest';
import { ChaosRun } from './chaos.ts';

/**
 * ROLLCALL_CHAOS_SEEDS=500 npx vitest run test/replica/chaos.sim.test.ts; ROLLCALL_CHAOS_FIRST names the first seed.
 */
const seeds = Number(process.env['ROLLCALL_CHAOS_SEEDS'] ?? '12');
const first = Number(process.env['ROLLCALL_CHAOS_FIRST'] ?? '1');
const lifeMs = 12_000;

describe.each([
  ['one thread', false],
  ['two threads', true],
] as const)('random lives of a cluster, members on %s', (_name, twoThreads) => {
  it(`keeps every promise under crashes, cuts, pauses and slow disks, ${seeds} seeds from ${first}`, async () => {
    const total = { acknowledged: 0, refused: 0, unknown: 0, reads: 0, renewals: 0, crashes: 0, snapshots: 0 };
    const broken: string[] = [];
    for (let seed = first; seed < first + seeds; seed++) {
      try {
        const report = await new ChaosRun(seed, twoThreads).run(lifeMs);
        for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += report[key];
      } catch (error) {
        broken.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (seeds > 20) process.stdout.write(`${JSON.stringify(total)}\n`);
    expect(broken).toEqual([]);
    // What never happens is not tested.
    for (const count of Object.values(total)) expect(count).toBeGreaterThan(seeds / 20);
  }, 3_600_000);
});
