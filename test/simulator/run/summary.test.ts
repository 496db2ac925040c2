import { describe, expect, it } from 'vitest';
import type { SeedReport } from './run-seed.ts';
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
