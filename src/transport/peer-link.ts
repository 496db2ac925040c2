import type { Clock, Timer } from '../base/clock.ts';
import { assert } from '../base/assert.ts';
import type { Random } from '../base/random.ts';
import type { TransportLimits } from './limits.ts';
import { PeerOutbox } from './peer-outbox.ts';
import type { OutgoingMessages, PeerWire } from './peer-wire.ts';
import type { Encoded } from './raft-message-codec.ts';
import type { PeerRefusal } from './refusal.ts';

/** What a link asks of and tells its owner, never from within a call of one of its own methods. */
export interface LinkOwner {
  /** A batch of identity alone, as this member speaks to the peer now. */
  batchHead(): Uint8Array;
  /** Judges who answered. */
  onAnswer(identity: Uint8Array): PeerRefusal | undefined;
  onConnected(): void;
  /** The stream ended that was open; `onUnreachable` follows. */
  onStreamEnded(): void;
  /** Before `onUnreachable`, where a refusal says who refuses. */
  onRefused(reason: string, refuser: Uint8Array): void;
  onUnreachable(reason: string): void;
}

export interface LinkOptions {
  readonly address: string;
  readonly wire: PeerWire;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: TransportLimits;
  readonly owner: LinkOwner;
}

type State = 'idle' | 'dialing' | 'connected' | 'waiting' | 'turning' | 'closed';

/** Writes under way at once: one is being written, the others keep the connection busy when it is done. */
const writesMax = 4;

/**
 * The outgoing side to one peer: dials, sends on one stream, and dials again. Nothing is sent twice: what waits or is
 * under way when the stream breaks is lost, and the owner is told.
 *
 * idle -> dialing -> connected -> waiting (backoff) -> dialing ...; from any but idle: turning (to another address, for
 * a turn of the loop) -> dialing; closed from anywhere.
 */
export class PeerLink {
  readonly #options: LinkOptions;
  readonly #outbox: PeerOutbox;
  #address: string;
  #state: State = 'idle';
  #stream: OutgoingMessages | undefined;
  /** Connect timer while dialing, backoff while waiting, the turn while turning. */
  #timer: Timer | undefined;
  #flushTimer: Timer | undefined;
  #writes = 0;
  /** Failed attempts since the last stream that lasted. */
  #failures = 0;
  #dialedMs = 0;
  /** Dialing only: its time was cut short. */
  #isWoken = false;
  #connectedMs = 0;
  /** The reason told last; '' once connected. An attempt that fails as the one before is not told again. */
  #toldReason = '';
  /** From the first batch that the queue had no room for until it has run empty. */
  #overflowing = false;
  #droppedBatches = 0;
  /** Turning only: why what it was connected to was left, where its owner has yet to hear of the loss. */
  #untoldLoss = '';
  #onDrained: (() => void) | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#address = options.address;
    this.#outbox = new PeerOutbox(options.limits.queueBytesMax, options.limits.queueItemsMax);
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  /** Batches that `send` did not take. */
  get droppedBatches(): number {
    return this.#droppedBatches;
  }

  start(): void {
    assert(this.#state === 'idle', 'link started twice');
    this.#dial();
  }

  /**
   * The peer is there: where this link waits, it dials now. The backoff stays as it is: two members that take and lose
   * each other's streams would otherwise keep each other dialing. An attempt that is under way has a little time left
   * and is then made anew: it may wait for an address at which the peer was before, or for packets that nobody took.
   */
  wake(): void {
    const { clock, limits } = this.#options;
    if (this.#state === 'waiting') {
      this.#dial();
      return;
    }
    if (this.#state !== 'dialing' || this.#isWoken) return;
    const leftMs = this.#dialedMs + limits.connectMsMax - clock.monotonicMs();
    if (leftMs <= limits.wokenDialMsMax) return;
    this.#isWoken = true;
    this.#timer?.cancel();
    this.#timer = clock.setTimer(limits.wokenDialMsMax, () => {
      this.#stream?.cancel();
      this.#dial();
    });
  }

