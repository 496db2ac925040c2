import type { Operation } from './types.ts';

/**
 * The starts and ends of the answered operations of one key that are not ordered yet, in the order of time; at one
 * instant starts come first, so that operations which touch overlap. A doubly linked list: an operation is taken out
 * and put back where it was in constant time, as long as what was taken out last is put back first.
 */
export class EventList {
  readonly #count: number;
  /** Event i < count: start of operation i; count + i: its end; 2 * count: before the first and behind the last. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  /** @param operations Answered ones, in the order of their starts. */
  constructor(operations: readonly Operation<unknown, unknown>[]) {
    const count = operations.length;
    this.#count = count;
    const byEnd = [...operations.keys()].sort((one, other) => endOf(operations, one) - endOf(operations, other));
    this.#next = new Int32Array(2 * count + 1);
    this.#previous = new Int32Array(2 * count + 1);
    let last = 2 * count;
    const append = (event: number): void => {
      this.#next[last] = event;
      this.#previous[event] = last;
      last = event;
    };
    let started = 0;
    for (const ending of byEnd) {
      const end = endOf(operations, ending);
      for (; started < count && (operations[started]?.start ?? 0) <= end; started++) append(started);
      append(count + ending);
    }
    append(2 * count);
  }

  /** The operation whose start is first; -1 where another must be ordered before any further one, or none is left. */
  firstStart(): number {
    return this.#startAt(this.#next[2 * this.#count] ?? 0);
  }

  /** The operation whose start follows that of this one, before the first end. -1: none does. */
  nextStart(operation: number): number {
    return this.#startAt(this.#next[operation] ?? 0);
  }

  /** The operation whose end is first; -1: none is left. */
  firstEnd(): number {
    const before = 2 * this.#count;
    let event = this.#next[before] ?? 0;
    while (event < this.#count) event = this.#next[event] ?? 0;
    return event === before ? -1 : event - this.#count;
  }

  take(operation: number): void {
    this.#unlink(operation);
    this.#unlink(this.#count + operation);
  }

  putBack(operation: number): void {
    this.#link(this.#count + operation);
    this.#link(operation);
  }

  #startAt(event: number): number {
    return event < this.#count ? event : -1;
  }

  #unlink(event: number): void {
    const next = this.#next[event] ?? 0;
    const previous = this.#previous[event] ?? 0;
    this.#next[previous] = next;
    this.#previous[next] = previous;
  }

  #link(event: number): void {
    this.#next[this.#previous[event] ?? 0] = event;
    this.#previous[this.#next[event] ?? 0] = event;
  }
}

function endOf(operations: readonly Operation<unknown, unknown>[], index: number): number {
  return operations[index]?.end ?? 0;
}
