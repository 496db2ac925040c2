import { assert, must } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { WireAcceptor } from './peer-wire.ts';

/** What one packet of a memory network carries. */
export type PacketKind = 'open' | 'accept' | 'batch' | 'end' | 'chunk' | 'credit' | 'answer' | 'form' | 'probe';

export interface Packet {
  readonly from: string;
  readonly to: string;
  readonly kind: PacketKind;
  readonly bytes: Uint8Array;
}

export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** True: nothing moves but by `deliver`. Default false: everything moves by the clock. */
  readonly manual?: boolean;
  /** How long a packet is under way, ms; asked once for each. Default 0: it arrives in the next turn. */
  readonly delayMs?: (packet: Packet) => number;
  /** True for a packet that vanishes without a word, which a real stream never does. Default: none. */
  readonly loses?: (packet: Packet) => boolean;
  /** A stream over a link that stays cut for so long breaks at both ends. Default 6,000 ms. */
  readonly halfOpenMs?: number;
  /** The newest batches that are kept for `replay`. Default 0. */
  readonly archiveMax?: number;
  /** Which host answers where `from` dials a name. Default: the one of that name. */
  readonly resolve?: (from: string, host: string) => string;
}

/** One member's place in the network, for one life of its process. */
export interface Station {
  readonly host: string;
  readonly port: number;
  readonly acceptor: WireAcceptor;
  alive: boolean;
}

/** A stream or call between two stations. */
export interface Passage {
  readonly dialer: Station;
  /** Undefined until its opening has arrived. */
  readonly taker: Station | undefined;
  /** Where its opening goes. */
  readonly toHost: string;
  /** Ends it at those ends that are alive. */
  broken(reason: string): void;
  /** Batches from the network's archive come in as if they had been late. */
  inject?(bytes: Uint8Array): void;
}

interface Waiting {
  readonly packet: Packet;
  readonly arrive: () => void;
}

/** One direction of one stream: what is posted arrives in order or not at all. */
export class Lane {
  readonly from: string;
  readonly to: string;
  readonly #network: MemoryNetwork;
  readonly #waiting: Waiting[] = [];
  /** When the packet posted last is due: none behind it overtakes it. */
  #dueMs = 0;
  /** Packets that were due while the link was cut. */
  #held = 0;

  constructor(network: MemoryNetwork, from: string, to: string) {
    this.#network = network;
    this.from = from;
    this.to = to;
  }

  post(kind: PacketKind, bytes: Uint8Array, arrive: () => void): void {
    const packet = { from: this.from, to: this.to, kind, bytes };
    const delayMs = this.#network.admit(packet);
    if (delayMs === undefined) return;
    this.#waiting.push({ packet, arrive });
    this.#dueMs = Math.max(this.#dueMs, this.#network.nowMs + delayMs);
    this.#network.schedule(this, this.#dueMs - this.#network.nowMs);
  }

  get head(): Packet | undefined {
    return this.#waiting[0]?.packet;
  }

