import type { Caller, RegistryApi } from '../../../src/api/types.ts';
import { must } from '../../../src/base/assert.ts';
import type { MemberId, Message, ReadContext } from '../../../src/raft/types.ts';
import type { ConsensusEvents, ConsensusPort } from '../../../src/replica/consensus-port.ts';
import type { ConsensusTurn } from '../../../src/replica/consensus.ts';
import type { ReplicaStorage } from '../../../src/replica/storage.ts';
import { decodeBatch } from '../../../src/state-machine/command-codec.ts';
import { RegistryState } from '../../../src/state-machine/registry-state.ts';
import type { ApplyOutcome, StateMachineBounds } from '../../../src/state-machine/types.ts';
import type { HardStateRecord } from '../../../src/storage/hard-state.ts';
import { MemoryTransport, type MemoryTransportOptions } from '../../../src/transport/memory-transport.ts';
import type { Forwarded } from '../../../src/transport/types.ts';
import type { WatchSink } from '../../../src/watch/types.ts';
import { isMembershipEntry } from '../checkers/membership-entry.ts';
import type { SimEvent } from '../types.ts';
import type { CrashPoint } from './crash-points.ts';

/** What the parts of one life of a member tell. Of a life that is over nothing is heard any more. */
export interface LifeTap {
  readonly member: MemberId;
  readonly life: number;
  readonly isOver: boolean;
  /** Its state hash is to look other than it is. */
  readonly isOdd: boolean;
  readonly nowMs: number;
  tell(event: SimEvent): void;
  /** The life may be over when this returns. */
  hit(point: CrashPoint): void;
}

const pointOfMessage: { readonly [Kind in Message['kind']]?: CrashPoint } = {
  append: 'beforeLeaderSend',
  heartbeat: 'beforeLeaderSend',
  'append-reply': 'beforeFollowerReply',
  'vote-request': 'beforeVoteRequest',
};

/** The transport, with each message that leaves told. */
export class ObservedTransport extends MemoryTransport {
  readonly #tap: LifeTap;

  constructor(options: MemoryTransportOptions, tap: LifeTap) {
    super(options);
    this.#tap = tap;
  }

  override send(to: MemberId, messages: readonly Message[], forwarded: readonly Forwarded[]): boolean {
    const tap = this.#tap;
    for (const message of messages) {
      const point = pointOfMessage[message.kind];
      if (point !== undefined) tap.hit(point);
      if (message.kind !== 'append' || message.entries.length === 0) continue;
      tap.hit('beforeEntriesSend');
      // Its own log has it since this very turn.
      if (message.entries.some(({ data }) => isMembershipEntry(data))) tap.hit('afterConfAppend');
    }
    if (tap.isOver) return false;
    const taken = super.send(to, messages, forwarded);
    if (taken) for (const message of messages) tap.tell({ kind: 'sent', from: tap.member, message });
    return taken;
  }
}

/** The state machine, with each entry that it applies told. */
export class ObservedState extends RegistryState {
  readonly #tap: LifeTap;
  #isHonest = false;
  #loaded: SimEvent | undefined;

  constructor(bounds: StateMachineBounds | undefined, tap: LifeTap) {
    super(bounds);
    this.#tap = tap;
  }

  override apply(entry: { readonly index: number; readonly term: number; readonly data: Uint8Array }): ApplyOutcome {
    this.#tellLoaded();
    this.#tap.hit('midApplyBatch');
    const outcome = super.apply(entry);
    const { member, life } = this.#tap;
    const { results, events } = outcome;
    const { revision } = this.position;
    const { index, term, data } = entry;
    const hash = super.stateHash();
    this.#tap.tell({ kind: 'applied', member, life, index, term, revision, hash, data, results, events });
    this.#tap.hit('afterApplyBeforeReply');
    return outcome;
  }

  override changes(...args: Parameters<RegistryState['changes']>): ReturnType<RegistryState['changes']> {
    this.#tellLoaded();
    this.#tap.hit('beforeWatchCatchup');
    return super.changes(...args);
  }

  override finishLoad(): { readonly stateHash: string } {
    const loaded = this.#honestly(() => super.finishLoad());
    const { index, revision } = this.position;
    const { member, life } = this.#tap;
    this.#loaded = { kind: 'loaded', member, life, index, revision, hash: loaded.stateHash };
    return loaded;
  }

