import type { Clock, Timer } from '../../src/base/clock.ts';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { RecordedMembership } from '../../src/replica/cluster-admin.ts';
import { ConsensusHost } from '../../src/replica/consensus-host.ts';
import type { ConsensusPort } from '../../src/replica/consensus-port.ts';
import type { ReplicaEvent } from '../../src/replica/events.ts';
import type { JoinOptions } from '../../src/replica/joining.ts';
import { LocalConsensus } from '../../src/replica/local-consensus.ts';
import { MemberReplica } from '../../src/replica/member-replica.ts';
import { RemoteConsensus } from '../../src/replica/remote-consensus.ts';
import { type ReplicaTimes, replicaTimes } from '../../src/replica/times.ts';
import { openMemberStorage } from '../../src/server/member-storage.ts';
import type { Registry } from '../../src/state-machine/interfaces.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { Command, CommandBody } from '../../src/state-machine/types.ts';
import { MemoryDisk, randomCrash } from '../../src/storage/memory-disk.ts';
import { MemoryStateEngine } from '../../src/storage/memory-state-engine.ts';
import { MemoryNetwork } from '../../src/transport/memory-network.ts';
import { MemoryTransport } from '../../src/transport/memory-transport.ts';
import { memoryEndpoints } from './memory-endpoint.ts';

/** What of a member stands still: with one thread it is always both. */
export type Side = 'both' | 'serving' | 'consensus';

/** One member's lives: its disk outlasts them. */
export interface MemoryMember {
  readonly id: string;
  disk: MemoryDisk;
  engine: MemoryStateEngine;
  replica: MemberReplica | undefined;
  transport: MemoryTransport | undefined;
  /** Of the serving side, and of the consensus side; the same where both are on one thread. */
  clock: LifeClock | undefined;
  consensusClock: LifeClock | undefined;
  readonly events: ReplicaEvent[];
  readonly fatal: unknown[];
  /** Revisions at which the state was replaced as a whole. */
  readonly replaced: number[];
}

export interface MemoryClusterOptions {
  readonly seed?: number;
  readonly ids?: readonly string[];
  readonly logKeepBytes?: number;
  readonly segmentBytes?: number;
  readonly createState?: (id: string) => Registry;
  /** Each member's two sides on what stands for two threads. Default: ROLLCALL_TWO_THREADS=1 says so. */
  readonly twoThreads?: boolean;
}

const stepMs = 5;

/** A cluster of real replicas on twins in memory: one clock, one network, a disk each. Nothing moves but by `run`. */
export class MemoryCluster {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork({ clock: this.clock, delayMs: () => 1 });
  readonly members: MemoryMember[];
  readonly random: SeededRandom;
  readonly #options: MemoryClusterOptions;
  readonly #initialIds: readonly string[];

  constructor(options: MemoryClusterOptions = {}) {
    this.#options = options;
    this.random = new SeededRandom(options.seed ?? 1);
    this.#initialIds = options.ids ?? ['a', 'b', 'c'];
    this.members = this.#initialIds.map((id) => this.#newMember(id));
  }

