/**
 * What the consensus side is late with. `tick`: from when a tick was due to when it ran. `heartbeat-sent`: at a leader,
 * to when the heartbeats were handed to the transport. `heartbeat-heard`: at a follower, to when the next one from the
 * leader was taken in, the way and both members' lateness included.
 */
export type LateKind = 'tick' | 'heartbeat-sent' | 'heartbeat-heard';

/**
 * Turns the moments of heartbeats into lateness: by how much the longest silence of each interval was longer than the
 * interval. Read rounds send heartbeats in between; they shorten the silence, and do not make more samples.
 */
export class SilenceWatch {
  readonly #intervalMs: number;
  #lastMs: number | undefined;
  #intervalFromMs = 0;
  #silenceMs = 0;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** A heartbeat. Returns the lateness of an interval that it ends, ms, at least 0; undefined within one. */
  heard(nowMs: number): number | undefined {
    if (this.#lastMs === undefined) {
      this.#intervalFromMs = nowMs;
      this.#lastMs = nowMs;
      return undefined;
    }
    this.#silenceMs = Math.max(this.#silenceMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    if (nowMs - this.#intervalFromMs < this.#intervalMs) return undefined;
    const lateMs = Math.max(0, this.#silenceMs - this.#intervalMs);
    this.#intervalFromMs = nowMs;
    this.#silenceMs = 0;
    return lateMs;
  }

  /** Another leader, or none: what comes next does not belong to what was heard before. */
  reset(): void {
    this.#lastMs = undefined;
    this.#silenceMs = 0;
  }
}
