import { must } from '../../../src/base/assert.ts';
import { emptySet } from './operation-sets.ts';

/** One operation that was ordered, and what was there before it. */
export interface PathStep {
  readonly operation: number;
  readonly state: number;
  readonly closedSet: number;
  readonly openSet: number;
}

/** Where a search is: the order tried, and the configuration behind it. */
export class SearchPath {
  readonly #steps: PathStep[] = [];
  #state: number;
  #closedSet = emptySet;
  #openSet = emptySet;
  #closedCount = 0;

  constructor(state: number) {
    this.#state = state;
  }

  get state(): number {
    return this.#state;
  }

  get closedSet(): number {
    return this.#closedSet;
  }

  get openSet(): number {
    return this.#openSet;
  }

  /** Answered operations in the order tried. */
  get closedCount(): number {
    return this.#closedCount;
  }

  get length(): number {
    return this.#steps.length;
  }

  last(): PathStep | undefined {
    return this.#steps.at(-1);
  }

  operations(): number[] {
    return this.#steps.map((step) => step.operation);
  }

  push(operation: number, isClosed: boolean, state: number, closedSet: number, openSet: number): void {
    this.#steps.push({ operation, state: this.#state, closedSet: this.#closedSet, openSet: this.#openSet });
    this.#state = state;
    this.#closedSet = closedSet;
    this.#openSet = openSet;
    if (isClosed) this.#closedCount += 1;
  }

  /** Takes the last one back; it was answered, or was open. */
  pop(isClosed: (operation: number) => boolean): PathStep {
    const step = must(this.#steps.pop(), 'step');
    this.#state = step.state;
    this.#closedSet = step.closedSet;
    this.#openSet = step.openSet;
    if (isClosed(step.operation)) this.#closedCount -= 1;
    return step;
  }
}
