export interface FreshnessOptions {
  /** Monotonic. */
  readonly nowMs: () => number;
  /** A linearizable read barrier of this member. */
  readonly barrier: () => Promise<void>;
}

/**
 * The age of what nobody can date: a member that has not heard a leader since it started may have been down for any
 * time. The greatest number that the interface carries.
 */
export const unknownAgeMs: number = Number.MAX_SAFE_INTEGER;

/**
 * How old a stale answer of this member may be: the time since it last asked for a read barrier that was confirmed.
 * Everything acknowledged before that moment is applied here. The moment is read on this member's own clock, so neither
 * a message that was long on its way nor a pause of this process makes the age too small. One barrier at a time, on
 * every member.
 */
export class Freshness {
  readonly #options: FreshnessOptions;
  /** undefined: no barrier was confirmed since the start. */
  #freshAtMs: number | undefined;
  #asking = false;

  constructor(options: FreshnessOptions) {
    this.#options = options;
  }

  ageMs(): number {
    if (this.#freshAtMs === undefined) return unknownAgeMs;
    return Math.max(0, Math.ceil(this.#options.nowMs() - this.#freshAtMs));
  }

  /** Asks anew unless an answer is awaited. Once in a while, e.g. each heartbeat. */
  ask(): void {
    if (this.#asking) return;
    this.#asking = true;
    const askedMs = this.#options.nowMs();
    this.#options.barrier().then(
      () => {
        this.#asking = false;
        this.#freshAtMs = askedMs;
      },
      () => {
        this.#asking = false;
      },
    );
  }
}
