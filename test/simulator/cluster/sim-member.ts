import type { RegistryApi } from '../../../src/api/types.ts';
import type { Clock } from '../../../src/base/clock.ts';
import type { Random } from '../../../src/base/random.ts';
import type { ReplicaEvent } from '../../../src/replica/events.ts';
import { ConsensusHost } from '../../../src/replica/consensus-host.ts';
import type { ConsensusPort } from '../../../src/replica/consensus-port.ts';
import type { JoinOptions } from '../../../src/replica/joining.ts';
import { LocalConsensus } from '../../../src/replica/local-consensus.ts';
import { MemberReplica } from '../../../src/replica/member-replica.ts';
import { RemoteConsensus } from '../../../src/replica/remote-consensus.ts';
import type { ReplicaTimes } from '../../../src/replica/times.ts';
import { composeServices, type MemberServices } from '../../../src/server/member-services.ts';
import { openMemberStorage } from '../../../src/server/member-storage.ts';
import type { StateMachineBounds } from '../../../src/state-machine/types.ts';
import type { InitialMember } from '../../../src/storage/identity.ts';
import type { MemoryNetwork } from '../../../src/transport/memory-network.ts';
import { memoryEndpoints } from '../../replica/memory-endpoint.ts';
import type { SimEvent } from '../types.ts';
import { type MachineClock, ProcessClock } from '../world/process-clock.ts';
import type { CrashPoint } from './crash-points.ts';
import type { MachineDisk } from './machine-disk.ts';
import {
  type LifeTap,
  ObservedState,
  ObservedTransport,
  observeConsensus,
  observeStorage,
  watchedRegistry,
} from './observed-parts.ts';

/** How the members of a cluster are set up. */
export interface MemberSetup {
  readonly times: ReplicaTimes;
  readonly segmentBytes: number;
  readonly logKeepBytes: number;
  readonly flushIntervalMs: number;
  readonly watchBacklogBytesMax: number;
  readonly bounds: StateMachineBounds;
  readonly twoThreads: boolean;
}

/** What the front ends of a life call. */
export type ServedMember = Omit<MemberServices, 'registry'> & { readonly registry: RegistryApi };

/** What a life is given. */
export interface LifeOptions {
  readonly id: string;
  readonly host: string;
  readonly number: number;
  readonly setup: MemberSetup;
  readonly initialMembers: readonly InitialMember[];
  /** Of one that joins a cluster that runs. */
  readonly join?: JoinOptions;
  readonly machine: MachineClock;
  readonly disk: MachineDisk;
  readonly network: MemoryNetwork;
  readonly random: Random;
  readonly tell: (event: SimEvent) => void;
  readonly hit: (life: Life, point: CrashPoint) => void;
  /** It cannot go on: its process ends. */
  readonly onFatal: (life: Life, error: unknown) => void;
  readonly onServing: (life: Life, services: ServedMember) => void;
}

