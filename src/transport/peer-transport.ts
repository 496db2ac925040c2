import { assert, InvariantError, must } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { WireError } from '../base/wire-reader.ts';
import type { LogBase, MemberId, Message } from '../raft/types.ts';
import { IncomingBatches, type IncomingOwner } from './incoming-batches.ts';
import { batchItemsMax, type TransportLimits, transportDefaults } from './limits.ts';
import {
  decodeForm,
  decodeIdentity,
  decodeSnapshotHead,
  encodeBatchHead,
  encodeForm,
  encodeIdentity,
  encodeItems,
  encodeSnapshotAnswer,
  type PeerIdentity,
  type SnapshotHead,
} from './peer-codec.ts';
import { Peer, StreamEnds } from './peer.ts';
import { PeerGate, type Verdict } from './peer-gate.ts';
import { PeerLink } from './peer-link.ts';
import type { IncomingEvents, IncomingMessages, PeerWire, WireAcceptor } from './peer-wire.ts';
import { type DropReason, PeerRefusal, printable, RefusalCounter, type RefusalReason } from './refusal.ts';
import { messageOf, SnapshotChunks, sendSnapshot, unavailable } from './snapshot-transfer.ts';
import type {
  Forwarded,
  FormState,
  LocalIdentity,
  PeerAddress,
  PeerStatus,
  ProbeResult,
  Transport,
  TransportHandlers,
} from './types.ts';

export interface PeerTransportOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Default transportDefaults, each. */
  readonly limits?: Partial<TransportLimits>;
}

/**
 * All of the transport but the wire itself, so that what runs over gRPC and what runs in the memory of a test differ in
 * nothing else.
 */
export class PeerTransport implements Transport {
  readonly #wire: PeerWire;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: TransportLimits;
  readonly #peers = new Map<MemberId, Peer>();
  readonly #counter = new RefusalCounter();
  /** All open ones, those that have not said yet who they are among them. */
  readonly #incoming = new Set<IncomingBatches>();
  #handlers: TransportHandlers | undefined;
  #local: LocalIdentity | undefined;
  #gate: PeerGate | undefined;
  #receivingSnapshot = false;
  #toldRemoved = false;
  #stopping: Promise<void> | undefined;

