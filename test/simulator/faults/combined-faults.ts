import type { FaultKind } from './fault-kinds.ts';

/**
 * All that the members share is slow: their disks and the links between them. In the midst of it the leader may go, and
 * with it what it had said last.
 */
const brownOut: FaultKind = {
  name: 'brown-out',
  area: 'process',
  weight: 4,
  begin: (context) => {
    const { cluster, world } = context;
    const { links, ids, members } = cluster;
    const slowMs = context.between(5, 150);
    const syncMs = context.between(50, 600);
    // Long enough for an election in the midst of it.
    const forMs = 5_000 + context.below(6_000);
    const pairs = ids.flatMap((from) => ids.filter((to) => to !== from).map((to) => [from, to] as const));
    for (const [from, to] of pairs) links.slow(from, to, slowMs, slowMs);
    for (const { disk } of members) disk.slowMs = syncMs;
    const goes = context.chance(4) ? 0 : 500 + context.below(2_000);
    const power = context.chance(2);
    const end = (): void => {
      const { leader } = cluster;
      if (leader !== undefined) cluster.kill(leader, power);
    };
    const ending = goes > 0 ? world.setTimer(goes, end) : undefined;
    const what = power ? 'loses power' : 'is killed';
    const endText = goes === 0 ? '' : `; after ${goes} ms the leader ${what}`;
    return {
      text: `links take up to ${2 * slowMs} ms, syncs ${syncMs} ms more for ${forMs} ms everywhere${endText}`,
      forMs,
      mend: () => {
        ending?.cancel();
        for (const [from, to] of pairs) links.slow(from, to, 0, 0);
        for (const { disk } of members) disk.slowMs = 0;
      },
    };
  },
};

/** A member lags, and loses power in the midst of the long write by which it catches up: some pages of it are there. */
const diesCatchingUp: FaultKind = {
  name: 'die-catching-up',
  area: 'process',
  weight: 8,
  begin: (context) => {
    const { cluster } = context;
    const [member] = context.sample(
      cluster.running.filter((one) => one !== cluster.leader),
      1,
    );
    if (member === undefined) return undefined;
    // Long enough for what it missed to take several pages.
    const pauseMs = 1_500 + context.below(5_000);
    cluster.kill(member, context.chance(2), false);
    cluster.restartLater(member, pauseMs);
    const disarm = cluster.arm(member, 'afterLongAppendBeforeSync', 1, () => {
      context.note('dies at afterLongAppendBeforeSync');
      cluster.kill(member, true);
    });
    return {
      text: `${member.id} goes down for ${pauseMs} ms, and loses power when it catches up`,
      forMs: pauseMs + 4_000,
      mend: () => void disarm(),
    };
  },
};

export const combinedFaults: readonly FaultKind[] = [brownOut, diesCatchingUp];
