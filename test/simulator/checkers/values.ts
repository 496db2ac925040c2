import type { Observer, Operation, RunView, SimEvent } from '../types.ts';
import type { Change, Ledger } from './ledger.ts';
import { printed, valuesOf } from './printed.ts';
import { shown } from './views.ts';

interface Removal {
  readonly operation: Operation;
  /** 0: whichever. */
  readonly incarnation: number;
}

/**
 * Nothing is in the log that nobody sent, that its caller was told had no effect, or that was sent once and is there
 * twice; and nothing leaves it without somebody's wish or the end of its lease.
 */
export class Values implements Observer {
  readonly name = 'values';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #senders = new Map<number, Operation>();
  readonly #removals = new Map<string, Removal[]>();
  readonly #revoked = new Set<number>();
  readonly #closed = new Set<number>();
  /** By value and how it was put; the revision. */
  readonly #put = new Map<string, number>();
  #seenTo = 0;

  constructor(view: RunView, ledger: Ledger) {
    this.#view = view;
    this.#ledger = ledger;
  }

  see(event: SimEvent): void {
    if (event.kind === 'invoked') this.#invoked(event.operation);
    else if (event.kind === 'returned') this.#returned(event.operation);
    else if (event.kind === 'applied') {
      const { changes } = this.#ledger;
      for (let change = changes[this.#seenTo]; change !== undefined; change = changes[++this.#seenTo]) {
        if (change.after === undefined) this.#removed(change);
        else this.#changed(change, change.after.value);
      }
    }
  }

  #invoked(operation: Operation): void {
    const { action } = operation;
    for (const [, value] of valuesOf(action)) this.#senders.set(value, operation);
    if (action.kind === 'revoke') this.#revoked.add(action.leaseId);
    if (action.kind === 'close-session') this.#closed.add(action.sessionId);
    if (action.kind !== 'deregister') return;
    const asked = this.#removals.get(action.key);
    const removal = { operation, incarnation: action.incarnation };
    if (asked === undefined) this.#removals.set(action.key, [removal]);
    else asked.push(removal);
  }

  /** What is told to have had no effect after it was seen. */
  #returned(operation: Operation): void {
    if (!isDead(operation)) return;
    for (const [key, value] of valuesOf(operation.action)) {
      const change = this.#ledger.changes.find(({ after }) => after?.key === key && after.value === value);
      if (change === undefined) continue;
      this.#breach(`${printed(operation)}: had no effect, revision ${change.revision} has ${shown(change.after)}`);
    }
  }

  #changed(change: Change, value: number): void {
    const { key, revision, before, after, command } = change;
    const where = `revision ${revision} (index ${change.index}) puts ${key} ${shown(after)}`;
    const sender = this.#senders.get(value);
    if (sender === undefined) {
      this.#breach(`${where}: nobody has sent it`);
      return;
    }
    const { action } = sender;
    if (!valuesOf(action).some(([sent, number]) => sent === key && number === value)) {
      this.#breach(`${where}: it was sent by ${printed(sender)}`);
    }
    if (isDead(sender)) this.#breach(`${where}: it had no effect, said the answer to ${printed(sender)}`);
    const once = onceBy(change, value);
    const earlier = once === '' ? undefined : this.#put.get(once);
    if (earlier !== undefined) this.#breach(`${where}: it was put at ${earlier} already, by ${printed(sender)}`);
    this.#put.set(once, revision);
    if (action.kind === 'batch' && action.absent?.includes(key) === true && before !== undefined) {
      this.#breach(`${where}: over ${shown(before)}, meant was over nothing by ${printed(sender)}`);
    }
    if (action.kind === 'update' && command.kind === 'update' && after?.incarnation !== action.incarnation) {
      this.#breach(`${where}: meant was incarnation ${action.incarnation} by ${printed(sender)}`);
    }
    if (action.kind !== 'register' || command.kind !== 'register') return;
    if (action.ifAbsent && before !== undefined) {
      this.#breach(`${where}: over ${shown(before)}, meant was over nothing by ${printed(sender)}`);
    }
    if (action.ifIncarnation !== 0 && before?.incarnation !== action.ifIncarnation) {
      this.#breach(`${where}: over ${shown(before)}, meant was ${action.ifIncarnation} by ${printed(sender)}`);
    }
  }

  #removed({ key, revision, index, before, cause, command }: Change): void {
    const where = `revision ${revision} (index ${index}) removes ${key} ${shown(before)} as ${cause}`;
    const leaseId = before?.leaseId ?? 0;
    if (cause === 'lease-expired' || cause === 'lease-revoked') {
      if (leaseId === 0) this.#breach(`${where}: it is persistent`);
      if (cause === 'lease-revoked' && !this.#revoked.has(leaseId)) this.#breach(`${where}: nobody has revoked it`);
      return;
    }
    // The end of a session takes all that it holds; nobody else can end it so.
    if (command.kind === 'close-session' || command.kind === 'reap-lease') {
      if (this.#ledger.leases.get(leaseId)?.isSession !== true) this.#breach(`${where}: by ${command.kind}`);
      if (!this.#closed.has(leaseId)) this.#breach(`${where}: nobody has closed its session`);
      return;
    }
    const asked = this.#removals.get(key) ?? [];
    const isAsked = asked.some(({ operation, incarnation }) => {
      return !isDead(operation) && (incarnation === 0 || incarnation === before?.incarnation);
    });
    if (!isAsked) this.#breach(`${where}: nobody has asked for it`);
  }

  #breach(text: string): void {
    this.#view.breach(this.name, text);
  }
}

/** Its caller was told that it has no effect. */
function isDead({ outcome }: Operation): boolean {
  return outcome?.kind === 'failed' || outcome?.kind === 'refused';
}

/**
 * What may happen only once. A session has back what it held, once in each further session; and what it updates may be
 * its way to ask whether something is still there.
 */
function onceBy({ key, command }: Change, value: number): string {
  if (command.kind !== 'write-session') return `${value} by ${command.kind}`;
  const operation = command.operations.find((one) => one.key === key);
  if (operation?.kind !== 'register') return '';
  return operation.restore ? `${value} restored by ${command.leaseId}` : `${value} by a start`;
}
