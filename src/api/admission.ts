import { assert } from '../base/assert.ts';
import { RollcallError } from '../base/errors.ts';
import { apiBounds } from './bounds.ts';

/** Bounds the calls that a member works on at once: beyond, a call is refused before it costs anything. */
export class Admission {
  readonly #callsMax: number;
  #calls = 0;

  constructor(callsMax: number = apiBounds.callsInFlightMax) {
    this.#callsMax = callsMax;
  }

  get callsInFlight(): number {
    return this.#calls;
  }

  /** Runs `call`, which counts until its promise is settled. Rejects with OVERLOADED where there is no room. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#calls >= this.#callsMax) {
      const message = `this member works on ${this.#callsMax} calls, which is the most; try again, or another member`;
      throw new RollcallError('OVERLOADED', message, { retryAfterMs: apiBounds.overloadedRetryAfterMs });
    }
    this.#calls++;
    try {
      return await call();
    } finally {
      this.#calls--;
      assert(this.#calls >= 0, 'more calls ended than begun');
    }
  }
}
