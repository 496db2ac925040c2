import { must } from '../../../src/base/assert.ts';
import { EventList } from './event-list.ts';
import { OperationSets } from './operation-sets.ts';
import { SearchPath } from './search-path.ts';
import { StateTable } from './state-table.ts';
import type { Effort, Limits, Model, Operation } from './types.ts';
import { Visited } from './visited.ts';

export type KeyVerdict<Input, Output, State> =
  | { readonly kind: 'ok' }
  | {
      readonly kind: 'stuck';
      readonly ordered: readonly Operation<Input, Output>[];
      readonly stuck: readonly Operation<Input, Output>[];
      readonly state: State;
    }
  | { readonly kind: 'unknown'; readonly limit: keyof Limits };

const impossible = -1;
const none = -1;

/**
 * Looks for an order of the operations of one key: Wing and Gong's search, with Lowe's memory of the configurations
 * that led nowhere. Depth first over the list of events: whatever started before the first end may come next.
 *
 * Answered operations are tried before open ones, and an open one only where it makes a difference: it changes the
 * state, and what is ordered behind it would end otherwise without it. None has to be ordered at all. A history with
 * many of them so costs about their number a step, and not the number of their subsets.
 */
export class KeySearch<Input, Output, State> {
  readonly #model: Model<Input, Output, State>;
  readonly #limits: Limits;
  /** Answered ones first, then open ones, each in the order of their starts. */
  readonly #operations: readonly Operation<Input, Output>[];
  readonly #closedTotal: number;
  /** Times of the operations, where the search reads them most. */
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #latests: Float64Array;
  readonly #events: EventList;
  readonly #sets = new OperationSets();
  readonly #visited = new Visited(this.#sets);
  readonly #states: StateTable<Input, Output, State>;
  readonly #path: SearchPath;
  /** Open operations that the path has used up. */
  readonly #used: Uint8Array;
  /** By open operation: the one before it that asked the very same, with as much time for it; or itself. */
  readonly #twins: Int32Array;
  #longest: { readonly order: readonly number[]; readonly closedCount: number; readonly state: number };
  #steps = 0;
  /** The limit that was reached: from then on nothing that was found, or not found, counts. */
  #spent: keyof Limits | undefined;

  /** @param operations All of one key, in any order. */
  constructor(operations: readonly Operation<Input, Output>[], model: Model<Input, Output, State>, limits: Limits) {
    this.#model = model;
    this.#limits = limits;
    const byStart = operations.toSorted((one, other) => one.start - other.start);
    const closed = byStart.filter(({ end }) => end !== Infinity);
    this.#operations = [...closed, ...byStart.filter(({ end }) => end === Infinity)];
    this.#closedTotal = closed.length;
    this.#starts = Float64Array.from(this.#operations, ({ start }) => start);
    this.#ends = Float64Array.from(this.#operations, ({ end }) => end);
    this.#latests = Float64Array.from(this.#operations, ({ latest }) => latest ?? Infinity);
    this.#events = new EventList(closed);
    this.#used = new Uint8Array(this.#operations.length);
    this.#twins = twinsOf(this.#operations, closed.length);
    this.#states = new StateTable(model);
    this.#path = new SearchPath(this.#states.intern(model.initial()));
    this.#longest = { order: [], closedCount: 0, state: this.#path.now.state };
  }

