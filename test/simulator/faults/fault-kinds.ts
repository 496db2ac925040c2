import { must } from '../../../src/base/assert.ts';
import type { Random } from '../../../src/base/random.ts';
import type { SimCluster, SimMember } from '../cluster/sim-cluster.ts';
import type { WorldClock } from '../world/world-clock.ts';

/** What one fault works with. Its draws are its own: leaving out another fault moves none of them. */
export class FaultContext {
  /** Which of the run's faults it is. */
  readonly number: number;
  readonly cluster: SimCluster;
  readonly world: WorldClock;
  readonly clientHosts: readonly string[];
  /** Names of the faults that are under way. */
  readonly active: ReadonlySet<string>;
  /** For the story, and for what runs have come into. */
  readonly note: (text: string) => void;
  /** For the story alone. */
  readonly detail: (text: string) => void;
  readonly #random: Random;

  constructor(options: {
    readonly number: number;
    readonly cluster: SimCluster;
    readonly world: WorldClock;
    readonly clientHosts: readonly string[];
    readonly active: ReadonlySet<string>;
    readonly random: Random;
    readonly note: (text: string) => void;
    readonly detail: (text: string) => void;
  }) {
    this.number = options.number;
    this.cluster = options.cluster;
    this.world = options.world;
    this.clientHosts = options.clientHosts;
    this.active = options.active;
    this.#random = options.random;
    this.note = options.note;
    this.detail = options.detail;
  }

  below(limit: number): number {
    return this.#random.below('fault', limit);
  }

  /** From `least` to below `most`; short times are likelier. */
  between(least: number, most: number): number {
    const share = (this.below(1_000) * this.below(1_000)) / 1_000_000;
    return Math.floor(least + share * (most - least));
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return must(items[this.below(items.length)], 'something to pick');
  }

  /** The leader or any other, as likely. */
  victim(members: readonly SimMember[]): SimMember | undefined {
    if (members.length === 0) return undefined;
    const { leader } = this.cluster;
    return leader !== undefined && members.includes(leader) && this.chance(2) ? leader : this.pick(members);
  }

  /** As many as given, in random order. */
  sample<T>(items: readonly T[], count: number): readonly T[] {
    const left = [...items];
    const taken: T[] = [];
    while (taken.length < count && left.length > 0) taken.push(...left.splice(this.below(left.length), 1));
    return taken;
  }

  get majority(): number {
    return Math.floor(this.cluster.membership.voters.length / 2) + 1;
  }
}

/** A fault that has begun. */
export interface BegunFault {
  /** What happened, for the story. */
  readonly text: string;
  /** It ends by itself after so long; absent: it was over at once. */
  readonly forMs?: number;
  readonly mend?: () => void;
  /** It may be over earlier. */
  readonly until?: Promise<unknown>;
}

export interface FaultKind {
  readonly name: string;
  /** What it is about: profiles weigh by it. */
  readonly area: 'process' | 'network' | 'disk' | 'directory' | 'clock' | 'membership';
  readonly weight: number;
  /** Undefined where it does not fit now. */
  begin(context: FaultContext): BegunFault | undefined;
}
