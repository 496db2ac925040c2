import { RollcallError } from '../../../src/base/errors.ts';
import type { MemberServices } from '../../../src/server/member-services.ts';
import type { SimCluster, SimMember } from '../cluster/sim-cluster.ts';
import type { Life } from '../cluster/sim-member.ts';
import type { WorldClock } from '../world/world-clock.ts';
import type { RunPlan } from './profiles.ts';
import type { RunRecorder } from './recorder.ts';

export interface WorkloadOptions {
  readonly plan: RunPlan;
  readonly world: WorldClock;
  readonly cluster: SimCluster;
  readonly recorder: RunRecorder;
  readonly without: ReadonlySet<number>;
}

/** What clients do to a cluster in a run. */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly hosts: readonly string[] = [];
  /** Behind the end of all calls: as long as a lease may still last. */
  readonly restMs = 5_000;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  serve(_member: SimMember, _life: Life, _services: MemberServices): void {}

  start(_forMs: number): void {}

  quiesce(): void {}

  /** A write that is repeated until it is acknowledged. */
  probe(): { readonly done: boolean } {
    const outcome = { done: false };
    const { cluster, world } = this.#options;
    const attempt = (): void => {
      const replica = cluster.leader?.life?.replica;
      const again = (): void => void world.setTimer(100, attempt);
      if (replica === undefined) return again();
      const body = { kind: 'grant-lease', ttlMs: 60_000 } as const;
      replica.execute({ actor: 'probe', origin: 'probe', reason: '', requestId: '', body }).then(
        () => {
          outcome.done = true;
        },
        (error: unknown) => {
          if (!(error instanceof RollcallError)) throw error;
          again();
        },
      );
    };
    attempt();
    return outcome;
  }
}
