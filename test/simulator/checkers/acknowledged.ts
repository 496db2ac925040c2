import { unreachable } from '../../../src/base/assert.ts';
import type { Action, Observer, Operation, Outcome, RunView, SimEvent } from '../types.ts';
import type { Horizon } from './horizon.ts';
import type { Ledger } from './ledger.ts';
import { printed } from './printed.ts';
import { shown } from './views.ts';

type Ok = Extract<Outcome, { kind: 'ok' }>;
type Of<Kind extends Action['kind']> = Extract<Action, { kind: Kind }>;
type Write = Exclude<Action, { kind: 'discover' | 'renew' }>;

/** '' : as promised. `later`: the ledger does not reach so far yet. Otherwise what is broken. */
type Finding = string | typeof later;
const later = Symbol('the ledger does not reach so far');

/**
 * Every write that was acknowledged stands in the committed log, at the revision that was answered, with exactly its
 * effect; and revisions agree with real time: a write is behind everything that anybody knew when it was asked for.
 */
export class Acknowledged implements Observer {
  readonly name = 'acknowledged';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #horizon: Horizon;
  readonly #leases = new Map<number, Operation>();
  #waiting: Operation[] = [];

  constructor(view: RunView, ledger: Ledger, horizon: Horizon) {
    this.#view = view;
    this.#ledger = ledger;
    this.#horizon = horizon;
  }

  see(event: SimEvent): void {
    if (event.kind === 'returned') this.#returned(event.operation);
    else if (event.kind === 'applied' && this.#waiting.length > 0) {
      this.#waiting = this.#waiting.filter((operation) => this.#find(operation) === later);
    }
  }

  atEnd(): void {
    const { index, revision } = this.#ledger;
    for (const operation of this.#waiting) {
      if (this.#find(operation) !== later) continue;
      const told = operation.outcome?.kind === 'ok' ? operation.outcome.revision : 0;
      this.#breach(operation, `acknowledged at revision ${told}, the log ends at index ${index} revision ${revision}`);
    }
  }

  #returned(operation: Operation): void {
    const { action, outcome } = operation;
    if (outcome?.kind !== 'ok' || action.kind === 'discover' || action.kind === 'renew') return;
    const { revision } = outcome;
    const known = this.#horizon.askedAt(operation).revision;
    const least = changes(action, outcome) ? known + 1 : known;
    if (revision < least) {
      this.#breach(operation, `acknowledged at revision ${revision}, when it was asked ${known} was known already`);
    }
    if (this.#find(operation) === later) this.#waiting.push(operation);
  }

  #find(operation: Operation): Finding {
    const { action, outcome } = operation;
    if (outcome?.kind !== 'ok' || action.kind === 'discover' || action.kind === 'renew') return '';
    if (outcome.revision > this.#ledger.revision) return later;
    const finding = this.#effect(operation, action, outcome);
    if (finding !== later && finding !== '') this.#breach(operation, finding);
    return finding;
  }

  #effect(operation: Operation, action: Write, outcome: Ok): Finding {
    switch (action.kind) {
      case 'register':
        return action.lifetime === 'session' ? this.#held(action, outcome) : this.#registered(action, outcome);
      case 'update':
        return this.#updated(action, outcome);
      case 'deregister':
        return this.#deregistered(action, outcome);
      case 'batch':
        return this.#batch(action, outcome);
      case 'grant':
      case 'open-session':
        return this.#granted(operation, outcome, action.kind === 'open-session');
      case 'revoke':
        return this.#ended(action.leaseId, outcome);
      case 'close-session':
        return this.#ended(action.sessionId, outcome);
      default:
        return unreachable(action);
    }
  }

