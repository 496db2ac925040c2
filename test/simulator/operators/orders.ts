import { RollcallError } from '../../../src/base/errors.ts';
import type { ClusterAdmin } from '../../../src/replica/cluster-admin.ts';
import type { FaultContext } from '../faults/fault-kinds.ts';
import type { WorldClock } from '../world/world-clock.ts';

/** What an operator sees of one attempt that has no answer: the way to the member is as slow as it is. */
const attemptMsMax = 6_000;

export function rest(world: WorldClock, ms: number): Promise<void> {
  return new Promise((resolve) => void world.setTimer(ms, resolve));
}

/** Resolves with undefined where there is no answer in time, as where the process that was asked is gone. */
export function inTime<T>(world: WorldClock, given: Promise<T>): Promise<T | undefined> {
  return Promise.race([given, rest(world, attemptMsMax).then(() => undefined)]);
}

/** Refused for what is asked, and not for the moment in which it is asked. */
export function isFinal(error: RollcallError): boolean {
  return error.reason === 'MEMBERSHIP_REFUSED' && !passing.has(error.facts['problem'] ?? '');
}

/** These are over when what the order needs has come about: somebody answers, or has caught up. */
const passing: ReadonlySet<string> = new Set(['unreachable', 'not-caught-up', 'forms-anew', 'other-cluster']);

/**
 * One operator at work. It gives each order through whichever member answers, until it is carried out, is refused for
 * good, or the operator has no more time.
 */
export class Operator {
  readonly #context: FaultContext;
  readonly #endMs: number;
  isOver = false;

  constructor(context: FaultContext, msMax: number) {
    this.#context = context;
    this.#endMs = context.world.monotonicMs() + msMax;
  }

  get hasTime(): boolean {
    return !this.isOver && this.#context.world.monotonicMs() < this.#endMs;
  }

  /** False: it was refused, or is given up; it may be carried out later all the same. */
  async gives(text: string, order: (admin: ClusterAdmin) => Promise<unknown>): Promise<boolean> {
    const { world } = this.#context;
    while (this.hasTime) {
      const told = await this.#attempt(text, order);
      if (told !== 'again') return told === 'done';
      await rest(world, 50 + this.#context.below(400));
    }
    this.#context.detail(`${text}: given up`);
    return false;
  }

  /** False: not in time. */
  async until(look: () => boolean): Promise<boolean> {
    while (this.hasTime) {
      if (look()) return true;
      await rest(this.#context.world, 20);
    }
    return false;
  }

  async #attempt(text: string, order: (admin: ClusterAdmin) => Promise<unknown>): Promise<'done' | 'never' | 'again'> {
    const { cluster, world, detail, note } = this.#context;
    const through = cluster.anyServing('operator');
    const replica = through?.life?.replica;
    if (through === undefined || replica === undefined) return 'again';
    try {
      const answer = await inTime(world, order(replica.admin));
      detail(`${text}, through ${through.id}: ${answer === undefined ? 'no answer' : 'done'}`);
      if (answer !== undefined) return 'done';
      note('an order has no answer');
      return 'again';
    } catch (error) {
      if (!(error instanceof RollcallError)) throw error;
      const { reason, facts } = error;
      detail(`${text}, through ${through.id}: ${reason} ${facts['problem'] ?? ''}`);
      if (toldReasons.has(reason)) note(`an order is told ${reason}`);
      return isFinal(error) ? 'never' : 'again';
    }
  }
}

const toldReasons: ReadonlySet<string> = new Set([
  'CHANGE_UNDER_WAY',
  'OUTCOME_UNKNOWN',
  'QUORUM_AT_RISK',
  'TRANSFER_FAILED',
]);
