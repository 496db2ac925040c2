import type { LogBase, MemberId, Message } from '../raft/types.ts';

/** Who speaks: goes with every batch. See PeerIdentity in proto/rollcall/raft/v1/peer.proto. */
export interface LocalIdentity {
  readonly clusterId: string;
  readonly memberId: MemberId;
  readonly directoryId: string;
  readonly boot: number;
  /** Drawn at random at this start, of [1, 2^53): tells it apart from the start of a copy with the same boot. */
  readonly startId: number;
  readonly clientAddress: string;
  /** Last index of the log as it was found at this start. */
  readonly startIndex: number;
}

/** A member of the same cluster as the transport is told to reach it. */
export interface PeerAddress {
  readonly memberId: MemberId;
  readonly address: string;
  /** '' while not known (forming); then any directory id is taken. */
  readonly directoryId: string;
}

/** One call or answer between the serving sides of two members. The receiver owns `body`. */
export interface Forwarded {
  readonly id: number;
  readonly answer: boolean;
  readonly body: Uint8Array;
}

export interface FormState {
  readonly memberId: MemberId;
  readonly directoryId: string;
  readonly phase: 'empty' | 'forming' | 'formed';
  readonly clusterId: string;
  readonly initialMembers: readonly { readonly id: string; readonly peerAddress: string }[];
  /** Formed only. */
  readonly members: readonly { readonly id: string; readonly directoryId: string }[];
}

export interface IncomingSnapshot {
  readonly from: MemberId;
  readonly fromBoot: number;
  readonly term: number;
  readonly snapshot: LogBase;
  /** The bodies in order; throws where the stream breaks. Back pressure reaches the sender. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** What the transport tells its owner. Called on the owner's loop, never re-entrantly from a transport method. */
export interface TransportHandlers {
  /** One batch from a peer whose identity was checked. Messages come in the order sent. */
  onBatch(from: MemberId, messages: readonly Message[], forwarded: readonly Forwarded[]): void;
  /** A stream to this peer is open and has been accepted; the peer's boot is known where it has spoken. */
  onConnected(peer: MemberId): void;
  /**
   * The stream to this peer broke or was refused, or something for it was dropped because its queue was full (told once
   * until it has run empty). Attempts that go on failing for the same reason are told once. A reason that starts with
   * `receiver-old-copy` means that this member itself runs on an old copy of its directory.
   */
  onUnreachable(peer: MemberId, reason: string): void;
  /** Resolves with the index the member then stands at; rejects to refuse. At most one at a time. */
  onSnapshot(incoming: IncomingSnapshot): Promise<number>;
  /**
   * The greatest index that this peer has acknowledged to this member as the leader of the present term; 0 where it
   * does not lead. A new start of the peer must have found at least so much.
   */
  acknowledged(peer: MemberId): number;
  /** What this member says of itself while a cluster forms; also answered after. */
  onForm(asked: FormState): FormState;
}

export interface PeerStatus {
  readonly memberId: MemberId;
  readonly address: string;
  readonly connected: boolean;
  /** Boot last heard, 0 before. */
  readonly boot: number;
  readonly clientAddress: string;
  /** Monotonic ms of the last batch from it; undefined before. */
  readonly lastHeardMs: number | undefined;
  readonly queuedBytes: number;
  /** Batches that `send` did not take. */
  readonly droppedBatches: number;
}

/**
 * Carries batches between members. Order is kept within one connection; nothing is sent twice; loss is told by
 * `onUnreachable`. Every batch is checked on arrival: cluster id, sender known by member and directory id, addressee,
 * boot not lower than one seen (a stream that opens with a lower one is refused, a late batch dropped), the start id
 * that was first heard with this boot (likewise), a new boot that has found all that was acknowledged to this leader
 * (otherwise it is an old copy, and refused), to_boot not of an earlier life of this member (dropped).
 */
export interface Transport {
  /** Listens; resolves with the port. Before `setIdentity` only `Form` is served. */
  start(handlers: TransportHandlers): Promise<number>;
  /** From now on this member speaks and dials as `local`. Once. */
  setIdentity(local: LocalIdentity, peers: readonly PeerAddress[]): void;
  /**
   * Queues one batch; what is queued in one turn leaves as one (up to the size of a batch on the wire). Returns false
   * (and drops the batch) where it would bring the peer's queue above `queueBytesMax`, or the peer is not connected;
   * forwarded calls in it are then lost too. Entry data and bodies must not be changed afterwards.
   */
  send(to: MemberId, messages: readonly Message[], forwarded: readonly Forwarded[]): boolean;
  /**
   * Resolves with the index the receiver stands at afterwards. One at a time a peer. Rejects with RollcallError
   * UNAVAILABLE; what `body` itself throws comes back as it is.
   */
  sendSnapshot(to: MemberId, term: number, snapshot: LogBase, body: AsyncIterable<Uint8Array>): Promise<number>;
  /** Asks an address for its form state; rejects with RollcallError UNAVAILABLE. */
  form(address: string, own: FormState, timeoutMs: number): Promise<FormState>;
  /** Boot last heard of a peer, 0 before. */
  bootOf(peer: MemberId): number;
  status(): readonly PeerStatus[];
  /** Sends what is queued where it can within `graceMs`, then closes everything. */
  stop(graceMs: number): Promise<void>;
}
