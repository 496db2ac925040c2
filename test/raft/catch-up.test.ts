import { describe, expect, it } from 'vitest';
import { CatchUp } from '../../src/raft/catch-up.ts';

const max = 10;

describe('CatchUp', () => {
  it('needs a whole round that is shorter than an election timeout', () => {
    const learner = new CatchUp(100, 0);
    expect(learner.isCaughtUp(0, 0, max)).toBe(false);
    learner.note(99, 200, 25, max);
    expect(learner.isCaughtUp(99, 25, max)).toBe(false);
    // The first round took 30 ticks; the second is of what came in these.
    learner.note(100, 130, 30, max);
    expect(learner.isCaughtUp(100, 30, max)).toBe(false);
    learner.note(130, 140, 39, max);
    expect(learner.isCaughtUp(130, 39, max)).toBe(true);
  });

  it('counts exactly the timeout as too long', () => {
    const learner = new CatchUp(5, 0);
    learner.note(5, 6, max, max);
    expect(learner.isCaughtUp(5, max, max)).toBe(false);
    const faster = new CatchUp(5, 0);
    faster.note(5, 6, max - 1, max);
    expect(faster.isCaughtUp(5, max - 1, max)).toBe(true);
  });

  it('keeps who holds everything, however long nothing comes', () => {
    const learner = new CatchUp(5, 0);
    for (let tick = 1; tick < 100; tick++) learner.note(5, 5, tick, max);
    expect(learner.isCaughtUp(5, 100, max)).toBe(true);
    // What comes then begins a round.
    learner.note(5, 6, 100, max);
    learner.note(6, 6, 101, max);
    expect(learner.isCaughtUp(6, 101, max)).toBe(true);
  });

  it('loses who stands still while the log grows', () => {
    const learner = new CatchUp(5, 0);
    learner.note(5, 5, 1, max);
    learner.note(5, 9, 2, max);
    expect(learner.isCaughtUp(5, 11, max)).toBe(true);
    expect(learner.isCaughtUp(5, 12, max)).toBe(false);
    learner.note(9, 11, 20, max);
    expect(learner.isCaughtUp(9, 20, max)).toBe(false);
    learner.note(11, 12, 22, max);
    expect(learner.isCaughtUp(11, 22, max)).toBe(true);
  });

  it('takes whoever holds everything, however long that took', () => {
    const learner = new CatchUp(5, 0);
    learner.note(4, 5, 100, max);
    expect(learner.isCaughtUp(4, 100, max)).toBe(false);
    learner.note(5, 5, 101, max);
    expect(learner.isCaughtUp(5, 101, max)).toBe(true);
  });
});
