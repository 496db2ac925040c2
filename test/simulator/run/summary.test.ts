import { describe, expect, it } from 'vitest';
import type { SeedReport } from './run-seed.ts';
import { namedSituations, seedsPerSituation } from './situation-list.ts';
import { missedSituations } from './situations.ts';
import { Summary } from './summary.ts';

function report(seed: number, fields: Partial<SeedReport> = {}): SeedReport {
  return {
    seed,
    profile: 'mixed',
    breach: undefined,
    virtualMs: 43_200_000,
    wallMs: 1_000,
    steps: 1,
    events: 1,
    operations: { ok: 4, refused: 3, failed: 2, unknown: 1 },
    watchSteps: 5,
    faults: [['split', 2]],
    situations: ['a write is refused'],
    traceHash: '00',
    undecided: '',
    ...fields,
  };
}

describe('what many runs came to', () => {
  it('is the sum of all, with the seeds that are to be looked at', () => {
    const summary = new Summary();
    summary.add(report(7));
    summary.add(report(8, { undecided: 'too many steps', faults: [['bridge', 1]] }));
    summary.add(report(9, { breach: { checker: 'reads', text: 'wrong', atMs: 5 } }));
    summary.twice = 2;
    summary.different.push(7, 9);
    expect([summary.days, summary.calls, summary.faultCount]).toEqual([1.5, 30, 5]);
    expect(summary.breaches.map(({ seed }) => seed)).toEqual([9]);
    expect(summary.situations).toEqual(new Map([['a write is refused', 3]]));
    expect(summary.text(60_000).split('\n')).toEqual([
      '3 seeds (3 a minute), 1.50 cluster-days, 30 calls, 5 faults, 1 breaches',
      'calls: 12 ok, 9 refused, 6 without effect, 3 of unknown outcome; 15 batches of watches',
      'faults: split 4, bridge 1',
      '1 situations seen',
      '2 seeds ran twice, 2 of them differ: 7, 9',
      '1 seeds without a verdict on the order of a key: 8',
    ]);
  });
});

describe('the situations that must come', () => {
  const known = ['one', 'two'];

  it('are missed where they come less often than they have to, by name', () => {
    const seen = new Map([
      ['one', 2],
      ['two', 1],
      ['three', 0],
    ]);
    const few = missedSituations(seen, 'mixed', 2 * seedsPerSituation - 1, known);
    expect(few.names).toEqual([]);
    const many = missedSituations(seen, 'mixed', 2 * seedsPerSituation, known);
    expect(many.names).toEqual(['two']);
    expect(many.table).toEqual(['      2  one', '      1  two']);
    expect(missedSituations(new Map(), 'mixed', seedsPerSituation, known).names).toEqual(known);
    expect(missedSituations(new Map(), 'storage', seedsPerSituation, known).names).toEqual([]);
  });

  it('have names of their own', () => {
    expect(new Set(namedSituations).size).toBe(namedSituations.length);
  });
});
