import { beforeAll, describe, expect, it } from 'vitest';
import { RaftCore } from '../../../src/raft/raft-core.ts';
import { noBudget } from './budget.ts';
import { Cluster } from './cluster.ts';
import { loadGlass } from './glass-core.ts';
import type { Glass } from './glass-core.ts';
import { runJob } from './jobs.ts';
import type { Job, JobHost } from './jobs.ts';
import { followPlans, followText, shrink } from './path.ts';
import { Search } from './search.ts';
import { setUp, situations } from './situations.ts';
import { Walk } from './walk.ts';

// Every search has a bound of its own, so no time is needed.
const host: JobHost = { nowMs: () => 0, progress: () => {}, untilMs: 1, comparedPaths: 20 };

/** A core that takes its vote from the disk and forgets whom it was for, as a planted fault. */
function forgetful(Core: typeof RaftCore): typeof RaftCore {
  return class extends Core {
    constructor(...[config, initial]: ConstructorParameters<typeof RaftCore>) {
      super(config, { ...initial, hardState: { ...initial.hardState, vote: '' } });
    }
  };
}

/** A core whose host is told at once that everything is on disk. */
function hasty(Core: typeof RaftCore): typeof RaftCore {
  return class extends Core {
    override ready(): ReturnType<RaftCore['ready']> {
      const ready = super.ready();
      if (ready.persist !== undefined) this.reportDurable(ready.persist.sequence);
      return ready;
    }
  };
}

describe('the explorer', () => {
  let glass: Glass;

  beforeAll(async () => {
    glass = await loadGlass();
  });

  it('exhausts an election without a breach', async () => {
    const budget = { ...noBudget, campaigns: 1 };
    const job: Job = { kind: 'complete', name: 'one election', budget, statesMax: 1_000_000 };
    const result = await runJob(job, host);
    expect(result.breach).toBeUndefined();
    expect(result.complete).toBe(true);
    expect(result.count).toBeGreaterThan(1_000);
  });

  it.each(situations.map((situation) => situation.name))('finds no breach from %s', async (name) => {
    const result = await runJob({ kind: 'situation', name, statesMax: 2_000 }, host);
    expect(result.breach).toBeUndefined();
    expect(result.complete || result.count >= 2_000).toBe(true);
  });

  it('finds no breach in 20,000 random steps, in which everything happens', () => {
    const result = new Walk(RaftCore, { seed: 7, steps: 20_000 }).run();
    expect(result.breach?.what).toBeUndefined();
    expect(result.steps).toBeGreaterThanOrEqual(20_000);
    const { elections, commits, reads, crashes, snapshots, changes } = result;
    expect(Math.min(elections, commits, reads, crashes, snapshots, changes)).toBeGreaterThan(0);
  });

  it('walks the same way from the same seed', () => {
    const walked = (): object => new Walk(RaftCore, { seed: 11, steps: 2_000 }).run();
    expect(walked()).toEqual(walked());
  });

  it('finds a planted fault by search, and the path of the breach is the shortest', () => {
    const script = setUp(forgetful(glass.Core), situationNamed('split-vote'));
    const budget = { ...noBudget, crashes: 1 };
    const found = new Search(script.cluster, { budget, termMax: 9, statesMax: 50_000 }).run().breach;
    expect(found?.what).toMatch(/^[ab]: I6: voted for/);
    // Crash, the request of the rival, the new vote on disk.
    expect(found?.path.map((move) => move.input.kind)).toEqual(['crash', 'deliver', 'persist']);
  });

  it('finds a planted fault by walks, shrinks the walk, and its text replays it', () => {
    const Hasty = hasty(RaftCore);
    const found = new Walk(Hasty, { seed: 3, steps: 20_000 }).run().breach;
    if (found === undefined) throw new Error('not found');
    const whole = followPlans(Hasty, found.members, found.plans);
    expect(whole.breach).toBe(found.what);
    const least = shrink(Hasty, found.members, whole);
    expect(least.made.length).toBeLessThan(10);
    const replayed = followText(Hasty, least.text);
    expect(replayed.breach).toBe(least.breach);
    expect(replayed.story).toEqual(least.story);
    // The fault is that of the host above and not of the core.
    expect(followText(RaftCore, least.text).breach).toBeUndefined();
  });

  it('leads a copy of a core its own way', () => {
    const cluster = new Cluster(glass.Core, 3);
    const original = cluster.hosts[0];
    if (original === undefined) throw new Error('no member');
    const before = JSON.stringify(original.core.status());
    const copy = original.copy();
    copy.take({ kind: 'ticks', count: 3 });
    expect(copy.core.role).toBe('pre-candidate');
    expect(JSON.stringify(original.core.status())).toBe(before);
    expect(original.take({ kind: 'ticks', count: 3 }).messages).toHaveLength(2);
  });
});

function situationNamed(name: string): (typeof situations)[number] {
  const situation = situations.find((some) => some.name === name);
  if (situation === undefined) throw new Error(`no situation ${name}`);
  return situation;
}
