/** One reading a tick, of a member's own log. */
export interface DiskReading {
  readonly leads: boolean;
  /** Synced here. */
  readonly durableIndex: number;
  /** Synced on a majority. */
  readonly commit: number;
}

/**
 * Tells a leader that its own disk holds it up: a majority of the others has synced what it has not, for all of an
 * election timeout. Writes go on without it, but nothing that it alone must write first does (its vote, its own entry
 * of a new term), and clients of this member wait for what it applies. One of the others leads better.
 */
export class SlowDisk {
  readonly #ticksMax: number;
  readonly #restTicks: number;
  #slowTicks = 0;
  #quietTicks = 0;

  /**
   * @param ticksMax Behind for so long is slow.
   * @param restTicks So long after it was said nothing is said: where all disks are slow leadership is not to wander.
   */
  constructor(ticksMax: number, restTicks: number) {
    this.#ticksMax = ticksMax;
    this.#restTicks = restTicks;
  }

  /** True: hand over now. */
  tick({ leads, durableIndex, commit }: DiskReading): boolean {
    if (this.#quietTicks > 0) this.#quietTicks -= 1;
    this.#slowTicks = leads && durableIndex < commit ? this.#slowTicks + 1 : 0;
    if (this.#slowTicks < this.#ticksMax || this.#quietTicks > 0) return false;
    this.#slowTicks = 0;
    this.#quietTicks = this.#restTicks;
    return true;
  }
}
