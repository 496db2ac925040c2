import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SeedReport, SeedRun } from './run-seed.ts';
import { SeedPool } from './seed-pool.ts';

/** Ends at seed 2, is killed at 3, never ends at 4, and answers all others with their seed. */
const worker = `
  process.on('disconnect', () => process.exit(0));
  process.on('message', ({ seed, profile }) => {
    if (seed === 2) process.exit(7);
    if (seed === 3) process.kill(process.pid, 'SIGKILL');
    if (seed === 4) for (;;);
    process.send({ kind: 'report', report: { seed, profile, traceHash: String(process.pid) } });
  });
  process.send({ kind: 'ready' });
`;

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-seed-pool-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

function poolOf(seeds: readonly number[], text: string, onReport: (report: SeedReport) => void = () => undefined) {
  const script = join(directory, 'worker.mjs');
  writeFileSync(script, text);
  const left = seeds.map((seed): SeedRun => ({ seed, profile: 'mixed' }));
  const reports: SeedReport[] = [];
  const pool = new SeedPool({
    script,
    workers: 2,
    next: () => left.shift(),
    onReport: (report) => {
      reports.push(report);
      onReport(report);
    },
    seedMsMax: 1_500,
  });
  return { pool, reports, left };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('the pool of workers', () => {
  it('tells a seed that ends, kills or holds up its worker as a breach, and goes on with the others', async () => {
    const { pool, reports } = poolOf([1, 2, 3, 4, 5, 6], worker);
    await pool.run();
    const told = reports
      .toSorted((one, other) => one.seed - other.seed)
      .map(({ seed, breach }) => (breach === undefined ? `${seed}` : `${seed} ${breach.checker}: ${breach.text}`));
    expect(told).toEqual([
      '1',
      '2 worker: the run has ended its process with 7',
      '3 worker: the run has ended its process with SIGKILL',
      '4 worker: the run has not ended in 1500 ms',
      '5',
      '6',
    ]);
  });

  it('leaves no process and no seed behind that was not asked for, when it is stopped', async () => {
    const { pool, reports, left } = poolOf(
      Array.from({ length: 1_000 }, (_, i) => i + 10),
      worker,
      () => pool.stop(),
    );
    await pool.run();
    expect(reports.length).toBe(1);
    expect(left.length).toBeGreaterThan(900);
    expect(reports.filter(({ traceHash }) => isRunning(Number(traceHash)))).toEqual([]);
  });

  it('tells that no worker can be started', async () => {
    const { pool } = poolOf([1], 'process.exit(3);');
    await expect(pool.run()).rejects.toThrow('a worker has ended its process with 3 before its first seed');
  });
});