/** One life of one member's process: the parts that `server` composes, on the twins of disk, network and clock. */
export class Life implements LifeTap {
  readonly member: string;
  readonly life: number;
  readonly clock: ProcessClock;
  readonly consensusClock: ProcessClock;
  readonly #options: LifeOptions;
  #transport: ObservedTransport | undefined;
  #replica: MemberReplica | undefined;
  #services: MemberServices | undefined;
  #over = false;
  isOdd = false;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.member = options.id;
    this.life = options.number;
    this.clock = new ProcessClock(options.machine);
    this.consensusClock = options.setup.twoThreads ? new ProcessClock(options.machine) : this.clock;
  }

  get isOver(): boolean {
    return this.#over;
  }

  get nowMs(): number {
    return this.#options.machine.world.monotonicMs();
  }

  get replica(): MemberReplica | undefined {
    return this.#replica;
  }

  get services(): MemberServices | undefined {
    return this.#services;
  }

  /** Neither side stands still. */
  get isAwake(): boolean {
    return !this.clock.isFrozen && !this.consensusClock.isFrozen;
  }

  tell(event: SimEvent): void {
    if (!this.#over) this.#options.tell(event);
  }

  hit(point: CrashPoint): void {
    if (!this.#over) this.#options.hit(this, point);
  }

  /** It cannot go on. */
  fatal(error: unknown): void {
    if (!this.#over) this.#options.onFatal(this, error);
  }

  /** Resolves when its storage is open and the replica has begun to start. */
  async start(): Promise<void> {
    const { id, host, disk, setup, initialMembers, join, random } = this.#options;
    disk.processClock = this.consensusClock;
    this.tell({ kind: 'started', member: id, life: this.life });
    const opened = await openMemberStorage({
      clock: this.consensusClock,
      disk: disk.disk,
      engine: disk.engine,
      segmentBytes: setup.segmentBytes,
    });
    if (this.#over) return;
    const storage = observeStorage(opened, this);
    const consensus = this.#consensus(storage);
    const fatal = (error: unknown): void => this.fatal(error);
    const replica = new MemberReplica({
      memberId: id,
      initialMembers,
      ...(join === undefined ? {} : { join }),
      peerAddress: `${host}:1`,
      clientAddress: `${host}:2`,
      clock: this.clock,
      random,
      consensus,
      storage,
      observer: {
        event: (event) => this.#event(event),
        fatal,
      },
      times: setup.times,
      createState: () => new ObservedState(setup.bounds, this),
      flushIntervalMs: setup.flushIntervalMs,
      logKeepBytes: setup.logKeepBytes,
      unflushedBytesMax: 256 * 1024 * 1024,
    });
    this.#replica = replica;
    this.#serve(replica, fatal);
    replica.start().catch(fatal);
  }

  /** It ends without a word, at once. */
  end(): void {
    this.#over = true;
    this.clock.end();
    this.consensusClock.end();
    this.#transport?.kill();
  }

  #event(event: ReplicaEvent): void {
    // As the server does: a fenced member serves nothing.
    if (event.kind === 'fenced') this.#services?.hub.stop('the state of this member differs from the majority');
    this.tell({ kind: 'replica', member: this.member, life: this.life, event });
  }

  #serve(replica: MemberReplica, onFatal: (error: unknown) => void): void {
    const { id, host, setup, random, onServing } = this.#options;
    const services = composeServices({
      memberId: id,
      version: 'simulated',
      replica,
      clock: this.clock,
      random,
      peerAddress: `${host}:1`,
      clientAddress: `${host}:2`,
      limits: {
        callsInFlightMax: 2_048,
        watchesPerConnectionMax: 1_000,
        watchBacklogBytesMax: setup.watchBacklogBytesMax,
      },
      onFatal,
    });
    this.#services = services;
    onServing(this, { ...services, registry: watchedRegistry(services.registry, this) });
  }

  #consensus(storage: ConstructorParameters<typeof LocalConsensus>[0]['storage']): ConsensusPort {
    const { id, host, network, random, setup } = this.#options;
    const clock = this.consensusClock;
    const transport = new ObservedTransport({ clock, random, network, host, port: 1 }, this);
    this.#transport = transport;
    const local = new LocalConsensus({ memberId: id, clock, random, transport, storage, times: setup.times });
    observeConsensus(local, this);
    return setup.twoThreads ? behindThread(local, clock, this.clock, setup.times) : local;
  }
}

/** What a thread of its own makes of a consensus side, without the thread. */
function behindThread(local: LocalConsensus, there: Clock, here: Clock, times: ReplicaTimes): ConsensusPort {
  const [ours, theirs] = memoryEndpoints(here, there);
  const servingSilenceTicksMax = 2 * times.electionTicksMax;
  new ConsensusHost({ endpoint: theirs, consensus: local, servingSilenceTicksMax, clockOffsetMs: 0 });
  return new RemoteConsensus({
    endpoint: ours,
    clock: here,
    times,
    onDiskWrite: () => undefined,
    onStopped: () => Promise.resolve(),
  });
}
