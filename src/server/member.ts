import type { Admission } from '../api/admission.ts';
import type { SessionHub } from '../api/session-hub.ts';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import { grpcLimits } from '../grpc/limits.ts';
import type { GrpcObserver } from '../grpc/observer.ts';
import type { RecordedMembership } from '../replica/cluster-admin.ts';
import type { ReplicaObserver } from '../replica/events.ts';
import { LocalConsensus } from '../replica/local-consensus.ts';
import { MemberReplica } from '../replica/member-replica.ts';
import type { ConsensusPort } from '../replica/consensus-port.ts';
import { type ReplicaTimes, replicaTimes } from '../replica/times.ts';
import type { ReplicaStatus } from '../replica/types.ts';
import { RegistryState } from '../state-machine/registry-state.ts';
import { type DirectoryLock, lockDirectory } from '../storage/directory-lock.ts';
import type { InitialMember } from '../storage/identity.ts';
import { LevelStateEngine } from '../storage/level-state-engine.ts';
import type { Disk } from '../storage/disk.ts';
import { NodeDisk } from '../storage/node-disk.ts';
import { measuredDisk, type OnDiskWrite } from '../telemetry/measured-disk.ts';
import { GrpcTransport } from '../transport/grpc-transport.ts';
import type { WatchHub } from '../watch/watch-hub.ts';
import { hasConsensusThread, startConsensusThread } from './consensus-thread.ts';
import { composeServices } from './member-services.ts';
import { consensusStorage, openServingStorage } from './member-storage.ts';

/** host and port to listen on; port 0: any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Everything that one member is made of; see MemberConfig for the file that it comes from. */
export interface MemberOptions {
  readonly memberId: string;
  readonly version: string;
  /** Absolute. */
  readonly dataDirectory: string;
  readonly initialMembers: readonly InitialMember[];
  /** Present: an empty directory joins a running cluster in place of forming one. */
  readonly join?: { readonly ask: (peerAddress: string) => Promise<RecordedMembership> };
  readonly listenClient: ListenAddress;
  readonly listenPeer: ListenAddress;
  /** host:port under which clients and peers reach this member; '' = the address listened on. */
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  readonly segmentBytes: number;
  readonly logKeepBytes: number;
  readonly flushIntervalMs: number;
  readonly unflushedBytesMax: number;
  readonly limits: {
    readonly callsInFlightMax: number;
    readonly connectionsMax: number;
    readonly connectionsPerAddressMax: number;
    readonly streamsPerConnectionMax: number;
    readonly watchesPerConnectionMax: number;
    readonly watchBacklogBytesMax: number;
  };
  readonly clock: Clock;
  readonly random: Random;
  readonly replicaObserver: ReplicaObserver;
  readonly grpcObserver: GrpcObserver;
  /** Told of each durable write of log, hard state and other small files. */
  readonly onDiskWrite: OnDiskWrite;
  /** The consensus side runs on a thread of its own, where there can be one: see hasConsensusThread. */
  readonly consensusThread: boolean;
}

/**
 * One member on the real disk and network: the composition of all parts, and the order in which they start and stop.
 * `start` once, then `stop` once; after a fatal error (told to the observer) the process is to end at once.
 */
export class Member {
  readonly replica: MemberReplica;
  readonly hub: WatchHub;
  readonly #options: MemberOptions;
  readonly #lock: DirectoryLock;
  readonly #grpc: GrpcServer;
  readonly #admission: Admission;
  readonly #sessions: SessionHub;
  #clientPort = 0;
  #stopping: Promise<void> | undefined;