  /**
   * The present stream leads to where the peer is not any more: it ends, what was written to it still leaves. Where it
   * was open the owner is told why in the next turn; then the peer is dialed anew.
   */
  redial(address: string, why: string): void {
    assert(this.#state !== 'idle', 'link turned before it was started');
    if (this.#state === 'closed') return;
    this.#address = address;
    // Turned twice in one turn it has still lost what was under way.
    const untold = this.connected ? why : this.#untoldLoss;
    this.#endStream();
    this.#reset('turning');
    this.#untoldLoss = untold;
    this.#failures = 0;
    this.#toldReason = '';
    this.#timer = this.#options.clock.nextTurn(() => this.#turned());
  }

  /** Queues all of `items`, or none: false where not connected or without room. */
  send(items: readonly Encoded[]): boolean {
    if (this.#state !== 'connected') return this.drop();
    if (!this.#outbox.push(items)) {
      this.#overflowed();
      return this.drop();
    }
    this.#flushTimer ??= this.#options.clock.nextTurn(() => this.#flush());
    return true;
  }

  /** Counts a batch that was not taken. */
  drop(): false {
    this.#droppedBatches += 1;
    return false;
  }

  /** Calls back, maybe at once, when nothing waits any more; after `close` at the latest. */
  whenDrained(callback: () => void): void {
    if (this.#outbox.queuedBytes === 0 || this.#state !== 'connected') callback();
    else this.#onDrained = callback;
  }

  /** Ends for good: what was written still leaves. No event comes afterwards. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#endStream();
    this.#reset('closed');
  }

  #endStream(): void {
    if (this.#state === 'connected') this.#stream?.end();
    else this.#stream?.cancel();
  }

  #turned(): void {
    const why = this.#untoldLoss;
    this.#untoldLoss = '';
    if (why !== '') this.#options.owner.onUnreachable(why);
    // The owner may have closed or turned it meanwhile.
    if (this.#state === 'turning') this.#dial();
  }

  #dial(): void {
    const { wire, clock, limits, owner } = this.#options;
    this.#timer?.cancel();
    this.#state = 'dialing';
    this.#dialedMs = clock.monotonicMs();
    this.#isWoken = false;
    // An event of an attempt that was given up says nothing about the present one.
    const current = (): boolean => this.#stream === stream && this.#state !== 'closed';
    const stream = wire.openMessages(this.#address, {
      onAccepted: (identity) => {
        if (current() && this.#state === 'dialing') this.#accepted(identity);
      },
      onEnded: (reason, refuser) => {
        if (current()) this.#failed(reason, refuser);
      },
    });
    this.#stream = stream;
    this.#timer = clock.setTimer(limits.connectMsMax, () => {
      if (current()) this.#failed(`not accepted within ${limits.connectMsMax} ms`);
    });
    stream.write(owner.batchHead(), () => {});
  }

  #accepted(identity: Uint8Array): void {
    const refusal = this.#options.owner.onAnswer(identity);
    if (refusal !== undefined) {
      this.#failed(refusal.message);
      return;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#state = 'connected';
    this.#connectedMs = this.#options.clock.monotonicMs();
    this.#toldReason = '';
    this.#options.owner.onConnected();
  }

  #failed(reason: string, refuser?: Uint8Array): void {
    const { clock, limits, owner } = this.#options;
    const wasOpen = this.#state === 'connected';
    // A stream that ends again and again right after it was taken must not be dialed without a wait.
    const lasted = wasOpen && clock.monotonicMs() - this.#connectedMs >= limits.backoffMsMax;
    this.#failures = lasted ? 0 : this.#failures + 1;
    this.#stream?.cancel();
    this.#reset('waiting');
    this.#timer = clock.setTimer(this.#backoffMs(), () => this.#dial());
    const isNews = reason !== this.#toldReason;
    this.#toldReason = reason;
    // What it is told may make the owner close this link; then nothing more is to be told.
    if (wasOpen) owner.onStreamEnded();
    if (refuser !== undefined && !this.#isClosed) owner.onRefused(reason, refuser);
    if (isNews && !this.#isClosed) owner.onUnreachable(reason);
  }

  get #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Half of it is drawn, so that members that lost each other at once do not dial in step. */
  #backoffMs(): number {
    const { random, limits } = this.#options;
    // A connection was reset under a peer that lives, or its process died; the next attempt tells which.
    if (this.#failures === 0) return random.below('peer-backoff', Math.ceil(limits.backoffMsMin / 4) + 1);
    const doublings = Math.min(this.#failures - 1, 20);
    const wholeMs = Math.min(limits.backoffMsMin * 2 ** doublings, limits.backoffMsMax);
    return wholeMs / 2 + random.below('peer-backoff', Math.ceil(wholeMs / 2) + 1);
  }

  #reset(state: 'waiting' | 'turning' | 'closed'): void {
    this.#state = state;
    this.#untoldLoss = '';
    this.#stream = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#flushTimer?.cancel();
    this.#flushTimer = undefined;
    this.#outbox.clear();
    this.#writes = 0;
    this.#overflowing = false;
    this.#drained();
  }

  #flush(): void {
    this.#flushTimer = undefined;
    const stream = this.#stream;
    if (stream === undefined || this.#state !== 'connected') return;
    const { owner, limits } = this.#options;
    while (
      this.#outbox.itemCount > 0 &&
      this.#writes < writesMax &&
      this.#outbox.unwrittenBytes < limits.unwrittenBytesMax
    ) {
      const { batch, bytes } = this.#outbox.take(owner.batchHead(), limits.batchBytesMax);
      assert(batch.length <= limits.messageBytesMax, () => `batch of ${batch.length} bytes for a peer`);
      this.#writes += 1;
      stream.write(batch, () => {
        if (this.#stream === stream) this.#written(bytes);
      });
    }
  }

  #written(bytes: number): void {
    this.#writes -= 1;
    this.#outbox.written(bytes);
    if (this.#outbox.queuedBytes === 0) {
      this.#overflowing = false;
      this.#drained();
    } else {
      // At the end of the turn: what else this turn brings leaves in the same batch.
      this.#flushTimer ??= this.#options.clock.nextTurn(() => this.#flush());
    }
  }

  #drained(): void {
    const callback = this.#onDrained;
    this.#onDrained = undefined;
    callback?.();
  }

  #overflowed(): void {
    if (this.#overflowing) return;
    this.#overflowing = true;
    const stream = this.#stream;
    // The owner is just calling `send`.
    this.#options.clock.nextTurn(() => {
      if (this.#stream !== stream || this.#state !== 'connected') return;
      this.#options.owner.onUnreachable(`queue-full: ${this.#options.limits.queueBytesMax} bytes wait`);
    });
  }
}