  member(id: string): MemoryMember {
    const member = this.members.find((one) => one.id === id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  replica(id: string): MemberReplica {
    const { replica } = this.member(id);
    if (replica === undefined) throw new Error(`member ${id} does not run`);
    return replica;
  }

  /** An empty member that joins; `sponsor` is asked to take it in, or any member that runs. */
  async join(id: string, options: { readonly learner?: boolean; readonly sponsor?: string } = {}): Promise<void> {
    if (!this.members.some((member) => member.id === id)) this.members.push(this.#newMember(id));
    const life: { clock?: LifeClock | undefined } = {};
    const ask = async (peerAddress: string): Promise<RecordedMembership> => {
      for (;;) {
        try {
          const sponsor = options.sponsor ?? must(this.#serving(id), 'member that can be asked');
          const order = { kind: 'add', peerAddress, autoPromote: options.learner !== true } as const;
          return await this.replica(sponsor).admin.changeMembership(order, false);
        } catch (error) {
          // Of a life that is over nobody waits for an answer.
          const { clock, replica } = this.member(id);
          if (replica === undefined || (life.clock !== undefined && clock !== life.clock))
            return new Promise(() => undefined);
          if (!(error instanceof RollcallError) || error.retryAfterMs === undefined) throw error;
          await new Promise<void>((resolve) => void this.clock.setTimer(100, resolve));
        }
      }
    };
    await this.start(id, { ask });
    life.clock = this.member(id).clock;
  }

  #serving(but: string): string | undefined {
    return this.members.find(({ id, replica }) => id !== but && replica?.phase === 'serving')?.id;
  }

  /** @param port Where it listens. @param othersPort Where its configuration says that the others do. */
  async start(id: string, join?: JoinOptions, port: number = 1, othersPort: number = 1): Promise<void> {
    const member = this.member(id);
    const { random } = this;
    const clock = new LifeClock(this.clock);
    const consensusClock = this.#twoThreads ? new LifeClock(this.clock) : clock;
    member.clock = clock;
    member.consensusClock = consensusClock;
    const storage = await openMemberStorage({
      clock: consensusClock,
      disk: member.disk,
      engine: member.engine,
      segmentBytes: this.#options.segmentBytes ?? 1024 * 1024,
    });
    const transport = new MemoryTransport({ clock: consensusClock, random, network: this.network, host: id, port });
    const times = replicaTimes(50, 2, 10, 20);
    const local = new LocalConsensus({ memberId: id, clock: consensusClock, random, transport, storage, times });
    const replica = new MemberReplica({
      memberId: id,
      initialMembers: this.#initialIds.map((one) => ({
        id: one,
        peerAddress: `${one}:${one === id ? port : othersPort}`,
      })),
      peerAddress: `${id}:${port}`,
      ...(join === undefined ? {} : { join }),
      clientAddress: `${id}:2`,
      clock,
      random,
      consensus: this.#twoThreads ? behindThread(local, consensusClock, clock, times) : local,
      storage,
      observer: {
        event: (event) => member.events.push(event),
        fatal: (error) => member.fatal.push(error),
      },
      times,
      createState: () => this.#options.createState?.(id) ?? new RegistryState(),
      flushIntervalMs: 100,
      logKeepBytes: this.#options.logKeepBytes ?? 64 * 1024 * 1024,
      unflushedBytesMax: 256 * 1024 * 1024,
    });
    member.replica = replica;
    member.transport = transport;
    replica.onReplaced((revision) => member.replaced.push(revision));
    replica.start().catch((error: unknown) => member.fatal.push(error));
  }

  async startAll(): Promise<void> {
    for (const { id } of this.members) await this.start(id);
  }

  /** Ends a member without a word; what was not synced is lost or not, at random. */
  crash(id: string): void {
    const member = this.member(id);
    member.clock?.end();
    member.consensusClock?.end();
    member.transport?.kill();
    member.replica = undefined;
    member.disk = member.disk.crash(randomCrash(this.random));
    member.engine = member.engine.restarted(member.disk, this.random);
  }

  /** Ends a member's process without a word; the machine stays up, so the next life finds all that was written. */
  kill(id: string): void {
    const member = this.member(id);
    member.clock?.end();
    member.consensusClock?.end();
    member.transport?.kill();
    member.replica = undefined;
    member.disk = member.disk.kill();
    member.engine = member.engine.restarted(member.disk);
  }

  /** Its directory is emptied; it must not run. */
  wipe(id: string): void {
    const member = this.member(id);
    member.disk = new MemoryDisk();
    member.engine = new MemoryStateEngine({ disk: member.disk, clock: this.clock, crashable: true });
  }

  /** The next write to the log of this member waits until what is returned is called. */
  async holdLog(id: string): Promise<() => void> {
    const { disk } = this.member(id);
    const segments = (await disk.list('log')).filter((name) => name.endsWith('.seg'));
    // The one that is written to, and the spare behind it.
    const holds = segments.map((name) => disk.holdNext('write', `log/${name}`));
    return () => {
      for (const hold of holds) hold.release();
    };
  }

  /**
   * The process, or one of its two threads, stands still: neither timers nor what comes over the network, or from the
   * other thread, gets through.
   */
  freeze(id: string, side: Side = 'both'): void {
    const { clock, consensusClock } = this.member(id);
    if (side !== 'consensus') clock?.freeze();
    if (side === 'serving') return;
    consensusClock?.freeze();
    for (const other of this.members) if (other.id !== id) this.network.cut(other.id, id);
  }

