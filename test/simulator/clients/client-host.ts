import type { KeyText } from '../types.ts';
import { MachineClock } from '../world/process-clock.ts';
import type { WorldClock } from '../world/world-clock.ts';
import type { ClientWorld } from './client-process.ts';
import { ClientProcess } from './client-process.ts';
import { seedFor } from './draw.ts';
import { SimSession } from './sim-session.ts';
import type { WatchScope } from './sim-watch.ts';
import { SimWatch } from './sim-watch.ts';

/** How the processes of one host are made. */
export interface HostOptions {
  readonly name: string;
  readonly world: ClientWorld;
  readonly clock: WorldClock;
  readonly seed: number;
  /** Of its clock against true time. */
  readonly rate: number;
  readonly callTimeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly windowBytes: number;
}

/** The machine of one client: its clock, the process that runs on it, and one that should not run any more. */
export class ClientHost {
  readonly name: string;
  readonly machine: MachineClock;
  readonly #options: HostOptions;
  #process: ClientProcess;
  #started = 0;
  /** Stands still while another process does its work, and goes on one day. */
  #former: ClientProcess | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.name = options.name;
    this.machine = new MachineClock(options.clock, options.rate);
    this.#process = this.#start();
  }

  get process(): ClientProcess {
    return this.#process;
  }

  get processes(): readonly ClientProcess[] {
    return this.#former === undefined ? [this.#process] : [this.#process, this.#former];
  }

  /** The process ends without a word, and another one is there after a while and does its work. */
  crash(restartAfterMs: number, newValue: () => number): void {
    const left = leftBy(this.#process);
    this.#process.crash();
    this.#options.clock.setTimer(restartAfterMs, () => {
      if (!this.#process.isOver) return;
      this.#process = this.#start();
      void takeOver(this.#process, left, newValue);
    });
  }

  freeze(forMs: number): void {
    const process = this.#process;
    process.clock.freeze();
    this.#options.clock.setTimer(forMs, () => process.clock.thaw());
  }

  /**
   * The process is taken for dead: another one does its work. Then it goes on, and lives for a while beside the other,
   * from which it must not take anything back.
   */
  replace(frozenMs: number, besideMs: number, newValue: () => number): void {
    if (this.#former !== undefined) return;
    const former = this.#process;
    const left = leftBy(former);
    former.clock.freeze();
    this.#former = former;
    this.#process = this.#start();
    void takeOver(this.#process, left, newValue);
    const { clock } = this.#options;
    clock.setTimer(frozenMs, () => former.clock.thaw());
    clock.setTimer(frozenMs + besideMs, () => this.#endFormer());
  }

  /** Everything that was done to it is undone: one process that runs, with readers that keep up. */
  mend(): void {
    this.#endFormer();
    this.machine.setRate(1);
    if (this.#process.isOver) this.#process = this.#start();
    this.#process.clock.thaw();
    this.#process.watchPauseMs = 0;
    for (const watch of this.#process.watches) watch.pauseMs = 0;
  }

  #endFormer(): void {
    this.#former?.crash();
    this.#former = undefined;
  }

  #start(): ClientProcess {
    const { name, world, seed, callTimeoutMs, attemptTimeoutMs, windowBytes } = this.#options;
    this.#started += 1;
    return new ClientProcess({
      world,
      host: name,
      number: this.#started,
      machine: this.machine,
      seed: seedFor(seed, this.#started),
      callTimeoutMs,
      attemptTimeoutMs,
      windowBytes,
    });
  }
}

/** What is taken over by an explicit start: some of what the process before had in its sessions. */
const takenOverMax = 3;

/** What a process leaves to the one that does its work behind it. */
interface Legacy {
  readonly keys: readonly KeyText[];
  /** Where a watch stood that had been read so far. */
  readonly watch: WatchScope | undefined;
}

function leftBy({ sessions, watches }: ClientProcess): Legacy {
  const keys = sessions.flatMap(({ started }) => [...started]).slice(-takenOverMax);
  const watch = watches.find(({ revision }) => revision > 0);
  return { keys, watch: watch === undefined ? undefined : { ...watch.scope, since: watch.revision } };
}

async function takeOver(process: ClientProcess, { keys, watch }: Legacy, newValue: () => number): Promise<void> {
  if (watch !== undefined) new SimWatch(process, watch, 0);
  if (keys.length === 0) return;
  const session = new SimSession(process, 2_000, true);
  await Promise.all(keys.map((key) => session.register(key, newValue())));
}
