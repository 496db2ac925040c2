import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { diskSteps } from '../../../src/storage/memory-disk.ts';
import { segmentPath } from '../../../src/storage/segment.ts';
import { crashPoints, pointAfter, pointBefore } from './crash-points.ts';

const paths = [segmentPath(1), 'hard-state', 'identity', 'log/mark', 'state', 'state/0001', 'state/0001/CURRENT'];

/** Points that parts of a member tell of by themselves, as their source names them. */
function namedIn(file: string): string[] {
  const text = readFileSync(join(import.meta.dirname, file), 'utf8');
  return [...text.matchAll(/(?:hit\(|: )'(\w+)'/g)].map(([, name = '']) => name);
}

describe('the moments at which a process may die', () => {
  it('are all told by something: a fault that waits for another one never happens', () => {
    const told = new Set(namedIn('observed-parts.ts'));
    for (const step of diskSteps) {
      for (const path of paths) {
        for (const pages of [1, 2]) told.add(pointBefore(step, path, () => pages) ?? '');
        told.add(pointAfter(step, path) ?? '');
      }
    }
    expect(crashPoints.filter((point) => !told.has(point))).toEqual([]);
  });
});
