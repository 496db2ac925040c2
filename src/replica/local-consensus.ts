import { assert, must } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { raftDefaults, type RaftInitial } from '../raft/config.ts';
import type { Membership } from '../raft/membership.ts';
import type { MembershipChange } from '../raft/membership-plan.ts';
import { RaftCore } from '../raft/raft-core.ts';
import type { MembershipChangeResult } from '../raft/reconfigure.ts';
import { decodeMembership, isMembershipData } from '../raft/system-entries.ts';
import type { TransferResult } from '../raft/transfer.ts';
import type { LogBase, MemberId, ReadContext, SnapshotMessage } from '../raft/types.ts';
import type { EntryLog, MembershipRecord, RecoveredLog } from '../storage/entry-log.ts';
import type { HardStateFile } from '../storage/hard-state.ts';
import type { Forwarded, FormState, Transport } from '../transport/types.ts';
import { compactableIndex } from './compactable.ts';
import { Consensus, type ConsensusTurn } from './consensus.ts';
import type {
  ConsensusEvents,
  ConsensusPort,
  ConsensusStart,
  ConsensusStatus,
  FlushedState,
  RecoveredConsensus,
} from './consensus-port.ts';
import { Failover } from './failover.ts';
import type { LateKind } from './lateness.ts';
import { PeerList } from './peer-list.ts';
import { Persister } from './persister.ts';
import type { ConsensusStorage } from './storage.ts';
import type { ReplicaTimes } from './times.ts';

export interface LocalConsensusOptions {
  readonly memberId: MemberId;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly storage: ConsensusStorage;
  readonly times: ReplicaTimes;
}

interface Opened {
  readonly log: EntryLog;
  readonly hardState: HardStateFile;
  readonly boot: number;
  readonly initial: RaftInitial;
}

interface Running {
  readonly core: RaftCore;
  readonly consensus: Consensus;
  readonly persister: Persister;
  readonly failover: Failover;
}

/** The consensus side on the caller's own thread: core, log, hard state, peers and ticks, put together. */
export class LocalConsensus implements ConsensusPort {
  readonly #options: LocalConsensusOptions;
  #events: ConsensusEvents | undefined;
  #formState: FormState | undefined;
  #opened: Opened | undefined;
  #running: Running | undefined;
  #settled = false;

  constructor(options: LocalConsensusOptions) {
    this.#options = options;
  }

