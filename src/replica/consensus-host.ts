import { unreachable } from '../base/assert.ts';
import { bytesOf } from './byte-batch.ts';
import {
  type ConsensusAsk,
  type ConsensusTell,
  packForwarded,
  packTurn,
  type ServingAsk,
  type ServingTell,
  unpackForwarded,
} from './consensus-messages.ts';
import type { ConsensusEvents, ConsensusPort, ConsensusStatus } from './consensus-port.ts';
import { toPlainError } from './plain-error.ts';
import { type Endpoint, ThreadLink } from './thread-link.ts';

export interface ConsensusHostOptions {
  readonly endpoint: Endpoint;
  /** The consensus side itself, on this thread. */
  readonly consensus: ConsensusPort;
  /** Ticks without a tick of the serving side after which a leader gives up: its calls would wait for ever. */
  readonly servingSilenceTicksMax: number;
  /** What to add to a time of this thread's monotonic clock to get one of the serving side's, ms. */
  readonly clockOffsetMs: number;
}

/** Serves the consensus side of this thread to the serving side on another one. */
export class ConsensusHost {
  readonly #options: ConsensusHostOptions;
  readonly #consensus: ConsensusPort;
  readonly #link: ThreadLink<ServingAsk, ServingTell, ConsensusAsk, ConsensusTell>;
  #started = false;
  #eligible = true;
  /** Ticks since the serving side took one. */
  #silentTicks = 0;
  #toldDurableIndex = 0;
  #toldKeptBytes = 0;

