import { must } from '../base/assert.ts';
import type { Timer } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import type { LogBase, MemberId, SoftState } from '../raft/types.ts';
import { encodeCommand } from '../state-machine/command-codec.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { Command, CommandResult } from '../state-machine/types.ts';
import type { MembershipRecord } from '../storage/entry-log.ts';
import type { StateMark } from '../storage/state-store.ts';
import type { Forwarded, IncomingSnapshot } from '../transport/types.ts';
import { ApplyLoop } from './apply-loop.ts';
import { ClusterOrders } from './cluster-orders.ts';
import type { ConsensusTurn } from './consensus.ts';
import type { ConsensusPort, ConsensusStart } from './consensus-port.ts';
import { Flusher } from './flusher.ts';
import { Forwarder } from './forwarder.ts';
import { Freshness } from './freshness.ts';
import { HashCheck, hashesKeptMax } from './hash-check.ts';
import { HashRing } from './hash-ring.ts';
import { LeaseService, unavailable } from './lease-service.ts';
import { PeerRequests } from './peer-requests.ts';
import { ReadBarriers } from './read-barriers.ts';
import { closeRecovered, loadRegistry } from './recovery.ts';
import { SnapshotExchange } from './snapshot-exchange.ts';
import { fenced, stopping } from './refusals.ts';
import type { ServingOptions } from './serving-options.ts';
import type { RenewResult } from './types.ts';
import { WriteCalls } from './write-calls.ts';

/**
 * The running parts of a member that belongs to a cluster, wired in the order persist, send, apply, answer. The
 * consensus side tells this side once a turn what happened; this side answers calls, keeps leases, flushes and
 * compares.
 */
