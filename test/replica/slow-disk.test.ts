import { describe, expect, it } from 'vitest';
import { SlowDisk } from '../../src/replica/slow-disk.ts';

const behind = { leads: true, durableIndex: 4, commit: 5 };
const level = { leads: true, durableIndex: 5, commit: 5 };

describe('SlowDisk', () => {
  it('says so only after all of the time in which the own disk was behind', () => {
    const slow = new SlowDisk(3, 10);
    expect([behind, behind, level, behind, behind].map((reading) => slow.tick(reading))).not.toContain(true);
    expect(slow.tick(behind)).toBe(true);
  });

  it('says nothing of a member that does not lead', () => {
    const slow = new SlowDisk(2, 10);
    for (let i = 0; i < 5; i++) expect(slow.tick({ ...behind, leads: false })).toBe(false);
  });

  it('rests after it has said so', () => {
    const slow = new SlowDisk(2, 6);
    const said = Array.from({ length: 12 }, () => slow.tick(behind));
    expect(said.map((isSaid, tick) => (isSaid ? tick : -1)).filter((tick) => tick >= 0)).toEqual([1, 7]);
  });
});
