import { assert, must, unreachable } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Membership } from '../raft/membership.ts';
import type { MembershipChange } from '../raft/membership-plan.ts';
import type { MembershipChangeResult } from '../raft/reconfigure.ts';
import type { TransferResult } from '../raft/transfer.ts';
import type { LogBase, MemberId, ReadContext, SnapshotMessage } from '../raft/types.ts';
import type { MembershipRecord } from '../storage/entry-log.ts';
import type { Forwarded, FormState } from '../transport/types.ts';
import {
  type ConsensusAsk,
  type ConsensusTell,
  packForwarded,
  type ServingAsk,
  type ServingTell,
  unpackForwarded,
  unpackTurn,
} from './consensus-messages.ts';
import type {
  ConsensusEvents,
  ConsensusPort,
  ConsensusStart,
  ConsensusStatus,
  FlushedState,
  RecoveredConsensus,
} from './consensus-port.ts';
import { fromPlainError } from './plain-error.ts';
import { type Endpoint, ThreadLink } from './thread-link.ts';
import { TickGate } from './tick-gate.ts';
import type { ReplicaTimes } from './times.ts';

export interface RemoteConsensusOptions {
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly times: ReplicaTimes;
  /** For metrics: a durable write of the other thread. */
  readonly onDiskWrite: (path: string, bytes: number, ms: number) => void;
  /** The other thread is to be let go: everything is stopped there, or never will be. Resolves once it is gone. */
  readonly onStopped: () => Promise<void>;
}

/** Beyond its grace, a stop of the other thread is waited for so long, ms; then the thread is ended as it stands. */
const stopAnswerMsMax = 1_000;

/**
 * The consensus side on another thread, where a ConsensusHost serves it. What it told last is known here; everything
 * else is asked. The time that it gives to the serving side is the TickGate's.
 */
export class RemoteConsensus implements ConsensusPort {
  readonly #options: RemoteConsensusOptions;
  readonly #link: ThreadLink<ConsensusAsk, ConsensusTell, ServingAsk, ServingTell>;
  readonly #gate: TickGate;
  #events: ConsensusEvents | undefined;
  #status: ConsensusStatus = { core: undefined, logBytes: 0, peers: [] };
  #statusMs = 0;
  readonly #connected = new Set<MemberId>();
  #durableIndex = 0;
  #keptBytes = 0;
  #halted = false;
  #failed = false;