  /** The next packet arrives, or waits for the link to be healed. */
  arrive(): void {
    if (this.#waiting.length === 0) return;
    if (this.#network.isCut(this.from, this.to)) this.#held += 1;
    else this.#waiting.shift()?.arrive();
  }

  /** The link is whole again. */
  release(): void {
    for (; this.#held > 0; this.#held -= 1) this.#network.schedule(this, 0);
  }

  clear(): void {
    this.#waiting.length = 0;
    this.#held = 0;
  }
}

/**
 * The network of a test or simulation: streams between hosts with names, deterministic for a given clock and given
 * choices. Order holds within a stream and direction, as on TCP; packets of different streams may overtake each other
 * by their delays. What is posted on a cut link waits for it to be healed, until the stream breaks.
 */
export class MemoryNetwork {
  readonly #options: MemoryNetworkOptions;
  readonly #stations = new Map<string, Station>();
  readonly #passages = new Set<Passage>();
  readonly #lanes = new Set<Lane>();
  readonly #cuts = new Set<string>();
  readonly #archive: Packet[] = [];
  /** Manual only: one for each packet that may arrive. */
  readonly #ready: Lane[] = [];
  #nextPort = 1;

  constructor(options: MemoryNetworkOptions) {
    this.#options = options;
  }

  get nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  /** The newest batches, oldest first. */
  get archive(): readonly Packet[] {
    return this.#archive;
  }

  /** Manual only: what may arrive, by the index that `deliver` takes. */
  get pending(): readonly Packet[] {
    return this.#ready.map((lane) => must(lane.head, 'packet that may arrive'));
  }

  /** Manual only: lets one packet arrive; the order within a stream stays. False where there is none. */
  deliver(index: number = 0): boolean {
    const [lane] = this.#ready.splice(index, 1);
    lane?.arrive();
    return lane !== undefined;
  }

  /** One direction of a link carries nothing any more; what is on it waits. */
  cut(from: string, to: string): void {
    this.#cuts.add(linkOf(from, to));
    this.#options.clock.setTimer(this.#options.halfOpenMs ?? 6_000, () => {
      if (this.isCut(from, to)) this.breakStreams(from, to, 'keepalive timeout');
    });
  }

  heal(from: string, to: string): void {
    if (!this.#cuts.delete(linkOf(from, to))) return;
    for (const passage of this.#passages) {
      // The end that was left behind is answered by a reset now.
      if (isBetween(passage, from, to) && hasDeadEnd(passage)) this.#break(passage, 'connection reset');
    }
    for (const lane of this.#lanes) if (lane.from === from && lane.to === to) lane.release();
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(linkOf(from, to));
  }

  /** Ends every stream between two hosts; what is under way is lost. */
  breakStreams(a: string, b: string, reason: string = 'connection reset'): void {
    for (const passage of this.#passages) if (isBetween(passage, a, b)) this.#break(passage, reason);
  }

  /** The process on a host is gone; the others hear of it where a reset reaches them. */
  crash(host: string): void {
    const station = this.#stations.get(host);
    if (station !== undefined) this.leave(station);
  }

  /**
   * A batch from the archive arrives once more: on the stream that is open now (`later`), or on its own (`open`).
   * False where its addressee is not there, or has no such stream.
   */
  replay(packet: Packet, how: 'open' | 'later'): boolean {
    const taker = this.#stations.get(packet.to);
    if (taker === undefined) return false;
    if (how === 'open') {
      const events = taker.acceptor.messages({ accept: () => {}, refuse: () => {} });
      events.onBatch(packet.bytes);
      return true;
    }
    for (const passage of this.#passages) {
      if (passage.dialer.host !== packet.from || passage.taker !== taker || passage.inject === undefined) continue;
      passage.inject(packet.bytes);
      return true;
    }
    return false;
  }

  // What follows is for the wires.

  /** @param port 0: any free one. */
  join(host: string, port: number, acceptor: WireAcceptor): Station {
    assert(!this.#stations.has(host), () => `two live members on host ${host}`);
    const station = { host, port: port === 0 ? this.#nextPort++ : port, acceptor, alive: true };
    this.#stations.set(host, station);
    return station;
  }

  /** Nobody listens there any more; what has not ended by itself is reset. */
  leave(station: Station): void {
    if (this.#stations.get(station.host) === station) this.#stations.delete(station.host);
    station.alive = false;
    for (const passage of this.#passages) {
      if (passage.dialer !== station && passage.taker !== station) continue;
      const other = passage.dialer === station ? passage.toHost : passage.dialer.host;
      if (!this.isCut(station.host, other)) this.#break(passage, 'connection reset');
    }
  }

  /** Who answers where `from` dials host:port. */
  dial(from: string, address: string): { readonly host: string; readonly port: number } {
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon);
    return { host: this.#options.resolve?.(from, host) ?? host, port: Number(address.slice(colon + 1)) };
  }

  find(host: string, port: number): Station | undefined {
    const station = this.#stations.get(host);
    return station?.port === port ? station : undefined;
  }

  lane(from: string, to: string): Lane {
    const lane = new Lane(this, from, to);
    this.#lanes.add(lane);
    return lane;
  }

  enter(passage: Passage): void {
    this.#passages.add(passage);
  }

  /** The passage is over; what is still on its lanes arrives. */
  exit(passage: Passage, lanes: readonly Lane[]): void {
    this.#passages.delete(passage);
    for (const lane of lanes) this.#lanes.delete(lane);
  }

  /** The delay of a packet; undefined where it is lost. */
  admit(packet: Packet): number | undefined {
    const { archiveMax = 0, loses, delayMs } = this.#options;
    if (packet.kind === 'batch' && archiveMax > 0) {
      this.#archive.push(packet);
      if (this.#archive.length > archiveMax) this.#archive.shift();
    }
    if (loses?.(packet) === true) return undefined;
    return delayMs?.(packet) ?? 0;
  }

  schedule(lane: Lane, delayMs: number): void {
    if (this.#options.manual === true) this.#ready.push(lane);
    else if (delayMs <= 0) this.#options.clock.nextTurn(() => lane.arrive());
    else this.#options.clock.setTimer(delayMs, () => lane.arrive());
  }

  /** Nothing of a lane is of interest any more. */
  abandon(lane: Lane): void {
    this.forget(lane);
    this.#lanes.delete(lane);
  }

  forget(lane: Lane): void {
    lane.clear();
    for (let at = this.#ready.length - 1; at >= 0; at -= 1) if (this.#ready[at] === lane) this.#ready.splice(at, 1);
  }

  /** Not within the caller's turn: who breaks a stream may be one of its ends. */
  #break(passage: Passage, reason: string): void {
    this.#passages.delete(passage);
    this.#options.clock.nextTurn(() => passage.broken(reason));
  }
}

function linkOf(from: string, to: string): string {
  return `${from} ${to}`;
}

function isBetween(passage: Passage, a: string, b: string): boolean {
  const { dialer, toHost } = passage;
  return (dialer.host === a && toHost === b) || (dialer.host === b && toHost === a);
}

function hasDeadEnd(passage: Passage): boolean {
  return !passage.dialer.alive || passage.taker?.alive === false;
}
