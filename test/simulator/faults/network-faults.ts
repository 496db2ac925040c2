import type { BegunFault, FaultContext, FaultKind } from './fault-kinds.ts';

type Pair = readonly [from: string, to: string];

/** Cuts directions; the cut is lifted as a whole, whatever else cuts them. */
function cuts(name: string, weight: number, msMost: number, which: (context: FaultContext) => readonly Pair[]) {
  const begin = (context: FaultContext): BegunFault | undefined => {
    const { links } = context.cluster;
    const pairs = which(context);
    if (pairs.length === 0) return undefined;
    const reason = `fault ${context.number}`;
    for (const [from, to] of pairs) links.cut(from, to, reason);
    const forMs = context.between(200, msMost);
    const text = pairs.length > 6 ? `${pairs.length} directions` : pairs.map(([a, b]) => `${a}>${b}`).join(' ');
    return {
      text: `cut for ${forMs} ms: ${text}`,
      forMs,
      mend: () => {
        for (const [from, to] of pairs) links.heal(from, to, reason);
      },
    };
  };
  return { name, area: 'network', weight, begin } satisfies FaultKind;
}

function both(as: readonly string[], bs: readonly string[]): Pair[] {
  return as.flatMap((a) => bs.flatMap((b) => (a === b ? [] : [[a, b] as const, [b, a] as const])));
}

const others = ({ cluster }: FaultContext, id: string): string[] => cluster.ids.filter((other) => other !== id);
const leaderOrAny = (context: FaultContext): string => context.cluster.leader?.id ?? context.pick(context.cluster.ids);

const oneWay = (context: FaultContext): Pair[] => {
  const from = context.pick(context.cluster.ids);
  return [[from, context.pick(others(context, from))]];
};
const oneLink = (context: FaultContext): Pair[] => {
  const a = context.pick(context.cluster.ids);
  return both([a], [context.pick(others(context, a))]);
};
const isolate = (context: FaultContext): Pair[] => {
  const id = context.pick(context.cluster.ids);
  return both([id], others(context, id));
};
const isolateLeader = (context: FaultContext): Pair[] => {
  const id = leaderOrAny(context);
  return both([id], others(context, id));
};
/** It is heard no more, and hears everything; or the other way round. */
const muteLeader = (context: FaultContext): Pair[] => {
  const id = leaderOrAny(context);
  return others(context, id).map((other) => [id, other]);
};
const deafLeader = (context: FaultContext): Pair[] => {
  const id = leaderOrAny(context);
  return others(context, id).map((other) => [other, id]);
};
const halves = (context: FaultContext): Pair[] => {
  const minority = context.sample(context.cluster.ids, context.cluster.ids.length - context.majority);
  return both(
    minority,
    context.cluster.ids.filter((id) => !minority.includes(id)),
  );
};
/** All but one lose each other; that one still reaches everybody. */
const bridge = (context: FaultContext): Pair[] => {
  const middle = context.pick(context.cluster.ids);
  const ends = others(context, middle);
  return both(ends, ends).filter((pair, at, all) => all.findIndex(([a, b]) => a === pair[0] && b === pair[1]) === at);
};
/** The leader and one follower lose each other, a third reaches both. */
const partial = (context: FaultContext): Pair[] => {
  const leader = leaderOrAny(context);
  return both([leader], [context.pick(others(context, leader))]);
};
const everything = (context: FaultContext): Pair[] => both(context.cluster.ids, context.cluster.ids);
const clientFromMember = (context: FaultContext): Pair[] =>
  context.clientHosts.length === 0
    ? []
    : both([context.pick(context.clientHosts)], [context.pick(context.cluster.ids)]);
const clientFromAll = (context: FaultContext): Pair[] =>
  context.clientHosts.length === 0 ? [] : both([context.pick(context.clientHosts)], context.cluster.ids);
const clientsAreMute = (context: FaultContext): Pair[] => {
  const id = leaderOrAny(context);
  return context.clientHosts.map((host) => [id, host]);
};

/** Packets take longer, and not all as long. */
function slows(name: string, weight: number, slowMost: number, jitterMost: number) {
  const begin = (context: FaultContext): BegunFault => {
    const { links, ids } = context.cluster;
    const from = context.chance(2) ? leaderOrAny(context) : context.pick(ids);
    const isClient = context.chance(4) && context.clientHosts.length > 0;
    const to = context.pick(isClient ? context.clientHosts : others(context, from));
    const slowMs = context.between(0, slowMost);
    const jitterMs = context.between(0, jitterMost);
    const forMs = context.between(500, 10_000);
    links.slow(from, to, slowMs, jitterMs);
    if (context.chance(2)) links.slow(to, from, slowMs, jitterMs);
    return {
      text: `packets between ${from} and ${to} take ${slowMs} to ${slowMs + jitterMs} ms more for ${forMs} ms`,
      forMs,
      mend: () => {
        links.slow(from, to, 0, 0);
        links.slow(to, from, 0, 0);
      },
    };
  };
  return { name, area: 'network', weight, begin } satisfies FaultKind;
}

