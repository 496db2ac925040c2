/**
 * How old a stale answer of this member may be. A follower knows it from what the leader says of itself: the commit
 * index and the age of its last confirmation by a quorum. The statement counts once that index is applied here.
 */
export class Freshness {
  #statements: { readonly commit: number; readonly freshAtMs: number }[] = [];
  #freshAtMs: number;

  /** @param nowMs Monotonic; nothing is known to be fresh before the member started. */
  constructor(nowMs: number) {
    this.#freshAtMs = nowMs;
  }

  /**
   * The leader (which may be this member) said: everything acknowledged `quorumAgeMs` before now is within `commit`.
   * Later statements replace those that are waiting longer than `statementsMax`.
   */
  said(nowMs: number, commit: number, quorumAgeMs: number, appliedIndex: number): void {
    this.#statements.push({ commit, freshAtMs: nowMs - quorumAgeMs });
    if (this.#statements.length > statementsMax) this.#statements.shift();
    this.applied(appliedIndex);
  }

  applied(index: number): void {
    while (this.#statements[0] !== undefined && this.#statements[0].commit <= index) {
      const statement = this.#statements.shift();
      if (statement !== undefined && statement.freshAtMs > this.#freshAtMs) this.#freshAtMs = statement.freshAtMs;
    }
  }

  ageMs(nowMs: number): number {
    return Math.max(0, Math.ceil(nowMs - this.#freshAtMs));
  }
}

const statementsMax = 1_024;

export interface FreshnessTellerOptions {
  readonly nowMs: () => number;
  /** A linearizable read barrier: a confirmation of this leader by a quorum. */
  readonly barrier: () => Promise<void>;
  readonly confirmed: (quorumAgeMs: number) => void;
}

/** The leader has itself confirmed again and again, one confirmation at a time, and says how old the last one is. */
export class FreshnessTeller {
  readonly #options: FreshnessTellerOptions;
  #confirming = false;

  constructor(options: FreshnessTellerOptions) {
    this.#options = options;
  }

  tell(): void {
    if (this.#confirming) return;
    this.#confirming = true;
    const startMs = this.#options.nowMs();
    this.#options.barrier().then(
      () => {
        this.#confirming = false;
        this.#options.confirmed(Math.ceil(this.#options.nowMs() - startMs));
      },
      () => {
        this.#confirming = false;
      },
    );
  }
}