  #registered(action: Of<'register'>, { revision, incarnation, replaced, leaseId }: Ok): Finding {
    const change = this.#ledger.changeAt(action.key, revision);
    const after = change?.after;
    if (incarnation !== undefined && incarnation !== revision) {
      return `answered with incarnation ${incarnation} at revision ${revision}`;
    }
    if (change === undefined || after?.value !== action.value || after.incarnation !== revision) {
      return `acknowledged at revision ${revision}, which has ${shown(after)}`;
    }
    if (replaced !== undefined && replaced !== (change.before !== undefined)) {
      return `answered with replaced ${replaced}, before it was ${shown(change.before)}`;
    }
    if (leaseId !== undefined && leaseId !== after.leaseId) {
      return `answered with lease ${leaseId}, the log has ${shown(after)}`;
    }
    if (action.lifetime === 'persistent' && after.leaseId !== 0) return `is persistent, the log has ${shown(after)}`;
    return '';
  }

  /** Through a session: what was there already is answered with its incarnation. */
  #held({ key, value }: Of<'register'>, { revision, incarnation = revision }: Ok): Finding {
    if (incarnation > revision) return `answered with incarnation ${incarnation} at revision ${revision}`;
    const after = this.#ledger.changeAt(key, incarnation)?.after;
    if (after === undefined || after.incarnation !== incarnation) {
      return `acknowledged as incarnation ${incarnation}, at that revision the log has ${shown(after)}`;
    }
    // Content that it was updated to in between is the session's own as well.
    const now = this.#ledger.at(key, revision);
    if (after.value === value || (now?.incarnation === incarnation && now.value === value)) return '';
    return `acknowledged as incarnation ${incarnation}, which is ${shown(after)}`;
  }

  #updated({ key, value, incarnation: asked }: Of<'update'>, { revision, incarnation = asked, changed }: Ok): Finding {
    const now = this.#ledger.at(key, revision);
    if (now?.value !== value) return `acknowledged at revision ${revision}, which has ${shown(now)}`;
    if (incarnation !== 0 && now.incarnation !== incarnation) {
      return `acknowledged for incarnation ${incarnation}, the log has ${shown(now)}`;
    }
    if (changed === false || now.modifyRevision === revision) return '';
    return `acknowledged as changed at revision ${revision}, the log has ${shown(now)}`;
  }

  #deregistered({ key, incarnation }: Of<'deregister'>, { revision, existed }: Ok): Finding {
    const now = this.#ledger.at(key, revision);
    if (now !== undefined) return `acknowledged at revision ${revision}, where the log has ${shown(now)}`;
    if (existed !== true) return '';
    const change = this.#ledger.changeAt(key, revision);
    if (change?.before === undefined) return `answered with existed at revision ${revision}, which removes nothing`;
    if (incarnation === 0 || change.before.incarnation === incarnation) return '';
    return `removed at revision ${revision} what was ${shown(change.before)}`;
  }

  #batch({ keys, values }: Of<'batch'>, { revision }: Ok): Finding {
    for (const [i, key] of keys.entries()) {
      const now = this.#ledger.at(key, revision);
      if (now?.value === values[i] && now?.modifyRevision === revision) continue;
      return `acknowledged at revision ${revision}, where ${key} is ${shown(now)}`;
    }
    return '';
  }

  /** A lease raises no revision, so the log may reach the revision before it has the lease. */
  #granted(operation: Operation, { leaseId = 0 }: Ok, isSession: boolean): Finding {
    const lease = this.#ledger.leases.get(leaseId);
    if (lease === undefined) return later;
    if (lease.isSession !== isSession)
      return `answered with lease ${leaseId}, which is ${isSession ? 'no' : 'a'} session`;
    const other = this.#leases.get(leaseId);
    this.#leases.set(leaseId, operation);
    if (other === undefined || other === operation) return '';
    return `answered with lease ${leaseId}, which was given to ${printed(other)}`;
  }

  #ended(leaseId: number, { existed }: Ok): Finding {
    const lease = this.#ledger.leases.get(leaseId);
    if (existed !== true) return '';
    return lease?.ended === undefined ? later : '';
  }

  #breach(operation: Operation, text: string): void {
    this.#view.breach(this.name, `${printed(operation)}: ${text}`);
  }
}

/** Whether the answer says that something was changed by this very call. */
function changes(action: Write, { changed, existed, incarnation, revision }: Ok): boolean {
  switch (action.kind) {
    case 'register':
      return action.lifetime !== 'session' || incarnation === undefined || incarnation === revision;
    case 'update':
      return changed === true;
    case 'deregister':
      return existed === true;
    case 'batch':
      return true;
    case 'grant':
    case 'revoke':
    case 'open-session':
    case 'close-session':
      return false;
    default:
      return unreachable(action);
  }
}
