import { assert } from '../../../src/base/assert.ts';
import type { Clock, Timer } from '../../../src/base/clock.ts';

/** What is asked for, and the way to call it off. A class: a run makes hundreds of thousands of them. */
class Waiting implements Timer {
  readonly dueMs: number;
  /** Decides between equal times: what was asked for earlier comes earlier. */
  readonly sequence: number;
  callback: (() => void) | undefined;

  constructor(dueMs: number, sequence: number, callback: () => void) {
    this.dueMs = dueMs;
    this.sequence = sequence;
    this.callback = callback;
  }

  cancel(): void {
    this.callback = undefined;
  }
}

/**
 * True time of a simulated world. It stands still until `step`, which goes straight to the next instant at which
 * something is due and runs one callback. At one instant timers come first, in the order of asking, then what asked for
 * the next turn.
 */
export class WorldClock implements Clock {
  #nowMs = 0;
  #sequence = 0;
  readonly #heap: Waiting[] = [];
  #turn: Waiting[] = [];
  #turnAt = 0;
  #nextTurn: Waiting[] = [];

  wallMs(): number {
    // 2026-01-01T00:00:00Z
    return Math.floor(1_767_225_600_000 + this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(ms: number, callback: () => void): Timer {
    return this.at(this.#nowMs + Math.max(1, Math.ceil(ms)), callback);
  }

  /** At an instant of this clock, also between two milliseconds. */
  at(dueMs: number, callback: () => void): Timer {
    assert(dueMs >= this.#nowMs, () => `something is due at ${dueMs} ms, it is ${this.#nowMs}`);
    const waiting = new Waiting(dueMs, this.#sequence++, callback);
    this.#push(waiting);
    return waiting;
  }

  nextTurn(callback: () => void): Timer {
    const waiting = new Waiting(this.#nowMs, this.#sequence++, callback);
    this.#nextTurn.push(waiting);
    return waiting;
  }

  /** Runs one callback, at most at `endMs`; false where nothing more is due by then, and time is at `endMs`. */
  step(endMs: number): boolean {
    for (;;) {
      const waiting = this.#take(endMs);
      if (waiting === undefined) break;
      const { callback } = waiting;
      if (callback === undefined) continue;
      waiting.callback = undefined;
      this.#nowMs = Math.max(this.#nowMs, waiting.dueMs);
      callback();
      return true;
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
    return false;
  }

  #take(endMs: number): Waiting | undefined {
    // Timers that are due now go before the turn that follows them; a turn that has begun is finished first.
    if (this.#turnAt < this.#turn.length) return this.#turn[this.#turnAt++];
    const first = this.#heap[0];
    if (first !== undefined && first.dueMs <= this.#nowMs) return this.#pop();
    if (this.#nextTurn.length > 0) {
      this.#turn = this.#nextTurn;
      this.#nextTurn = [];
      this.#turnAt = 1;
      return this.#turn[0];
    }
    return first !== undefined && first.dueMs <= endMs ? this.#pop() : undefined;
  }

  #push(waiting: Waiting): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(waiting);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || !isBefore(waiting, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = waiting;
  }

  #pop(): Waiting | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      if (one === undefined) break;
      const [child, down] = other !== undefined && isBefore(other, one) ? [other, left + 1] : [one, left];
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Waiting, other: Waiting): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.sequence < other.sequence);
}
