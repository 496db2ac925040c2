import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { ClientError } from '../../../src/client/client-error.ts';
import { planRun } from '../run/profiles.ts';
import { Simulation } from '../run/simulation.ts';
import type { SimEvent } from '../types.ts';
import { Draw, seedFor } from './draw.ts';
import { instanceOf, KeySpace } from './keys.ts';
import { rejected } from './outcomes.ts';
import type { WorkloadMix } from './workload.ts';

const seconds = 15;
const even: WorkloadMix = {
  actions: 400,
  ttlScale: 1,
  clients: 5,
  writes: 5,
  reads: 3,
  leases: 4,
  sessions: 6,
  watches: 2,
};

/** What clients did in one run whose members do not fail. */
async function played(seed: number, mix: WorkloadMix, left: readonly number[] = []) {
  const plan = planRun(seed, 'mixed', new SeededRandom(seed));
  const events: SimEvent[] = [];
  const simulation = new Simulation({
    plan: { ...plan, ids: ['a', 'b', 'c'], safetyMs: seconds * 1_000, work: mix, faults: { ...plan.faults, count: 0 } },
    withoutActions: new Set(left),
    observers: () => [{ name: 'test', see: (event) => events.push(event) }],
  });
  const report = await simulation.run();
  return { report, events };
}

describe('simulated clients', () => {
  it('do everything that a client can do, are told by checkers that all is well, and come to an end', async () => {
    const { report, events } = await played(11, even);
    expect(report.breach).toBeUndefined();
    const seen = new Set<string>();
    for (const event of events) {
      if (event.kind === 'returned') seen.add(`${event.operation.action.kind} ${event.operation.outcome?.kind}`);
      if (event.kind === 'watched') seen.add(`watch ${event.step.kind}`);
      if (event.kind === 'client-gone') seen.add(event.kind);
    }
    for (const kind of [
      'register ok',
      'register refused',
      'update ok',
      'deregister ok',
      'batch ok',
      'grant ok',
      'revoke ok',
      'renew ok',
      'open-session ok',
      'close-session ok',
      'discover ok',
      'watch snapshot',
      'watch delta',
      'watch progress',
      'client-gone',
    ]) {
      expect(seen).toContain(kind);
    }
  });

  it('take nothing back from a process that took over, however they come back', async () => {
    const { report, events } = await played(13, { ...even, actions: 250, writes: 1, reads: 1, leases: 0, watches: 0 });
    expect(report.breach).toBeUndefined();
    const clients = new Set(events.flatMap((event) => (event.kind === 'invoked' ? [event.operation.client] : [])));
    // Of some host a second process did what the first had done.
    expect([...clients].some((name) => name.endsWith('.2'))).toBe(true);
  });

  it('do the same for the same seed, and what they did before where an action is left out', async () => {
    const mix = { ...even, actions: 60 };
    const [one, other] = [await played(14, mix), await played(14, mix)];
    expect(one.report.breach).toBeUndefined();
    expect(one.report.traceHash).toBe(other.report.traceHash);
    expect(one.report.events).toBeGreaterThan(100);
    const invoked = (events: readonly SimEvent[]): string[] =>
      events.flatMap((event) =>
        event.kind === 'invoked' ? [`${event.operation.startMs} ${JSON.stringify(event.operation.action)}`] : [],
      );
    const whole = invoked(one.events);
    const without = invoked((await played(14, mix, [0, 1, 2, 3, 4])).events);
    expect(without.length).toBeLessThan(whole.length);
    expect(whole.findIndex((text, i) => text !== without[i])).toBeGreaterThan(0);
  });
});

describe('what an action draws', () => {
  it('is its own, whatever others draw', () => {
    const draws = (ordinal: number): number[] => {
      const draw = new Draw(7, ordinal);
      return [draw.below(1_000), draw.within(5, 9), draw.below(2 ** 40)];
    };
    expect(draws(3)).toEqual(draws(3));
    expect(draws(3)).not.toEqual(draws(4));
    const seeds = new Set(Array.from({ length: 5_000 }, (_, n) => seedFor(2 ** 40 + 1, n)));
    expect(seeds.size).toBe(5_000);
  });

  it('follows weights, and is nothing where all are zero', () => {
    const draw = new Draw(1, 1);
    const drawn = Array.from({ length: 1_000 }, () => draw.weighted({ often: 9, seldom: 1, never: 0 }));
    const often = drawn.filter((name) => name === 'often').length;
    expect(often).toBeGreaterThan(800);
    expect(often).toBeLessThan(980);
    expect(drawn).not.toContain('never');
    expect(draw.weighted({ one: 0, two: 0 })).toBeUndefined();
  });
});

describe('keys', () => {
  it('retire at the second outcome that nobody knows', () => {
    const keys = new KeySpace();
    const all = (): Set<string> => {
      const draw = new Draw(1, 1);
      return new Set(Array.from({ length: 500 }, () => keys.pick(draw, 'c1')));
    };
    const key = 'default/shop/i0';
    expect(all()).toContain(key);
    keys.unknown(key);
    expect(all()).toContain(key);
    keys.unknown(key);
    expect(all()).not.toContain(key);
    expect(all()).toContain('default/shop/i0.1');
  });

  it('carry their value where checkers read it', () => {
    expect(instanceOf('default/shop/i0', 9)).toMatchObject({ id: 'i0', metadata: { v: '9' }, tags: ['blue'] });
    expect(instanceOf('default/shop/i0', 10).tags).toEqual([]);
  });
});

describe('an outcome', () => {
  const error = (reason: 'SUPERSEDED' | 'NOT_PROPOSED' | 'TIMEOUT', mayHaveApplied: boolean): ClientError =>
    new ClientError('UNAVAILABLE', reason, '', { mayHaveApplied });

  it('is open exactly where a write may have been applied', () => {
    expect(rejected(error('SUPERSEDED', false), true).kind).toBe('refused');
    expect(rejected(error('SUPERSEDED', true), true).kind).toBe('unknown');
    expect(rejected(error('NOT_PROPOSED', false), true).kind).toBe('failed');
    expect(rejected(error('TIMEOUT', true), true).kind).toBe('unknown');
    expect(rejected(error('TIMEOUT', true), false).kind).toBe('failed');
  });

  it('is none where a client was told what none may be told', () => {
    const internal = new ClientError('INTERNAL', 'INTERNAL', '');
    expect(() => rejected(internal, true)).toThrow(internal);
    expect(() => rejected(new Error('other'), true)).toThrow('other');
  });
});
