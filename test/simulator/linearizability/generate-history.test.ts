import { describe, expect, it } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { checkInstances } from './check-instances.ts';
import { generateHistory } from './generate-history.ts';
import { readHistory, writeHistory } from './history-lines.ts';
import { checkRevisionOrder } from './revision-order.ts';
import { HistoryError, type InstanceOperation } from './types.ts';

const plan = { operations: 2_000, keys: 4, clientsPerKey: 6, openPercent: 5 };

function historyOf(seed: number) {
  return generateHistory(plan, new SeededRandom(seed));
}

describe('histories of a registry that keeps its promises', () => {
  it('are linearizable, and their revisions in order', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const { operations, revisions } = historyOf(seed);
      expect(operations.filter(({ end }) => end === Infinity).length).toBeGreaterThan(plan.operations / 40);
      const verdict = checkInstances(operations);
      expect(verdict.ok === false ? verdict.text : verdict.ok).toBe(true);
      expect(checkRevisionOrder(revisions)).toEqual({ ok: true });
    }
  });

  it('are not any more with a read of what had been replaced long before', () => {
    for (let seed = 1; seed <= 1; seed++) {
      const { operations } = historyOf(seed);
      const reads = operations.filter(({ key, output }) => key === 'key-1' && output?.kind === 'found');
      const [early, late] = [must(reads[10], 'read'), must(reads.at(-1), 'read')];
      const stale = { ...late, output: early.output };
      const verdict = checkInstances(operations.map((operation) => (operation === late ? stale : operation)));
      expect(verdict).toMatchObject({ ok: false, key: 'key-1' });
      expect(verdict.ok === false && verdict.stuck.length).toBeGreaterThan(0);
      // Told as they came, not as they were simplified.
      const told: readonly unknown[] = verdict.ok === false ? [...verdict.ordered, ...verdict.stuck] : [];
      expect(
        told.every((operation) => operation === stale || operations.includes(operation as InstanceOperation)),
      ).toBe(true);
    }
  });

  it('have revisions out of order where one change is moved before another', () => {
    const { revisions } = historyOf(1);
    const changes = revisions.filter(({ kind, end }) => kind === 'change' && end !== Infinity);
    const [early, late] = [must(changes[10], 'change'), must(changes.at(-1), 'change')];
    const swapped = revisions.map((one) => {
      if (one === early) return { ...one, revision: late.revision };
      return one === late ? { ...one, revision: early.revision } : one;
    });
    expect(checkRevisionOrder(swapped).ok).toBe(false);
  });
});

describe('a history as lines', () => {
  const { operations } = historyOf(7);

  it('is read as it was written', () => {
    const bounded = operations.map((one) => (one.end === Infinity ? { ...one, latest: one.start + 1 } : one));
    const lines = writeHistory(bounded);
    expect(lines.split('\n')).toHaveLength(operations.length + 1);
    expect(readHistory(lines)).toEqual(bounded);
  });

  it('is refused by the number of a line that is none', () => {
    const [line = ''] = writeHistory(operations).split('\n');
    for (const wrong of ['{', '{}', line.replace('"client"', '"who"'), line.replace('"kind"', '"sort"')]) {
      expect(() => readHistory(`${line}\n${wrong}\n`)).toThrow(HistoryError);
      expect(() => readHistory(`${line}\n${wrong}\n`)).toThrow(/^line 2: /);
    }
  });

  it('has contents from 1', () => {
    const read = must(
      operations.find(({ output }) => output?.kind === 'found'),
      'read',
    );
    const wrong = { ...read, output: { kind: 'found', incarnation: 1, content: 0 } } as const;
    expect(() => checkInstances([wrong])).toThrow(HistoryError);
  });
});
