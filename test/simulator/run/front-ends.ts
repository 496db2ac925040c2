import type { SimMember } from '../cluster/sim-cluster.ts';
import type { Life, ServedMember } from '../cluster/sim-member.ts';
import { MemoryWire } from '../wire/memory-wire.ts';
import type { ServingProcess } from '../wire/serving-process.ts';
import type { Links } from '../world/links.ts';
import type { WorldClock } from '../world/world-clock.ts';

/** Where members listen for their clients: a wire that bends with the links. */
export class FrontEnds {
  readonly wire: MemoryWire;
  readonly #serving = new Map<string, ServingProcess>();
  constructor(world: WorldClock, links: Links) {
    this.wire = new MemoryWire({
      world,
      delayMs: (from, to) => links.delayMs(from, to),
      isCut: (from, to) => links.isCut(from, to),
    });
  }

  /** A life of a member has its parts: its front end listens from now on. */
  serve(member: SimMember, life: Life, services: ServedMember): void {
    const { registry, cluster } = services;
    const onFatal = (error: unknown): void => life.fatal(error);
    this.#serving.set(member.id, this.wire.serve(member.id, { clock: life.clock, registry, cluster, onFatal }));
  }

  /** The member ends in order: its clients go to others. */
  async release(member: SimMember, graceMs: number): Promise<void> {
    await this.#serving.get(member.id)?.close(graceMs);
  }

  gone(member: SimMember): void {
    this.#serving.get(member.id)?.kill();
    this.#serving.delete(member.id);
  }
}
