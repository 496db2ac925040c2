import type { Clock, Timer } from '../base/clock.ts';
import { WireError } from '../base/wire-reader.ts';
import type { TransportLimits } from './limits.ts';
import { decodeBatchIdentity, decodeBatchItems, type PeerIdentity } from './peer-codec.ts';
import type { Moment, Verdict } from './peer-gate.ts';
import type { IncomingEvents, IncomingMessages } from './peer-wire.ts';
import { type DropReason, PeerRefusal, type RefusalReason } from './refusal.ts';
import type { Forwarded } from './types.ts';
import type { MemberId, Message } from '../raft/types.ts';

/** What an incoming stream asks of and tells the transport. */
export interface IncomingOwner {
  check(identity: PeerIdentity, moment: Moment): Verdict;
  /** The first batch was let pass; returns this member's own identity, encoded. */
  onOpened(stream: IncomingBatches, identity: PeerIdentity): Uint8Array;
  onHeard(identity: PeerIdentity): void;
  onBatch(from: MemberId, messages: readonly Message[], forwarded: readonly Forwarded[]): void;
  onCounted(reason: RefusalReason | DropReason): void;
  onRefused(refusal: PeerRefusal, identity: PeerIdentity | undefined): void;
  onClosed(stream: IncomingBatches): void;
  /** After `onClosed`, where a stream that had been let pass was ended by the peer, or broke. */
  onBroken(stream: IncomingBatches, sender: PeerIdentity): void;
}

/** One stream that a peer has opened to this member: every batch is judged before it is handed on. */
export class IncomingBatches implements IncomingEvents {
  readonly #stream: IncomingMessages;
  readonly #owner: IncomingOwner;
  #firstBatchTimer: Timer | undefined;
  /** Of the first batch, once it was let pass. */
  #opened: PeerIdentity | undefined;
  #closed = false;

  constructor(stream: IncomingMessages, owner: IncomingOwner, clock: Clock, limits: TransportLimits) {
    this.#stream = stream;
    this.#owner = owner;
    this.#firstBatchTimer = clock.setTimer(limits.firstBatchMsMax, () => {
      this.refuse(new PeerRefusal('no-first-batch', `nothing within ${limits.firstBatchMsMax} ms`));
    });
  }

  onBatch(bytes: Uint8Array): void {
    if (this.#closed) return;
    try {
      this.#take(bytes);
    } catch (error) {
      if (error instanceof WireError) this.refuse(new PeerRefusal('malformed', error.message));
      else throw error;
    }
  }

  onEnded(): void {
    if (this.#closed) return;
    this.#close();
    if (this.#opened !== undefined) this.#owner.onBroken(this, this.#opened);
  }

  /** Ends it without a word to anyone. */
  abandon(): void {
    this.#close();
  }

  /** Of whom it comes; undefined before its first batch. */
  get sender(): PeerIdentity | undefined {
    return this.#opened;
  }

  /** Ends the stream by name. */
  refuse(refusal: PeerRefusal): void {
    if (this.#closed) return;
    this.#owner.onCounted(refusal.reason);
    this.#close();
    this.#stream.refuse(refusal);
  }

  #take(bytes: Uint8Array): void {
    const identity = decodeBatchIdentity(bytes);
    const verdict = this.#owner.check(identity, this.#opened === undefined ? 'open' : 'later');
    switch (verdict.kind) {
      case 'refuse':
        this.refuse(verdict.refusal);
        this.#owner.onRefused(verdict.refusal, identity);
        return;
      case 'drop':
        this.#owner.onCounted(verdict.reason);
        break;
      case 'accept':
        break;
    }
    if (this.#opened === undefined) {
      this.#firstBatchTimer?.cancel();
      this.#opened = identity;
      this.#stream.accept(this.#owner.onOpened(this, identity));
    } else if (!isSameSender(this.#opened, identity) && verdict.kind === 'accept') {
      this.refuse(new PeerRefusal('changed-identity', 'a stream has one sender, in one of its lives'));
      return;
    }
    if (verdict.kind === 'drop') return;
    this.#owner.onHeard(identity);
    const { messages, forwarded } = decodeBatchItems(bytes, identity);
    if (messages.length + forwarded.length > 0) this.#owner.onBatch(identity.memberId, messages, forwarded);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#firstBatchTimer?.cancel();
    this.#firstBatchTimer = undefined;
    this.#owner.onClosed(this);
  }
}

function isSameSender(a: PeerIdentity, b: PeerIdentity): boolean {
  const sameDirectory = a.memberId === b.memberId && a.directoryId === b.directoryId;
  return sameDirectory && a.boot === b.boot && a.startId === b.startId;
}