  get effort(): Effort {
    return { steps: this.#steps, configurations: this.#visited.size };
  }

  run(): KeyVerdict<Input, Output, State> {
    let candidate = this.#firstCandidate();
    while (this.#path.now.closedCount < this.#closedTotal) {
      if (candidate === none) {
        if (this.#path.length === 0) return this.#stuck();
        candidate = this.#goBack();
        continue;
      }
      candidate = this.#goOn(candidate) ? this.#firstCandidate() : this.#nextCandidate(candidate);
      if (this.#spent !== undefined) return { kind: 'unknown', limit: this.#spent };
    }
    return { kind: 'ok' };
  }

  /** Orders the candidate next, unless that cannot be or leads nowhere that was not looked at. */
  #goOn(candidate: number): boolean {
    const { now } = this.#path;
    const state = this.#step(now.state, candidate);
    if (state === impossible) return false;
    const isClosed = this.#isClosed(candidate);
    if (!isClosed && state === now.state) return false;
    const last = this.#path.last();
    const isBehindOpen = last !== undefined && !this.#isClosed(last.operation);
    // The open one before it makes no difference to this one: the order without it can do all that this one can.
    if (isBehindOpen && this.#step(last.before.state, candidate) === state) return false;

    const closedSet = isClosed ? this.#sets.add(now.closedSet, candidate) : now.closedSet;
    const openSet = isClosed ? now.openSet : this.#sets.add(now.openSet, candidate);
    if (this.#spent !== undefined || !this.#visited.add(closedSet, state, openSet)) return false;
    if (this.#visited.size > this.#limits.configurationsPerKeyMax) this.#spent = 'configurationsPerKeyMax';
    const closedCount = now.closedCount + (isClosed ? 1 : 0);
    const lastStart = Math.max(now.lastStart, this.#starts[candidate] ?? 0);
    this.#path.push(candidate, { state, closedSet, openSet, closedCount, lastStart });
    if (isClosed) this.#events.take(candidate);
    else this.#used[candidate] = 1;
    return true;
  }

  /** Takes the last one back; returns the candidate that follows it. */
  #goBack(): number {
    const { closedCount, state } = this.#path.now;
    if (closedCount > this.#longest.closedCount) {
      this.#longest = { order: this.#path.operations(), closedCount, state };
    }
    const operation = this.#path.pop();
    if (this.#isClosed(operation)) this.#events.putBack(operation);
    else this.#used[operation] = 0;
    return this.#nextCandidate(operation);
  }

  #firstCandidate(): number {
    const first = this.#events.firstStart();
    return first === none ? this.#nextOpen(this.#closedTotal) : first;
  }

  #nextCandidate(candidate: number): number {
    if (!this.#isClosed(candidate)) return this.#nextOpen(candidate + 1);
    const next = this.#events.nextStart(candidate);
    return next === none ? this.#nextOpen(this.#closedTotal) : next;
  }

  /**
   * The first open operation from this one on that is not used up and began before the first end. Of several that ask
   * the same the one that began first is taken first: it can do all that the others can.
   */
  #nextOpen(from: number): number {
    const ending = this.#events.firstEnd();
    if (ending === none) return none;
    const end = this.#ends[ending] ?? 0;
    const { lastStart } = this.#path.now;
    const count = this.#operations.length;
    for (let open = from; open < count && (this.#starts[open] ?? 0) <= end; open++) {
      if (this.#used[open] === 1 || (this.#latests[open] ?? 0) < lastStart) continue;
      const twin = this.#twins[open] ?? open;
      if (twin === open || this.#used[twin] === 1) return open;
    }
    return none;
  }

  #step(state: number, operation: number): number {
    if (this.#steps >= this.#limits.stepsPerKeyMax) {
      this.#spent = 'stepsPerKeyMax';
      return impossible;
    }
    this.#steps += 1;
    const { input, output } = this.#at(operation);
    const next = this.#model.step(this.#states.state(state), input, output);
    return next === undefined ? impossible : this.#states.intern(next);
  }

  #stuck(): KeyVerdict<Input, Output, State> {
    const { order, state } = this.#longest;
    const isOrdered = new Set(order);
    const left = this.#operations.slice(0, this.#closedTotal).filter((_, index) => !isOrdered.has(index));
    const firstEnd = Math.min(...left.map(({ end }) => end));
    return {
      kind: 'stuck',
      ordered: order.map((index) => this.#at(index)),
      stuck: left.filter(({ start }) => start <= firstEnd),
      state: this.#states.state(state),
    };
  }

  #isClosed(operation: number): boolean {
    return operation < this.#closedTotal;
  }

  #at(operation: number): Operation<Input, Output> {
    return must(this.#operations[operation], 'operation');
  }
}

function twinsOf(operations: readonly Operation<unknown, unknown>[], from: number): Int32Array {
  const twins = new Int32Array(operations.length);
  const lasts = new Map<string, number>();
  for (let open = from; open < operations.length; open++) {
    const asked = JSON.stringify([operations[open]?.input, operations[open]?.latest]);
    twins[open] = lasts.get(asked) ?? open;
    lasts.set(asked, open);
  }
  return twins;
}
