import type { Action, KeyText, Observer, Operation, RunView, SimEvent } from '../types.ts';
import type { Horizon } from './horizon.ts';
import type { Ledger } from './ledger.ts';
import { printed } from './printed.ts';
import { type LedgerInstance, shown } from './views.ts';

type Register = Extract<Action, { kind: 'register' }>;

/**
 * Nothing is refused without its reason: whoever is told that an instance is there, is another one, or is not there,
 * asked at a time at which that was so; and a lease that is said to be gone has ended. Also of keys that sessions hold,
 * whose calls have no order of their own. What a session is answered is left to the checkers of sessions.
 */
export class Refusals implements Observer {
  readonly name = 'refusals';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #horizon: Horizon;

  constructor(view: RunView, ledger: Ledger, horizon: Horizon) {
    this.#view = view;
    this.#ledger = ledger;
    this.#horizon = horizon;
  }

  see(event: SimEvent): void {
    if (event.kind !== 'returned') return;
    const { operation } = event;
    const { action, outcome } = operation;
    if (outcome?.kind === 'ok' && outcome.existed === false) {
      if (action.kind === 'renew' || action.kind === 'revoke') this.#lease(operation, action.leaseId);
    }
    if (outcome?.kind !== 'refused') return;
    if (action.kind === 'register' && action.lifetime !== 'session') {
      this.#register(operation, action, outcome.reason);
    } else if (action.kind === 'batch' && outcome.reason === 'ALREADY_REGISTERED') {
      const absent = action.absent ?? [];
      if (absent.some((key) => this.#was(operation, key, (there) => there !== undefined))) return;
      this.#breach(operation, `none of ${absent.join(', ') || 'nothing'} was there meanwhile`);
    }
  }

  #register(operation: Operation, { key, ifAbsent, ifIncarnation, lifetime, leaseId }: Register, reason: string): void {
    if (reason === 'UNKNOWN_LEASE' && lifetime === 'lease') this.#lease(operation, leaseId);
    if (reason === 'ALREADY_REGISTERED') {
      this.#demand(operation, key, (there) => ifAbsent && there !== undefined);
    } else if (reason === 'SUPERSEDED') {
      this.#demand(operation, key, (there) => {
        return ifIncarnation !== 0 && there !== undefined && there.incarnation !== ifIncarnation;
      });
    } else if (reason === 'UNKNOWN_INSTANCE') {
      this.#demand(operation, key, (there) => ifIncarnation !== 0 && there === undefined);
    }
  }

  #lease(operation: Operation, leaseId: number): void {
    const lease = this.#ledger.leases.get(leaseId);
    if (lease === undefined || lease.ended !== undefined) return;
    this.#breach(operation, `lease ${leaseId} is said to be gone, it has not ended`);
  }

  #demand(operation: Operation, key: KeyText, isReason: (there: LedgerInstance | undefined) => boolean): void {
    if (this.#was(operation, key, isReason)) return;
    const { revision } = this.#horizon.askedAt(operation);
    const there = shown(this.#ledger.at(key, this.#ledger.revision));
    this.#breach(operation, `that was not so between revision ${revision} and now, where the log has ${there}`);
  }

  /** Whether it was so at any revision from what was known at the call on. */
  #was(operation: Operation, key: KeyText, is: (there: LedgerInstance | undefined) => boolean): boolean {
    const { revision } = this.#horizon.askedAt(operation);
    if (is(this.#ledger.at(key, revision))) return true;
    const changes = this.#ledger.changesIn(revision, this.#ledger.revision);
    return changes.some((change) => change.key === key && is(change.after));
  }

  #breach(operation: Operation, text: string): void {
    this.#view.breach(this.name, `${printed(operation)}: ${text}`);
  }
}
