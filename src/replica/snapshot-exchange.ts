import { RollcallError, StorageError } from '../base/errors.ts';
import type { LogBase, MemberId, SnapshotMessage } from '../raft/types.ts';
import type { MembershipRecord } from '../storage/entry-log.ts';
import { SnapshotStreamError } from '../storage/snapshot-decoder.ts';
import { encodeSnapshot, receiveSnapshot } from '../storage/snapshot-stream.ts';
import type { StateDirectory } from '../storage/state-store.ts';
import type { IncomingSnapshot, Transport } from '../transport/types.ts';
import type { Consensus } from './consensus.ts';

export interface SnapshotExchangeOptions {
  readonly memberId: MemberId;
  readonly boot: number;
  readonly transport: Transport;
  readonly consensus: Consensus;
  readonly directory: StateDirectory;
  readonly membership: () => MembershipRecord;
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
        if (error instanceof StorageError) this.#options.onFatal(error);
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
    };
    if (!consensus.offerSnapshot(message, received.staged)) {
      await received.staged.discard();
      return this.#options.appliedIndex();
    }
    await this.#options.installed(incoming.snapshot);
    return incoming.snapshot.index;
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
      if (error instanceof StorageError) this.#options.onFatal(error);
      throw error;
    }
  }

  async #send(peer: MemberId): Promise<number> {
    const { consensus, directory, transport } = this.#options;
    const startMs = this.#options.nowMs();
    if (!this.#options.mayServe()) {
      throw new RollcallError('MEMBER_FENCED', 'a fenced member sends no snapshots', { retryAfterMs: 1_000 });
    }
    await this.#options.flush();
    const snapshot = await directory.store.openSnapshot();
    try {
      const { mark } = snapshot;
      const base: LogBase = { index: mark.index, term: mark.term, hash: mark.prefixHash };
      const body = encodeSnapshot(snapshot, this.#options.membership());
      await transport.sendSnapshot(peer, consensus.core.term, base, body);
      this.#options.onSent(peer, base, this.#options.nowMs() - startMs);
      return base.index;
    } finally {
      await snapshot.close();
    }
  }
}
