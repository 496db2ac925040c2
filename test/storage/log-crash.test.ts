import { describe, expect, it } from 'vitest';
import { CrashRun, crashSegmentBytes } from './log-crash-run.ts';
import { newLogDisk } from './log-fixture.ts';
import { scale, scaledTimeoutMs } from './scale.ts';

describe('a log through crashes', () => {
  it(
    'holds everything acknowledged and nothing that nobody wrote',
    async () => {
      const sums = new Map<string, number>();
      const runs = 60 * scale;
      for (let seed = 1; seed <= runs; seed++) {
        const run = new CrashRun(seed, await newLogDisk(crashSegmentBytes));
        try {
          await run.run(25);
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error });
        }
        for (const [name, count] of Object.entries(run.counts)) sums.set(name, (sums.get(name) ?? 0) + count);
      }
      // Every kind of thing must really have happened.
      expect(sums.size).toBe(8);
      for (const [name, count] of sums) expect([name, count > runs / 3]).toEqual([name, true]);
    },
    scaledTimeoutMs,
  );
});
