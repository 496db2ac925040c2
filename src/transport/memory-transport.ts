import { must } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { type Lane, type MemoryNetwork, type Station } from './memory-network.ts';
import { MemorySnapshot } from './memory-snapshot.ts';
import { PeerTransport, type PeerTransportOptions } from './peer-transport.ts';
import type {
  IncomingEvents,
  OutgoingEvents,
  OutgoingMessages,
  OutgoingSnapshot,
  PeerWire,
  WireAcceptor,
} from './peer-wire.ts';
import { PeerRefusal } from './refusal.ts';
import type { ProbeResult } from './types.ts';

export interface MemoryTransportOptions extends PeerTransportOptions {
  readonly network: MemoryNetwork;
  /** Name in the network; peers find this member as host:port. */
  readonly host: string;
  /** Default 0: any free one; `start` says which. */
  readonly port?: number;
}

const nothing = new Uint8Array(0);

/** The transport over a MemoryNetwork: the same bytes, checks, queues and times as over gRPC, without a socket. */
export class MemoryTransport extends PeerTransport {
  readonly #network: MemoryNetwork;
  readonly #host: string;

  constructor(options: MemoryTransportOptions) {
    super(new MemoryWire(options), options);
    this.#network = options.network;
    this.#host = options.host;
  }

  /** As if the process had been killed: no word to anyone, no event any more, and the host is free for another life. */
  kill(): void {
    this.#network.crash(this.#host);
    this.abandon();
  }
}

class MemoryWire implements PeerWire {
  readonly #network: MemoryNetwork;
  readonly #host: string;
  readonly #port: number;
  readonly #clock: Clock;
  readonly #abandonProbe = new Set<() => void>();
  #station: Station | undefined;

  constructor(options: MemoryTransportOptions) {
    this.#network = options.network;
    this.#host = options.host;
    this.#port = options.port ?? 0;
    this.#clock = options.clock;
  }

  listen(acceptor: WireAcceptor): Promise<number> {
    this.#station = this.#network.join(this.#host, this.#port, acceptor);
    return Promise.resolve(this.#station.port);
  }

  openMessages(address: string, events: OutgoingEvents): OutgoingMessages {
    return new MemoryMessages(this.#network, this.#dialer(), address, events);
  }

  openSnapshot(address: string): OutgoingSnapshot {
    return new MemorySnapshot(this.#network, this.#dialer(), address);
  }

  /** A process that stands still is behind links that are cut towards it; 'reset' is nobody's answer here. */
  probe(address: string, withinMs: number): Promise<ProbeResult> {
    const dialer = this.#dialer();
    const { host, port } = this.#network.dial(dialer.host, address);
    const there = this.#network.lane(dialer.host, host);
    const back = this.#network.lane(host, dialer.host);
    return new Promise((resolve) => {
      const settle = (result: ProbeResult): void => {
        timer.cancel();
        this.#abandonProbe.delete(abandon);
        for (const lane of [there, back]) this.#network.abandon(lane);
        resolve(result);
      };
      const abandon = (): void => settle('silent');
      const timer = this.#clock.setTimer(withinMs, abandon);
      this.#abandonProbe.add(abandon);
      there.post('probe', nothing, () => {
        const result = this.#network.find(host, port) === undefined ? 'refused' : 'open';
        back.post('probe', nothing, () => settle(result));
      });
    });
  }

  askForm(address: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const dialer = this.#dialer();
    const { host, port } = this.#network.dial(dialer.host, address);
    const there = this.#network.lane(dialer.host, host);
    const back = this.#network.lane(host, dialer.host);
    return new Promise<Uint8Array>((resolve, reject) => {
      const timer = this.#clock.setTimer(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
      there.post('form', request, () => {
        const taker = this.#network.find(host, port);
        const answer = (bytes: Uint8Array, settle: () => void): void => {
          back.post('form', bytes, () => {
            timer.cancel();
            settle();
          });
        };
        if (taker === undefined) return answer(nothing, () => reject(new Error(`connect refused ${address}`)));
        try {
          const bytes = taker.acceptor.form(request);
          answer(bytes, () => resolve(bytes));
        } catch (error) {
          if (!(error instanceof PeerRefusal)) throw error;
          answer(nothing, () => reject(new Error(error.message)));
        }
      });
    });
  }

  close(_graceMs: number): Promise<void> {
    for (const abandon of this.#abandonProbe) abandon();
    if (this.#station !== undefined) this.#network.leave(this.#station);
    return Promise.resolve();
  }

  #dialer(): Station {
    return must(this.#station, 'station of a member that dials');
  }
}

/** Both ends of one stream of batches. */
class MemoryMessages implements OutgoingMessages {
  readonly dialer: Station;
  readonly toHost: string;
  taker: Station | undefined;
  readonly #network: MemoryNetwork;
  readonly #events: OutgoingEvents;
  readonly #there: Lane;
  readonly #back: Lane;
  #incoming: IncomingEvents | undefined;
  /** The dialing end is over, or wants to hear nothing any more. */
  #silent = false;

  constructor(network: MemoryNetwork, dialer: Station, address: string, events: OutgoingEvents) {
    const { host, port } = network.dial(dialer.host, address);
    this.#network = network;
    this.#events = events;
    this.dialer = dialer;
    this.toHost = host;
    this.#there = network.lane(dialer.host, host);
    this.#back = network.lane(host, dialer.host);
    network.enter(this);
    this.#there.post('open', nothing, () => this.#arrived(port));
  }

  write(batch: Uint8Array, written: () => void): void {
    this.#there.post('batch', batch, () => {
      // It left this end's memory; that the other end is gone is told apart from it.
      if (!this.#silent) written();
      this.inject(batch);
    });
  }

  inject(batch: Uint8Array): void {
    if (this.taker?.alive === true) this.#incoming?.onBatch(batch);
  }

  end(): void {
    this.#silent = true;
    this.#there.post('end', nothing, () => this.#endIncoming());
  }

  cancel(): void {
    this.end();
  }

  broken(reason: string): void {
    this.#network.forget(this.#there);
    this.#network.forget(this.#back);
    this.#endIncoming();
    this.#endDialer(reason);
  }

  #arrived(port: number): void {
    this.taker = this.#network.find(this.toHost, port);
    if (this.taker === undefined) {
      this.#back.post('end', nothing, () => this.#endDialer(`connect refused ${this.toHost}:${port}`));
      return;
    }
    this.#incoming = this.taker.acceptor.messages({
      accept: (identity) => {
        this.#back.post('accept', identity, () => {
          if (!this.#silent && this.dialer.alive) this.#events.onAccepted(identity);
        });
      },
      refuse: (refusal) => {
        this.#incoming = undefined;
        this.#back.post('end', nothing, () => this.#endDialer(refusal.message, refusal.refuser));
      },
    });
  }

  #endIncoming(): void {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    if (this.taker?.alive === true) incoming?.onEnded();
    this.#network.exit(this, [this.#there, this.#back]);
  }

  #endDialer(reason: string, refuser?: Uint8Array): void {
    this.#network.exit(this, [this.#there, this.#back]);
    if (this.#silent || !this.dialer.alive) return;
    this.#silent = true;
    this.#events.onEnded(reason, refuser);
  }
}
