import { describe, expect, it } from 'vitest';
import { crashPoints } from '../cluster/crash-points.ts';
import { allFaults } from '../faults/all-faults.ts';
import { combinedSituations, rareSituations, usualSituations } from './situation-list.ts';
import { missedSituations } from './situations.ts';

const all = [...usualSituations, ...combinedSituations, ...rareSituations];

describe('the named situations', () => {
  it('are at least 150, each named once, and 100 of them have more than one thing in them', () => {
    expect(new Set(all).size).toBe(all.length);
    expect(all.length).toBeGreaterThanOrEqual(150);
    expect(combinedSituations.length).toBeGreaterThanOrEqual(100);
    for (const name of combinedSituations) expect(name).toMatch(/ (?:while|with|without) /);
  });

  it('name faults and moments that there are', () => {
    const faults = new Set(allFaults.map(({ name }) => name));
    const moments = new Set<string>(crashPoints);
    const isKnown = (name: string): boolean => {
      const [first = '', , point = ''] = name.split(' ');
      if (name.startsWith('dies at ')) return moments.has(point);
      return /^(?:an?|the|two|leases) /.test(name) || faults.has(first);
    };
    expect(all.filter((name) => !isKnown(name))).toEqual([]);
  });

  it('are missed by name where too few runs came into them, and only where enough have run', () => {
    const [first = '', second = ''] = usualSituations;
    const seen = new Map(all.map((name) => [name, 5]));
    expect(missedSituations(seen, 'mixed', 1_000).names).toEqual([]);
    expect(missedSituations(new Map(), 'mixed', 199).names).toEqual([]);
    seen.set(first, 4);
    seen.delete(second);
    expect(missedSituations(seen, 'mixed', 1_000).names).toEqual([first, second]);
    expect(missedSituations(new Map(), 'mixed', 999).names).not.toContain(rareSituations[0]);
    expect(missedSituations(new Map(), 'mixed', 1_000).names).toContain(rareSituations[0]);
    expect(missedSituations(new Map(), 'soak', 1_000).names).toEqual([]);
  });
});
