import { crashPoints } from '../cluster/crash-points.ts';
import type { Side, SimMember } from '../cluster/sim-cluster.ts';
import type { BegunFault, FaultContext, FaultKind } from './fault-kinds.ts';

function ends(name: string, weight: number, power: boolean, whom: (context: FaultContext) => readonly SimMember[]) {
  const begin = (context: FaultContext): BegunFault | undefined => {
    const members = whom(context);
    if (members.length === 0) return undefined;
    for (const member of members) context.cluster.kill(member, power);
    const what = members.length === 1 ? (power ? 'loses power' : 'is killed') : power ? 'lose power' : 'are killed';
    return { text: `${members.map(({ id }) => id).join(', ')} ${what}` };
  };
  return { name, area: 'process', weight, begin } satisfies FaultKind;
}

const one = (context: FaultContext): readonly SimMember[] => context.sample(context.cluster.running, 1);
const leader = ({ cluster }: FaultContext): readonly SimMember[] =>
  cluster.leader === undefined ? [] : [cluster.leader];
/** All but the leader: what it sends lies in their sockets, neither acknowledged nor lost. */
const followers = ({ cluster }: FaultContext): readonly SimMember[] =>
  cluster.leader === undefined ? [] : cluster.running.filter((member) => member !== cluster.leader);
const most = (context: FaultContext): readonly SimMember[] => context.sample(context.cluster.running, context.majority);
const all = ({ cluster }: FaultContext): readonly SimMember[] => cluster.running;

function pauses(name: string, weight: number, whom: (context: FaultContext) => readonly SimMember[], side?: Side) {
  const begin = (context: FaultContext): BegunFault | undefined => {
    const { cluster } = context;
    const members = whom(context).filter((member) => member.life?.isAwake === true);
    if (members.length === 0) return undefined;
    const lives = members.map(({ life }) => life);
    for (const member of members) cluster.freeze(member, side ?? 'both');
    const forMs = context.between(100, 12_000);
    const stands = members.length === 1 ? 'stands' : 'stand';
    const part = side === undefined || side === 'both' ? '' : ` (${side} thread)`;
    return {
      text: `${members.map(({ id }) => id).join(', ')} ${stands} still for ${forMs} ms${part}`,
      forMs,
      mend: () => {
        // A life that ended meanwhile has a successor, which does not stand still for it.
        for (const [at, member] of members.entries()) if (member.life === lives[at]) cluster.thaw(member);
      },
    };
  };
  return { name, area: 'process', weight, begin } satisfies FaultKind;
}

/** The process dies at a named moment that it passes within the next seconds. */
const dieAtPoint: FaultKind = {
  name: 'die-at-point',
  area: 'process',
  weight: 12,
  begin: (context) => {
    const { cluster } = context;
    const member = context.victim(cluster.members);
    if (member === undefined) return undefined;
    const point = context.pick(crashPoints);
    const power = context.chance(2);
    const disarm = cluster.arm(member, point, 1 + context.below(3), () => {
      context.note(`dies at ${point}`);
      cluster.kill(member, power);
    });
    const what = power ? 'loses power' : 'is killed';
    return { text: `${member.id} ${what} when next at ${point}`, forMs: 8_000, mend: () => void disarm() };
  },
};

/** A leader dies when entries have just left it: they reach some, and it counts no answer. */
const dieBehindSend: FaultKind = {
  name: 'die-behind-send',
  area: 'process',
  weight: 6,
  begin: (context) => {
    const { cluster, world } = context;
    const { leader } = cluster;
    const life = leader?.life;
    if (leader === undefined || life === undefined) return undefined;
    const power = context.chance(2);
    const behindMs = 1 + context.below(3);
    const disarm = cluster.arm(leader, 'beforeEntriesSend', 1 + context.below(3), () => {
      world.setTimer(behindMs, () => {
        if (leader.life === life) cluster.kill(leader, power);
      });
    });
    const what = power ? 'loses power' : 'is killed';
    return {
      text: `${leader.id} ${what} ${behindMs} ms behind its next entries`,
      forMs: 4_000,
      mend: () => void disarm(),
    };
  },
};

/** SIGTERM, and a start some time later. */
const restart: FaultKind = {
  name: 'restart',
  area: 'process',
  weight: 3,
  begin: (context) => {
    const member = context.victim(context.cluster.awake);
    if (member === undefined) return undefined;
    const { cluster } = context;
    const pauseMs = context.between(50, 3_000);
    cluster.stop(member).then(
      () => cluster.restartLater(member, pauseMs),
      () => cluster.restartLater(member, pauseMs),
    );
    return { text: `${member.id} is told to end, and starts ${pauseMs} ms later` };
  },
};

/** One after the other is told to end and starts again. */
const rollingRestart: FaultKind = {
  name: 'rolling-restart',
  area: 'process',
  weight: 1,
  begin: (context) => {
    const { cluster, world } = context;
    const pauseMs = context.between(300, 4_000);
    let isOver = false;
    const roll = async (): Promise<void> => {
      for (const member of cluster.members) {
        if (isOver) return;
        if (member.life === undefined || !member.life.isAwake) continue;
        await cluster.stop(member).catch(() => undefined);
        cluster.restartLater(member, 20);
        await new Promise<void>((resolve) => void world.setTimer(pauseMs, resolve));
      }
    };
    void roll();
    return {
      text: `all are restarted one by one, ${pauseMs} ms apart`,
      forMs: pauseMs * cluster.members.length,
      mend: () => {
        isOver = true;
      },
    };
  },
};

export const processFaults: readonly FaultKind[] = [
  ends('lose-power-one', 5, true, one),
  ends('lose-power-leader', 5, true, leader),
  ends('lose-power-most', 2, true, most),
  ends('lose-power-all', 2, true, all),
  ends('kill-one', 4, false, one),
  ends('kill-leader', 5, false, leader),
  ends('kill-most', 1, false, most),
  ends('kill-all', 1, false, all),
  pauses('pause-one', 4, one),
  pauses('pause-leader', 6, leader),
  pauses('pause-followers', 4, followers),
  pauses('pause-most', 1, most),
  pauses('pause-all', 1, all),
  pauses('stall-serving-side', 2, leader, 'serving'),
  pauses('stall-consensus-side', 2, leader, 'consensus'),
  dieAtPoint,
  dieBehindSend,
  restart,
  rollingRestart,
];
