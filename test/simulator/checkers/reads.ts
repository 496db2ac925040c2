import type { Action, Observer, Operation, Outcome, RunView, SeenInstance, SimEvent } from '../types.ts';
import type { Horizon } from './horizon.ts';
import type { Ledger } from './ledger.ts';
import { printed } from './printed.ts';
import { isSame, shown } from './views.ts';

type Ok = Extract<Outcome, { kind: 'ok' }>;
type Discover = Extract<Action, { kind: 'discover' }>;

/** What one client has read from one life of a member, in the order of the answers. */
interface Read {
  readonly order: number;
  readonly revision: number;
}

/**
 * What Discover answers: exactly the committed state as of the revision that it says, or what of it a filter leaves; no
 * less than was known when a linearizable one was asked; no less than the least revision asked for; not older than the
 * age that it states; and one client never sees one life of a member go back.
 */
export class Reads implements Observer {
  readonly name = 'reads';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #horizon: Horizon;
  readonly #lastStart = new Map<string, number>();
  /** By client and member; revisions rise along with the order. */
  readonly #seen = new Map<string, Read[]>();
  #waiting: { readonly operation: Operation; readonly action: Discover; readonly outcome: Ok }[] = [];

  constructor(view: RunView, ledger: Ledger, horizon: Horizon) {
    this.#view = view;
    this.#ledger = ledger;
    this.#horizon = horizon;
  }

  see(event: SimEvent): void {
    if (event.kind === 'started') this.#lastStart.set(event.member, this.#horizon.order);
    else if (event.kind === 'applied') this.#retry();
    else if (event.kind === 'returned') {
      const { action, outcome } = event.operation;
      if (action.kind === 'discover' && outcome?.kind === 'ok') this.#answered(event.operation, action, outcome);
    }
  }

  atEnd(): void {
    for (const { operation, outcome } of this.#waiting) {
      const text = `answered revision ${outcome.revision}, the log ends at ${this.#ledger.revision}`;
      this.#breach(operation, text);
    }
  }

  #answered(operation: Operation, action: Discover, outcome: Ok): void {
    const { revision } = outcome;
    const asked = this.#horizon.askedAt(operation);
    if (action.consistency === 'linearizable' && revision < asked.revision) {
      this.#breach(operation, `answered revision ${revision}, when it was asked ${asked.revision} was known already`);
    }
    if (revision < action.minRevision) {
      this.#breach(operation, `answered revision ${revision}, asked for at least ${action.minRevision}`);
    }
    this.#checkAge(operation, outcome);
    this.#checkOrder(operation, outcome, asked.order);
    if (revision > this.#ledger.revision) this.#waiting.push({ operation, action, outcome });
    else this.#checkContent(operation, action, outcome);
  }

  /** The age is taken on the member's clock at some time after the call: with the slowest clock it is the least. */
  #checkAge(operation: Operation, { revision, ageMs = Number.POSITIVE_INFINITY }: Ok): void {
    if (!(ageMs >= 0)) this.#breach(operation, `answered with an age of ${ageMs} ms`);
    const sinceMs = operation.startMs - ageMs / this.#view.clockRateMin;
    const known = this.#horizon.before(sinceMs);
    if (revision >= known) return;
    this.#breach(operation, `answered revision ${revision} of age ${ageMs} ms, ${known} was known before ${sinceMs}`);
  }

  /** Calls that one after the other met the same life of a member; one that ran across a start may be an old answer. */
  #checkOrder(operation: Operation, { member, revision }: Ok, askedOrder: number): void {
    const start = this.#lastStart.get(member) ?? 0;
    if (askedOrder <= start) return;
    const name = `${operation.client} ${member}`;
    let reads = this.#seen.get(name);
    if (reads === undefined) this.#seen.set(name, (reads = []));
    const before = reads.findLast(({ order }) => order < askedOrder);
    if (before !== undefined && before.order > start && revision < before.revision) {
      const text = `${member} answered revision ${revision}, this client had ${before.revision} from it before`;
      this.#breach(operation, text);
    }
    const last = reads.at(-1);
    const isHigher = last === undefined || last.order <= start || revision > last.revision;
    if (isHigher) reads.push({ order: this.#horizon.order, revision });
  }

  #retry(): void {
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter(({ operation, action, outcome }) => {
      if (outcome.revision > this.#ledger.revision) return true;
      this.#checkContent(operation, action, outcome);
      return false;
    });
  }

  #checkContent(operation: Operation, action: Discover, { revision, instances, inexact }: Ok): void {
    if (instances === undefined) return;
    const seen = new Map<string, SeenInstance>();
    for (const instance of instances) {
      if (seen.has(instance.key)) this.#breach(operation, `answered ${instance.key} twice`);
      seen.set(instance.key, instance);
    }
    const scope = { service: action.service, prefix: '', tag: '' };
    const expected = this.#ledger.scopeAt(scope, revision);
    for (const [key, instance] of seen) {
      const there = inexact === true ? this.#ledger.at(key, instance.modifyRevision) : expected.get(key);
      if (isSame(there, instance)) continue;
      this.#breach(operation, `at revision ${revision} ${key} was ${shown(there)}, answered was ${shown(instance)}`);
    }
    if (action.filtered || inexact === true) return;
    for (const [key, there] of expected) {
      if (seen.has(key)) continue;
      this.#breach(operation, `at revision ${revision} ${key} was ${shown(there)}, it is not in the answer`);
    }
  }

  #breach(operation: Operation, text: string): void {
    this.#view.breach(this.name, `${printed(operation)}: ${text}`);
  }
}
