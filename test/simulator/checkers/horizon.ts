import type { Observer, Operation, RunView, SimEvent } from '../types.ts';

interface Step {
  readonly atMs: number;
  readonly revision: number;
}

/**
 * What somebody has been told so far: the greatest revision of any answer or batch. Whoever asks afterwards for a
 * linearizable answer must be told no less. Kept with times, and with the order of the events, which decides among
 * those of one instant. An observer itself: it must see each event behind those that ask it.
 */
export class Horizon implements Observer {
  readonly name = 'horizon';
  readonly #view: RunView;
  readonly #steps: Step[] = [];
  /** By operation, as of its call. */
  readonly #asked = new Map<number, { readonly revision: number; readonly order: number }>();
  #order = 0;

  constructor(view: RunView) {
    this.#view = view;
  }

  get revision(): number {
    return this.#steps.at(-1)?.revision ?? 0;
  }

  /** Counts the events of the run. */
  get order(): number {
    return this.#order;
  }

  see(event: SimEvent): void {
    this.#order++;
    if (event.kind === 'invoked') {
      this.#asked.set(event.operation.number, { revision: this.revision, order: this.#order });
    } else if (event.kind === 'returned') {
      const { outcome, number } = event.operation;
      this.#asked.delete(number);
      if (outcome?.kind === 'ok') this.#told(outcome.revision);
    } else if (event.kind === 'watched') {
      this.#told(event.step.to);
    }
  }

  /** What was known when the operation was called, and which event that was. */
  askedAt(operation: Operation): { readonly revision: number; readonly order: number } {
    return this.#asked.get(operation.number) ?? { revision: 0, order: 0 };
  }

  /** What was known before a moment, that moment itself left out. */
  before(ms: number): number {
    let [from, to] = [0, this.#steps.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#steps[middle]?.atMs ?? 0) < ms) from = middle + 1;
      else to = middle;
    }
    return this.#steps[from - 1]?.revision ?? 0;
  }

  #told(revision: number): void {
    if (revision > this.revision) this.#steps.push({ atMs: this.#view.nowMs, revision });
  }
}
