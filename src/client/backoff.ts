import type { Random } from '../base/random.ts';
import { clientLimits } from './limits.ts';

/**
 * How long to wait before attempt `failures + 1`, in ms: doubling, between half and the whole, so that many clients
 * that lost the same member do not come back at once. What a member asked for is kept, and up to a quarter more.
 */
export function backoffMs(failures: number, retryAfterMs: number | undefined, random: Random): number {
  if (retryAfterMs !== undefined) return retryAfterMs + random.below('retry-hint', Math.ceil(retryAfterMs / 4) + 1);
  const ceiling = Math.min(clientLimits.backoffMsMax, clientLimits.backoffMsMin * 2 ** Math.min(failures, 16));
  return Math.ceil(ceiling / 2) + random.below('backoff', Math.ceil(ceiling / 2) + 1);
}

/**
 * How long to wait before the stream that broke is opened anew, in ms: the next member is asked at once, after a round
 * of all there is a pause, and a member that asked for one gets it.
 *
 * @param failures Breaks in a row of streams that did not last, this one included.
 */
export function reopenPauseMs(
  failures: number,
  members: number,
  retryAfterMs: number | undefined,
  random: Random,
): number {
  if (failures < members && retryAfterMs === undefined) return 1;
  return backoffMs(Math.floor(failures / members), retryAfterMs, random);
}
