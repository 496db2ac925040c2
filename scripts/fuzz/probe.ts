import { RollcallClient } from '../../src/client/client.ts';
import type { Watch } from '../../src/client/watch.ts';

const namespace = 'probe';
const service = 'probe';
const everyMs = 500;
const seenWithinMs = 15_000;

/**
 * A well-behaved client beside the fuzzed ones: it registers, finds what it registered and sees it in a watch, over and
 * over. What it cannot do is a breach.
 */
export class Probe {
  readonly #client: RollcallClient;
  readonly #onBreach: (text: string) => void;
  readonly #stop = new AbortController();
  readonly #seen = new Map<string, number>();
  #done: Promise<void> | undefined;
  #watched: Watch | undefined;
  rounds = 0;
  slowestMs = 0;

  constructor(servers: readonly string[], onBreach: (text: string) => void) {
    this.#client = new RollcallClient({ servers, callTimeoutMs: 30_000 });
    this.#onBreach = onBreach;
  }

  start(): void {
    this.#done = Promise.all([this.#watch(), this.#work()]).then(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#watched?.close();
    await this.#done;
    this.#client.close();
  }

  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const startMs = performance.now();
      await this.#round(this.rounds).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#onBreach(`probe: ${String(error)}`);
      });
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs);
      this.rounds++;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  async #round(round: number): Promise<void> {
    const id = `p-${round % 8}`;
    const endpoints = [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 1 + (round % 60_000) }];
    const { incarnation } = await this.#client.register({
      instance: { namespace, service, id, endpoints },
      lifetime: { persistent: true },
    });
    const { instances } = await this.#client.discover({ namespace, service });
    if (!instances.some((one) => one.incarnation >= incarnation)) {
      throw new Error(`${id} was registered as ${incarnation} and is not found`);
    }
    const untilMs = performance.now() + seenWithinMs;
    while ((this.#seen.get(id) ?? 0) < incarnation && !this.#stop.signal.aborted) {
      if (performance.now() > untilMs) throw new Error(`the watch has not seen ${id} as ${incarnation}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Keeps the highest incarnation seen of each id. */
  async #watch(): Promise<void> {
    const watch = this.#client.watch({ namespace, service });
    this.#watched = watch;
    try {
      for await (const _batch of watch) {
        for (const { id, incarnation } of watch.instances.values()) this.#seen.set(id, incarnation);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#onBreach(`probe: the watch ended: ${String(error)}`);
    }
  }
}
