import type { Observer, Operation, RunView, SimEvent } from '../types.ts';
import type { Change, Ledger } from './ledger.ts';
import { valuesOf } from './printed.ts';
import { shown } from './views.ts';

/**
 * Who an instance belongs to: what a session lost it never takes back by itself, only by an explicit start; what it has
 * back by itself was nobody's, or its own process's; and what it changes or removes is its own.
 */
export class Sessions implements Observer {
  readonly name = 'sessions';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  /** By session and key: the revision at which it was lost. */
  readonly #lost = new Map<string, number>();
  /** Which process sent a value. */
  readonly #clients = new Map<number, string>();
  #changesTo = 0;

  constructor(view: RunView, ledger: Ledger) {
    this.#view = view;
    this.#ledger = ledger;
  }

  see(event: SimEvent): void {
    if (event.kind === 'invoked') this.#invoked(event.operation);
    if (event.kind !== 'applied') return;
    const { changes } = this.#ledger;
    for (let change = changes[this.#changesTo]; change !== undefined; change = changes[++this.#changesTo]) {
      this.#changed(change);
    }
  }

  #invoked({ action, client }: Operation): void {
    for (const [, value] of valuesOf(action)) this.#clients.set(value, client);
  }

  #changed(change: Change): void {
    const { key, before, after, revision, cause, command } = change;
    if (command.kind === 'write-session') this.#written(change, command.leaseId);
    const owner = before?.leaseId ?? 0;
    if (owner === 0 || this.#ledger.leases.get(owner)?.isSession !== true) return;
    const isTaken = after !== undefined && after.leaseId !== owner;
    const isRemoved = after === undefined && cause === 'deregistered' && command.kind === 'deregister';
    if (isTaken || isRemoved) this.#lost.set(`${owner} ${key}`, revision);
  }

  #written({ key, before, after, revision, command, index }: Change, session: number): void {
    const operation = command.operations.find((one) => one.key === key);
    const where = `revision ${revision} (index ${index}): session ${session}`;
    if (operation === undefined) {
      this.#breach(`${where} changes ${key} to ${shown(after)}, its write does not name it`);
      return;
    }
    const isOwn = before?.leaseId === session;
    if (operation.kind !== 'register') {
      if (!isOwn) this.#breach(`${where} has ${operation.kind} of ${key} work on ${shown(before)}`);
      const { incarnation } = operation;
      if (incarnation === 0 || incarnation === before?.incarnation) return;
      this.#breach(`${where} means incarnation ${incarnation} of ${key}, changed is ${shown(before)}`);
      return;
    }
    if (after?.leaseId !== session) this.#breach(`${where} registers ${key} as ${shown(after)}`);
    if (!operation.restore) {
      this.#lost.delete(`${session} ${key}`);
      return;
    }
    const lostAt = this.#lost.get(`${session} ${key}`);
    if (lostAt !== undefined) this.#breach(`${where} takes ${key} back by itself, it lost it at ${lostAt}`);
    if (before === undefined || isOwn) return;
    const [mine, theirs] = [this.#clients.get(after?.value ?? 0), this.#clients.get(before.value)];
    if (mine === theirs && operation.incarnation === before.incarnation) return;
    this.#breach(
      `${where} of ${mine} takes ${key} back by itself as incarnation ${operation.incarnation} ` +
        `over ${shown(before)} of ${theirs}`,
    );
  }

  #breach(text: string): void {
    this.#view.breach(this.name, text);
  }
}
