import type { Clock } from '../base/clock.ts';

/**
 * Lets one line a kind through in a while, so that what a client can cause at will does not fill the log. Kinds are
 * constants of the code.
 */
export class RateGate {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #kinds = new Map<string, { openFromMs: number; held: number }>();

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** How many of the kind were held back since the last that passed; undefined: hold this one back too. */
  pass(kind: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#kinds.get(kind);
    if (known !== undefined && nowMs < known.openFromMs) {
      known.held += 1;
      return undefined;
    }
    this.#kinds.set(kind, { openFromMs: nowMs + this.#everyMs, held: 0 });
    return known?.held ?? 0;
  }
}
