import { describe, expect, it } from 'vitest';
import type { Clock, Timer } from '../../src/base/clock.ts';
import { LeaseSchedule } from '../../src/client/lease-schedule.ts';

/** Time as the test sets it; a timer fires when the test says so, also too early, as those of Node do by a fraction. */
class HandClock implements Clock {
  nowMs = 0;
  #due: (() => void) | undefined;

  get isArmed(): boolean {
    return this.#due !== undefined;
  }

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  setTimer(_ms: number, callback: () => void): Timer {
    this.#due = callback;
    return { cancel: () => void (this.#due = undefined) };
  }

  nextTurn(callback: () => void): Timer {
    return this.setTimer(0, callback);
  }

  fire(): void {
    const due = this.#due;
    this.#due = undefined;
    due?.();
  }
}

describe('LeaseSchedule', () => {
  it('forgets no lease that falls due between two looks at a clock whose timer fired early', () => {
    const clock = new HandClock();
    const taken: number[] = [];
    const schedule = new LeaseSchedule(clock, () => {
      taken.push(...schedule.takeDue(10));
      clock.nowMs += 0.2;
    });
    schedule.put(7, 100, 0);
    clock.nowMs = 99.9;
    clock.fire();
    expect(taken).toEqual([]);
    expect(clock.isArmed).toBe(true);
    clock.fire();
    expect(taken).toEqual([7]);
  });
});
