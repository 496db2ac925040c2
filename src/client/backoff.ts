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
