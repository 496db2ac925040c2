import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { Links } from './links.ts';

describe('links between hosts', () => {
  it('are open again when the last reason to be cut is lifted, and tell it once', () => {
    const links = new Links(new SeededRandom(1));
    const told: string[] = [];
    links.add({ cut: (a, b) => told.push(`cut ${a}${b}`), heal: (a, b) => told.push(`heal ${a}${b}`) });
    links.cut('a', 'b', 'one');
    links.cut('a', 'b', 'two');
    links.heal('a', 'b', 'one');
    links.heal('a', 'b', 'never');
    expect([links.isCut('a', 'b'), links.isCut('b', 'a')]).toEqual([true, false]);
    links.heal('a', 'b', 'two');
    expect(links.isCut('a', 'b')).toBe(false);
    expect(told).toEqual(['cut ab', 'heal ab']);
  });

  it('take longer in the direction that is slow', () => {
    const links = new Links(new SeededRandom(1));
    links.slow('a', 'b', 100, 50);
    for (let i = 0; i < 100; i++) {
      const slow = links.delayMs('a', 'b');
      expect(slow).toBeGreaterThanOrEqual(100);
      expect(slow).toBeLessThan(152);
      expect(links.delayMs('b', 'a')).toBeLessThan(2);
    }
  });
});