const resets: FaultKind = {
  name: 'reset-streams',
  area: 'network',
  weight: 4,
  begin: (context) => {
    const a = context.pick(context.cluster.ids);
    const b = context.pick(others(context, a));
    context.cluster.network.breakStreams(a, b);
    return { text: `streams between ${a} and ${b} are reset` };
  },
};

/** One reset after the other: as a line that loses so much that connections do not live. */
const flapping: FaultKind = {
  name: 'flapping-link',
  area: 'network',
  weight: 2,
  begin: (context) => {
    const { world, cluster } = context;
    const a = leaderOrAny(context);
    const b = context.pick(others(context, a));
    const everyMs = 50 + context.below(400);
    const times = 3 + context.below(20);
    let isOver = false;
    const again = (left: number): void => {
      if (isOver) return;
      cluster.network.breakStreams(a, b);
      if (left > 0) world.setTimer(everyMs, () => again(left - 1));
    };
    again(times);
    return {
      text: `streams between ${a} and ${b} are reset ${times} times, each ${everyMs} ms`,
      forMs: everyMs * times,
      mend: () => {
        isOver = true;
      },
    };
  },
};

/** A batch that was sent once arrives again: on a stream of its own, or on the one that is open now. */
function replays(name: string, how: 'open' | 'later') {
  const begin = (context: FaultContext): BegunFault | undefined => {
    const { network } = context.cluster;
    const count = 1 + context.below(4);
    let done = 0;
    for (let i = 0; i < count && network.archive.length > 0; i++) {
      if (network.replay(context.pick(network.archive), how)) done++;
    }
    return done === 0 ? undefined : { text: `${done} old batches arrive again, ${how}` };
  };
  return { name, area: 'network', weight: 3, begin } satisfies FaultKind;
}

/** A name leads to another member than it should. */
const wrongMember: FaultKind = {
  name: 'wrong-member',
  area: 'network',
  weight: 1,
  begin: (context) => {
    const { cluster } = context;
    const [from, to, instead] = context.sample(cluster.ids, 3);
    if (from === undefined || to === undefined || instead === undefined) return undefined;
    const key = `${from} ${to}`;
    cluster.redirects.set(key, instead);
    cluster.member(to).suffered.add('address');
    cluster.network.breakStreams(from, to);
    const forMs = context.between(500, 6_000);
    return {
      text: `${from} finds ${instead} at the address of ${to} for ${forMs} ms`,
      forMs,
      mend: () => {
        cluster.redirects.delete(key);
        cluster.network.breakStreams(from, instead);
      },
    };
  },
};

/** A name leads to a member of that name, but of another cluster. */
const wrongCluster: FaultKind = {
  name: 'wrong-cluster',
  area: 'network',
  weight: 1,
  begin: (context) => {
    const { cluster } = context;
    const [from, to] = context.sample(cluster.ids, 2);
    if (from === undefined || to === undefined || cluster.redirects.has(`${from} ${to}`)) return undefined;
    // One that has not formed is right to stop where it finds a cluster that formed without it.
    if (cluster.members.some(({ life }) => life?.replica?.phase !== 'serving')) return undefined;
    const host = `foreign${context.number}`;
    const end = cluster.startForeign(to, host);
    cluster.redirects.set(`${from} ${to}`, host);
    cluster.member(to).suffered.add('address');
    cluster.network.breakStreams(from, to);
    const forMs = context.between(1_000, 6_000);
    return {
      text: `${from} finds a member ${to} of another cluster at its address for ${forMs} ms`,
      forMs,
      mend: () => {
        cluster.redirects.delete(`${from} ${to}`);
        end();
      },
    };
  },
};

export const networkFaults: readonly FaultKind[] = [
  cuts('cut-one-way', 4, 8_000, oneWay),
  cuts('cut-link', 4, 10_000, oneLink),
  cuts('isolate-one', 3, 8_000, isolate),
  cuts('isolate-leader', 5, 8_000, isolateLeader),
  cuts('mute-leader', 3, 6_000, muteLeader),
  cuts('deaf-leader', 3, 6_000, deafLeader),
  cuts('split', 3, 8_000, halves),
  cuts('bridge', 2, 8_000, bridge),
  cuts('partial', 3, 8_000, partial),
  cuts('cut-everything', 1, 4_000, everything),
  cuts('cut-client-from-member', 3, 10_000, clientFromMember),
  cuts('cut-client-from-all', 2, 10_000, clientFromAll),
  cuts('answers-lost', 2, 5_000, clientsAreMute),
  slows('slow-link', 6, 400, 200),
  slows('jitter', 3, 5, 300),
  slows('clog', 2, 5_000, 100),
  resets,
  flapping,
  replays('replay-late', 'later'),
  replays('replay-open', 'open'),
  wrongMember,
  wrongCluster,
];
