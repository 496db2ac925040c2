import type { Clock } from '../base/clock.ts';
import type { IncomingBatches } from './incoming-batches.ts';
import type { PeerLink } from './peer-link.ts';
import type { OutgoingSnapshot } from './peer-wire.ts';
import type { PeerAddress, ProbeResult } from './types.ts';

/** One peer as the transport holds it: the streams from and to it, and what is known of it. */
export class Peer {
  readonly link: PeerLink;
  readonly ends: StreamEnds;
  address: PeerAddress;
  /** The one stream from which batches are taken. */
  incoming: IncomingBatches | undefined;
  /** Boot of the start to which the link is connected, or was last. */
  linkedBoot = 0;
  /** What each batch to it begins with, and what had been heard of it when that was encoded. */
  head: { readonly heard: object; readonly bytes: Uint8Array } | undefined;
  clientAddress = '';
  lastHeardMs: number | undefined;
  sendingSnapshot = false;
  /** While `sendingSnapshot`. */
  snapshot: OutgoingSnapshot | undefined;
  probing: Promise<ProbeResult> | undefined;

  constructor(address: PeerAddress, link: PeerLink, ends: StreamEnds) {
    this.address = address;
    this.link = link;
    this.ends = ends;
  }

  /** Another address or directory: what is under way to the old one ends. True where there was a difference. */
  change(address: PeerAddress): boolean {
    if (this.address.address === address.address && this.address.directoryId === address.directoryId) return false;
    this.address = address;
    this.snapshot?.abort('the address or the directory of the peer has changed');
    // Who asks from now on asks about the new one.
    this.probing = undefined;
    this.link.redial(address.address, 'changed: the peer has another address or directory');
    return true;
  }

  /** It has opened a stream, so it is there, in this start of it. */
  callsAs(boot: number): void {
    if (!this.link.connected) this.link.wake();
    else if (this.linkedBoot < boot) {
      // Its machine went without a word, and is back before the stream to the start of before was missed.
      this.link.redial(this.address.address, 'restarted: the stream was to an earlier start of the peer');
    }
  }

  /** It is no peer any more. */
  close(): void {
    this.snapshot?.abort('the receiver is no peer any more');
    this.link.close();
  }
}

/**
 * Says which ends of a peer's streams are told. A process that dies ends both of them, one shortly after the other:
 * that is told once. An end after a stream was opened meanwhile is another one, and so is one that comes late: it may
 * be the death of a peer of which the one stream broke before.
 */
export class StreamEnds {
  readonly #clock: Clock;
  readonly #sameEndMsMax: number;
  #told: { readonly boot: number; readonly atMs: number } | undefined;

  constructor(clock: Clock, sameEndMsMax: number) {
    this.#clock = clock;
    this.#sameEndMsMax = sameEndMsMax;
  }

  /** A stream from or to the peer was opened. */
  opened(): void {
    this.#told = undefined;
  }

  /**
   * True where the end of a stream is to be told.
   *
   * @param boot That of the peer's start which the stream was opened with.
   * @param present The one heard last: what ended with an earlier start is no news.
   */
  ended(boot: number, present: number): boolean {
    if (boot !== present) return false;
    const nowMs = this.#clock.monotonicMs();
    const told = this.#told;
    if (told !== undefined && told.boot === boot && nowMs - told.atMs <= this.#sameEndMsMax) return false;
    this.#told = { boot, atMs: nowMs };
    return true;
  }
}
