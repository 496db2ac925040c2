import { RollcallError } from '../../../src/base/errors.ts';
import type { SimCluster, SimMember } from '../cluster/sim-cluster.ts';
import type { Life, ServedMember } from '../cluster/sim-member.ts';
import { MemoryWire } from '../wire/memory-wire.ts';
import type { ServingProcess } from '../wire/serving-process.ts';
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
  readonly #wire: MemoryWire;
  readonly #serving = new Map<string, ServingProcess>();
  readonly hosts: readonly string[] = [];
  /** Behind the end of all calls: as long as a lease may still last. */
  readonly restMs = 5_000;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    const { links } = options.cluster;
    this.#wire = new MemoryWire({
      world: options.world,
      delayMs: (from, to) => links.delayMs(from, to),
      isCut: (from, to) => links.isCut(from, to),
    });
  }

  /** A life of a member has its parts: its front end listens from now on. */
  serve(member: SimMember, life: Life, services: ServedMember): void {
    const { registry, cluster } = services;
    const onFatal = (error: unknown): void => life.fatal(error);
    this.#serving.set(member.id, this.#wire.serve(member.id, { clock: life.clock, registry, cluster, onFatal }));
  }

  /** The member ends in order: its clients go to others. */
  async release(member: SimMember, graceMs: number): Promise<void> {
    await this.#serving.get(member.id)?.close(graceMs);
  }

  gone(member: SimMember): void {
    this.#serving.get(member.id)?.kill();
    this.#serving.delete(member.id);
  }

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
