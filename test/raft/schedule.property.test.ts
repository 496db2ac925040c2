import { describe, expect, it } from 'vitest';
import { runSchedule } from './schedule.ts';

/** ROLLCALL_RAFT_SCHEDULES runs that many, ROLLCALL_RAFT_SEED begins at another seed. Each failure names its seed. */
const count = Number(process.env['ROLLCALL_RAFT_SCHEDULES'] ?? 250);
const firstSeed = Number(process.env['ROLLCALL_RAFT_SEED'] ?? 1);
const eventsPerSchedule = 1500;

describe('random schedules of a cluster', () => {
  it(`keep the promises of Raft (seeds ${firstSeed} to ${firstSeed + count - 1})`, { timeout: 36_000_000 }, () => {
    const total = {
      leaders: 0,
      commit: 0,
      reads: 0,
      crashes: 0,
      snapshots: 0,
      changes: 0,
      transfers: 0,
      suspicions: 0,
    };
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      try {
        const result = runSchedule(seed, eventsPerSchedule);
        total.leaders += result.leaders;
        total.commit += result.commit;
        total.reads += result.reads;
        total.crashes += result.crashes;
        total.snapshots += result.snapshots;
        total.changes += result.changes;
        total.transfers += result.transfers;
        total.suspicions += result.suspicions;
      } catch (error) {
        throw new Error(`seed ${seed}: repeat with ROLLCALL_RAFT_SEED=${seed} ROLLCALL_RAFT_SCHEDULES=1`, {
          cause: error,
        });
      }
    }
    process.stdout.write(`${count} schedules from seed ${firstSeed}: ${JSON.stringify(total)}\n`);
    // The schedules must reach what they are meant to test.
    const least = count < 100 ? 0 : count / 4;
    const rare = Object.entries(total).filter(([, reached]) => reached < least);
    expect(rare).toEqual([]);
  });
});