  constructor(wire: PeerWire, options: PeerTransportOptions) {
    this.#wire = wire;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#limits = { ...transportDefaults, ...options.limits };
    assert(this.#limits.queueItemsMax <= batchItemsMax, 'more may wait than a batch may hold');
  }

  /** Refused streams and calls, and dropped batches, by name, since the start. */
  refusals(): ReadonlyMap<RefusalReason | DropReason, number> {
    return this.#counter.all();
  }

  async start(handlers: TransportHandlers): Promise<number> {
    assert(this.#handlers === undefined, 'transport started twice');
    this.#handlers = handlers;
    return this.#wire.listen(this.#acceptor());
  }

  setIdentity(local: LocalIdentity, peers: readonly PeerAddress[]): void {
    assert(this.#handlers !== undefined, 'identity set before the transport was started');
    assert(this.#local === undefined, 'identity set twice');
    if (this.#stopping !== undefined) return;
    this.#local = local;
    this.#gate = new PeerGate(local, peers, (peer) => this.#owner().acknowledged(peer));
    for (const address of peers) this.#peers.set(address.memberId, this.#newPeer(address));
    for (const peer of this.#peers.values()) peer.link.start();
  }

  setPeers(peers: readonly PeerAddress[], removedIds: readonly MemberId[]): void {
    if (this.#stopping !== undefined) return;
    const gate = must(this.#gate, 'gate of a member whose peers change');
    gate.setPeers(peers, removedIds);
    const named = new Set(peers.map(({ memberId }) => memberId));
    for (const [memberId, peer] of this.#peers) {
      if (named.has(memberId)) continue;
      this.#peers.delete(memberId);
      peer.close();
      peer.incoming?.refuse(gate.absence(memberId));
    }
    for (const address of peers) {
      const known = this.#peers.get(address.memberId);
      if (known !== undefined) {
        this.#changePeer(known, address);
        continue;
      }
      const peer = this.#newPeer(address);
      this.#peers.set(address.memberId, peer);
      peer.link.start();
    }
  }

  #changePeer(peer: Peer, address: PeerAddress): void {
    if (!peer.change(address)) return;
    // It comes from wherever it comes from; but it may be of another directory than the one that is known now.
    const sender = peer.incoming?.sender;
    const verdict = sender === undefined ? undefined : this.#check(sender, 'later');
    if (verdict?.kind === 'refuse') peer.incoming?.refuse(verdict.refusal);
  }

  send(to: MemberId, messages: readonly Message[], forwarded: readonly Forwarded[]): boolean {
    const peer = this.#peers.get(to);
    if (peer === undefined || this.#stopping !== undefined) return false;
    // Nothing is encoded in vain.
    if (!peer.link.connected) return peer.link.drop();
    const local = must(this.#local, 'identity of this member');
    for (const message of messages) {
      assert(
        message.from === local.memberId && message.to === to && message.fromBoot === local.boot,
        () => `message from ${message.from} in boot ${message.fromBoot} to ${message.to} in a batch for ${to}`,
      );
    }
    return peer.link.send(encodeItems(messages, forwarded));
  }

  async sendSnapshot(to: MemberId, term: number, snapshot: LogBase, body: AsyncIterable<Uint8Array>): Promise<number> {
    const peer = this.#peers.get(to);
    if (peer === undefined || this.#stopping !== undefined) throw unavailable(`no way to member ${to}`);
    if (!peer.link.connected) throw unavailable(`member ${to} is not connected`);
    if (peer.sendingSnapshot) throw unavailable(`another snapshot is on its way to member ${to}`);
    peer.sendingSnapshot = true;
    try {
      const head: SnapshotHead = { identity: this.#identityFor(to), term, snapshot };
      peer.snapshot = this.#wire.openSnapshot(peer.address.address);
      return await sendSnapshot(peer.snapshot, head, body, this.#clock, this.#limits);
    } finally {
      peer.sendingSnapshot = false;
      peer.snapshot = undefined;
    }
  }

  async probe(id: MemberId): Promise<ProbeResult> {
    const peer = this.#peers.get(id);
    if (peer === undefined || this.#stopping !== undefined) return 'silent';
    if (peer.probing !== undefined) return peer.probing;
    const probing = this.#wire.probe(peer.address.address, this.#limits.probeMsMax);
    peer.probing = probing;
    try {
      return await probing;
    } finally {
      if (peer.probing === probing) peer.probing = undefined;
    }
  }

  async form(address: string, own: FormState, timeoutMs: number): Promise<FormState> {
    if (this.#stopping !== undefined) throw unavailable('the transport is stopping');
    try {
      return decodeForm(await this.#wire.askForm(address, encodeForm(own), timeoutMs));
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      throw unavailable(`${address} does not say how it is formed: ${messageOf(error)}`, error);
    }
  }

  bootOf(peer: MemberId): number {
    return this.#gate?.heardOf(peer).boot ?? 0;
  }

  status(): readonly PeerStatus[] {
    const all = [...this.#peers.values()].map((peer) => ({
      memberId: peer.address.memberId,
      address: peer.address.address,
      connected: peer.link.connected,
      boot: this.bootOf(peer.address.memberId),
      clientAddress: peer.clientAddress,
      lastHeardMs: peer.lastHeardMs,
      queuedBytes: peer.link.queuedBytes,
      droppedBatches: peer.link.droppedBatches,
    }));
    return all.sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    await this.#stopping;
  }

  /** Ends at once and without a word, as the end of its process would. For tests. */
  protected abandon(): void {
    this.#stopping ??= Promise.resolve();
    for (const peer of this.#peers.values()) peer.link.close();
    for (const stream of this.#incoming) stream.abandon();
  }

  async #stop(graceMs: number): Promise<void> {
    const endMs = this.#clock.monotonicMs() + graceMs;
    await this.#drained(graceMs);
    for (const peer of this.#peers.values()) peer.link.close();
    for (const stream of this.#incoming) stream.refuse(new PeerRefusal('stopping', 'this member stops'));
    await this.#wire.close(Math.max(0, endMs - this.#clock.monotonicMs()));
  }

  /** Resolves when nothing waits for any peer, after `graceMs` at the latest. */
  async #drained(graceMs: number): Promise<void> {
    const links = [...this.#peers.values()].map((peer) => peer.link);
    await new Promise<void>((resolve) => {
      let waiting = links.length;
      if (waiting === 0) return resolve();
      const timer = this.#clock.setTimer(graceMs, () => resolve());
      const onDrained = (): void => {
        waiting -= 1;
        if (waiting > 0) return;
        timer.cancel();
        resolve();
      };
      for (const link of links) link.whenDrained(onDrained);
    });
  }

  #newPeer(address: PeerAddress): Peer {
    const { memberId } = address;
    const link = new PeerLink({
      address: address.address,
      wire: this.#wire,
      clock: this.#clock,
      random: this.#random,
      limits: this.#limits,
      owner: {
        batchHead: () => this.#batchHead(peer),
        onAnswer: (identity) => this.#judgeAnswer(memberId, identity),
        onConnected: () => {
          // That of the start which has just answered.
          peer.linkedBoot = this.bootOf(memberId);
          peer.ends.opened();
          this.#owner().onConnected(memberId);
        },
        onStreamEnded: () => this.#streamEnded(peer, peer.linkedBoot),
        onRefused: (reason, refuser) => this.#judgeRefusal(memberId, reason, refuser),
        onUnreachable: (reason) => this.#owner().onUnreachable(memberId, reason),
      },
    });
    const peer = new Peer(address, link, new StreamEnds(this.#clock, this.#limits.sameEndMsMax));
    return peer;
  }

  #streamEnded(peer: Peer, boot: number): void {
    const { memberId } = peer.address;
    if (this.#stopping !== undefined) return;
    if (peer.ends.ended(boot, this.bootOf(memberId))) this.#owner().onStreamEnded(memberId, boot);
  }

  #owner(): TransportHandlers {
    return must(this.#handlers, 'handlers of the transport');
  }

  #identityFor(to: MemberId): PeerIdentity {
    return must(this.#gate, 'gate of this member').identityFor(to);
  }

  /** It goes with every batch and changes only with the peer's start. */
  #batchHead(peer: Peer): Uint8Array {
    const { memberId } = peer.address;
    const heard = must(this.#gate, 'gate of this member').heardOf(memberId);
    if (peer.head?.heard !== heard) peer.head = { heard, bytes: encodeBatchHead(this.#identityFor(memberId)) };
    return peer.head.bytes;
  }

  /** Who took our stream says who it is: an address may lead to another member, or to another copy of the right one. */
  #judgeAnswer(peer: MemberId, bytes: Uint8Array): PeerRefusal | undefined {
    try {
      const identity = decodeIdentity(bytes);
      const verdict = this.#check(identity);
      if (verdict.kind === 'refuse') return this.#counted(verdict.refusal);
      if (identity.memberId !== peer) {
        const text = `the address of member ${peer} leads to ${printable(identity.memberId)}`;
        return this.#counted(new PeerRefusal('wrong-addressee', text));
      }
      this.#learn(identity);
      return undefined;
    } catch (error) {
      if (error instanceof WireError) return this.#counted(new PeerRefusal('malformed', error.message));
      throw error;
    }
  }

  /** A refusal that names its sender: of removal. An address may lead to another cluster, where the id is used up. */
  #judgeRefusal(peer: MemberId, reason: string, bytes: Uint8Array): void {
    const prefix = `${'removed' satisfies RefusalReason}: `;
    if (this.#toldRemoved || !reason.startsWith(prefix)) return;
    try {
      if (!must(this.#gate, 'gate of this member').isFrom(peer, decodeIdentity(bytes))) return;
    } catch (error) {
      if (error instanceof WireError) return;
      throw error;
    }
    this.#toldRemoved = true;
    this.#owner().onRemoved(peer, reason.slice(prefix.length));
  }

  #counted(refusal: PeerRefusal): PeerRefusal {
    this.#counter.add(refusal.reason);
    return refusal;
  }

  #check(identity: PeerIdentity, moment: 'open' | 'later' = 'open'): Verdict {
    if (this.#stopping !== undefined) {
      return { kind: 'refuse', refusal: new PeerRefusal('stopping', 'this member stops') };
    }
    if (this.#gate === undefined) {
      return { kind: 'refuse', refusal: new PeerRefusal('not-ready', 'no cluster is formed here yet') };
    }
    return this.#gate.check(identity, moment);
  }

  #learn(identity: PeerIdentity): void {
    must(this.#gate, 'gate of this member').record(identity);
    const peer = must(this.#peers.get(identity.memberId), 'peer that the gate let pass');
    peer.clientAddress = identity.clientAddress;
  }

  #acceptor(): WireAcceptor {
    return {
      messages: (stream) => this.#incomingMessages(stream),
      snapshot: (chunks) => this.#incomingSnapshot(chunks),
      form: (request) => this.#answerForm(request),
    };
  }

  #incomingMessages(stream: IncomingMessages): IncomingEvents {
    const owner: IncomingOwner = {
      check: (identity, moment) => this.#check(identity, moment),
      onOpened: (opened, identity) => this.#opened(opened, identity),
      onHeard: (identity) => this.#heard(identity),
      onBatch: (from, messages, forwarded) => this.#owner().onBatch(from, messages, forwarded),
      onCounted: (reason) => this.#counter.add(reason),
      onRefused: (refusal, identity) => this.#tellOldCopy(refusal, identity),
      onClosed: (closed) => this.#incoming.delete(closed),
      onBroken: (broken, sender) => this.#incomingBroken(broken, sender),
    };
    const incoming = new IncomingBatches(stream, owner, this.#clock, this.#limits);
    this.#incoming.add(incoming);
    return incoming;
  }

  #opened(stream: IncomingBatches, identity: PeerIdentity): Uint8Array {
    this.#learn(identity);
    const peer = must(this.#peers.get(identity.memberId), 'peer that opened a stream');
    const older = peer.incoming;
    peer.incoming = stream;
    peer.ends.opened();
    // Order holds within one stream only: nothing may come from an older one once there is a newer.
    older?.refuse(new PeerRefusal('replaced', `member ${identity.memberId} opened a newer stream`));
    peer.callsAs(identity.boot);
    return encodeIdentity(this.#identityFor(identity.memberId));
  }

  #incomingBroken(stream: IncomingBatches, sender: PeerIdentity): void {
    const peer = this.#peers.get(sender.memberId);
    // Neither one that a newer stream had replaced, nor one of who is no peer any more.
    if (peer?.incoming !== stream) return;
    peer.incoming = undefined;
    this.#streamEnded(peer, sender.boot);
  }

  #heard(identity: PeerIdentity): void {
    const peer = must(this.#peers.get(identity.memberId), 'peer that was heard');
    peer.lastHeardMs = this.#clock.monotonicMs();
  }

  /** The one refusal that says something of this member itself; its owner has to know. */
  #tellOldCopy(refusal: PeerRefusal, identity: PeerIdentity | undefined): void {
    if (refusal.reason !== 'receiver-old-copy' || identity === undefined) return;
    this.#owner().onUnreachable(identity.memberId, refusal.message);
  }

  async #incomingSnapshot(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
    const chunks = new SnapshotChunks(stream, this.#clock, this.#limits);
    try {
      const head = await this.#snapshotHead(chunks);
      if (this.#receivingSnapshot) throw new PeerRefusal('snapshot-busy', 'another snapshot is coming in');
      this.#receivingSnapshot = true;
      try {
        return encodeSnapshotAnswer(await this.#hand(head, chunks));
      } finally {
        this.#receivingSnapshot = false;
      }
    } catch (error) {
      const refusal = asRefusal(error);
      this.#counter.add(refusal.reason);
      throw refusal;
    }
  }

  async #snapshotHead(chunks: SnapshotChunks): Promise<SnapshotHead> {
    const head = decodeSnapshotHead(await chunks.next(this.#limits.firstBatchMsMax));
    const verdict = this.#check(head.identity);
    switch (verdict.kind) {
      case 'refuse':
        this.#tellOldCopy(verdict.refusal, head.identity);
        throw verdict.refusal;
      case 'drop':
        throw new PeerRefusal('earlier-life', 'the snapshot is for an earlier life of this member');
      case 'accept':
        break;
    }
    this.#learn(head.identity);
    return head;
  }

  async #hand({ identity, term, snapshot }: SnapshotHead, chunks: SnapshotChunks): Promise<number> {
    const { memberId: from, boot: fromBoot } = identity;
    return this.#owner().onSnapshot({ from, fromBoot, term, snapshot, body: chunks.bodies() });
  }

  #answerForm(request: Uint8Array): Uint8Array {
    try {
      if (this.#stopping !== undefined) throw new PeerRefusal('stopping', 'this member stops');
      return encodeForm(this.#owner().onForm(decodeForm(request)));
    } catch (error) {
      const refusal = error instanceof WireError ? new PeerRefusal('malformed', error.message) : error;
      if (refusal instanceof PeerRefusal) this.#counter.add(refusal.reason);
      throw refusal;
    }
  }
}

/** What ended an incoming snapshot, as it is told to its sender. A broken invariant is told to nobody. */
function asRefusal(error: unknown): PeerRefusal {
  if (error instanceof PeerRefusal) return error;
  if (error instanceof WireError) return new PeerRefusal('malformed', error.message);
  if (error instanceof InvariantError) throw error;
  return new PeerRefusal('snapshot-refused', messageOf(error));
}