  /** It goes on: with the timers that are due, then with what lies in its sockets, then with what waits for a turn. */
  thaw(id: string): void {
    for (const other of this.members) if (other.id !== id) this.network.heal(other.id, id);
    this.member(id).consensusClock?.thaw();
    this.member(id).clock?.thaw();
  }

  /** Lets virtual time pass. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.advance(stepMs);
      await settled();
    }
  }

  /** Runs until `look` gives something; fails after `msMax` of virtual time. */
  async until<T>(what: string, look: () => T | undefined, msMax: number = 10_000): Promise<T> {
    for (let passed = 0; passed <= msMax; passed += stepMs) {
      const found = look();
      if (found !== undefined) return found;
      this.clock.advance(stepMs);
      await settled();
    }
    throw new Error(`waited ${msMax} virtual ms in vain for ${what}`);
  }

  /** Runs until the promise is settled, and gives its value or throws its error. */
  async outcome<T>(promise: Promise<T>, msMax: number = 10_000): Promise<T> {
    let settledAs: { value: T } | { error: unknown } | undefined;
    promise.then(
      (value) => {
        settledAs = { value };
      },
      (error: unknown) => {
        settledAs = { error };
      },
    );
    const result = await this.until('an outcome', () => settledAs, msMax);
    if ('error' in result) throw result.error;
    return result.value;
  }

  /** Runs until all running members serve and know the same leader, which runs. */
  leader(): Promise<string> {
    return this.until('a leader', () => {
      const running = this.members.filter(({ replica }) => replica !== undefined);
      const named = new Set(running.map(({ replica }) => replica?.status().leader ?? ''));
      const [leader] = named;
      if (named.size !== 1 || leader === undefined) return undefined;
      return running.some(({ id, replica }) => id === leader && replica?.status().role === 'leader')
        ? leader
        : undefined;
    });
  }

  /** Runs until all running members have the same applied index, and returns their state hashes. */
  async hashes(): Promise<string[]> {
    const states = await this.until('equal applied index', () => {
      const running = this.members.flatMap(({ replica }) => (replica === undefined ? [] : [replica.status()]));
      return new Set(running.map(({ applied }) => applied)).size === 1 ? running : undefined;
    });
    return states.map(({ stateHash }) => stateHash);
  }

  execute(id: string, body: CommandBody, requestId: string = ''): ReturnType<MemberReplica['execute']> {
    const command: Command = { actor: 'test', origin: 'test', reason: '', requestId, body };
    return this.replica(id).execute(command);
  }

  register(member: string, id: string, bytes: number = 10): ReturnType<MemberReplica['execute']> {
    return this.execute(member, {
      kind: 'register',
      name: { namespace: 'default', service: 's', id },
      spec: new Uint8Array(bytes),
      lifetime: { kind: 'persistent' },
      ifAbsent: false,
      ifIncarnation: 0,
    });
  }

  async stop(): Promise<void> {
    const stopping = this.members.flatMap(({ replica }) => (replica === undefined ? [] : [replica.stop(100)]));
    await this.outcome(Promise.all(stopping));
  }

  get #twoThreads(): boolean {
    return this.#options.twoThreads ?? process.env['ROLLCALL_TWO_THREADS'] === '1';
  }

  #newMember(id: string): MemoryMember {
    const disk = new MemoryDisk();
    const engine = new MemoryStateEngine({ disk, clock: this.clock, crashable: true });
    return {
      id,
      disk,
      engine,
      replica: undefined,
      transport: undefined,
      clock: undefined,
      consensusClock: undefined,
      events: [],
      fatal: [],
      replaced: [],
    };
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

/** The clock of one life of a member: after its end nothing that it asked for comes any more. */
class LifeClock implements Clock {
  readonly #clock: Clock;
  #ended = false;
  /** What became due while frozen. */
  #held: (() => void)[] | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  end(): void {
    this.#ended = true;
    this.#held = undefined;
  }

  freeze(): void {
    this.#held ??= [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const callback of held) this.#run(callback);
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  setTimer(ms: number, callback: () => void): Timer {
    return this.#clock.setTimer(ms, () => this.#run(callback));
  }

  nextTurn(callback: () => void): Timer {
    return this.#clock.nextTurn(() => this.#run(callback));
  }

  #run(callback: () => void): void {
    if (this.#ended) return;
    if (this.#held === undefined) callback();
    else this.#held.push(callback);
  }
}

/** Lets every promise that can go on do so: the disk's steps are microtasks. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
