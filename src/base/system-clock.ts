import { performance } from 'node:perf_hooks';
import { assert } from './assert.ts';
import type { Clock, Timer, TimerOptions } from './clock.ts';
import { timerMsMax } from './clock.ts';

/** The real clock and event loop of this process. */
export class SystemClock implements Clock {
  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(ms: number, callback: () => void, options: TimerOptions = {}): Timer {
    assert(ms >= 0 && ms <= timerMsMax, () => `timer of ${ms} ms, expected 0 to ${timerMsMax}`);
    const timeout = setTimeout(callback, Math.max(1, Math.ceil(ms)));
    if (options.unref === true) timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  }

  nextTurn(callback: () => void): Timer {
    const immediate = setImmediate(callback);
    return { cancel: () => clearImmediate(immediate) };
  }
}