  constructor(options: ConsensusHostOptions) {
    this.#options = options;
    this.#consensus = options.consensus;
    this.#link = new ThreadLink({
      endpoint: options.endpoint,
      onTells: (tells, bytes) => {
        for (const tell of tells) this.#told(tell, bytes);
      },
      onAsk: (ask) => this.#asked(ask),
      onFatal: (error) => this.#fatal(error),
    });
    options.consensus.attach(this.#events());
  }

  /** A durable write took so long; for metrics. */
  tellDiskWrite(path: string, bytes: number, ms: number): void {
    this.#link.tellLater(() => ({ kind: 'disk-write', path, bytes, ms }));
  }

  #events(): ConsensusEvents {
    const link = this.#link;
    return {
      onTurn: (turn) => {
        this.#tellFacts();
        if (turn.softState !== undefined) this.#tellStatus();
        link.tell((bytes) => ({ kind: 'turn', turn: packTurn(turn, bytes) }));
      },
      onTick: (stalled) => this.#ticked(stalled),
      // Its own stalls the consensus side sees to itself.
      onStall: () => undefined,
      onStateReplaced: (base) => link.tell(() => ({ kind: 'state-replaced', base })),
      activateSnapshot: async (base) => {
        const membership = await link.ask({ kind: 'activate-snapshot', base });
        return membership as Awaited<ReturnType<ConsensusEvents['activateSnapshot']>>;
      },
      onSnapshotDurable: (base) => {
        this.#tellFacts();
        link.tell(() => ({ kind: 'snapshot-durable', base }));
      },
      onForwarded: (from, boot, forwarded) => {
        link.tell((bytes) => ({ kind: 'forwarded', from, boot, forwarded: packForwarded(forwarded, bytes) }));
      },
      onConnected: (peer) => link.tell(() => ({ kind: 'connected', peer })),
      onUnreachable: (peer, reason) => link.tell(() => ({ kind: 'unreachable', peer, reason })),
      onSuspected: (leader, term) => link.tell(() => ({ kind: 'suspected', leader, term })),
      onRemoved: (by, text) => link.tell(() => ({ kind: 'removed', by, text })),
      // Told by `forward` itself on this thread.
      onUnsent: () => undefined,
      onSnapshot: async ({ body, ...incoming }) => {
        const index = await link.ask({ kind: 'snapshot', incoming, source: link.offer(body) });
        return index as number;
      },
      onLate: (what, ms) => link.tellLater(() => ({ kind: 'late', what, ms })),
      onFatal: (error) => this.#fatal(error),
    };
  }

  #ticked(stalled: boolean): void {
    this.#silentTicks++;
    if (this.#silentTicks === this.#options.servingSilenceTicksMax) this.#consensus.setEligible(false);
    this.#tellFacts();
    this.#tellStatus();
    this.#link.tell(() => ({ kind: 'tick', stalled }));
  }

  /** Before, and with, whatever tells of entries: the serving side is never to take for durable what no longer is. */
  #tellFacts(): void {
    const { durableIndex, keptBytes } = this.#consensus;
    if (durableIndex === this.#toldDurableIndex && keptBytes === this.#toldKeptBytes) return;
    this.#toldDurableIndex = durableIndex;
    this.#toldKeptBytes = keptBytes;
    this.#link.tellLater(() => ({ kind: 'facts', durableIndex, keptBytes }));
  }

  #tellStatus(): void {
    const { core, logBytes, peers } = this.#consensus.status();
    const { clockOffsetMs } = this.#options;
    const status: ConsensusStatus = {
      core,
      logBytes,
      peers: peers.map(({ lastHeardMs, ...peer }) => ({
        ...peer,
        lastHeardMs: lastHeardMs === undefined ? undefined : lastHeardMs + clockOffsetMs,
      })),
    };
    this.#link.tell(() => ({ kind: 'status', status }));
  }

  #told(tell: ConsensusTell, bytes: ArrayBuffer): void {
    const consensus = this.#consensus;
    switch (tell.kind) {
      case 'form-state':
        return consensus.setFormState(tell.state);
      case 'start':
        this.#started = true;
        return consensus.start(tell.start);
      case 'propose':
        return consensus.propose(tell.id, bytesOf(bytes, tell.data));
      case 'read-index':
        return consensus.readIndex(tell.context);
      case 'applied':
        return consensus.reportApplied(tell.index);
      case 'eligible':
        this.#eligible = tell.eligible;
        return consensus.setEligible(tell.eligible && !this.#servingSilent);
      case 'forward': {
        const { to, boot } = tell;
        if (consensus.forward(to, boot, unpackForwarded(tell.forwarded, bytes))) return;
        // An answer that finds no way back is asked for again, or was of an earlier life.
        if (tell.forwarded.some(({ answer }) => !answer)) this.#link.tell(() => ({ kind: 'unsent', peer: to }));
        return;
      }
      case 'snapshot-report':
        return consensus.reportSnapshot(tell.peer, tell.result);
      case 'beat':
        return this.#beat();
      case 'halt':
        return consensus.halt();
      default:
        return unreachable(tell);
    }
  }

  get #servingSilent(): boolean {
    return this.#silentTicks >= this.#options.servingSilenceTicksMax;
  }

  #beat(): void {
    const wasSilent = this.#servingSilent;
    this.#silentTicks = 0;
    if (wasSilent) this.#consensus.setEligible(this.#eligible);
  }

  async #asked(ask: ConsensusAsk): Promise<unknown> {
    const consensus = this.#consensus;
    switch (ask.kind) {
      case 'listen':
        return consensus.listen();
      case 'form':
        return consensus.askForm(ask.address, ask.own, ask.timeoutMs);
      case 'create':
        return consensus.create(ask.membership);
      case 'recover':
        return consensus.recover(ask.state);
      case 'send-snapshot':
        return consensus.sendSnapshot(ask.to, ask.term, ask.base, this.#link.body(ask.source));
      case 'offer-snapshot':
        return consensus.offerSnapshot(ask.message);
      case 'compactable':
        return consensus.compactable(ask.share, ask.upto);
      case 'compact':
        return consensus.compact(ask.base);
      case 'change-membership':
        return consensus.changeMembership(ask.changes, ask.force);
      case 'transfer-leadership':
        return consensus.transferLeadership(ask.to);
      case 'membership-at':
        return consensus.membershipAt(ask.index);
      case 'settle':
        await consensus.settle();
        if (this.#started) this.#tellFacts();
        return undefined;
      case 'close':
        return consensus.close();
      case 'stop':
        return consensus.stop(ask.graceMs);
      default:
        return unreachable(ask);
    }
  }

  #fatal(error: unknown): void {
    this.#consensus.halt();
    this.#link.tell(() => ({ kind: 'fatal', error: toPlainError(error) }));
    this.#link.flush();
  }
}
