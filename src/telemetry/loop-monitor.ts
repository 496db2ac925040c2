import type { IntervalHistogram } from 'node:perf_hooks';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from './logger.ts';
import type { MemberMetrics } from './metrics.ts';

export interface LoopMonitorOptions {
  readonly metrics: MemberMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Delays that are longer are logged. */
  readonly slowMs: number;
}

const resolutionMs = 10;
const everyMs = 1_000;
const nanosPerMs = 1e6;

/** Measures how long the event loop keeps what is due waiting, and logs when it is long. */
export class LoopMonitor {
  readonly #options: LoopMonitorOptions;
  readonly #delay: IntervalHistogram;
  #timer: Timer;

  constructor(options: LoopMonitorOptions) {
    this.#options = options;
    this.#delay = monitorEventLoopDelay({ resolution: resolutionMs });
    this.#delay.enable();
    this.#timer = this.#schedule();
  }

  stop(): void {
    this.#timer.cancel();
    this.#delay.disable();
  }

  #schedule(): Timer {
    return this.#options.clock.setTimer(everyMs, () => this.#look(), { unref: true });
  }

  #look(): void {
    const { metrics, logger, slowMs } = this.#options;
    // The histogram holds the time between two wake-ups, the resolution included. Its maximum is 0 before the first.
    const delayMs = Math.max(0, this.#delay.max / nanosPerMs - resolutionMs);
    this.#delay.reset();
    metrics.loopDelaySeconds.observe(delayMs / 1_000);
    if (delayMs > slowMs) logger.warn({ ms: Math.round(delayMs) }, 'the event loop stood still');
    this.#timer = this.#schedule();
  }
}
