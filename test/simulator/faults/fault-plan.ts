import { must } from '../../../src/base/assert.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import type { SimCluster } from '../cluster/sim-cluster.ts';
import type { SimEvent } from '../types.ts';
import type { WorldClock } from '../world/world-clock.ts';
import { allFaults } from './all-faults.ts';
import { FaultContext, type FaultKind } from './fault-kinds.ts';

/** How much of each kind of fault a run gets. */
export interface FaultMix {
  readonly count: number;
  readonly weights: { readonly [Area in FaultKind['area']]: number };
  /** Only these, where it is given: a swarm draws it for each seed. */
  readonly names?: ReadonlySet<string>;
}

export interface FaultPlanOptions {
  readonly seed: number;
  readonly mix: FaultMix;
  /** Faults begin within [fromMs, toMs). */
  readonly fromMs: number;
  readonly toMs: number;
  readonly cluster: SimCluster;
  readonly world: WorldClock;
  readonly clientHosts: readonly string[];
  readonly tell: (event: SimEvent) => void;
  /** Numbers of faults that are left out. */
  readonly without: ReadonlySet<number>;
}

interface Active {
  readonly number: number;
  readonly name: string;
  readonly mend: () => void;
}

const triesMax = 6;

/** When the faults of a run come, whichever they will be; also of those that are left out. */
export function faultTimes({
  seed,
  mix,
  fromMs,
  toMs,
}: Pick<FaultPlanOptions, 'seed' | 'mix' | 'fromMs' | 'toMs'>): number[] {
  const times = new SeededRandom(seed);
  const spanMs = toMs - fromMs;
  return Array.from({ length: mix.count }, () => {
    // In bursts: faults that meet find more than faults that follow each other.
    const inBurst = times.below('fault-burst', 3) === 0;
    return fromMs + (inBurst ? inOneBurst(times, spanMs) : times.below('fault-time', spanMs));
  });
}

function inOneBurst(times: SeededRandom, spanMs: number): number {
  const bursts = 4;
  const burst = times.below('fault-which-burst', bursts);
  const width = Math.min(3_000, spanMs / bursts);
  return Math.floor((burst * spanMs) / bursts + times.below('fault-in-burst', Math.max(1, Math.floor(width))));
}

/**
 * The faults of one run. When each comes is drawn beforehand; which one it is, when it comes. Each has draws of its
 * own, so that one can be left out without changing the others.
 */
export class FaultPlan {
  readonly #options: FaultPlanOptions;
  readonly #active = new Map<number, Active>();
  readonly #kinds: readonly FaultKind[];
  readonly #weightSum: number;
  readonly begun = new Map<string, number>();

  constructor(options: FaultPlanOptions) {
    this.#options = options;
    const { mix } = options;
    this.#kinds = allFaults.filter(
      ({ name, area }) => mix.weights[area] > 0 && (mix.names === undefined || mix.names.has(name)),
    );
    this.#weightSum = this.#kinds.reduce((sum, kind) => sum + this.#weight(kind), 0);
  }

  /** Names of those under way. */
  get active(): ReadonlySet<string> {
    return new Set([...this.#active.values()].map(({ name }) => name));
  }

  schedule(): void {
    const { world, without } = this.#options;
    for (const [i, atMs] of faultTimes(this.#options).entries()) {
      const number = i + 1;
      if (this.#weightSum > 0 && !without.has(number)) world.at(atMs, () => this.#begin(number));
    }
  }

  /** Everything that was done is undone, as far as it can be. */
  mendAll(): void {
    for (const active of this.#active.values()) this.#end(active);
  }

  #begin(number: number): void {
    const { seed, cluster, world, clientHosts, tell } = this.#options;
    const random = new SeededRandom(seed * 1_000 + number);
    const active = this.active;
    const context = new FaultContext({
      number,
      cluster,
      world,
      clientHosts,
      active,
      random,
      note: (text) => tell({ kind: 'note', text }),
      detail: (text) => tell({ kind: 'detail', text: `fault ${number}: ${text}` }),
    });
    for (let i = 0; i < triesMax; i++) {
      const kind = this.#draw(context);
      const begun = kind.begin(context);
      if (begun === undefined) continue;
      const { name } = kind;
      this.begun.set(name, (this.begun.get(name) ?? 0) + 1);
      tell({ kind: 'fault', number, name, text: begun.text });
      if (begun.forMs === undefined) return;
      const under = { number, name, mend: begun.mend ?? ((): void => undefined) };
      this.#active.set(number, under);
      world.setTimer(begun.forMs, () => this.#end(under));
      void begun.until?.then(() => this.#end(under));
      return;
    }
  }

  #end(active: Active): void {
    if (!this.#active.delete(active.number)) return;
    active.mend();
    const { number, name } = active;
    this.#options.tell({ kind: 'mended', number, name, text: '' });
  }

  #draw(context: FaultContext): FaultKind {
    let left = context.below(this.#weightSum);
    for (const kind of this.#kinds) {
      left -= this.#weight(kind);
      if (left < 0) return kind;
    }
    return must(this.#kinds[0], 'a kind of fault');
  }

  #weight({ area, weight }: FaultKind): number {
    return Math.round(10 * weight * this.#options.mix.weights[area]);
  }
}
