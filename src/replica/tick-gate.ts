import type { Clock, Timer } from '../base/clock.ts';

export interface TickGateOptions {
  readonly clock: Clock;
  readonly tickMs: number;
  /** A longer time between two ticks is a stall. */
  readonly stallMs: number;
  readonly onTick: (stalled: boolean) => void;
  /** This side, or the other, stood still: before anything else that came meanwhile is looked at. */
  readonly onStall: () => void;
}

/**
 * The time of the serving side where the consensus side ticks on another thread. A tick counts only when both sides
 * have lived through it: it has come from the consensus side, behind all that was read from the peers before it; at
 * least its length has passed here since the last one; and the sockets of this turn were read. Ticks that came while
 * this side stood still are one. So whichever side stands still, the time of leases stands still with it, and no lease
 * ends while a renewal lies unread on either side.
 */
export class TickGate {
  readonly #options: TickGateOptions;
  #lastMs = 0;
  #timer: Timer | undefined;
  #stalledThere = false;
  #stallTold = false;
  #running = false;

  constructor(options: TickGateOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = true;
    this.#lastMs = this.#options.clock.monotonicMs();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Something has come from the other side. */
  heard(): void {
    if (!this.#running || this.#stallTold) return;
    if (this.#options.clock.monotonicMs() - this.#lastMs <= this.#options.stallMs) return;
    this.#stallTold = true;
    this.#options.onStall();
  }

  /** The other side has ticked. */
  ticked(stalledThere: boolean): void {
    if (!this.#running) return;
    this.#stalledThere ||= stalledThere;
    if (this.#timer === undefined) this.#arm();
  }

  #arm(): void {
    const { clock, tickMs } = this.#options;
    const shortMs = tickMs - (clock.monotonicMs() - this.#lastMs);
    const afterSockets = (): void => {
      this.#timer = clock.nextTurn(() => this.#tick());
    };
    if (shortMs <= 0) afterSockets();
    else this.#timer = clock.setTimer(shortMs, afterSockets);
  }

  #tick(): void {
    const { clock, stallMs, tickMs, onTick } = this.#options;
    const passedMs = clock.monotonicMs() - this.#lastMs;
    if (passedMs < tickMs) {
      // Timers may fire up to a millisecond early.
      this.#arm();
      return;
    }
    this.heard();
    this.#timer = undefined;
    this.#lastMs += passedMs;
    const stalled = this.#stalledThere || passedMs > stallMs;
    this.#stalledThere = false;
    this.#stallTold = false;
    onTick(stalled);
  }
}