  constructor(options: RemoteConsensusOptions) {
    this.#options = options;
    const { clock, endpoint, times } = options;
    this.#link = new ThreadLink({
      endpoint,
      onTells: (tells, bytes) => {
        this.#gate.heard();
        for (const tell of tells) this.#told(tell, bytes);
      },
      onAsk: (ask) => this.#asked(ask),
      onFatal: (error) => this.fail(error),
    });
    this.#gate = new TickGate({
      clock,
      tickMs: times.tickMs,
      stallMs: times.stallMs,
      onTick: (stalled) => {
        this.#link.tell(() => ({ kind: 'beat' }));
        this.#attached.onTick(stalled);
      },
      onStall: () => this.#attached.onStall(),
    });
  }

  /** The other thread cannot go on, or is gone. Told once: its end may come by several ways. */
  fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.halt();
    this.#attached.onFatal(error);
  }

  attach(events: ConsensusEvents): void {
    assert(this.#events === undefined, 'a consensus side is attached once');
    this.#events = events;
  }

  async listen(): Promise<number> {
    return (await this.#link.ask({ kind: 'listen' })) as number;
  }

  setFormState(state: FormState): void {
    this.#link.tell(() => ({ kind: 'form-state', state }));
  }

  async askForm(address: string, own: FormState, timeoutMs: number): Promise<FormState> {
    return (await this.#link.ask({ kind: 'form', address, own, timeoutMs })) as FormState;
  }

  async create(membership: MembershipRecord): Promise<void> {
    await this.#link.ask({ kind: 'create', membership });
  }

  async recover(state: FlushedState): Promise<RecoveredConsensus> {
    return (await this.#link.ask({ kind: 'recover', state })) as RecoveredConsensus;
  }

  start(start: ConsensusStart): void {
    this.#link.tell(() => ({ kind: 'start', start }));
    this.#gate.start();
  }

  propose(id: number, data: Uint8Array): void {
    this.#link.tell((bytes) => ({ kind: 'propose', id, data: bytes.add(data) }));
  }

  readIndex(context: ReadContext): void {
    this.#link.tell(() => ({ kind: 'read-index', context }));
  }

  /** Of no effect but on what may be compacted: at the latest the next tick takes it along. */
  reportApplied(index: number): void {
    this.#link.tellLater(() => ({ kind: 'applied', index }));
  }

  setEligible(eligible: boolean): void {
    this.#link.tell(() => ({ kind: 'eligible', eligible }));
  }

  async changeMembership(changes: readonly MembershipChange[], force: boolean): Promise<MembershipChangeResult> {
    return (await this.#link.ask({ kind: 'change-membership', changes, force })) as MembershipChangeResult;
  }

  async transferLeadership(to: MemberId): Promise<TransferResult> {
    return (await this.#link.ask({ kind: 'transfer-leadership', to })) as TransferResult;
  }

  async membershipAt(index: number): Promise<Membership | undefined> {
    return (await this.#link.ask({ kind: 'membership-at', index })) as Membership | undefined;
  }

  forward(to: MemberId, boot: number, forwarded: readonly Forwarded[]): boolean {
    if (!this.#connected.has(to)) return false;
    this.#link.tell((bytes) => ({ kind: 'forward', to, boot, forwarded: packForwarded(forwarded, bytes) }));
    return true;
  }

  async sendSnapshot(to: MemberId, term: number, base: LogBase, body: AsyncIterable<Uint8Array>): Promise<number> {
    const source = this.#link.offer(body);
    return (await this.#link.ask({ kind: 'send-snapshot', to, term, base, source })) as number;
  }

  reportSnapshot(peer: MemberId, result: Parameters<ConsensusPort['reportSnapshot']>[1]): void {
    this.#link.tell(() => ({ kind: 'snapshot-report', peer, result }));
  }

  async offerSnapshot(message: SnapshotMessage): Promise<boolean> {
    return (await this.#link.ask({ kind: 'offer-snapshot', message })) as boolean;
  }

  async compactable(share: number, upto: number): Promise<LogBase | undefined> {
    return (await this.#link.ask({ kind: 'compactable', share, upto })) as LogBase | undefined;
  }

  async compact(base: LogBase): Promise<void> {
    await this.#link.ask({ kind: 'compact', base });
  }

  get durableIndex(): number {
    return this.#durableIndex;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Where the other thread has said nothing for two election timeouts, nobody can say who leads. */
  status(): ConsensusStatus {
    const { core } = this.#status;
    const { clock, times } = this.#options;
    if (core === undefined || clock.monotonicMs() - this.#statusMs <= 2 * times.electionTimeoutMs) return this.#status;
    return { ...this.#status, core: { ...core, role: 'follower', leader: '' } };
  }

  halt(): void {
    if (this.#halted) return;
    this.#halted = true;
    this.#gate.stop();
    this.#link.tell(() => ({ kind: 'halt' }));
    this.#link.flush();
  }

  async settle(): Promise<void> {
    await this.#link.ask({ kind: 'settle' });
  }

  async close(): Promise<void> {
    await this.#link.ask({ kind: 'close' });
  }

  async stop(graceMs: number): Promise<void> {
    const stopped = this.#link.ask({ kind: 'stop', graceMs });
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#options.clock.setTimer(graceMs + stopAnswerMsMax, resolve);
    });
    try {
      await Promise.race([stopped, late]);
    } finally {
      timer?.cancel();
      // What may still be asked ends with the link.
      stopped.catch(() => undefined);
      this.#link.close();
      await this.#options.onStopped();
    }
  }

  get #attached(): ConsensusEvents {
    return must(this.#events, 'serving side of a consensus side');
  }

  #told(tell: ServingTell, bytes: ArrayBuffer): void {
    const events = this.#attached;
    switch (tell.kind) {
      case 'facts':
        this.#durableIndex = tell.durableIndex;
        this.#keptBytes = tell.keptBytes;
        return;
      case 'status':
        return this.#knowStatus(tell.status);
      case 'turn':
        return this.#halted ? undefined : events.onTurn(unpackTurn(tell.turn, bytes));
      case 'tick':
        return this.#gate.ticked(tell.stalled);
      case 'state-replaced':
        return events.onStateReplaced(tell.base);
      case 'snapshot-durable':
        return events.onSnapshotDurable(tell.base);
      case 'forwarded':
        return events.onForwarded(tell.from, tell.boot, unpackForwarded(tell.forwarded, bytes));
      case 'connected':
        this.#connected.add(tell.peer);
        return events.onConnected(tell.peer);
      case 'unreachable':
        // Until the next status says otherwise: a full queue is told so too.
        this.#connected.delete(tell.peer);
        return events.onUnreachable(tell.peer, tell.reason);
      case 'suspected':
        return events.onSuspected(tell.leader, tell.term);
      case 'removed':
        return events.onRemoved(tell.by, tell.text);
      case 'unsent':
        return events.onUnsent(tell.peer);
      case 'late':
        return events.onLate(tell.what, tell.ms);
      case 'disk-write':
        return this.#options.onDiskWrite(tell.path, tell.bytes, tell.ms);
      case 'fatal':
        return this.fail(fromPlainError(tell.error));
      default:
        return unreachable(tell);
    }
  }

  #knowStatus(status: ConsensusStatus): void {
    this.#status = status;
    this.#statusMs = this.#options.clock.monotonicMs();
    this.#connected.clear();
    for (const peer of status.peers) if (peer.connected) this.#connected.add(peer.memberId);
  }

  async #asked(ask: ServingAsk): Promise<unknown> {
    switch (ask.kind) {
      case 'activate-snapshot':
        return this.#attached.activateSnapshot(ask.base);
      case 'snapshot':
        return this.#attached.onSnapshot({ ...ask.incoming, body: this.#link.body(ask.source) });
      default:
        return unreachable(ask);
    }
  }
}
