import type { ProcessCluster } from '../cluster/process-cluster.ts';
import type { FuzzRun } from './fuzz-run.ts';
import type { Probe } from './probe.ts';
import type { Vitals } from './vitals.ts';
import { LowWater, vitalsOf } from './vitals.ts';

const sampleMs = 2_000;
const mib = 1024 * 1024;

/**
 * What a member may hold more of after the run than in its first twentieth: the history of changes for watches (64 MiB
 * at most), and the room that collectors and allocators leave between them.
 */
export const residentGrowthMax = 160 * mib;
export const heapGrowthMax = 48 * mib;
/** Between the sixth and seventh tenth of the run and its last two: what grows on and on grows here too. */
export const trendGrowthMax = 32 * mib;
const windowsCount = 10;

interface Sample {
  readonly requests: number;
  readonly vitals: Vitals;
}

/** Reads the members' vital signs through a run, and judges them at its end. */
export class Watchman {
  readonly #cluster: ProcessCluster;
  readonly #run: FuzzRun;
  readonly #say: (line: string) => void;
  readonly #samples = new Map<string, Sample[]>();
  readonly #baseline = new Map<string, Vitals>();
  readonly #after = new Map<string, Vitals>();
  #warmAt = 0;
  #done: Promise<void> | undefined;
  #ended = false;
  #lastRequests = 0;
  #lastMs = 0;

  constructor(cluster: ProcessCluster, run: FuzzRun, say: (line: string) => void) {
    this.#cluster = cluster;
    this.#run = run;
    this.#say = say;
  }

  async begin(): Promise<void> {
    for (const [id, vitals] of await this.#all()) this.#baseline.set(id, vitals);
    this.#lastMs = performance.now();
    this.#lastRequests = this.#run.requests;
    this.#done = this.#watch();
  }

  /** From here on memory counts. */
  warm(): void {
    this.#warmAt = this.#run.requests;
  }

  /** Ends the samples. */
  stop(): void {
    this.#ended = true;
  }

  /** Waits, the probe still at work, then takes what is left. */
  async settle(ms: number, probe: Probe): Promise<void> {
    this.#ended = true;
    await this.#done;
    await new Promise((resolve) => setTimeout(resolve, ms));
    const low = new Map([...this.#samples.keys()].map((id) => [id, new LowWater()]));
    for (let i = 0; i < 8; i++) {
      for (const [id, vitals] of await this.#all()) low.get(id)?.add(vitals);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await probe.stop();
    for (const [id, { value }] of low) if (value !== undefined) this.#after.set(id, value);
  }

  /** True once no member has a connection, stream, watch or call of a client any more. */
  async alone(): Promise<true | undefined> {
    const all = await this.#all();
    const busy = [...all.values()].some(
      ({ streams, watches, callsInFlight, connections }) => streams + watches + callsInFlight > 0 || connections > 1,
    );
    return busy ? undefined : true;
  }

  /** Rows of the report: a member's memory, MiB, before, in each tenth of the run, and after. */
  rows(): { id: string; before: Vitals; windows: (Vitals | undefined)[]; after: Vitals }[] {
    return [...this.#baseline].flatMap(([id, before]) => {
      const after = this.#after.get(id);
      return after === undefined ? [] : [{ id, before, windows: this.#windows(id), after }];
    });
  }

  faults(): string[] {
    return this.rows().flatMap(({ id, before, windows, after }) => {
      const warm = windows[0] ?? before;
      const faults: string[] = [];
      const check = (what: string, grown: number, most: number): void => {
        if (grown > most) faults.push(`member ${id}: ${what} grew by ${mibOf(grown)} MiB, at most ${mibOf(most)}`);
      };
      check('resident memory', after.residentBytes - warm.residentBytes, residentGrowthMax);
      check('heap', after.heapUsedBytes - warm.heapUsedBytes, heapGrowthMax);
      check(
        'heap over the run',
        trend(windows, ({ heapUsedBytes }) => heapUsedBytes),
        trendGrowthMax,
      );
      check(
        'memory beside the heap over the run',
        trend(windows, ({ externalBytes }) => externalBytes),
        trendGrowthMax,
      );
      // The peers' own connections come and go; what clients opened is gone.
      if (after.sockets > before.sockets + 4) {
        faults.push(`member ${id}: ${after.sockets} open sockets, before ${before.sockets}`);
      }
      return faults;
    });
  }

  async #watch(): Promise<void> {
    while (!this.#ended) {
      await new Promise((resolve) => setTimeout(resolve, sampleMs));
      try {
        const all = await this.#all();
        for (const [id, vitals] of all) this.#keep(id, { requests: this.#run.requests, vitals });
        this.#progress(all);
      } catch (error) {
        this.#say(`no metrics: ${String(error)}`);
      }
    }
  }

  #progress(all: ReadonlyMap<string, Vitals>): void {
    const nowMs = performance.now();
    const rate = ((this.#run.requests - this.#lastRequests) * 1_000) / (nowMs - this.#lastMs);
    if (nowMs - this.#lastMs < 9_000) return;
    this.#lastRequests = this.#run.requests;
    this.#lastMs = nowMs;
    const memory = [...all].map(([id, { residentBytes, heapUsedBytes, externalBytes }]) => {
      const parts = [residentBytes, heapUsedBytes, externalBytes].map(mibOf);
      return `${id} ${parts.join('/')}`;
    });
    this.#say(
      `${this.#run.requests} requests, ${Math.round(rate)}/s, ${this.#run.breaches} breaches, ` +
        `${this.#run.lostConnections} connections lost; MiB resident/heap/external: ${memory.join(', ')}`,
    );
  }

  #keep(id: string, sample: Sample): void {
    const known = this.#samples.get(id);
    if (known === undefined) this.#samples.set(id, [sample]);
    else known.push(sample);
  }

  /** The low water of each tenth of what was sent since `warm`. */
  #windows(id: string): (Vitals | undefined)[] {
    const samples = (this.#samples.get(id) ?? []).filter(({ requests }) => requests > this.#warmAt);
    const windows = Array.from({ length: windowsCount }, () => new LowWater());
    const size = Math.max(1, this.#run.requests - this.#warmAt) / windowsCount;
    for (const { requests, vitals } of samples) {
      windows[Math.min(windowsCount - 1, Math.floor((requests - this.#warmAt) / size))]?.add(vitals);
    }
    return windows.map(({ value }) => value);
  }

  async #all(): Promise<Map<string, Vitals>> {
    const pairs = await Promise.all(
      this.#cluster.members.map(async ({ id, http }) => {
        const pid = this.#cluster.pidOf(id);
        if (pid === undefined) throw new Error(`member ${id} does not run`);
        return [id, await vitalsOf(pid, http)] as const;
      }),
    );
    return new Map(pairs);
  }
}

export function mibOf(bytes: number): number {
  return Math.round(bytes / mib);
}

/** How much more in the last two tenths than in the sixth and seventh; 0 for a run too short to say. */
function trend(windows: readonly (Vitals | undefined)[], figure: (vitals: Vitals) => number): number {
  const least = (from: number, to: number): number | undefined => {
    const figures = windows.slice(from, to).flatMap((vitals) => (vitals === undefined ? [] : [figure(vitals)]));
    return figures.length === 0 ? undefined : Math.min(...figures);
  };
  const [before, last] = [least(5, 7), least(8, 10)];
  return before === undefined || last === undefined ? 0 : last - before;
}
