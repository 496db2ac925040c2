/** The times of one replica, all derived from the configured ticks. */
export interface ReplicaTimes {
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  /** One election timeout at most, ms. */
  readonly electionTimeoutMs: number;
  /** Calls end within two election timeouts (design section 6). */
  readonly callTimeoutTicks: number;
  /** The loop stood still for longer than half an election timeout: a stall. */
  readonly stallMs: number;
}

export function replicaTimes(
  tickMs: number,
  heartbeatTicks: number,
  electionTicksMin: number,
  electionTicksMax: number,
): ReplicaTimes {
  return {
    tickMs,
    heartbeatTicks,
    electionTicksMin,
    electionTicksMax,
    electionTimeoutMs: tickMs * electionTicksMax,
    // One tick less, since a call may come just before a tick and the answer leaves after another.
    callTimeoutTicks: electionTicksMax * 2 - 1,
    stallMs: (tickMs * electionTicksMin) / 2,
  };
}
