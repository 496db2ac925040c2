import type { Clock, Timer } from '../base/clock.ts';
import { timerMsMax } from '../base/clock.ts';

/**
 * When each lease is to be renewed. Leases are gathered by instants, a grain apart, so that those of one TTL fall due
 * together and go in one message; one timer serves all.
 */
export class LeaseSchedule {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  /** By the instant, ms of the monotonic clock; no set is empty. */
  readonly #instants = new Map<number, Set<number>>();
  readonly #instantOf = new Map<number, number>();
  #timer: Timer | undefined;
  /** What the timer is set for. */
  #timerMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /**
   * Makes the lease due in `delayMs`, or up to `grainMs` earlier: instants are multiples of the grain, which is rounded
   * down to a power of two.
   */
  put(leaseId: number, delayMs: number, grainMs: number): void {
    this.remove(leaseId);
    const nowMs = this.#clock.monotonicMs();
    const grain = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, grainMs))));
    const instant = Math.max(Math.floor(nowMs), Math.floor((nowMs + delayMs) / grain) * grain);
    const leases = this.#instants.get(instant) ?? new Set();
    leases.add(leaseId);
    this.#instants.set(instant, leases);
    this.#instantOf.set(leaseId, instant);
    if (instant < this.#timerMs) this.#arm(instant);
  }

  remove(leaseId: number): void {
    const instant = this.#instantOf.get(leaseId);
    if (instant === undefined) return;
    this.#instantOf.delete(leaseId);
    const leases = this.#instants.get(instant);
    leases?.delete(leaseId);
    if (leases?.size === 0) this.#instants.delete(instant);
  }

  /** Takes at most `countMax` leases that are due; they are forgotten until they are put again. */
  takeDue(countMax: number): number[] {
    const nowMs = this.#clock.monotonicMs();
    const due: number[] = [];
    for (const [instant, leases] of this.#instants) {
      if (instant > nowMs) continue;
      for (const leaseId of leases) {
        if (due.length === countMax) return due;
        due.push(leaseId);
        this.remove(leaseId);
      }
    }
    return due;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#instants.clear();
    this.#instantOf.clear();
  }

  #arm(instant: number): void {
    this.#timer?.cancel();
    this.#timerMs = instant;
    const delayMs = Math.min(timerMsMax, Math.max(0, instant - this.#clock.monotonicMs()));
    this.#timer = this.#clock.setTimer(delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#timerMs = Number.POSITIVE_INFINITY;
    // Read before the listener looks: a timer may fire a little early, and what is not due yet for the listener but is
    // a moment later would otherwise be left by both.
    const nowMs = this.#clock.monotonicMs();
    this.#onDue();
    if (this.#closed) return;
    // What the listener left, since too much is unanswered, waits for the next answer and not for this timer.
    let next = Number.POSITIVE_INFINITY;
    for (const instant of this.#instants.keys()) if (instant > nowMs && instant < next) next = instant;
    if (next < this.#timerMs) this.#arm(next);
  }
}
