import type { FaultKind } from './fault-kinds.ts';

const wallJump: FaultKind = {
  name: 'wall-clock-jump',
  area: 'clock',
  weight: 4,
  begin: (context) => {
    const member = context.pick(context.cluster.members);
    const yearMs = 365 * 24 * 3_600_000;
    const size = context.pick([1_000, 60_000, 3_600_000, yearMs, 10 * yearMs]);
    const ms = context.chance(2) ? size : -size;
    member.machine.jumpWall(ms);
    return { text: `the wall clock of ${member.id} jumps by ${ms} ms` };
  },
};

/** Within what R5 bounds: the checkers know the fastest and the slowest clock. */
const drift: FaultKind = {
  name: 'clock-drift',
  area: 'clock',
  weight: 3,
  begin: (context) => {
    const member = context.pick(context.cluster.members);
    const rate = 0.9 + context.below(201) / 1_000;
    member.machine.setRate(rate);
    const forMs = context.between(3_000, 30_000);
    return {
      text: `the clock of ${member.id} runs at ${rate.toFixed(3)} for ${forMs} ms`,
      forMs,
      mend: () => member.machine.setRate(1),
    };
  },
};

export const clockFaults: readonly FaultKind[] = [wallJump, drift];
