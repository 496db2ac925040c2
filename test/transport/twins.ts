// The two twins of the transport as the conformance suite drives them.
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Clock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { GrpcTransport } from '../../src/transport/grpc-transport.ts';
import type { TransportLimits } from '../../src/transport/limits.ts';
import { MemoryNetwork, type MemoryNetworkOptions } from '../../src/transport/memory-network.ts';
import { MemoryTransport } from '../../src/transport/memory-transport.ts';
import type { PeerTransport } from '../../src/transport/peer-transport.ts';

/** How a suite makes members and lets time pass, whichever the twin. */
export interface TransportTwin {
  readonly clock: Clock;
  /** @param port 0, or that of an earlier life of the member. */
  create(host: string, port: number, limits: Partial<TransportLimits>): PeerTransport;
  address(host: string, port: number): string;
  /** Ends a member without waiting for anything. */
  kill(transport: PeerTransport): Promise<void>;
  /** Lets things happen until the condition holds; fails after ten seconds of the twin's time. */
  until(what: string, holds: () => boolean): Promise<void>;
  /** Lets things happen for a while. */
  pass(ms: number): Promise<void>;
}

const patienceMs = 10_000;

export function grpcTwin(): TransportTwin {
  const clock = new SystemClock();
  let seed = 1;
  const wait = (ms: number): Promise<void> => new Promise((resolve) => clock.setTimer(ms, resolve));
  return {
    clock,
    create: (_host, port, limits) =>
      new GrpcTransport({ host: '127.0.0.1', port, clock, random: new SeededRandom(seed++), limits }),
    address: (_host, port) => `127.0.0.1:${port}`,
    kill: (transport) => transport.stop(0),
    until: async (what, holds) => {
      const endMs = clock.monotonicMs() + patienceMs;
      while (!holds()) {
        if (clock.monotonicMs() > endMs) throw new Error(`waited in vain for: ${what}`);
        await wait(2);
      }
    },
    pass: wait,
  };
}

export interface MemoryTwin extends TransportTwin {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
}

export function memoryTwin(options: Omit<MemoryNetworkOptions, 'clock'> = {}): MemoryTwin {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock, ...options });
  let seed = 1;
  // Promises of the code under test settle between the steps of the clock.
  const step = async (): Promise<void> => {
    clock.advance(1);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    clock,
    network,
    create: (host, port, limits) =>
      new MemoryTransport({ network, host, port, clock, random: new SeededRandom(seed++), limits }),
    address: (host, port) => `${host}:${port}`,
    kill: (transport) => {
      if (transport instanceof MemoryTransport) transport.kill();
      return Promise.resolve();
    },
    until: async (what, holds) => {
      for (let ms = 0; !holds(); ms += 1) {
        if (ms > patienceMs) throw new Error(`waited in vain for: ${what}`);
        await step();
      }
    },
    pass: async (ms) => {
      for (let at = 0; at < ms; at += 1) await step();
    },
  };
}
