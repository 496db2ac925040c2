import { assert, assertEqual, must } from '../base/assert.ts';
import { RollcallError, StorageError } from '../base/errors.ts';
import type { LogBase, MemberId, SnapshotMessage, SoftState } from '../raft/types.ts';
import { SnapshotStreamError } from '../storage/snapshot-decoder.ts';
import { encodeSnapshot, receiveSnapshot } from '../storage/snapshot-stream.ts';
import type { StagedState, StateDirectory } from '../storage/state-store.ts';
import type { IncomingSnapshot } from '../transport/types.ts';
import type { ConsensusPort } from './consensus-port.ts';

export interface SnapshotExchangeOptions {
  readonly memberId: MemberId;
  readonly boot: number;
  readonly consensus: ConsensusPort;
  /** As the consensus side told it last. */
  readonly soft: () => SoftState;
  readonly directory: StateDirectory;
  /** Flushes what may be flushed, so that the snapshot is as new as can be. */
  readonly flush: () => Promise<void>;
  /** Resolves once the state of this base serves. */
  readonly installed: (base: LogBase) => Promise<void>;
  readonly appliedIndex: () => number;
  readonly mayServe: () => boolean;
  readonly onSent: (peer: MemberId, base: LogBase, ms: number) => void;
  readonly onSendFailed: (peer: MemberId, error: unknown) => void;
  readonly onReceiving: (from: MemberId, base: LogBase) => void;
  readonly onFatal: (error: unknown) => void;
  readonly nowMs: () => number;
}

/** Sends the flushed state to members whose log can no longer be fed, and takes such states in. */
export class SnapshotExchange {
  readonly #options: SnapshotExchangeOptions;
  readonly #sending = new Set<MemberId>();
  #offered: { readonly base: LogBase; readonly staged: StagedState } | undefined;

  constructor(options: SnapshotExchangeOptions) {
    this.#options = options;
  }

  /** Answers the core by reportSnapshot in every case. */
  send(peer: MemberId): void {
    if (this.#sending.has(peer)) return;
    this.#sending.add(peer);
    this.#send(peer).then(
      (index) => {
        this.#sending.delete(peer);
        this.#options.consensus.reportSnapshot(peer, { ok: true, index });
      },
      (error: unknown) => {
        this.#sending.delete(peer);
        this.#endIfDiskFailed(error);
        this.#options.onSendFailed(peer, error);
        this.#options.consensus.reportSnapshot(peer, { ok: false });
      },
    );
  }

  /**
   * Takes a snapshot from a leader. Resolves with the index this member then stands at; rejects where the stream broke
   * (nothing changed then) or the snapshot is of no use here.
   */
  async receive(incoming: IncomingSnapshot): Promise<number> {
    const { memberId, boot, consensus } = this.#options;
    this.#options.onReceiving(incoming.from, incoming.snapshot);
    const received = await this.#store(incoming);
    const message: SnapshotMessage = {
      kind: 'snapshot',
      from: incoming.from,
      to: memberId,
      fromBoot: incoming.fromBoot,
      toBoot: boot,
      term: incoming.term,
      snapshot: incoming.snapshot,
      membership: received.membership,
    };
    assert(this.#offered === undefined, 'one snapshot is offered at a time');
    this.#offered = { base: incoming.snapshot, staged: received.staged };
    if (!(await consensus.offerSnapshot(message))) {
      this.#offered = undefined;
      await this.#discard(received.staged);
      return this.#options.appliedIndex();
    }
    await this.#options.installed(incoming.snapshot);
    return incoming.snapshot.index;
  }

  /** The staged state that this base activates: the one that was offered. */
  takeOffered(base: LogBase): StagedState {
    const offered = must(this.#offered, 'snapshot that was offered');
    assertEqual(base.index, offered.base.index, 'index of the snapshot to activate');
    assertEqual(base.hash, offered.base.hash, `prefix hash of the snapshot at ${base.index}`);
    this.#offered = undefined;
    return offered.staged;
  }

  async #discard(staged: StagedState): Promise<void> {
    try {
      await staged.discard();
    } catch (error) {
      this.#endIfDiskFailed(error);
      throw error;
    }
  }

  async #store(incoming: IncomingSnapshot): ReturnType<typeof receiveSnapshot> {
    try {
      return await receiveSnapshot(incoming.body, this.#options.directory, (head) => {
        const { mark } = head;
        const { index, term, hash } = incoming.snapshot;
        if (mark.index === index && mark.term === term && mark.prefixHash === hash) return;
        throw new SnapshotStreamError(0, `its head says index ${mark.index}, its sender ${index}`);
      });
    } catch (error) {
      this.#endIfDiskFailed(error);
      throw error;
    }
  }

  /** 'refused' is no failure of the disk: the store was closed, because a snapshot replaced it or the member stops. */
  #endIfDiskFailed(error: unknown): void {
    if (error instanceof StorageError && error.kind !== 'refused') this.#options.onFatal(error);
  }

  async #send(peer: MemberId): Promise<number> {
    const { consensus, directory, soft } = this.#options;
    const startMs = this.#options.nowMs();
    if (!this.#options.mayServe()) {
      throw new RollcallError('MEMBER_FENCED', 'a fenced member sends no snapshots', { retryAfterMs: 1_000 });
    }
    const { term } = soft();
    await this.#options.flush();
    // A snapshot says who leads its term: one from a member that does not would make the receiver ignore the leader.
    if (soft().role !== 'leader' || soft().term !== term) {
      throw new RollcallError('NOT_PROPOSED', `this member does not lead term ${term} any more`);
    }
    const snapshot = await directory.store.openSnapshot();
    try {
      const { mark } = snapshot;
      const base: LogBase = { index: mark.index, term: mark.term, hash: mark.prefixHash };
      const membership = await consensus.membershipAt(mark.index);
      if (membership === undefined) {
        throw new RollcallError('NOT_PROPOSED', `the log no longer reaches back to index ${mark.index}`);
      }
      const body = encodeSnapshot(snapshot, membership);
      await consensus.sendSnapshot(peer, term, base, body);
      this.#options.onSent(peer, base, this.#options.nowMs() - startMs);
      return base.index;
    } finally {
      await snapshot.close();
    }
  }
}
