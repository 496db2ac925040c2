import { assert } from './assert.ts';
import type { Clock, Timer, TimerOptions } from './clock.ts';
import { timerMsMax } from './clock.ts';

type Waiting = { readonly dueMs: number; readonly callback: () => void };

const turnsPerAdvanceMax = 1_000_000;

/**
 * A clock that stands still until it is advanced; the in-memory twin of SystemClock. Timers fire in the order of their
 * times, equal ones in the order in which they were set; callbacks of `nextTurn` follow after the timers of an instant,
 * and what they ask of `nextTurn` comes one turn later.
 */
export class ManualClock implements Clock {
  #nowMs = 0;
  #wallOffsetMs: number;
  /** A Set keeps the order of insertion, which decides between equal times. */
  readonly #timers = new Set<Waiting>();
  #turn = new Set<Waiting>();
  #advancing = false;

  /** @param wallMs What wallMs() says at the start. Default 2026-01-01T00:00:00Z. */
  constructor(wallMs = 1_767_225_600_000) {
    this.#wallOffsetMs = wallMs;
  }

  wallMs(): number {
    return Math.floor(this.#wallOffsetMs + this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(ms: number, callback: () => void, _options: TimerOptions = {}): Timer {
    assert(ms >= 0 && ms <= timerMsMax, () => `timer of ${ms} ms, expected 0 to ${timerMsMax}`);
    const waiting = { dueMs: this.#nowMs + Math.max(1, Math.ceil(ms)), callback };
    this.#timers.add(waiting);
    return { cancel: () => void this.#timers.delete(waiting) };
  }

  nextTurn(callback: () => void): Timer {
    const turn = this.#turn;
    const waiting = { dueMs: this.#nowMs, callback };
    turn.add(waiting);
    return { cancel: () => void turn.delete(waiting) };
  }

  /** Sets the wall clock, as an operator or a time server would; the monotonic one does not notice. */
  setWallMs(wallMs: number): void {
    this.#wallOffsetMs = wallMs - this.#nowMs;
  }

  /** Timers and callbacks of `nextTurn` that wait. */
  get pendingCount(): number {
    return this.#timers.size + this.#turn.size;
  }

  /** When the next timer is due, in milliseconds from now; undefined when none is set. */
  nextTimerMs(): number | undefined {
    const next = this.#nextTimer();
    return next === undefined ? undefined : next.dueMs - this.#nowMs;
  }

  /**
   * Lets `ms` milliseconds pass and runs, each at its own time, all that becomes due, also what is set meanwhile. With
   * 0 it runs the callbacks of `nextTurn` that wait. Promises settle only when the caller awaits.
   */
  advance(ms: number): void {
    assert(ms >= 0 && Number.isFinite(ms), () => `clock advanced by ${ms} ms`);
    assert(!this.#advancing, 'clock advanced from a callback of its own');
    this.#advancing = true;
    try {
      const endMs = this.#nowMs + ms;
      for (let turns = 0; this.#runTurn(endMs); turns++) {
        assert(turns < turnsPerAdvanceMax, () => `more than ${turnsPerAdvanceMax} turns in one advance of ${ms} ms`);
      }
      this.#nowMs = endMs;
    } finally {
      this.#advancing = false;
    }
  }

  /** Moves to the next instant at which something is due, up to `endMs`, and runs it; false when there is none. */
  #runTurn(endMs: number): boolean {
    const next = this.#nextTimer();
    const timerIsDue = next !== undefined && next.dueMs <= endMs;
    if (this.#turn.size === 0 && !timerIsDue) return false;
    // Whoever waits for the turn waits for no time to pass.
    if (this.#turn.size === 0 && timerIsDue) this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    for (let due = this.#nextTimer(); due !== undefined && due.dueMs <= this.#nowMs; due = this.#nextTimer()) {
      this.#timers.delete(due);
      due.callback();
    }
    const turn = this.#turn;
    this.#turn = new Set();
    for (const waiting of turn) {
      turn.delete(waiting);
      waiting.callback();
    }
    return true;
  }

  #nextTimer(): Waiting | undefined {
    let next: Waiting | undefined;
    for (const waiting of this.#timers) if (next === undefined || waiting.dueMs < next.dueMs) next = waiting;
    return next;
  }
}