  private constructor(options: MemberOptions, lock: DirectoryLock, replica: MemberReplica) {
    this.#options = options;
    this.#lock = lock;
    this.replica = replica;
    const { clock, limits } = options;
    const onFatal = (error: unknown): void => options.replicaObserver.fatal(error);
    const services = composeServices({ ...options, replica, onFatal });
    this.hub = services.hub;
    this.#admission = services.admission;
    this.#sessions = services.sessions;
    this.#grpc = new GrpcServer({
      registry: services.registry,
      cluster: services.cluster,
      clock,
      observer: options.grpcObserver,
      limits: {
        ...grpcLimits,
        connectionsMax: limits.connectionsMax,
        connectionsPerAddressMax: limits.connectionsPerAddressMax,
        streamsPerConnectionMax: limits.streamsPerConnectionMax,
      },
      onFatal,
    });
  }

  /**
   * Locks and opens the data directory. Rejects with StorageError 'refused' where another process uses it, 'damaged'
   * where it cannot be read.
   */
  static async open(options: MemberOptions): Promise<Member> {
    const { clock, dataDirectory: root } = options;
    const lock = await lockDirectory(root);
    try {
      const disk = measuredDisk(await NodeDisk.open(root), clock, options.onDiskWrite);
      const engine = new LevelStateEngine({ disk, root, clock });
      const storage = await openServingStorage({ clock, disk, engine });
      const { tickMs, heartbeatTicks, electionTicksMin, electionTicksMax } = options;
      const times = replicaTimes(tickMs, heartbeatTicks, electionTicksMin, electionTicksMax);
      const consensus = consensusOf(options, times, disk);
      const made: { member?: Member } = {};
      const replica = new MemberReplica({
        ...options,
        consensus,
        storage,
        observer: {
          event: (event) => {
            // A fenced member serves nothing: whoever watches here goes on elsewhere.
            if (event.kind === 'fenced') made.member?.hub.stop('the state of this member differs from the majority');
            options.replicaObserver.event(event);
          },
          late: (kind, ms) => options.replicaObserver.late?.(kind, ms),
          fatal: (error) => options.replicaObserver.fatal(error),
        },
        times,
        createState: () => new RegistryState(),
      });
      made.member = new Member(options, lock, replica);
      return made.member;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  get clientPort(): number {
    return this.#clientPort;
  }

  /** Streams of sessions that are open on this member. */
  get sessionStreams(): number {
    return this.#sessions.streams;
  }

  get callsInFlight(): number {
    return this.#admission.callsInFlight;
  }

  status(): ReplicaStatus {
    return this.replica.status();
  }

  /** What the health service says: whether this member serves linearizable calls as far as it knows. */
  setServing(serving: boolean): void {
    this.#grpc.setServing(serving);
  }

  /** Listens for clients, then for peers, and resolves once the replica serves (or was stopped while forming). */
  async start(): Promise<void> {
    const { host, port } = this.#options.listenClient;
    this.#clientPort = await this.#grpc.listen(host, port);
    await this.replica.start();
  }

  /** Lets clients go to other members, makes everything durable and lets go of the directory. May be called twice. */
  stop(graceMs: number): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    // First, while calls still come: whatever this member takes until it is drained goes to the new leader.
    await this.replica.handOver(graceMs / 2);
    this.hub.stop('the member is stopping');
    await this.#grpc.drain(graceMs);
    try {
      await this.replica.stop(graceMs);
    } finally {
      await this.#lock.release();
    }
  }
}

/** The consensus side of a member: on a thread of its own, or on this one. */
function consensusOf(options: MemberOptions, times: ReplicaTimes, disk: Disk): ConsensusPort {
  const { clock, dataDirectory, listenPeer, memberId, onDiskWrite, random, segmentBytes } = options;
  const { host, port } = listenPeer;
  if (options.consensusThread && hasConsensusThread()) {
    const { tickMs, heartbeatTicks, electionTicksMin, electionTicksMax } = options;
    const ticks = { tickMs, heartbeatTicks, electionTicksMin, electionTicksMax };
    return startConsensusThread({
      memberId,
      dataDirectory,
      segmentBytes,
      host,
      port,
      ...ticks,
      clock,
      times,
      onDiskWrite,
    });
  }
  return new LocalConsensus({
    memberId,
    clock,
    random,
    transport: new GrpcTransport({ clock, random, host, port }),
    storage: consensusStorage({ clock, disk, segmentBytes }),
    times,
  });
}
