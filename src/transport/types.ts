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

/**
 * What a member says of itself to whoever asks while there is no cluster yet, or while it looks for one. `joining`: it
 * has an empty directory and was told to join a running cluster, so it never forms one.
 */
export interface FormState {
  readonly memberId: MemberId;
  readonly directoryId: string;
  readonly phase: 'empty' | 'forming' | 'formed' | 'joining';
  readonly clusterId: string;
  readonly initialMembers: readonly { readonly id: string; readonly peerAddress: string }[];
  /** Formed only: all that the membership records, learners among them. */
  readonly members: readonly FormMember[];
}

/** A member as the membership records it. */
export interface FormMember {
  readonly id: MemberId;
  readonly directoryId: string;
  readonly peerAddress: string;
}

/**
 * What a fresh connection to the peer port of a member met. `refused`: nobody listens there. `reset`: somebody took the
 * connection and dropped it without a byte, as a middlebox does whose target is gone. `open`: a live member answered.
 * `silent`: none of these within `probeMsMax`; also where there is no way to the host, or no address for its name: that
 * says nothing of the member.
 */
export type ProbeResult = 'refused' | 'reset' | 'open' | 'silent';

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
  /**
   * A stream of batches from or to the present start of this peer has ended, other than by this member's own doing.
   * Where both end together, as they do when a process dies, it is told once. By itself it says no more than that: the
   * peer may live and be dialed again at once. `onUnreachable` follows where it was the stream to the peer.
   */
  onStreamEnded(peer: MemberId, boot: number): void;
  /**
   * A peer has refused this member because the cluster has removed it for good. Told once, by whichever says so first;
   * only of a peer that is of the same cluster and has the directory that is recorded of it.
   */
  onRemoved(by: MemberId, text: string): void;
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
   * From now on these are the peers, all of them; any time after `setIdentity`, as often as one likes. New ones are
   * dialed. Of those that are gone all streams end, what waits for them is lost, and nothing is told of them any more;
   * only a snapshot that is coming in from one goes on to its end. A peer whose address or directory id is another is
   * dialed anew, and `onUnreachable` tells what that has cost; the others do not notice. What was heard of a peer (its
   * boot, its start id) is kept, also over a time in which it was none.
   *
   * @param removedIds Members that the cluster has removed for good: they are told so when they call. None is a peer.
   */
  setPeers(peers: readonly PeerAddress[], removedIds: readonly MemberId[]): void;
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
  /**
   * Makes a fresh connection to the peer's address and tells what it met, after `probeMsMax` at the latest. One at a
   * time a peer: who asks meanwhile gets the answer of the one under way. Never rejects; 'silent' for whoever is no
   * peer, and once the transport is stopping.
   */
  probe(peer: MemberId): Promise<ProbeResult>;
  /** Asks an address for its form state; rejects with RollcallError UNAVAILABLE. */
  form(address: string, own: FormState, timeoutMs: number): Promise<FormState>;
  /** Boot last heard of a peer, 0 before. */
  bootOf(peer: MemberId): number;
  status(): readonly PeerStatus[];
  /** Sends what is queued where it can within `graceMs`, then closes everything. */
  stop(graceMs: number): Promise<void>;
}
