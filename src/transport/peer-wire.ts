import type { PeerRefusal } from './refusal.ts';
import type { ProbeResult } from './types.ts';

/**
 * What carries bytes from member to member: gRPC, or the memory of a test. It knows nothing of what the bytes mean. Its
 * events never come from within a call of one of its methods.
 */
export interface PeerWire {
  /** Resolves with the port. */
  listen(acceptor: WireAcceptor): Promise<number>;
  /** Dials and opens the stream of batches. */
  openMessages(address: string, events: OutgoingEvents): OutgoingMessages;
  /** Dials on a connection of its own, so that bulk never stands in front of a heartbeat. */
  openSnapshot(address: string): OutgoingSnapshot;
  /** A fresh connection that is closed as soon as it is clear what it meets. Never rejects; 'silent' once closed. */
  probe(address: string, withinMs: number): Promise<ProbeResult>;
  /** Rejects with an Error that says what went wrong. */
  askForm(address: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /** Closes listener and connections; what is under way has `graceMs` to end. Resolves when nothing is left. */
  close(graceMs: number): Promise<void>;
}

export interface OutgoingEvents {
  /** The other side took the stream, and says who it is (an encoded PeerIdentity). */
  onAccepted(identity: Uint8Array): void;
  /**
   * The stream is over, whoever ended it; nothing comes afterwards.
   *
   * @param refuser What the refusal of the other side says of who refuses.
   */
  onEnded(reason: string, refuser?: Uint8Array): void;
}

export interface OutgoingMessages {
  /**
   * Hands over one batch. `written` is called once it has left this process's buffers; while the peer does not read it
   * is not called, and the caller must not hand over without bound.
   */
  write(batch: Uint8Array, written: () => void): void;
  /** Nothing more will be written; what was handed over still leaves. */
  end(): void;
  /** Drops the stream at once. No event comes afterwards. */
  cancel(): void;
}

export interface OutgoingSnapshot {
  /** Resolves once another chunk may be handed over; rejects where the stream is over. One at a time. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the stream; resolves with the answer. */
  finish(): Promise<Uint8Array>;
  /** Rejects as soon as the stream is over without an answer; never resolves. */
  readonly failed: Promise<never>;
  /** Drops the stream at once; without effect after its end. */
  abort(reason: string): void;
}

/** The serving side, called by the wire. */
export interface WireAcceptor {
  /** A caller opened a stream of batches. */
  messages(stream: IncomingMessages): IncomingEvents;
  /**
   * A caller sends a snapshot; iterating throws where the stream breaks, and not iterating holds the sender back.
   * Resolves with the answer; rejects with PeerRefusal.
   */
  snapshot(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array>;
  /** Throws PeerRefusal. */
  form(request: Uint8Array): Uint8Array;
}

export interface IncomingMessages {
  /** Lets the caller go on, and tells it who this is (an encoded PeerIdentity). Once. */
  accept(identity: Uint8Array): void;
  /** Ends the stream by name; nothing comes from it any more. */
  refuse(refusal: PeerRefusal): void;
}

export interface IncomingEvents {
  onBatch(batch: Uint8Array): void;
  /** The stream is over, by the caller or by a break. */
  onEnded(): void;
}
