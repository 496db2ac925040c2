import type { MemberId, Message } from '../../src/raft/types.ts';
import type { TransportLimits } from '../../src/transport/limits.ts';
import type { PeerTransport } from '../../src/transport/peer-transport.ts';
import type {
  Forwarded,
  FormState,
  IncomingSnapshot,
  LocalIdentity,
  PeerAddress,
  ProbeResult,
  TransportHandlers,
} from '../../src/transport/types.ts';
import { heartbeat } from './messages.ts';
import type { TransportTwin } from './twins.ts';

interface Batch {
  readonly from: MemberId;
  readonly messages: readonly Message[];
  readonly forwarded: readonly Forwarded[];
}

export interface MemberOptions {
  readonly boot?: number;
  /** Default 7: of two members of a test with one name only the boots differ. */
  readonly startId?: number;
  readonly port?: number;
  readonly limits?: Partial<TransportLimits>;
  readonly onSnapshot?: (incoming: IncomingSnapshot) => Promise<number>;
}

/** A member of a test: a transport whose owner notes all that it is told. */
export class Member implements TransportHandlers {
  readonly name: string;
  readonly boot: number;
  readonly startId: number;
  readonly batches: Batch[] = [];
  readonly connected: MemberId[] = [];
  readonly unreachable: { readonly peer: MemberId; readonly reason: string }[] = [];
  readonly ended: { readonly peer: MemberId; readonly boot: number }[] = [];
  readonly removed: { readonly by: MemberId; readonly text: string }[] = [];
  /** What the owner does when it is told that a stream ended. */
  onEnded: () => void = () => {};
  /** Called by the transport while it was being called itself, which must not happen. */
  reentered = 0;
  readonly transport: PeerTransport;
  port = 0;
  #inCall = false;
  readonly #twin: TransportTwin;
  readonly #onSnapshot: (incoming: IncomingSnapshot) => Promise<number>;

  constructor(twin: TransportTwin, name: string, options: MemberOptions = {}) {
    this.name = name;
    this.boot = options.boot ?? 1;
    this.startId = options.startId ?? 7;
    this.#twin = twin;
    this.#onSnapshot = options.onSnapshot ?? (() => Promise.reject(new Error('no snapshot wanted')));
    this.transport = twin.create(name, options.port ?? 0, options.limits ?? {});
  }

  async start(): Promise<this> {
    this.port = await this.transport.start(this);
    return this;
  }

  /** What each peer has acknowledged to this member as a leader. */
  readonly matches = new Map<MemberId, number>();

  acknowledged(peer: MemberId): number {
    return this.matches.get(peer) ?? 0;
  }

  get address(): string {
    return this.#twin.address(this.name, this.port);
  }

  join(peers: readonly Member[], change: Partial<LocalIdentity> = {}): void {
    const addresses = peers.map((peer) => peerOf(peer));
    this.call(() => this.transport.setIdentity({ ...identityOf(this), ...change }, addresses));
  }

  /** From now on these are its peers. */
  peers(peers: readonly PeerAddress[], removedIds: readonly MemberId[] = []): void {
    this.call(() => this.transport.setPeers(peers, removedIds));
  }

  probe(peer: Member): Promise<ProbeResult> {
    return this.call(() => this.transport.probe(peer.name));
  }

  /** Sends heartbeats that carry the numbers, as one batch. */
  beat(to: Member, ...rounds: number[]): boolean {
    const messages = rounds.map((round) => heartbeat(this.name, to.name, this.boot, round));
    return this.call(() => this.transport.send(to.name, messages, []));
  }

  forward(to: Member, id: number, body: Uint8Array = new Uint8Array(0)): boolean {
    return this.call(() => this.transport.send(to.name, [], [{ id, answer: false, body }]));
  }

  /** Numbers of the heartbeats that came from a member. */
  rounds(from: Member): number[] {
    const messages = this.batches.filter((batch) => batch.from === from.name).flatMap((batch) => batch.messages);
    return messages.map((message) => (message.kind === 'heartbeat' ? message.round : -1));
  }

  forwardedIds(from: Member): number[] {
    return this.batches
      .filter((batch) => batch.from === from.name)
      .flatMap(({ forwarded }) => forwarded.map((f) => f.id));
  }

  isConnected(to: Member): boolean {
    return this.transport.status().some((peer) => peer.memberId === to.name && peer.connected);
  }

  reasons(peer: Member): string[] {
    return this.unreachable.filter((told) => told.peer === peer.name).map((told) => told.reason);
  }

  onBatch(from: MemberId, messages: readonly Message[], forwarded: readonly Forwarded[]): void {
    this.#told();
    this.batches.push({ from, messages, forwarded });
  }

  onConnected(peer: MemberId): void {
    this.#told();
    this.connected.push(peer);
  }

  onUnreachable(peer: MemberId, reason: string): void {
    this.#told();
    this.unreachable.push({ peer, reason });
  }

  onStreamEnded(peer: MemberId, boot: number): void {
    this.#told();
    this.ended.push({ peer, boot });
    this.onEnded();
  }

  onRemoved(by: MemberId, text: string): void {
    this.#told();
    this.removed.push({ by, text });
  }

  onSnapshot(incoming: IncomingSnapshot): Promise<number> {
    this.#told();
    return this.#onSnapshot(incoming);
  }

  onForm(asked: FormState): FormState {
    this.#told();
    return { ...formOf(this.name), initialMembers: asked.initialMembers };
  }

  call<T>(method: () => T): T {
    this.#inCall = true;
    try {
      return method();
    } finally {
      this.#inCall = false;
    }
  }

  #told(): void {
    if (this.#inCall) this.reentered += 1;
  }
}

export function identityOf(member: Member): LocalIdentity {
  return {
    clusterId: 'cluster',
    memberId: member.name,
    directoryId: `directory-${member.name}`,
    boot: member.boot,
    startId: member.startId,
    clientAddress: `clients-${member.name}:1`,
    startIndex: 0,
  };
}

export function peerOf(member: Member): PeerAddress {
  return { memberId: member.name, address: member.address, directoryId: `directory-${member.name}` };
}

export function formOf(name: string): FormState {
  return {
    memberId: name,
    directoryId: `directory-${name}`,
    phase: 'empty',
    clusterId: '',
    initialMembers: [{ id: name, peerAddress: `${name}:1` }],
    members: [],
  };
}
