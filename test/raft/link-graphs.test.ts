import { describe, expect, it } from 'vitest';
import { centresOf, linkGraphs, runGraph } from './link-graphs.ts';
import type { Links } from './link-graphs.ts';

/** Ten election timeouts of the default settings. */
const ticksMax = 200;
/** ROLLCALL_RAFT_GRAPHS=all takes every graph of four, and not every sixth. */
const stride = process.env['ROLLCALL_RAFT_GRAPHS'] === 'all' ? 1 : 6;

/** `a>b c`: whom each hears. */
function textOf(links: Links): string {
  const names = 'abcde';
  return links
    .map(
      (row, from) =>
        `${names[from]}>${[...row.keys()]
          .filter((to) => to !== from && row[to])
          .map((to) => names[to])
          .join('')}`,
    )
    .join(' ');
}

describe('link graphs', () => {
  it('are 16 of three members and 218 of four, up to renaming', () => {
    expect([2, 3, 4].map((members) => linkGraphs(members).length)).toEqual([3, 16, 218]);
  });

  it('name as centres those that exchange words with a majority', () => {
    const whole = [
      [true, true, true],
      [true, true, true],
      [true, true, true],
    ];
    expect(centresOf(whole)).toEqual([0, 1, 2]);
    const chain = [
      [true, true, false],
      [true, true, true],
      [false, true, true],
    ];
    expect(centresOf(chain)).toEqual([0, 1, 2]);
    const ring = [
      [true, true, false],
      [false, true, true],
      [true, false, true],
    ];
    expect(centresOf(ring)).toEqual([]);
  });

  it.each([
    [3, 1],
    [4, stride],
  ])(
    'of %d members with a centre have a leader that stays, wherever it was before',
    { timeout: 600_000 },
    (members, every) => {
      const failed: string[] = [];
      let runs = 0;
      let slowest = 0;
      for (const [at, links] of linkGraphs(members).entries()) {
        if (centresOf(links).length === 0 || at % every !== 0) continue;
        for (let leader = 0; leader < members; leader++) {
          const { ticks, laterTerms } = runGraph(links, leader, ticksMax);
          runs += 1;
          slowest = Math.max(slowest, ticks ?? 0);
          if (ticks === undefined || laterTerms > 1)
            failed.push(`${textOf(links)} led by ${'abcd'[leader]}: ${ticks}, ${laterTerms}`);
        }
      }
      process.stdout.write(`${runs} runs of graphs of ${members}, a leader after at most ${slowest} ticks\n`);
      expect(failed).toEqual([]);
      expect(runs).toBeGreaterThan(10);
    },
  );
});