  attach(events: ConsensusEvents): void {
    assert(this.#events === undefined, 'a consensus side is attached once');
    this.#events = events;
  }

  listen(): Promise<number> {
    const events = this.#attached;
    return this.#options.transport.start({
      onBatch: (from, messages, forwarded) => {
        if (messages.length > 0) this.#running?.consensus.receive(messages);
        if (forwarded.length > 0) events.onForwarded(from, this.#options.transport.bootOf(from), forwarded);
      },
      onConnected: (peer) => {
        this.#running?.failover.connected(peer);
        events.onConnected(peer);
      },
      onUnreachable: (peer, reason) => {
        this.#running?.consensus.unreachable(peer);
        events.onUnreachable(peer, reason);
      },
      onStreamEnded: (peer) => this.#running?.failover.streamEnded(peer),
      onRemoved: (by, text) => events.onRemoved(by, text),
      onSnapshot: (incoming) => events.onSnapshot(incoming),
      acknowledged: (peer) => this.#running?.core.acknowledgedBy(peer) ?? 0,
      onForm: () => must(this.#formState, 'form state of a listening member'),
    });
  }

  setFormState(state: FormState): void {
    this.#formState = state;
  }

  askForm(address: string, own: FormState, timeoutMs: number): Promise<FormState> {
    return this.#options.transport.form(address, own, timeoutMs);
  }

  create(membership: MembershipRecord): Promise<void> {
    return this.#options.storage.create(membership);
  }

  async recover(state: FlushedState): Promise<RecoveredConsensus> {
    const { storage } = this.#options;
    const { log, recovered } = await storage.openLog({
      appliedIndex: state.index,
      installed: state.installed,
      onFailure: (error) => this.#fatal(error),
    });
    checkTogether(state, recovered);
    const hardState = await storage.openHardState();
    const lastTerm = recovered.entries.at(-1)?.term ?? recovered.base.term;
    const { term, vote, boot } = hardState.current;
    // An entry of a term is appended only after that term was synced: a log ahead of the hard state is a lost record.
    if (lastTerm > term) {
      throw new StorageError('damaged', 'hard-state', `says term ${term}, the log holds an entry of term ${lastTerm}`);
    }
    await hardState.write({ term, vote, boot: boot + 1 });
    const initial: RaftInitial = {
      hardState: { term, vote },
      base: recovered.base,
      membership: recovered.membership,
      entries: recovered.entries,
      commit: Math.max(recovered.commit, state.index),
      applied: state.index,
    };
    const { torn, entries, base } = recovered;
    const newest = entries.findLast(({ data }) => isMembershipData(data));
    const membership = newest === undefined ? recovered.membership : decodeMembership(newest.data);
    this.#opened = { log, hardState, boot: boot + 1, initial };
    return { boot: boot + 1, membership, entries: entries.length, lastIndex: base.index + entries.length, torn };
  }

  start({ identity, addresses, sponsors }: ConsensusStart): void {
    const { clock, times, transport } = this.#options;
    const opened = must(this.#opened, 'log and hard state of a member that starts');
    const events = this.#attached;
    const core = this.#makeCore(opened);
    const peers = new PeerList({
      memberId: identity.memberId,
      membership: core.membership,
      configured: addresses,
      sponsors,
      clock,
      farewellMs: times.electionTimeoutMs,
      setPeers: (list, removedIds) => transport.setPeers(list, removedIds),
    });
    const consensus = new Consensus({
      core,
      transport,
      clock,
      tickMs: times.tickMs,
      heartbeatTicks: times.heartbeatTicks,
      electionTicksMax: times.electionTicksMax,
      stallMs: times.stallMs,
      listener: {
        onTurn: (turn: ConsensusTurn) => events.onTurn(turn),
        onTick: (stalled) => events.onTick(stalled),
        onStateReplaced: (base) => events.onStateReplaced(base),
        onMembership: (news) => peers.changed(news),
        onLate: (kind: LateKind, ms) => events.onLate(kind, ms),
        onFatal: (error) => events.onFatal(error),
      },
    });
    const persister = new Persister({
      log: opened.log,
      hardState: opened.hardState,
      activateSnapshot: (base) => {
        consensus.takeOffered(base);
        return events.activateSnapshot(base);
      },
      onSnapshotDurable: (base) => events.onSnapshotDurable(base),
      onDurable: (sequence) => consensus.reportDurable(sequence),
      onFailure: (error) => this.#fatal(error),
    });
    this.#running = { core, consensus, persister, failover: this.#makeFailover(core, consensus) };
    transport.setIdentity(identity, peers.atStart);
    consensus.start(persister);
  }

  propose(id: number, data: Uint8Array): void {
    this.#running?.consensus.propose(id, data);
  }

  readIndex(context: ReadContext): void {
    this.#running?.consensus.readIndex(context);
  }

  reportApplied(index: number): void {
    this.#running?.consensus.reportApplied(index);
  }

  setEligible(eligible: boolean): void {
    this.#running?.consensus.setEligible(eligible);
  }

  async changeMembership(changes: readonly MembershipChange[], force: boolean): Promise<MembershipChangeResult> {
    const { consensus } = must(this.#running, 'core of a member that takes orders');
    return consensus.changeMembership(changes, force);
  }

  async transferLeadership(to: MemberId): Promise<TransferResult> {
    return must(this.#running, 'core of a member that takes orders').consensus.transferLeadership(to);
  }

  async membershipAt(index: number): Promise<Membership | undefined> {
    return this.#running?.core.membershipAt(index);
  }

  forward(to: MemberId, boot: number, forwarded: readonly Forwarded[]): boolean {
    const { transport } = this.#options;
    if (boot !== 0 && transport.bootOf(to) !== boot) return false;
    return transport.send(to, [], forwarded);
  }

  sendSnapshot(to: MemberId, term: number, base: LogBase, body: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#options.transport.sendSnapshot(to, term, base, body);
  }

  reportSnapshot(peer: MemberId, result: { ok: true; index: number } | { ok: false }): void {
    this.#running?.consensus.reportSnapshot(peer, result);
  }

  async offerSnapshot(message: SnapshotMessage): Promise<boolean> {
    return must(this.#running, 'core of a member that takes snapshots').consensus.offerSnapshot(message);
  }

  async compactable(share: number, upto: number): Promise<LogBase | undefined> {
    const { core } = must(this.#running, 'core of a member that compacts');
    const index = compactableIndex(core, share, upto);
    if (index === 0) return undefined;
    return { index, ...must(core.prefixAt(index), 'prefix at the compaction index') };
  }

  async compact(base: LogBase): Promise<void> {
    const { log } = must(this.#opened, 'log of a member that compacts');
    const { core, consensus } = must(this.#running, 'core of a member that compacts');
    const membership = core.membershipAt(base.index);
    // A snapshot has restarted the log above it meanwhile.
    if (membership === undefined) return;
    await log.compact(base, membership);
    consensus.compact(base.index);
  }

  /** The core's falls as soon as an entry is superseded, the log's where it is written anew: neither is ahead. */
  get durableIndex(): number {
    const { log } = must(this.#opened, 'log of a member');
    if (this.#settled) return log.durableIndex;
    return Math.min(log.durableIndex, this.#running?.core.durableIndex ?? 0);
  }

  get keptBytes(): number {
    return this.#opened?.log.keptBytes ?? 0;
  }

  status(): ConsensusStatus {
    return {
      core: this.#running?.core.status(),
      logBytes: this.keptBytes,
      peers: this.#options.transport.status(),
    };
  }

  halt(): void {
    this.#running?.failover.stop();
    this.#running?.consensus.stop();
  }

  async settle(): Promise<void> {
    this.halt();
    await this.#running?.persister.idle();
    // The core is not told any more; nothing waits that could supersede anything.
    this.#settled = true;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    const closed = await Promise.allSettled([opened.log.close(), opened.hardState.close()]);
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  stop(graceMs: number): Promise<void> {
    return this.#options.transport.stop(graceMs);
  }

  get #attached(): ConsensusEvents {
    return must(this.#events, 'serving side of a consensus side');
  }

  #makeFailover(core: RaftCore, consensus: Consensus): Failover {
    const { clock, memberId, random, transport } = this.#options;
    return new Failover({
      memberId,
      clock,
      random,
      probe: (peer) => transport.probe(peer),
      isConnected: (peer) => transport.status().some((one) => one.memberId === peer && one.connected),
      leader: () => core.leader,
      voters: () => core.membership.voters.map(({ id }) => id),
      suspect: (campaigns) => consensus.suspectLeader(campaigns),
      retry: () => consensus.retrySuspicion(),
      isCandidate: () => core.role === 'candidate',
      onSuspected: (leader) => this.#attached.onSuspected(leader, core.term),
      onFatal: (error) => this.#fatal(error),
    });
  }

  #makeCore({ boot, initial }: Opened): RaftCore {
    const { memberId, random, times } = this.#options;
    return new RaftCore(
      {
        ...raftDefaults,
        id: memberId,
        boot,
        random,
        heartbeatTicks: times.heartbeatTicks,
        electionTicksMin: times.electionTicksMin,
        electionTicksMax: times.electionTicksMax,
      },
      initial,
    );
  }

  #fatal(error: unknown): void {
    this.halt();
    this.#attached.onFatal(error);
  }
}

function checkTogether(state: FlushedState, recovered: RecoveredLog): void {
  const { base, entries } = recovered;
  const lastIndex = base.index + entries.length;
  if (state.index < base.index) {
    const problem = `holds index ${state.index}, but the log begins behind ${base.index}: flushed state was lost`;
    throw new StorageError('damaged', 'state', problem);
  }
  assert(state.index <= lastIndex, () => `state is at ${state.index}, the log ends at ${lastIndex}`);
  if (state.index === 0) return;
  const hash = state.index === base.index ? base.hash : entries[state.index - base.index - 1]?.hash;
  if (hash === state.prefixHash) return;
  const found = hash ?? 'none';
  const problem = `was flushed at index ${state.index} with prefix hash ${state.prefixHash}, the log has ${found}`;
  throw new StorageError('damaged', 'state', problem);
}
