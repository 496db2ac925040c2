import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { GrpcDialer } from './grpc-dialer.ts';
import { type TransportLimits, transportDefaults } from './limits.ts';
import { PeerServer } from './peer-server.ts';
import { PeerTransport, type PeerTransportOptions } from './peer-transport.ts';
import type { OutgoingEvents, OutgoingMessages, OutgoingSnapshot, PeerWire, WireAcceptor } from './peer-wire.ts';
import { Prober } from './prober.ts';
import type { ProbeResult } from './types.ts';

export interface GrpcTransportOptions extends PeerTransportOptions {
  readonly host: string;
  /** 0: any free one; `start` says which. */
  readonly port: number;
}

/** The transport over gRPC, without TLS: the host must be one that strangers cannot reach. */
export class GrpcTransport extends PeerTransport {
  constructor(options: GrpcTransportOptions) {
    super(new GrpcWire(options), options);
  }
}

class GrpcWire implements PeerWire {
  readonly #host: string;
  readonly #port: number;
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  readonly #dialer: GrpcDialer;
  readonly #prober: Prober;
  #server: PeerServer | undefined;

  constructor(options: GrpcTransportOptions) {
    this.#host = options.host;
    this.#port = options.port;
    this.#clock = options.clock;
    this.#limits = { ...transportDefaults, ...options.limits };
    this.#dialer = new GrpcDialer(this.#clock, this.#limits);
    this.#prober = new Prober(this.#clock);
  }

  async listen(acceptor: WireAcceptor): Promise<number> {
    assert(this.#server === undefined, 'peer port listened on twice');
    this.#server = new PeerServer(acceptor, this.#clock, this.#limits);
    return this.#server.listen(this.#host, this.#port);
  }

  openMessages(address: string, events: OutgoingEvents): OutgoingMessages {
    return this.#dialer.openMessages(address, events);
  }

  openSnapshot(address: string): OutgoingSnapshot {
    return this.#dialer.openSnapshot(address);
  }

  probe(address: string, withinMs: number): Promise<ProbeResult> {
    return this.#prober.probe(address, withinMs);
  }

  async askForm(address: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return this.#dialer.askForm(address, request, timeoutMs);
  }

  async close(graceMs: number): Promise<void> {
    this.#prober.close();
    await Promise.all([this.#dialer.close(graceMs), this.#server?.close(graceMs)]);
  }
}
