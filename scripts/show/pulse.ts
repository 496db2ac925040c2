import type { RollcallClient } from '../../src/client/client.ts';

/** One acknowledged registration. */
export interface Beat {
  /** By performance.now(). */
  readonly sentAtMs: number;
  readonly acknowledgedAtMs: number;
  /** The member that answered. */
  readonly member: string;
}

const pulseTtlMs = 10_000;
const pauseMs = 10;

/**
 * Registers the same instance over and over, one call at a time, so that it can be seen for how long no write was
 * acknowledged. In a namespace of its own, which nobody watches.
 */
export class Pulse {
  readonly beats: Beat[] = [];
  readonly #client: RollcallClient;
  readonly #done: Promise<void>;
  #stopped = false;
  #failure: Error | undefined;

  constructor(client: RollcallClient) {
    this.#client = client;
    this.#done = this.#run().catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    });
  }

  /** Beats so far that were sent after a moment, the first of them first. @throws what ended the pulse. */
  sentAfter(moment: number): readonly Beat[] {
    if (this.#failure !== undefined) throw this.#failure;
    return this.beats.filter(({ sentAtMs }) => sentAtMs > moment);
  }

  /** The longest time between two acknowledgements. */
  longestGapMs(): number {
    let longest = 0;
    for (const [i, beat] of this.beats.entries()) {
      const before = this.beats[i - 1];
      if (before !== undefined) longest = Math.max(longest, beat.acknowledgedAtMs - before.acknowledgedAtMs);
    }
    return longest;
  }

  /** Ends it and removes what it registered. Rejects with what ended the pulse before. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #run(): Promise<void> {
    const { leaseId } = await this.#client.grantLease({ ttlMs: pulseTtlMs });
    const endpoints = [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 1 }];
    while (!this.#stopped) {
      const sentAtMs = performance.now();
      const instance = { namespace: 'show', service: 'pulse', id: 'pulse-1', endpoints };
      const { header } = await this.#client.register({ instance, lifetime: { leaseId } });
      this.beats.push({ sentAtMs, acknowledgedAtMs: performance.now(), member: header.member });
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    await this.#client.revokeLease({ leaseId });
  }
}
