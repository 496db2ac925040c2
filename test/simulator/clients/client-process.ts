import { SeededRandom } from '../../../src/base/random.ts';
import { RollcallClient } from '../../../src/client/client.ts';
import { methods } from '../../../src/client/methods.ts';
import type { LeaseKeeper } from '../../../src/client/lease-keeper.ts';
import type { Action, KeyText, Operation, Outcome, Recorder } from '../types.ts';
import type { ClientSockets, MemoryWire } from '../wire/memory-wire.ts';
import { type MachineClock, ProcessClock } from '../world/process-clock.ts';
import type { KeySpace } from './keys.ts';
import { rejected } from './outcomes.ts';
import type { SimSession } from './sim-session.ts';
import type { SimWatch } from './sim-watch.ts';

/** What all processes of all clients share. */
export interface ClientWorld {
  readonly wire: MemoryWire;
  readonly recorder: Recorder;
  readonly keys: KeySpace;
  /** How many times as long as usual leases live: 1 for those of a few seconds. */
  readonly ttlScale: number;
  /** `host:port` of each member. */
  readonly addresses: readonly string[];
  /** Something that no client may ever see: a breach. */
  readonly onFault: (text: string) => void;
}

/** A lease that this process was granted. */
export interface HeldLease {
  readonly leaseId: number;
  readonly ttlMs: number;
  /** By the keeper, which renews untold; otherwise each renewal is an operation. */
  readonly isKept: boolean;
}

export interface ProcessOptions {
  readonly world: ClientWorld;
  readonly host: string;
  readonly number: number;
  readonly machine: MachineClock;
  readonly seed: number;
  readonly callTimeoutMs: number;
  readonly attemptTimeoutMs: number;
  /** Of one stream. */
  readonly windowBytes: number;
}

/** One life of one client's process: the real client, and what it holds. */
export class ClientProcess {
  readonly name: string;
  readonly host: string;
  readonly world: ClientWorld;
  readonly clock: ProcessClock;
  readonly sockets: ClientSockets;
  readonly client: RollcallClient;
  readonly leases: HeldLease[] = [];
  readonly sessions: SimSession[] = [];
  readonly watches: SimWatch[] = [];
  /** How long it takes over each message of its watches, ms: beyond its window they wait at the member. */
  watchPauseMs = 0;
  /** The greatest revision that an answer has shown it. */
  revision = 0;
  #keeper: LeaseKeeper | undefined;
  readonly #machine: MachineClock;
  readonly #open = new Set<Operation>();
  #over = false;

  constructor(options: ProcessOptions) {
    const { world, host, number, machine, seed, callTimeoutMs, attemptTimeoutMs, windowBytes } = options;
    this.world = world;
    this.host = host;
    this.name = `${host}.${number}`;
    this.#machine = machine;
    this.clock = new ProcessClock(machine);
    this.sockets = world.wire.connector(host, this.clock, {
      windowBytes,
      pauseMs: (path) => (path === methods.watch ? this.watchPauseMs : 0),
    });
    this.client = new RollcallClient({
      servers: world.addresses,
      clock: this.clock,
      random: new SeededRandom(seed),
      connect: this.sockets.connect,
      callTimeoutMs,
      attemptTimeoutMs,
    });
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** It runs, and does not stand still. */
  get isAwake(): boolean {
    return !this.#over && !this.clock.isFrozen;
  }

  /** Operations without an outcome. */
  get openOperations(): number {
    return this.#open.size;
  }

  get keeper(): LeaseKeeper {
    this.#keeper ??= this.client.keepAlive({
      onLost: (leaseId) => this.forgetLease(leaseId),
      onRenewed: (leaseId, ttlMs) => this.kept(leaseId, ttlMs, this.#keeper?.remainingMs(leaseId) ?? 0),
    });
    return this.#keeper;
  }

  forgetLease(leaseId: number): void {
    const at = this.leases.findIndex((lease) => lease.leaseId === leaseId);
    if (at !== -1) this.leases.splice(at, 1);
  }

  /** Tells that a lease lives so long for certain, by the clock of this process. */
  kept(leaseId: number, ttlMs: number, remainingMs: number): void {
    const sentMs = this.clock.monotonicMs() - (ttlMs - remainingMs);
    this.world.recorder.kept(this.name, leaseId, this.#machine.worldMsAt(sentMs));
  }

  /** Tells what its sessions have been answered since. */
  tellLives(): void {
    if (this.#over) return;
    for (const session of this.sessions) session.tellLife();
  }

  /** Tells what its sessions believe to hold. */
  tellHoldings(): void {
    if (this.#over) return;
    for (const session of this.sessions) session.tellHoldings();
  }

  /** Tells the recorder of a call and its outcome. Undefined where the process ended before. */
  async call(action: Action, run: () => Promise<Outcome>): Promise<Outcome | undefined> {
    if (this.#over) return undefined;
    const operation = this.begin(action);
    let outcome: Outcome;
    try {
      outcome = await run();
    } catch (thrown) {
      outcome = this.failed(thrown, action);
    }
    return this.finish(operation, outcome);
  }

  begin(action: Action): Operation {
    const operation = this.world.recorder.invoked(this.name, action);
    this.#open.add(operation);
    return operation;
  }

  finish(operation: Operation, outcome: Outcome): Outcome | undefined {
    // A process that is gone has no last words.
    if (this.#over) return undefined;
    this.#open.delete(operation);
    if (outcome.kind === 'ok') this.revision = Math.max(this.revision, outcome.revision);
    if (outcome.kind === 'unknown') for (const key of keysOf(operation.action)) this.world.keys.unknown(key);
    this.world.recorder.returned(operation, outcome);
    return outcome;
  }

  failed(thrown: unknown, action: Action): Outcome {
    try {
      return rejected(thrown, action.kind !== 'discover' && action.kind !== 'renew');
    } catch (fault) {
      this.world.onFault(`${this.name} ${action.kind}: ${String(fault)}`);
      return { kind: 'unknown', reason: 'FAULT' };
    }
  }

  /** Ends without a word. */
  crash(): void {
    if (this.#over) return;
    this.tellLives();
    this.#over = true;
    this.clock.end();
    this.sockets.kill();
    for (const { action } of this.#open) for (const key of keysOf(action)) this.world.keys.unknown(key);
    this.world.recorder.clientGone(this.name);
  }
}

function keysOf(action: Action): readonly KeyText[] {
  if (action.kind === 'batch') return action.keys;
  return 'key' in action ? [action.key] : [];
}
