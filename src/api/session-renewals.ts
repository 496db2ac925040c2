import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import type { RenewResult, Replica } from '../replica/types.ts';
import { apiBounds } from './bounds.ts';

export type RenewalStatus = RenewResult['status'];

/**
 * Gathers the signs of life that arrive in one turn of the loop from all sessions of a member, and has their leases
 * renewed in batches: one quorum round and one message to the leader for up to `sessionRenewalsMax` of them.
 */
export class SessionRenewals {
  readonly #replica: Replica;
  readonly #clock: Clock;
  /** By session, who waits: more than one where a stream was replaced by another in the same turn. */
  #asked = new Map<number, ((status: RenewalStatus) => void)[]>();
  #scheduled = false;

  constructor(replica: Replica, clock: Clock) {
    this.#replica = replica;
    this.#clock = clock;
  }

  /** `onAnswer` is called once, in a later turn. What is asked counts from the turn in which it was asked. */
  renew(sessionId: number, onAnswer: (status: RenewalStatus) => void): void {
    const waiting = this.#asked.get(sessionId);
    if (waiting === undefined) this.#asked.set(sessionId, [onAnswer]);
    else waiting.push(onAnswer);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.nextTurn(() => this.#ask());
  }

  #ask(): void {
    this.#scheduled = false;
    const asked = [...this.#asked];
    this.#asked = new Map();
    for (let at = 0; at < asked.length; at += apiBounds.sessionRenewalsMax) {
      // Rejects only where an invariant is broken: that ends the process.
      void this.#renew(asked.slice(at, at + apiBounds.sessionRenewalsMax));
    }
  }

  async #renew(batch: readonly (readonly [number, ((status: RenewalStatus) => void)[]])[]): Promise<void> {
    const results = await this.#results(batch.map(([sessionId]) => sessionId));
    assert(results === undefined || results.length === batch.length, 'a renewal without a result');
    batch.forEach(([sessionId, waiting], i) => {
      const result = results?.[i];
      assert(result === undefined || result.leaseId === sessionId, 'results of renewals out of order');
      for (const onAnswer of waiting) onAnswer(result?.status ?? 'unavailable');
    });
  }

  /** Undefined where nobody could be asked. */
  async #results(sessionIds: readonly number[]): Promise<readonly RenewResult[] | undefined> {
    try {
      return await this.#replica.renew(sessionIds);
    } catch (error) {
      if (error instanceof RollcallError) return undefined;
      throw error;
    }
  }
}
