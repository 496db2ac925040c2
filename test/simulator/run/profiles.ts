import type { Random } from '../../../src/base/random.ts';
import { replicaTimes } from '../../../src/replica/times.ts';
import { stateMachineBounds } from '../../../src/state-machine/types.ts';
import type { MemberSetup } from '../cluster/sim-member.ts';
import { allFaults } from '../faults/all-faults.ts';
import type { FaultMix } from '../faults/fault-plan.ts';

export const profileNames = ['mixed', 'soak', 'chaos', 'storage', 'leases', 'watch', 'swarm'] as const;

export type ProfileName = (typeof profileNames)[number];

/** What clients do, in calls a second of virtual time and shares of kinds. */
export interface WorkMix {
  /** Actions of all clients together, in the safety phase. */
  readonly actions: number;
  readonly clients: number;
  /** How many times as long as usual leases live, and marks of progress are apart. */
  readonly ttlScale: number;
  /** Shares: of unary writes, reads, leases, sessions and watches. */
  readonly writes: number;
  readonly reads: number;
  readonly leases: number;
  readonly sessions: number;
  readonly watches: number;
}

/** All that one run is set up by; drawn from its seed. */
export interface RunPlan {
  readonly seed: number;
  readonly profile: ProfileName;
  readonly ids: readonly string[];
  readonly safetyMs: number;
  readonly setup: MemberSetup;
  readonly faults: FaultMix;
  readonly work: WorkMix;
  /** Milliseconds that a process stays down, at most. */
  readonly restartMsMax: number;
  readonly syncMsMax: number;
}

const even = { process: 1, network: 1, disk: 1, directory: 1, clock: 1, membership: 1 };
const mixedWork = { ttlScale: 1, clients: 6, writes: 5, reads: 4, leases: 2, sessions: 4, watches: 1 };

const dense = [50, 100, 200, 200] as const;

interface Shape {
  readonly safetyMs: number;
  /** One of these for each seed. */
  readonly tickMs: readonly [number, ...number[]];
  readonly actions: number;
  readonly faults: number;
  readonly weights: FaultMix['weights'];
  readonly work: Omit<WorkMix, 'actions'>;
}

/** Every other seed of `mixed`: half an hour, in which what takes long has the time to meet what is rare. */
const slowMixed: Shape = {
  safetyMs: 1_800_000,
  tickMs: [200, 200, 500],
  actions: 1_200,
  faults: 140,
  weights: even,
  work: { ...mixedWork, ttlScale: 6 },
};

const shapes: { readonly [Name in ProfileName]: Shape } = {
  mixed: { safetyMs: 90_000, tickMs: dense, actions: 1_200, faults: 28, weights: even, work: mixedWork },
  soak: {
    safetyMs: 3_600_000,
    tickMs: [500],
    actions: 600,
    faults: 40,
    weights: { process: 2, network: 2, disk: 1, directory: 0.5, clock: 1, membership: 2 },
    work: { ...mixedWork, ttlScale: 10, clients: 4, leases: 1, sessions: 2 },
  },
  chaos: {
    safetyMs: 60_000,
    tickMs: dense,
    actions: 800,
    faults: 60,
    weights: { process: 3, network: 3, disk: 1, directory: 0.3, clock: 1, membership: 2 },
    work: mixedWork,
  },
  storage: {
    safetyMs: 60_000,
    tickMs: dense,
    actions: 800,
    faults: 30,
    weights: { process: 2, network: 0.3, disk: 4, directory: 3, clock: 0, membership: 0.3 },
    work: mixedWork,
  },
  leases: {
    safetyMs: 90_000,
    tickMs: dense,
    actions: 800,
    faults: 20,
    weights: { process: 3, network: 2, disk: 0.5, directory: 0.2, clock: 3, membership: 0.5 },
    work: { ...mixedWork, writes: 1, reads: 2, leases: 6, sessions: 6 },
  },
  watch: {
    safetyMs: 60_000,
    tickMs: dense,
    actions: 1_200,
    faults: 16,
    weights: even,
    work: { ...mixedWork, writes: 8, reads: 1, leases: 1, sessions: 2, watches: 6 },
  },
  swarm: { safetyMs: 90_000, tickMs: dense, actions: 1_150, faults: 30, weights: even, work: mixedWork },
};

/** Draws what one run is like. Most clusters have three members; some five, some one thread more. */
export function planRun(seed: number, profile: ProfileName, random: Random): RunPlan {
  const shape = profile === 'mixed' && random.below('pace', 2) === 0 ? slowMixed : shapes[profile];
  const below = (limit: number): number => random.below('plan', limit);
  const pick = <T>(items: readonly [T, ...T[]]): T => items[below(items.length)] ?? items[0];
  const swarm = profile === 'swarm';
  const small = below(2) === 0;
  const names = new Set(allFaults.filter(() => below(3) === 0).map(({ name }) => name));
  const share = (usual: number): number => (swarm ? below(7) : usual);
  const { work } = shape;
  return {
    seed,
    profile,
    ids: below(8) === 0 ? ['a', 'b', 'c', 'd', 'e'] : ['a', 'b', 'c'],
    safetyMs: shape.safetyMs,
    setup: {
      times: replicaTimes(pick(shape.tickMs), 2, 10, 20),
      segmentBytes: 64 * 1024,
      logKeepBytes: small ? pick([8, 16, 32]) * 1024 : 1024 * 1024,
      flushIntervalMs: pick([50, 100, 200, 1_000]),
      watchBacklogBytesMax: pick([2, 8, 64]) * 1024,
      bounds: { ...stateMachineBounds, historyRevisionsMax: pick([40, 200, 100_000]) },
      twoThreads: below(6) === 0,
    },
    faults: {
      count: swarm ? 10 + below(2 * shape.faults) : shape.faults,
      weights: shape.weights,
      ...(swarm && names.size > 3 ? { names } : {}),
    },
    work: {
      actions: shape.actions,
      clients: work.clients,
      ttlScale: work.ttlScale,
      writes: share(work.writes) + 1,
      reads: share(work.reads) + 1,
      leases: share(work.leases),
      sessions: share(work.sessions),
      watches: share(work.watches),
    },
    restartMsMax: pick([200, 1_000, 3_000]),
    syncMsMax: pick([0, 2, 5, 25]),
  };
}
