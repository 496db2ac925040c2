import { must } from '../../../src/base/assert.ts';
import type { Timer } from '../../../src/base/clock.ts';
import type { Recorder } from '../types.ts';
import type { MemoryWire } from '../wire/memory-wire.ts';
import type { WorldClock } from '../world/world-clock.ts';
import type { ActionMix } from './actions.ts';
import { act } from './actions.ts';
import { ClientHost } from './client-host.ts';
import type { ClientProcess, ClientWorld } from './client-process.ts';
import { Draw, seedFor } from './draw.ts';
import { instanceOf, KeySpace } from './keys.ts';
import { answered } from './outcomes.ts';

export interface WorkloadMix extends ActionMix {
  /** In all, spread evenly over the time. */
  readonly actions: number;
  /** How many times as long as usual leases live. */
  readonly ttlScale: number;
  /** Hosts with one process each. */
  readonly clients: number;
}

export interface WorkloadOptions {
  readonly seed: number;
  readonly world: WorldClock;
  readonly wire: MemoryWire;
  readonly recorder: Recorder;
  /** `host:port` of each member. */
  readonly addresses: readonly string[];
  readonly mix: WorkloadMix;
  /** From `start` to the last action, ms. */
  readonly durationMs: number;
  /** When something else happens: clients are busiest then. From `start`, ms; default: never. */
  readonly momentsMs?: readonly number[];
  /** An action to leave out, by its ordinal: all others stay as they are. Default: none. */
  readonly leavesOut?: (ordinal: number) => boolean;
  /** What no client may ever be told: a breach. */
  readonly onFault: (text: string) => void;
}

/** A process with more calls open takes on no more, so that a long outage opens no endless history. */
const openOperationsMax = 16;

/** How many actions come about a moment at which something happens, and how close, ms. */
const togetherShare = 0.35;
const beforeMs = 15;
const behindMs = 15;

/** How often it is looked what sessions were answered, ms. */
const lookEveryMs = 200;

/** Ordinals of what is drawn beside the actions. */
const hostDraws = 1_000_000;

/**
 * What clients do in one run: drawn by its seed and an ordinal for each action, at instants of true time, by processes
 * that fail, stand still and are replaced. Nothing here waits for anything but its own calls.
 */
export class Workload {
  readonly hosts: readonly ClientHost[];
  readonly #options: WorkloadOptions;
  readonly #world: ClientWorld;
  readonly #timers = new Set<Timer>();
  #probes = 0;
  /** Actions that were begun. */
  actions = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    const { wire, recorder, onFault, mix } = options;
    this.#world = {
      wire,
      recorder,
      // As they are when a process starts.
      get addresses() {
        return options.addresses;
      },
      onFault,
      keys: new KeySpace(),
      ttlScale: mix.ttlScale,
    };
    this.hosts = Array.from({ length: mix.clients }, (_, n) => this.#host(`c${n + 1}`, n));
  }

  /** Names of the hosts, for links. */
  get hostNames(): readonly string[] {
    return this.hosts.map(({ name }) => name);
  }

  /** Operations of living processes that have no outcome yet. */
  get openOperations(): number {
    return this.hosts.reduce((sum, { processes }) => sum + openIn(processes), 0);
  }

  start(): void {
    const { seed, mix, durationMs, leavesOut, world } = this.#options;
    this.#look();
    const beginMs = world.monotonicMs();
    for (let ordinal = 0; ordinal < mix.actions; ordinal += 1) {
      if (leavesOut?.(ordinal) === true) continue;
      const draw = new Draw(seed, ordinal);
      const atMs = this.#momentOf(draw) ?? draw.below(1_000_000) * (durationMs / 1_000_000);
      const timer = world.at(beginMs + atMs, () => {
        this.#timers.delete(timer);
        this.#act(draw);
      });
      this.#timers.add(timer);
    }
  }

  /** No more actions; every host has one process that runs, and its readers keep up. What is open goes on. */
  mend(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const host of this.hosts) host.mend();
  }

  /** One acknowledged write, by a client of its own: whether there was one within its time. */
  async probe(timeoutMs: number = 10_000): Promise<boolean> {
    this.#probes += 1;
    const host = this.#host(`probe${this.#probes}`, this.hosts.length + this.#probes, timeoutMs);
    const { process } = host;
    const key = 'default/probe/one';
    const value = this.#world.recorder.next('value');
    const action = { kind: 'register', key, value, lifetime: 'persistent', leaseId: 0, ttlMs: 0 } as const;
    const outcome = await process.call({ ...action, restore: false, ifAbsent: false, ifIncarnation: 0 }, async () => {
      const instance = instanceOf(key, value);
      const { header, incarnation, replaced } = await process.client.register({
        instance,
        lifetime: { persistent: true },
      });
      return { ...answered(header), incarnation, replaced };
    });
    process.client.close();
    return outcome?.kind === 'ok';
  }

  /** When all is quiet: what each session believes to hold. */
  tellHoldings(): void {
    for (const { process } of this.hosts) process.tellHoldings();
  }

  /** All processes end, as at the end of a run. */
  end(): void {
    this.mend();
    for (const { process } of this.hosts) process.crash();
  }

  /** Some actions come together, so that a fault finds calls under way. */
  #momentOf(draw: Draw): number | undefined {
    const { momentsMs = [] } = this.#options;
    if (momentsMs.length === 0 || !draw.chance(togetherShare)) return undefined;
    return Math.max(0, draw.pick(momentsMs) + draw.within(-beforeMs, behindMs) + draw.below(1_000) / 1_000);
  }

  #look(): void {
    for (const { processes } of this.hosts) for (const process of processes) process.tellLives();
    this.#options.world.setTimer(lookEveryMs * this.#world.ttlScale, () => this.#look());
  }

  #act(draw: Draw): void {
    const host = must(this.hosts[draw.below(this.hosts.length)], 'host of a client');
    const { process } = host;
    if (!process.isAwake || process.openOperations >= openOperationsMax) return;
    this.actions += 1;
    act(host, draw, this.#options.mix).catch((error: unknown) => {
      this.#options.onFault(`an action of ${process.name} failed: ${String(error)}`);
    });
  }

  #host(name: string, n: number, callTimeoutMs?: number): ClientHost {
    const { seed, world } = this.#options;
    const draw = new Draw(seed, hostDraws + n);
    return new ClientHost({
      name,
      world: this.#world,
      clock: world,
      seed: seedFor(seed, hostDraws + n),
      rate: draw.chance(0.5) ? 1 : draw.within(90, 110) / 100,
      callTimeoutMs: callTimeoutMs ?? draw.within(2_000, 10_000),
      attemptTimeoutMs: draw.within(800, 3_000),
      windowBytes: draw.chance(0.4) ? 65_535 : draw.pick([200, 1_000, 4_000]),
    });
  }
}

function openIn(processes: readonly ClientProcess[]): number {
  return processes.reduce((sum, { openOperations }) => sum + openOperations, 0);
}