  /** Only when it is used: whoever has loaded it may find that it is damaged, and throw it away. */
  #tellLoaded(): void {
    const loaded = this.#loaded;
    if (loaded === undefined) return;
    this.#loaded = undefined;
    this.#tap.tell(loaded);
  }

  override stateHash(): string {
    if (!this.#isHonest) this.#tellLoaded();
    const hash = super.stateHash();
    return this.#tap.isOdd && !this.#isHonest ? `f0f0${hash.slice(4)}` : hash;
  }

  override freeze(): ReturnType<RegistryState['freeze']> {
    this.#tellLoaded();
    this.#tap.hit('beforeFlush');
    return this.#honestly(() => super.freeze());
  }

  /** What is stored and loaded is right: only what is said of it is not. */
  #honestly<T>(work: () => T): T {
    this.#isHonest = true;
    try {
      return work();
    } finally {
      this.#isHonest = false;
    }
  }

  override releaseFrozen(): void {
    super.releaseFrozen();
    this.#tap.hit('afterFlush');
  }
}

/** The durable parts, with what is found at a start told. */
export function observeStorage(storage: ReplicaStorage, tap: LifeTap): ReplicaStorage {
  const { member, life } = tap;
  let found: Awaited<ReturnType<ReplicaStorage['openLog']>>['recovered'] | undefined;
  const tell = ({ term, vote, boot }: HardStateRecord): void => {
    const { base, entries } = must(found, 'the log is opened before the hard state');
    tap.tell({ kind: 'recovered', member, life, term, vote, boot, baseIndex: base.index, entries });
  };
  return {
    identity: storage.identity,
    create: (membership) => storage.create(membership),
    openState: () => storage.openState(),
    freeBytes: () => storage.freeBytes(),
    openLog: async (opening) => {
      const opened = await storage.openLog(opening);
      found = opened.recovered;
      return opened;
    },
    openHardState: async () => {
      const file = await storage.openHardState();
      tell(file.current);
      return file;
    },
  };
}

/** Tells of every turn of the consensus side, on its own thread, and marks its moments. */
export function observeConsensus(port: ConsensusPort, tap: LifeTap): ConsensusPort {
  const asked = new Map<string, number>();
  const attach = port.attach.bind(port);
  port.attach = (events: ConsensusEvents): void =>
    attach({
      ...events,
      onTurn: (turn) => {
        tellTurn(turn, tap, asked);
        if (!tap.isOver) events.onTurn(turn);
      },
      activateSnapshot: (base) => {
        tap.hit('beforeSnapshotInstall');
        return events.activateSnapshot(base);
      },
      onStateReplaced: (base) => {
        tap.hit('midSnapshotInstall');
        events.onStateReplaced(base);
      },
    });
  const propose = port.propose.bind(port);
  port.propose = (id: number, data: Uint8Array): void => {
    if (decodeBatch(data).commands.some(({ command }) => command.body.kind === 'expire-lease'))
      tap.hit('beforeLeaseExpirePropose');
    if (!tap.isOver) propose(id, data);
  };
  const readIndex = port.readIndex.bind(port);
  port.readIndex = (context: ReadContext): void => {
    asked.set(`${context.boot} ${context.counter}`, tap.nowMs);
    readIndex(context);
  };
  return port;
}

function tellTurn(turn: ConsensusTurn, tap: LifeTap, asked: Map<string, number>): void {
  const { member, life } = tap;
  const { softState } = turn;
  if (softState !== undefined) {
    if (softState.role === 'leader' && !softState.ownTermCommitted) tap.hit('afterLeaderElectedBeforeNoop');
    const { term, role, leader, ownTermCommitted } = softState;
    tap.tell({ kind: 'role', member, life, term, role, leader, ownTermCommitted });
  }
  for (const entry of turn.committed) tap.tell({ kind: 'committed', member, life, entry });
  if (turn.committed.length > 0) tap.hit('beforeApplyBatch');
  if (turn.committed.some(({ data }) => isMembershipEntry(data))) tap.hit('beforeConfApply');
  for (const { context, index } of turn.confirmedReads) {
    const key = `${context.boot} ${context.counter}`;
    const askedMs = asked.get(key);
    asked.delete(key);
    if (context.member === member && askedMs !== undefined) {
      tap.hit('beforeReadIndexReply');
      tap.tell({ kind: 'read-confirmed', member, askedMs, index });
    }
  }
  for (const { boot, counter } of turn.voidedReads) asked.delete(`${boot} ${counter}`);
}

/** The use cases, with each batch that goes to a watcher marked. */
export function watchedRegistry(registry: RegistryApi, tap: LifeTap): RegistryApi {
  const openWatch = registry.openWatch.bind(registry);
  registry.openWatch = (sink: WatchSink, caller: Caller) =>
    openWatch(
      {
        send: (response) => {
          tap.hit('beforeWatchSend');
          return !tap.isOver && sink.send(response);
        },
      },
      caller,
    );
  return registry;
}
