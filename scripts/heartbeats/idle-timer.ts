import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks';
import type { Lateness } from './scrape.ts';

const everyMs = 50;
const microsPerMs = 1_000;

/**
 * How late a timer of an otherwise idle process is: what the machine does to everybody, whatever runs in a member. A
 * member can be no more punctual than this.
 */
export class IdleTimer {
  readonly #late: RecordableHistogram = createHistogram();
  #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = this.#arm();
  }

  stop(): Lateness {
    clearTimeout(this.#timer);
    const at = (percentile: number): number => this.#late.percentile(percentile) / microsPerMs;
    return {
      count: this.#late.count,
      p50Ms: at(50),
      p99Ms: at(99),
      p999Ms: at(99.9),
      maxMs: this.#late.max / microsPerMs,
    };
  }

  #arm(): NodeJS.Timeout {
    const dueMs = performance.now() + everyMs;
    return setTimeout(() => {
      this.#late.record(Math.max(1, Math.round((performance.now() - dueMs) * microsPerMs)));
      this.#timer = this.#arm();
    }, everyMs);
  }
}
