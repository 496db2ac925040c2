import { assert } from '../../../src/base/assert.ts';
import type { Connect } from '../../../src/client/channel.ts';
import { MemoryChannel } from './memory-channel.ts';
import type { KeepAlive } from './memory-connection.ts';
import { MemoryConnection } from './memory-connection.ts';
import type { HostClock, Links } from './pipe.ts';
import { windowBytes } from './send-queue.ts';
import type { ServeOptions } from './serving-process.ts';
import { ServingProcess } from './serving-process.ts';

export interface MemoryWireOptions extends Links {
  /** How clients notice that a member is gone without a word. Default as the client sets it: 10 s and 5 s. */
  readonly clientKeepAlive?: KeepAlive;
}

/** How a client takes what members send. */
export interface Reading {
  /** What it lets in on one stream before it has read anything. Default: that of Node. */
  readonly windowBytes?: number;
  /** How long it takes over each message of a stream of this method, ms, as of now. Default: no time. */
  readonly pauseMs?: (path: string) => number;
}

/** One process of a client on the wire. */
export interface ClientSockets {
  /** For ClientOptions.connect. */
  readonly connect: Connect;
  /** The same, for calls that the client's library does not make. */
  open(address: string): MemoryChannel;
  /** The process is gone; the kernel of its machine resets what was connected, as far as the links let it. */
  kill(): void;
}

const defaultKeepAlive: KeepAlive = { timeMs: 10_000, timeoutMs: 5_000 };

/**
 * HTTP/2 between clients and members without sockets: the real handlers on one side, what the client needs of grpc-js
 * on the other, and between them connections that keep order, take time, stand still while a link is cut, and end as
 * those of TCP do. Nothing is drawn at random here: `delayMs` decides.
 */
export class MemoryWire {
  readonly #options: MemoryWireOptions;
  readonly #members = new Map<string, ServingProcess>();
  #connections = 0;

  constructor(options: MemoryWireOptions) {
    this.#options = options;
  }

  /** A member's process listens on a host, until it is closed or killed. */
  serve(host: string, options: ServeOptions): ServingProcess {
    assert(!this.#members.has(host), () => `two members listen on host ${host}`);
    const process: ServingProcess = new ServingProcess(options, () => {
      if (this.#members.get(host) === process) this.#members.delete(host);
    });
    this.#members.set(host, process);
    return process;
  }

  /** A process of a client on a host; addresses are `host:port` with any port. */
  connector(clientHost: string, clientClock: HostClock, reading: Reading = {}): ClientSockets {
    const channels = new Set<MemoryChannel>();
    const open = (address: string): MemoryChannel => {
      const channel = this.#channel(clientHost, clientClock, address, reading);
      channels.add(channel);
      return channel;
    };
    return {
      connect: open,
      open,
      kill: () => {
        for (const channel of channels) channel.kill();
        channels.clear();
      },
    };
  }

  #channel(clientHost: string, clientClock: HostClock, address: string, reading: Reading): MemoryChannel {
    const serverHost = address.slice(0, address.lastIndexOf(':'));
    const { clientKeepAlive = defaultKeepAlive } = this.#options;
    return new MemoryChannel({
      clock: clientClock,
      address,
      pauseMs: reading.pauseMs ?? (() => 0),
      dial: (events) =>
        new MemoryConnection({
          ...events,
          links: this.#options,
          clientHost,
          clientClock,
          clientKeepAlive,
          clientWindowBytes: reading.windowBytes ?? windowBytes,
          serverHost,
          listener: () => this.#members.get(serverHost),
          number: ++this.#connections,
        }),
    });
  }
}
