/** The longest time that a timer can be set for, in milliseconds: Node fires a longer one at once. */
export const timerMsMax = 2 ** 31 - 1;

/** A timer that is running, or has fired or been cancelled. */
export interface Timer {
  /** The callback will not run any more. Without effect after it ran, or when called twice. */
  cancel(): void;
}

/** How to set a timer. */
export interface TimerOptions {
  /** True: the timer alone does not keep the process running. Default false. */
  readonly unref?: boolean;
}

/**
 * Time, and what happens later. Handed to whoever needs it, so that tests and the simulator can own it. Callbacks run
 * on the thread of the caller, never inside the call that set them; what they throw is not caught here.
 */
export interface Clock {
  /** Milliseconds since 1970, for people and for time stamps: it may jump, also backwards. */
  wallMs(): number;

  /** Milliseconds since an arbitrary start, with a fraction: never goes back. For durations. */
  monotonicMs(): number;

  /**
   * Runs `callback` once, `ms` milliseconds from now or later.
   *
   * @param ms From 0 to timerMsMax; rounded up to whole milliseconds, at least 1.
   */
  setTimer(ms: number, callback: () => void, options?: TimerOptions): Timer;

  /**
   * Runs `callback` once, after the sockets of this turn of the event loop have been read. After a stall, due timers
   * run before the sockets: what must know of messages that arrived meanwhile asks here from its timer.
   */
  nextTurn(callback: () => void): Timer;
}
