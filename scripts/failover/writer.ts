import type { MeasuredClient } from './peer.ts';

export interface WriterOptions {
  readonly client: MeasuredClient;
  /** Number of the member that it begins at. */
  readonly first: number;
  readonly lanes: number;
  readonly pauseMs: number;
  readonly onAcknowledged: (nowMs: number) => void;
}

const slotsPerLane = 20;
const writeMsMax = 15_000;

/** Writes without end, each write again at the next member until it is acknowledged, and remembers what was. */
export class Writer {
  readonly #options: WriterOptions;
  /** By slot, the value acknowledged last. */
  readonly #acknowledged = new Map<number, number>();
  #at: number;
  #value = 0;
  #isRunning = false;
  #lanes: Promise<void>[] = [];
  failed = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#at = options.first;
  }

  /** At its first member again: otherwise all would be at one of them after a while. */
  begin(): void {
    this.#at = this.#options.first;
    this.#isRunning = true;
    this.#lanes = Array.from({ length: this.#options.lanes }, (_, lane) => this.#lane(lane));
  }

  /** Begins no further write; resolves once those under way have ended. */
  async pause(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#lanes.splice(0));
  }

  /** How many slots hold something older than what was acknowledged. */
  async lost(): Promise<number> {
    const found = await this.#read();
    return [...this.#acknowledged].filter(([slot, value]) => (found.get(slot) ?? -1) < value).length;
  }

  async #read(): Promise<ReadonlyMap<number, number>> {
    const { client, first } = this.#options;
    const endMs = performance.now() + writeMsMax;
    for (let at = first; ; at++) {
      try {
        return await client.read(at);
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  close(): void {
    this.#isRunning = false;
    this.#options.client.close();
  }

  /** Slots of its own, so that writes of one slot follow each other. */
  async #lane(lane: number): Promise<void> {
    while (this.#isRunning) {
      const value = ++this.#value;
      await this.#write(lane * slotsPerLane + (value % slotsPerLane), value);
      if (this.#options.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#options.pauseMs));
    }
  }

  async #write(slot: number, value: number): Promise<void> {
    const { client, onAcknowledged } = this.#options;
    const endMs = performance.now() + writeMsMax;
    while (performance.now() < endMs) {
      const at = this.#at;
      try {
        await client.write(at, slot, value);
        this.#acknowledged.set(slot, value);
        onAcknowledged(performance.now());
        return;
      } catch {
        // Another lane may have moved on already.
        if (this.#at === at) this.#at = at + 1;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    this.failed++;
  }
}