export class Serving {
  readonly #options: ServingOptions;
  readonly #consensus: ConsensusPort;
  readonly #apply: ApplyLoop;
  readonly #flusher: Flusher;
  readonly #calls: WriteCalls;
  readonly #barriers: ReadBarriers;
  readonly #leases: LeaseService;
  readonly #forwarder: Forwarder;
  readonly #hashes: HashCheck;
  readonly #ring = new HashRing(hashesKeptMax);
  readonly #freshness: Freshness;
  readonly #requests: PeerRequests;
  readonly orders: ClusterOrders;
  readonly #snapshots: SnapshotExchange;
  #state: Registry;
  #soft: SoftState = { role: 'follower', term: 0, leader: '', ownTermCommitted: false };
  /** The last applied entry. */
  #applied: LogBase;
  #ticks = 0;
  #scheduled: Timer | undefined;
  #fenced = false;
  #split = false;
  #stopped = false;
  #snapshotDurable: (() => void) | undefined;
  #snapshotServing: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(options: ServingOptions) {
    this.#options = options;
    const { clock, consensus, memberId, recovered, times } = options;
    this.#state = recovered.state;
    this.#applied = baseOf(recovered.directory.store.mark);
    this.#freshness = new Freshness({ nowMs: () => clock.monotonicMs(), barrier: () => this.#patientBarrier() });
    this.#consensus = consensus;
    this.#forwarder = new Forwarder({
      forward: (to, boot, forwarded) => consensus.forward(to, boot, forwarded),
      askTimeoutTicks: times.callTimeoutTicks,
      onRequest: (from, request, answer) => this.#requests.handle(from, request, answer),
      onMalformed: (from, error) => options.observer.event({ kind: 'malformed-forward', from, problem: error.message }),
    });
    this.#calls = new WriteCalls({
      clock,
      memberId,
      timeoutTicks: times.callTimeoutTicks,
      propose: (id, data) => this.#consensus.propose(id, data),
      ask: (to, request, onAnswer) => this.#forwarder.ask(to, request, onAnswer),
    });
    this.#barriers = new ReadBarriers({
      memberId,
      boot: recovered.consensus.boot,
      timeoutTicks: times.callTimeoutTicks,
      revisionTimeoutTicks: times.electionTicksMax,
      readIndex: (context) => this.#consensus.readIndex(context),
    });
    this.#leases = this.#makeLeases();
    this.orders = this.#makeOrders();
    this.#hashes = this.#makeHashes();
    this.#requests = this.#makeRequests();
    this.#apply = this.#makeApply();
    this.#flusher = this.#makeFlusher();
    this.#snapshots = this.#makeSnapshots();
  }

  get state(): Registry {
    return this.#state;
  }

  get soft(): SoftState {
    return this.#soft;
  }

  get fenced(): boolean {
    return this.#fenced;
  }

  get flushedIndex(): number {
    return this.#flusher.flushedIndex;
  }

  get applyBacklog(): number {
    return this.#apply.backlog;
  }

  start(start: ConsensusStart): void {
    const { index, revision } = this.#state.position;
    this.#barriers.applied(index, revision);
    // A member that is not asked to apply anything is compared all the same.
    this.#ring.record(index, this.#state.stateHash());
    this.#consensus.start(start);
    this.#flusher.start();
  }

  ageMs(): number {
    return this.#freshness.ageMs();
  }

  execute(command: Command, deadlineMs?: number): Promise<CommandResult> {
    return new Promise((resolve, reject) => {
      // What is thrown in here rejects the promise.
      this.#refuseWrites();
      this.#calls.add(
        encodeCommand(command),
        'client',
        (outcome) => {
          if (outcome.ok) resolve(outcome.result);
          else reject(outcome.error);
        },
        deadlineMs,
      );
      this.#schedule();
    });
  }

  async renew(leaseIds: readonly number[]): Promise<readonly RenewResult[]> {
    this.refuseFenced();
    if (this.#leases.leading) return this.#leases.renew(leaseIds);
    const { leader } = this.#soft;
    if (leader === '' || leader === this.#options.memberId) return unavailable(leaseIds);
    return new Promise((resolve) => {
      const sent = this.#forwarder.ask(leader, { kind: 'renew', leaseIds }, (answer) => {
        const fits = answer?.kind === 'renewed' && answer.results.length === leaseIds.length;
        resolve(fits ? answer.results : unavailable(leaseIds));
      });
      if (!sent) resolve(unavailable(leaseIds));
    });
  }

  async readBarrier(): Promise<void> {
    this.refuseFenced();
    const barrier = this.#barriers.barrier();
    this.#schedule();
    return barrier;
  }

  /** For what nobody stands waiting for: renewals, and the age of stale answers. It goes with the next heartbeat. */
  async #patientBarrier(): Promise<void> {
    this.refuseFenced();
    const barrier = this.#barriers.patientBarrier();
    this.#schedule();
    return barrier;
  }

  waitForRevision(revision: number): Promise<void> {
    this.refuseFenced();
    return this.#barriers.revision(revision);
  }

  onForwarded(from: MemberId, boot: number, forwarded: readonly Forwarded[]): void {
    if (!this.#stopped) this.#forwarder.receive(from, boot, forwarded);
  }

  onUnreachable(peer: MemberId): void {
    this.#forwarder.unreachable(peer);
  }

  onSnapshot(incoming: IncomingSnapshot): Promise<number> {
    return this.#snapshots.receive(incoming);
  }

  onTurn(turn: ConsensusTurn): void {
    if (this.#stopped) return;
    if (turn.membership !== undefined) {
      this.orders.known(turn.membership);
      this.#options.onMembership(turn.membership);
    }
    this.orders.transfersEnded(turn.transfersEnded);
    for (const end of turn.transfersEnded) this.#options.observer.event({ kind: 'transferred', ...end });
    if (turn.softState !== undefined) this.#roleChanged(turn.softState);
    for (const outcome of turn.proposed) this.#calls.proposed(outcome);
    for (const context of turn.voidedReads) this.#barriers.voided(context);
    if (turn.committed.length > 0) this.#apply.push(turn.committed);
    for (const read of turn.confirmedReads) this.#barriers.confirmed(read);
    for (const peer of turn.snapshotsWanted) this.#snapshots.send(peer);
    this.#schedule();
  }

  /** Renewals and reads that wait are confirmed by rounds that begin from now on. */
  onStall(): void {
    this.#barriers.restart();
    this.#schedule();
  }

  onTick(stalled: boolean): void {
    if (this.#stopped) return;
    this.#ticks++;
    if (stalled) this.#options.observer.event({ kind: 'stalled', stallMsMin: this.#options.times.stallMs });
    this.#forwarder.tick(this.#ticks);
    this.#calls.tick(this.#ticks);
    this.#barriers.tick(this.#ticks);
    this.#leases.tick(this.#ticks, stalled);
    this.orders.tick(this.#ticks);
    if (this.#leases.leading) this.#hashes.tick(this.#ticks);
    if (!this.#fenced && this.#ticks % this.#options.times.heartbeatTicks === 0) this.#freshness.ask();
  }

  onStateReplaced(base: LogBase): void {
    const durable = new Promise<void>((resolve) => {
      this.#snapshotDurable = resolve;
    });
    this.#calls.replaced(base.index);
    // From now on the core's log begins behind the snapshot: a flush of the old state would find no prefix hash there.
    this.#flusher.hold();
    this.#apply.replace(async () => {
      await durable;
      const store = this.#options.recovered.directory.store;
      const state = await loadRegistry(store, this.#options.createState);
      this.#flusher.resumeWith(state, store);
      return state;
    });
  }

  async activateSnapshot(base: LogBase): Promise<MembershipRecord> {
    const { directory } = this.#options.recovered;
    await this.#flusher.pause();
    await directory.activate(this.#snapshots.takeOffered(base));
    return must(directory.installed, 'installed base after an activation').membership;
  }

  onSnapshotDurable(): void {
    this.#snapshotDurable?.();
  }

  onFatal(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#consensus.halt();
    this.#apply.stop();
    this.#snapshotServing?.reject(stopping());
    this.#options.observer.fatal(error);
  }

  /** Nothing new is taken; what is written is made durable and closed. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#scheduled?.cancel();
    this.#leases.follow();
    this.#calls.endAll(stopping());
    this.#forwarder.stop();
    this.orders.stop(stopping());
    this.#barriers.failAll(stopping());
    this.#snapshotServing?.reject(stopping());
    this.#consensus.halt();
    this.#apply.stop();
    try {
      await this.#consensus.settle();
      await this.#flusher.stop();
    } finally {
      await closeRecovered(this.#options.recovered, this.#consensus);
    }
  }

  #schedule(): void {
    if (this.#stopped || this.#scheduled !== undefined) return;
    this.#scheduled = this.#options.clock.nextTurn(() => {
      this.#scheduled = undefined;
      this.#barriers.dispatch();
      this.#calls.dispatch();
    });
  }

  #roleChanged(soft: SoftState): void {
    const before = this.#soft;
    this.#soft = soft;
    if (soft.role !== before.role || soft.term !== before.term || soft.leader !== before.leader) {
      this.#options.observer.event({ kind: 'role', role: soft.role, term: soft.term, leader: soft.leader });
      if (soft.role !== 'leader' || soft.term !== before.term) this.#leases.follow();
      this.#calls.leaderChanged(soft.leader);
      this.#forwarder.leaderChanged(soft.leader);
      this.orders.roleChanged();
    }
    this.#leadIfReady();
  }

  /**
   * Leases and comparisons begin once an entry of the own term is applied: only then is the state known to be whole.
   */
  #leadIfReady(): void {
    if (this.#leases.leading || this.#soft.role !== 'leader' || this.#fenced) return;
    if (this.#state.position.term !== this.#soft.term) return;
    this.#leases.lead(this.#soft.term);
    const leases = this.#state.counts().leases;
    this.#options.observer.event({ kind: 'leading', term: this.#soft.term, leases });
  }

  /** Throws where this member must serve nothing: it is fenced, or stopping. */
  refuseFenced(): void {
    if (this.#stopped) throw stopping();
    if (this.#fenced) throw fenced();
  }

  #refuseWrites(): void {
    this.refuseFenced();
    if (this.#split) {
      throw new RollcallError('MEMBER_FENCED', 'no majority of members agrees on the state; writes are stopped', {
        retryAfterMs: 5_000,
      });
    }
  }

  #fence(index: number, own: string, majority: string): void {
    if (this.#fenced) return;
    this.#fenced = true;
    this.#options.observer.event({ kind: 'fenced', index, own, majority });
    this.#consensus.setEligible(false);
    this.#leases.follow();
    // What this state answers to writes under way may be as wrong as the state.
    this.#calls.endAll(fenced());
    this.#barriers.failAll(fenced());
  }

  #makeLeases(): LeaseService {
    return new LeaseService({
      memberId: this.#options.memberId,
      tickMs: this.#options.times.tickMs,
      heartbeatTicks: this.#options.times.heartbeatTicks,
      timeoutTicks: this.#options.times.callTimeoutTicks,
      state: () => this.#state,
      barrier: (patient) => (patient ? this.#patientBarrier() : this.readBarrier()),
      propose: (command, onOutcome) => {
        this.#calls.add(command, 'own', onOutcome);
        this.#schedule();
      },
      nextTurn: (work) => void this.#options.clock.nextTurn(work),
      onExpired: (leases) => this.#options.observer.event({ kind: 'expired', leases }),
    });
  }

  #makeHashes(): HashCheck {
    const { memberId, observer, times } = this.#options;
    return new HashCheck({
      memberId,
      voters: () => this.orders.voters,
      tickMs: times.tickMs,
      ring: this.#ring,
      forwarder: this.#forwarder,
      appliedIndex: () => this.#state.position.index,
      onOdd: (index, own, majority) => this.#fence(index, own, majority),
      onSplit: (index, hashes) => {
        if (this.#split) return;
        this.#split = true;
        const text = [...hashes].map(([member, hash]) => `${member}=${hash}`).join(' ');
        observer.event({ kind: 'hash-split', index, hashes: text });
      },
      onCompared: (index, answers) => observer.event({ kind: 'hashes-compared', index, answers }),
    });
  }

  #makeOrders(): ClusterOrders {
    const { clusterId, formState, memberId, membership, ownAddress, times } = this.#options;
    return new ClusterOrders({
      memberId,
      clusterId,
      consensus: this.#consensus,
      membership,
      soft: () => this.#soft,
      formState,
      ownAddress,
      ask: (to, request, onAnswer) => this.#forwarder.ask(to, request, onAnswer),
      timeoutTicks: times.callTimeoutTicks,
      tickMs: times.tickMs,
      onFatal: (error) => this.onFatal(error),
    });
  }

  #makeRequests(): PeerRequests {
    return new PeerRequests({
      calls: this.#calls,
      leases: this.#leases,
      hashes: this.#hashes,
      orders: this.orders,
      nowMs: () => this.#options.clock.monotonicMs(),
      refusesWrites: () => this.#fenced || this.#split,
      schedule: () => this.#schedule(),
      onFatal: (error) => this.onFatal(error),
    });
  }

  #makeApply(): ApplyLoop {
    return new ApplyLoop(this.#state, {
      clock: this.#options.clock,
      onEntry: (entry, outcome) => {
        this.#applied = entry;
        this.#ring.record(entry.index, this.#state.stateHash());
        this.#calls.applied(entry.index, entry.term, outcome.results);
        this.#leases.applied(outcome.leases);
      },
      onSlice: (events, sessions) => {
        const { index, revision } = this.#state.position;
        this.#consensus.reportApplied(index);
        this.#flusher.changed();
        this.#options.onApplied({ events, revision, sessions });
        this.#barriers.applied(index, revision);
        this.#leadIfReady();
      },
      onReplaced: (state) => {
        this.#state = state;
        this.#applied = baseOf(this.#options.recovered.directory.store.mark);
        this.#ring.clear();
        const { index, revision } = state.position;
        this.#ring.record(index, state.stateHash());
        this.#options.onReplaced(revision);
        this.#barriers.applied(index, revision);
        this.#options.observer.event({ kind: 'snapshot-installed', index, revision });
        this.#snapshotServing?.resolve();
        this.#snapshotServing = undefined;
      },
      mayApply: () => this.#state.unflushedBytes < this.#options.unflushedBytesMax,
      onFatal: (error) => this.onFatal(error),
    });
  }

  #makeFlusher(): Flusher {
    const { clock, observer, recovered } = this.#options;
    return new Flusher(this.#state, recovered.directory.store, {
      clock,
      log: this.#consensus,
      flushIntervalMs: this.#options.flushIntervalMs,
      logKeepBytes: this.#options.logKeepBytes,
      applied: () => this.#applied,
      onFlushed: (index, keys, ms) => {
        observer.event({ kind: 'flushed', index, keys, ms });
        this.#apply.resume();
      },
      onCompacted: (index) => observer.event({ kind: 'compacted', index }),
      onFatal: (error) => this.onFatal(error),
    });
  }

  #makeSnapshots(): SnapshotExchange {
    const { clock, memberId, observer, recovered } = this.#options;
    return new SnapshotExchange({
      memberId,
      boot: recovered.consensus.boot,
      consensus: this.#consensus,
      soft: () => this.#soft,
      directory: recovered.directory,
      flush: () => this.#flusher.flushNow(),
      installed: (base) => this.#whenServing(base),
      appliedIndex: () => this.#state.position.index,
      mayServe: () => !this.#fenced && !this.#stopped,
      onSent: (peer, base, ms) => observer.event({ kind: 'snapshot-sent', peer, base, ms }),
      onSendFailed: (peer, error) =>
        observer.event({ kind: 'snapshot-failed', peer, reason: error instanceof Error ? error.message : 'unknown' }),
      onReceiving: (from, base) => observer.event({ kind: 'snapshot-receiving', from, base }),
      onFatal: (error) => this.onFatal(error),
      nowMs: () => clock.monotonicMs(),
    });
  }

  #whenServing(base: LogBase): Promise<void> {
    if (this.#state.position.index >= base.index) return Promise.resolve();
    if (this.#stopped) return Promise.reject(stopping());
    return new Promise((resolve, reject) => {
      this.#snapshotServing = { resolve, reject };
    });
  }
}

function baseOf({ index, term, prefixHash }: StateMark): LogBase {
  return { index, term, hash: prefixHash };
}
