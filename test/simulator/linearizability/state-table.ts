import { assert } from '../../../src/base/assert.ts';
import type { Model } from './types.ts';

/** Numbers the states of one key, so that equal ones are equal integers. */
export class StateTable<Input, Output, State> {
  readonly #model: Model<Input, Output, State>;
  readonly #ids = new Map<string | number, number>();
  readonly #states: State[] = [];

  constructor(model: Model<Input, Output, State>) {
    this.#model = model;
  }

  intern(state: State): number {
    const identity = this.#model.identify(state);
    const known = this.#ids.get(identity);
    if (known !== undefined) return known;
    const id = this.#states.length;
    this.#states.push(state);
    this.#ids.set(identity, id);
    return id;
  }

  state(id: number): State {
    assert(id < this.#states.length, () => `state ${id} is not there`);
    // A state may be null, or whatever else the model makes of it.
    return this.#states[id] as State;
  }
}
