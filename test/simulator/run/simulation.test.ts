import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { allFaults } from '../faults/all-faults.ts';
import type { SimEvent } from '../types.ts';
import { planRun, profileNames } from './profiles.ts';
import { runSeed } from './run-seed.ts';
import { Simulation } from './simulation.ts';
import { Story } from './story.ts';

const seed = 4_711;

/** A run of ten seconds, which is enough for a cluster to form, fail and come back. */
function short(withoutFaults: readonly number[] = []) {
  const plan = planRun(seed, 'chaos', new SeededRandom(seed));
  const faults: string[] = [];
  const story: string[] = [];
  const simulation = new Simulation({
    plan: { ...plan, safetyMs: 10_000, work: { ...plan.work, actions: 100 }, faults: { ...plan.faults, count: 12 } },
    withoutFaults: new Set(withoutFaults),
    observers: (view) => [
      new Story(
        () => view.nowMs,
        (line) => story.push(line),
      ),
      {
        name: 'faults',
        see: (event: SimEvent) => event.kind === 'fault' && faults.push(`${event.number} ${event.name}`),
      },
    ],
  });
  return { run: () => simulation.run(), faults, story };
}

describe('a simulated run', () => {
  it('is the same each time, to its last event', async () => {
    const [first, second] = [short(), short()];
    const reports = [await first.run(), await second.run()];
    expect(reports[0]?.breach).toBeUndefined();
    expect(reports[0]?.traceHash).toBe(reports[1]?.traceHash);
    expect(first.story).toEqual(second.story);
    expect(first.story.join('\n')).toMatch(/!! fault .*\n/);
    expect(first.story.join('\n')).toMatch(/is leader of term/);
  }, 60_000);

  it('keeps its other faults where one is left out', async () => {
    const [whole, part] = [short(), short([1])];
    await whole.run();
    await part.run();
    expect(whole.faults.length).toBeGreaterThan(5);
    expect(part.faults.some((fault) => fault.startsWith('1 '))).toBe(false);
    // Which fault a number is depends on what fits when it comes: most fit.
    const same = part.faults.filter((fault) => whole.faults.includes(fault));
    expect(same.length).toBeGreaterThan(part.faults.length / 2);
  }, 60_000);

  it('tells what nobody waited for as a breach', async () => {
    const plan = planRun(seed, 'mixed', new SeededRandom(seed));
    const simulation = new Simulation({ plan });
    simulation.unhandled(new Error('lost'));
    const { breach } = await simulation.run();
    expect(breach).toMatchObject({ checker: 'unhandled' });
    expect(breach?.text).toContain('lost');
  });

  it.each(profileNames)('has a plan for the profile %s, drawn from the seed', (profile) => {
    const plans = [1, 2, 1].map((one) => planRun(one, profile, new SeededRandom(one)));
    expect(plans[0]).toEqual(plans[2]);
    expect(plans[0]).not.toEqual(plans[1]);
  });

  it('has a name of its own for every fault', () => {
    expect(new Set(allFaults.map(({ name }) => name)).size).toBe(allFaults.length);
    expect(allFaults.length).toBeGreaterThan(50);
  });

  it('gives a report that passes between processes', async () => {
    const report = await runSeed({ seed, profile: 'chaos', withoutFaults: [], withoutActions: [] });
    expect(structuredClone(report)).toEqual(report);
    expect(report.virtualMs).toBeGreaterThan(60_000);
    expect(report.breach).toBeUndefined();
  }, 60_000);
});
