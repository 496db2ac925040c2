import type { Clock } from '../../src/base/clock.ts';
import type { Endpoint } from '../../src/replica/thread-link.ts';

/**
 * Two ends of what stands for the way between two threads: messages are cloned and moved as between real ones, and
 * come to each end in a turn of its own clock.
 */
export function memoryEndpoints(clockOfFirst: Clock, clockOfSecond: Clock): [MemoryEndpoint, MemoryEndpoint] {
  const first = new MemoryEndpoint(clockOfFirst);
  const second = new MemoryEndpoint(clockOfSecond);
  first.join(second);
  second.join(first);
  return [first, second];
}

export class MemoryEndpoint implements Endpoint {
  readonly #clock: Clock;
  #other: MemoryEndpoint | undefined;
  #listener: ((message: unknown) => void) | undefined;
  #closed = false;
  posted = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  join(other: MemoryEndpoint): void {
    this.#other = other;
  }

  post(message: unknown, transfer: readonly ArrayBuffer[]): void {
    if (this.#closed) throw new Error('posted to a closed end');
    this.posted++;
    this.#other?.deliver(structuredClone(message, { transfer: [...transfer] }));
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#closed = true;
  }

  deliver(message: unknown): void {
    this.#clock.nextTurn(() => {
      if (!this.#closed) this.#listener?.(message);
    });
  }
}
