import type { InstanceInput } from '../client/types.ts';
import type { Check } from './check.ts';

/** What `rollcall run` does with a command. Times in ms. */
export interface RunPlan {
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly instance: InstanceInput;
  readonly ttlMs: number;
  /** It is ready when one of these passes; none: at once. */
  readonly readiness: readonly Check[];
  /** Looked at from then on; undefined: never. */
  readonly health: Check | undefined;
  readonly checkIntervalMs: number;
  readonly checkTimeoutMs: number;
  /** In a row, until the instance is down. */
  readonly checkFailures: number;
  /** How long it may take to get ready; undefined: as long as it runs. */
  readonly startTimeoutMs: number | undefined;
  /** From the signal to SIGKILL. */
  readonly graceMs: number;
  readonly exitWhenSuperseded: boolean;
  /** Tell only what goes wrong. */
  readonly quiet: boolean;
}

export const runTimes = {
  /** Between two looks at whether the command is ready. */
  readyIntervalMs: 200,
  /** A command that is not ready by then is waited for aloud. */
  readyTellMs: 10_000,
  /** How long the deregistration may hold up the signal to the command. */
  leaveMs: 3_000,
} as const;
