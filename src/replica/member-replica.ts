import { isDeepStrictEqual } from 'node:util';
import { assert, must } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { RollcallError, StorageError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { membersOf } from '../raft/membership.ts';
import type { MemberId } from '../raft/types.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { Command, CommandResult } from '../state-machine/types.ts';
import type { MembershipRecord } from '../storage/entry-log.ts';
import type { Identity, InitialMember } from '../storage/identity.ts';
import type { FormState, PeerAddress } from '../transport/types.ts';
import type { ClusterAdmin } from './cluster-admin.ts';
import type { MembershipNews } from './consensus.ts';
import type { ConsensusEvents, ConsensusPort } from './consensus-port.ts';
import type { ReplicaObserver } from './events.ts';
import { unknownAgeMs } from './freshness.ts';
import { form, formStateOf } from './forming.ts';
import { joinCluster, type JoinOptions, knowsNobody } from './joining.ts';
import { closeRecovered, recover, type Recovered } from './recovery.ts';
import { stopping } from './refusals.ts';
import { Serving } from './serving.ts';
import { statusOf } from './status.ts';
import type { ServingStorage } from './storage.ts';
import type { ReplicaTimes } from './times.ts';
import type { AppliedTurn, RenewResult, Replica, ReplicaStatus } from './types.ts';

export interface MemberReplicaOptions {
  readonly memberId: MemberId;
  /** The list that a new cluster forms with; of no effect once formed, but for addresses. */
  readonly initialMembers: readonly InitialMember[];
  /** Present: an empty directory joins a running cluster in place of forming one. */
  readonly join?: JoinOptions;
  /** host:port at which others reach this member. Default: as the list says it. */
  readonly peerAddress?: string;
  /** host:port at which this member serves clients, told to its peers. */
  readonly clientAddress: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Core, log and peers: on this thread or on another. */
  readonly consensus: ConsensusPort;
  readonly storage: ServingStorage;
  readonly observer: ReplicaObserver;
  readonly times: ReplicaTimes;
  readonly createState: () => Registry;
  /** Default 100: changed keys are gathered for this long before they are written. */
  readonly flushIntervalMs: number;
  /** Default 64 MiB of log kept for slow followers. */
  readonly logKeepBytes: number;
  /** Default 256 MiB: applying waits above this. */
  readonly unflushedBytesMax: number;
}

type Phase = ReplicaStatus['phase'];

/**
 * One member from start to stop: takes its identity, forms a cluster or finds its place in one, recovers its disk, and
 * then serves. Until it serves every call is refused with NOT_SERVING.
 */
export class MemberReplica implements Replica {
  readonly memberId: MemberId;
  readonly electionTimeoutMs: number;
  readonly admin: ClusterAdmin = {
    membership: () => this.#orders().membership(),
    changeMembership: (order, force) => this.#live((serving) => serving.orders.changeMembership(order, force)),
    transferLeadership: (to) => this.#live((serving) => serving.orders.transferLeadership(to)),
  };
  readonly #options: MemberReplicaOptions;
  readonly #startedMs: number;
  readonly #appliedListeners = new Set<(turn: AppliedTurn) => void>();
  readonly #replacedListeners = new Set<(revision: number) => void>();
  readonly #emptyState: Registry;
  #phase: Phase = 'forming';
  #waitingFor = '';
  #identity: Identity | undefined;
  #membership: MembershipRecord | undefined;
  #recovered: Recovered | undefined;
  #serving: Serving | undefined;
  #freeBytes = 0;
  /** Of a member that joins: until its log names the others. */
  #sponsors: readonly PeerAddress[] = [];
  #removed = false;
  readonly #stopAsked: Promise<void>;
  #askToStop: () => void = () => undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: MemberReplicaOptions) {
    this.#options = options;
    this.memberId = options.memberId;
    this.electionTimeoutMs = options.times.electionTimeoutMs;
    this.#startedMs = options.clock.monotonicMs();
    this.#emptyState = options.createState();
    this.#stopAsked = new Promise((resolve) => {
      this.#askToStop = resolve;
    });
    options.consensus.attach(this.#events());
  }

  get state(): Registry {
    return this.#serving?.state ?? this.#emptyState;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /**
   * Starts the member. Resolves once it serves (which does not mean that there is a leader yet), or was stopped while
   * forming. Rejects with StorageError where its disk or its place in the cluster does not allow it.
   *
   * @returns The port on which it listens for peers, as soon as it listens, through `onListening`.
   */
  start(onListening: (peerPort: number) => void = () => undefined): Promise<void> {
    assert(this.#starting === undefined, 'a member is started once');
    this.#starting = this.#start(onListening);
    return this.#starting;
  }

  /**
   * Ends everything in order: what was acknowledged is durable before, what was not is refused. Ends within `graceMs`
   * also where the disk does not answer any more; rejects then, and where it fails. May be called twice, and at any
   * moment of a start.
   */
  stop(graceMs: number): Promise<void> {
    this.#phase = 'stopping';
    this.#askToStop();
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #start(onListening: (peerPort: number) => void): Promise<void> {
    const { consensus } = this.#options;
    this.#identity = await this.#takeIdentity();
    // Before it listens: a formed member that did not know its members yet would tell others that it has none.
    if (this.#identity.phase === 'formed') await this.#recover();
    if (this.#phase !== 'forming') return;
    this.#tellForm();
    onListening(await consensus.listen());
    if (!(await this.#takePlace()) || this.#phase !== 'forming') return;
    if (this.#recovered === undefined) await this.#recover();
    if (this.#phase === 'forming') this.#serve();
  }

  /** False: it was stopped meanwhile. */
  async #takePlace(): Promise<boolean> {
    const { join } = this.#options;
    if (this.#recovered !== undefined && this.#recovered.consensus.membership.voters.length > 0) return true;
    if (join !== undefined) return this.#join(join);
    const identity = must(this.#identity, 'identity of a member');
    if (this.#recovered !== undefined) throw knowsNobody(identity);
    return this.#form();
  }

  async #join(join: JoinOptions): Promise<boolean> {
    const { consensus, observer, storage } = this.#options;
    this.#waitingFor = 'the cluster to take it in';
    const joined = await joinCluster(must(this.#identity, 'identity of a member'), {
      join,
      peerAddress: this.#ownAddress,
      identityFile: storage.identity,
      consensus,
      stopped: this.#stopAsked,
    });
    if (joined === undefined) return false;
    this.#identity = joined.identity;
    this.#sponsors = joined.sponsors;
    this.#waitingFor = '';
    observer.event({ kind: 'joined', clusterId: joined.identity.clusterId });
    return true;
  }

  async #stop(graceMs: number): Promise<void> {
    const { clock, consensus } = this.#options;
    const endMs = clock.monotonicMs() + graceMs;
    await this.handOver(graceMs / 2);
    try {
      await within(clock, endMs - clock.monotonicMs(), graceMs, this.#close());
    } finally {
      await consensus.stop(Math.max(0, endMs - clock.monotonicMs()));
    }
  }

  async #close(): Promise<void> {
    if (this.#serving !== undefined) {
      await this.#serving.stop();
      return;
    }
    // A start under way sees the phase at its next step, and goes no further. Its failure is its caller's to hear.
    await this.#starting?.catch(() => undefined);
    if (this.#recovered !== undefined) await closeRecovered(this.#recovered, this.#options.consensus);
  }

  /**
   * A leader that is about to leave hands over: nobody then has to wait for its silence. Resolves when another leads,
   * or after `msMax`, at most an election timeout; at once where this member does not lead.
   */
  async handOver(msMax: number): Promise<void> {
    const serving = this.#serving;
    if (serving === undefined || serving.soft.role !== 'leader' || serving.fenced || this.#removed) return;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#options.clock.setTimer(Math.min(msMax, this.electionTimeoutMs), resolve);
    });
    try {
      await Promise.race([late, serving.orders.transferLeadership('')]);
    } catch (error) {
      // It is alone, or nobody took over in time: the others will find out.
      if (!(error instanceof RollcallError)) throw error;
    } finally {
      timer?.cancel();
    }
  }

  execute(command: Command, deadlineMs?: number): Promise<CommandResult> {
    return this.#live((serving) => serving.execute(command, deadlineMs));
  }

  renew(leaseIds: readonly number[]): Promise<readonly RenewResult[]> {
    return this.#live((serving) => serving.renew(leaseIds));
  }

  readBarrier(): Promise<void> {
    return this.#live((serving) => serving.readBarrier());
  }

  waitForRevision(revision: number): Promise<void> {
    return this.#live((serving) => serving.waitForRevision(revision));
  }

  ageMs(): number {
    return this.#serving?.ageMs() ?? unknownAgeMs;
  }

  /** Refuses a stale read where this member must serve nothing. */
  assertServing(): void {
    if (this.#phase === 'forming') throw forming(this.#waitingFor);
    if (this.#phase !== 'serving') throw stopping();
    this.#serving?.refuseFenced();
  }

  onApplied(listener: (turn: AppliedTurn) => void): () => void {
    this.#appliedListeners.add(listener);
    return () => this.#appliedListeners.delete(listener);
  }

  onReplaced(listener: (revision: number) => void): () => void {
    this.#replacedListeners.add(listener);
    return () => this.#replacedListeners.delete(listener);
  }

  status(): ReplicaStatus {
    return statusOf({
      memberId: this.memberId,
      identity: this.#identity,
      membership: this.#membership,
      phase: this.#phase,
      waitingFor: this.#waitingFor,
      serving: this.#serving,
      recovered: this.#recovered,
      consensus: this.#options.consensus.status(),
      diskFreeBytes: this.#freeBytes,
      uptimeMs: Math.round(this.#options.clock.monotonicMs() - this.#startedMs),
    });
  }

  /** Reads how much disk is free, for `status`. */
  async measureDisk(): Promise<void> {
    this.#freeBytes = await this.#options.storage.freeBytes();
  }

  async #live<T>(call: (serving: Serving) => Promise<T>): Promise<T> {
    this.assertServing();
    assert(this.#serving !== undefined, 'a serving member has its parts');
    return call(this.#serving);
  }

  async #takeIdentity(): Promise<Identity> {
    const { storage, memberId, random } = this.#options;
    const initialMembers = this.#options.initialMembers.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const found = storage.identity.current;
    if (found === undefined) {
      const directoryId = Buffer.from(random.bytes('directory-id', 16)).toString('hex');
      const identity: Identity = { format: 1, memberId, directoryId, clusterId: '', phase: 'empty', initialMembers };
      await storage.identity.write(identity);
      return identity;
    }
    if (found.memberId !== memberId) {
      const problem = `this directory is member ${found.memberId}'s, the configuration says ${memberId}`;
      throw new StorageError('refused', 'identity', `${problem}. Give each member a directory of its own.`);
    }
    if (found.phase === 'formed') return found;
    // Not formed yet: a corrected list may replace the one of an earlier attempt.
    const identity: Identity = { ...found, initialMembers };
    await storage.identity.write(identity);
    return identity;
  }

  async #form(): Promise<boolean> {
    const { consensus, storage } = this.#options;
    const formed = await form({
      identityFile: storage.identity,
      consensus: this.#options.consensus,
      clock: this.#options.clock,
      random: this.#options.random,
      initialMembers: this.#options.initialMembers.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      prepare: (membership) => {
        // Known before the identity says formed: from then on others are told of it.
        this.#membership = membership;
        this.#tellForm();
        return consensus.create(membership);
      },
      onChanged: () => this.#tellForm(),
      onWaiting: (waitingFor) => {
        this.#waitingFor = waitingFor;
        this.#options.observer.event({ kind: 'forming', waitingFor });
      },
      isStopping: () => this.#phase !== 'forming',
    });
    if (formed === undefined) return false;
    this.#identity = formed.identity;
    this.#waitingFor = '';
    this.#options.observer.event({ kind: 'formed', clusterId: formed.identity.clusterId });
    return true;
  }

  async #recover(): Promise<void> {
    const { clock, consensus, createState, observer, storage } = this.#options;
    const startMs = clock.monotonicMs();
    this.#waitingFor = 'its data directory to be read';
    const recovered = await recover(storage, consensus, createState);
    this.#recovered = recovered;
    const { boot, membership, torn, entries } = recovered.consensus;
    this.#membership = membership;
    const { index, revision } = recovered.state.position;
    observer.event({
      kind: 'recovered',
      boot,
      index,
      revision,
      entries,
      ms: clock.monotonicMs() - startMs,
      torn: torn === undefined ? '' : `${torn.file} at byte ${torn.offset}`,
    });
    await this.measureDisk();
    this.#waitingFor = '';
  }

  #serve(): void {
    const { clock, times } = this.#options;
    const recovered = this.#recovered;
    const membership = this.#membership;
    assert(recovered !== undefined && membership !== undefined, 'a member serves what it has recovered');
    const { revision } = recovered.state.position;
    const serving = new Serving({
      ...this.#options,
      clusterId: this.#identity?.clusterId ?? '',
      membership,
      ownAddress: this.#ownAddress,
      formState: () => this.#formState(),
      onMembership: (news) => this.#membershipChanged(news),
      clock,
      times,
      recovered,
      onApplied: (turn) => {
        for (const listener of this.#appliedListeners) listener(turn);
      },
      onReplaced: (newRevision) => {
        for (const listener of this.#replacedListeners) listener(newRevision);
      },
    });
    this.#serving = serving;
    this.#phase = 'serving';
    // Until now readers saw an empty state: for them the one from disk replaces it.
    for (const listener of this.#replacedListeners) listener(revision);
    serving.start({
      identity: {
        clusterId: this.#identity?.clusterId ?? '',
        memberId: this.memberId,
        directoryId: this.#identity?.directoryId ?? '',
        boot: recovered.consensus.boot,
        // One of 2^53 - 1, so that two starts with the same boot do not draw the same; 0 stands for none.
        startId: 1 + this.#options.random.below('start-id', Number.MAX_SAFE_INTEGER),
        clientAddress: this.#options.clientAddress,
        startIndex: recovered.consensus.lastIndex,
      },
      addresses: new Map(this.#options.initialMembers.map(({ id, peerAddress }) => [id, peerAddress])),
      sponsors: this.#sponsors,
    });
  }

  #membershipChanged({ inForce, committed, committedIndex }: MembershipNews): void {
    if (inForce !== committed) return;
    const before = this.#membership;
    this.#membership = committed;
    this.#tellForm();
    const names = (records: readonly { readonly id: string }[]): string => records.map(({ id }) => id).join(' ');
    const { voters, learners } = committed;
    // At a start it is what was found on the disk.
    if (!isDeepStrictEqual(before, committed)) {
      const event = { index: committedIndex, voters: names(voters), learners: names(learners) };
      this.#options.observer.event({ kind: 'membership', ...event });
    }
    const isOf = (one: MembershipRecord): boolean => membersOf(one).some(({ id }) => id === this.memberId);
    const wasOf = before !== undefined && isOf(before);
    if (!isOf(committed) && (wasOf || committed.removedIds.includes(this.memberId))) this.#wasRemoved(this.memberId);
  }

  /**
   * The cluster has removed this member. It ends an election timeout later: the others are still to hear from it what
   * was committed, and who asked for the removal that it was done.
   */
  #wasRemoved(by: MemberId): void {
    if (this.#removed) return;
    this.#removed = true;
    const { clock, observer } = this.#options;
    observer.event({ kind: 'removed', by });
    clock.setTimer(this.electionTimeoutMs, () => {
      if (this.#phase !== 'serving') return;
      const cluster = this.#identity?.clusterId ?? '';
      const problem = `member ${this.memberId} was removed from cluster ${cluster} for good`;
      const advice = 'To bring this machine in again, start with an empty directory, a new member id and --join';
      this.#serving?.onFatal(new StorageError('refused', 'identity', `${problem}. ${advice}.`));
    });
  }

  /** What the consensus side tells goes to the parts that serve, once they are there. */
  #events(): ConsensusEvents {
    const { observer } = this.#options;
    return {
      onTurn: (turn) => this.#serving?.onTurn(turn),
      onTick: (stalled) => this.#serving?.onTick(stalled),
      onStall: () => this.#serving?.onStall(),
      onStateReplaced: (base) => this.#serving?.onStateReplaced(base),
      activateSnapshot: (base) => this.#serving?.activateSnapshot(base) ?? Promise.reject(stopping()),
      onSnapshotDurable: () => this.#serving?.onSnapshotDurable(),
      onForwarded: (from, boot, forwarded) => this.#serving?.onForwarded(from, boot, forwarded),
      onConnected: (peer) => observer.event({ kind: 'connected', peer }),
      onUnreachable: (peer, reason) => {
        observer.event({ kind: 'unreachable', peer, reason });
        this.#serving?.onUnreachable(peer);
      },
      onSuspected: (leader, term) => observer.event({ kind: 'suspected', leader, term }),
      onRemoved: (by) => this.#wasRemoved(by),
      onUnsent: (peer) => this.#serving?.onUnreachable(peer),
      onSnapshot: (incoming) => this.#serving?.onSnapshot(incoming) ?? Promise.reject(stopping()),
      onLate: (kind, ms) => observer.late?.(kind, ms),
      onFatal: (error) => {
        if (this.#serving === undefined) observer.fatal(error);
        else this.#serving.onFatal(error);
      },
    };
  }

  /** '' where it is configured nowhere. */
  get #ownAddress(): string {
    const { initialMembers, memberId, peerAddress } = this.#options;
    return peerAddress ?? initialMembers.find(({ id }) => id === memberId)?.peerAddress ?? '';
  }

  #orders(): Serving['orders'] {
    this.assertServing();
    return must(this.#serving, 'parts of a serving member').orders;
  }

  #tellForm(): void {
    this.#options.consensus.setFormState(this.#formState());
  }

  #formState(): FormState {
    assert(this.#identity !== undefined, 'a listening member has an identity');
    const state = formStateOf(this.#options.storage.identity.current ?? this.#identity, this.#membership);
    // It must not be taken for one that waits to form a cluster.
    return this.#options.join !== undefined && state.phase === 'empty' ? { ...state, phase: 'joining' } : state;
  }
}

/** Rejects where `work` takes longer, the end of the whole grace; it is left to itself then. */
async function within(clock: Clock, ms: number, graceMs: number, work: Promise<void>): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = clock.setTimer(ms, () => reject(new StorageError('io', 'disk', `does not answer within ${graceMs} ms`)));
  });
  try {
    await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}

function forming(waitingFor: string): RollcallError {
  const what = waitingFor === '' ? 'the member is starting' : `the member is starting; it waits for ${waitingFor}`;
  return new RollcallError('NOT_SERVING', what, { retryAfterMs: 500 });
}
