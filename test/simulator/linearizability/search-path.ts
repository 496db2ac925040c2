import { must } from '../../../src/base/assert.ts';
import { emptySet } from './operation-sets.ts';

/** A configuration: what is behind an order that was tried. */
interface Configuration {
  readonly state: number;
  readonly closedSet: number;
  readonly openSet: number;
  /** Answered operations in the order. */
  readonly closedCount: number;
  /** Of all operations in the order; what certainly took effect before cannot come any more. */
  readonly lastStart: number;
}

/** One operation that was ordered, and what was there before it. */
export interface PathStep {
  readonly operation: number;
  readonly before: Configuration;
}

/** Where a search is: the order tried, and the configuration behind it. */
export class SearchPath {
  readonly #steps: PathStep[] = [];
  #now: Configuration;

  constructor(state: number) {
    this.#now = { state, closedSet: emptySet, openSet: emptySet, closedCount: 0, lastStart: -Infinity };
  }

  get now(): Configuration {
    return this.#now;
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

  push(operation: number, now: Configuration): void {
    this.#steps.push({ operation, before: this.#now });
    this.#now = now;
  }

  /** Takes the last one back, and returns it. */
  pop(): number {
    const { operation, before } = must(this.#steps.pop(), 'step');
    this.#now = before;
    return operation;
  }
}
