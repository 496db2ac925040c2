import type { ChangeEvent } from '../state-machine/types.ts';
import type { LogUser } from './change-log.ts';
import { ChangeLog } from './change-log.ts';
import type { Scope } from './scope.ts';
import { instanceKey, serviceKey } from './scope.ts';

/** When they are too large, logs go until this part of the bound is free again. */
const freedPart = 1 / 8;
/** What a change takes in a batch beside the instance, about. */
const eventOverheadBytes = 24;

/**
 * The changed keys of services and namespaces that have slow readers; a watch with a prefix uses its namespace's. Each
 * change costs two look-ups, and one entry in each of the two logs that is there.
 */
export class ChangeLogs {
  readonly #bytesMax: number;
  readonly #logs = new Map<string, ChangeLog>();
  #notedTo: number;
  #bytes = 0;

  constructor(bytesMax: number, notedTo: number) {
    this.#bytesMax = bytesMax;
    this.#notedTo = notedTo;
  }

  /** Up to where changes were noted: a log that begins now knows what comes behind it. */
  get notedTo(): number {
    return this.#notedTo;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#logs.size;
  }

  /** From now on changes are kept for the user, from `notedTo` on or from where others of the scope need them. */
  need(user: LogUser, scope: Scope): ChangeLog {
    if (user.log !== undefined) return user.log;
    const key = logKey(scope);
    let log = this.#logs.get(key);
    if (log === undefined) this.#logs.set(key, (log = new ChangeLog(key, this.#notedTo)));
    log.users.add(user);
    user.log = log;
    return log;
  }

  /** Nothing for who uses none. */
  release(user: LogUser): void {
    const { log } = user;
    if (log === undefined) return;
    user.log = undefined;
    log.users.delete(user);
    if (log.users.size === 0) this.#drop(log);
  }

  /** The changes of a turn, up to `revision`. */
  note(events: readonly ChangeEvent[], revision: number): void {
    this.#notedTo = revision;
    if (this.#logs.size === 0) return;
    for (const event of events) {
      const { namespace, service, id } = event.name;
      const bytes = eventOverheadBytes + (event.kind === 'put' ? event.view.length : service.length + id.length);
      this.#note(serviceKey(namespace, service), id, event.revision, bytes);
      this.#note(namespaceKey(namespace), instanceKey(service, id), event.revision, bytes);
    }
    if (this.#bytes > this.#bytesMax) this.#makeRoom();
  }

  /** Changes up to `revision` were not told: nothing is known any more. */
  restart(revision: number): void {
    for (const log of this.#logs.values()) this.#lose(log);
    this.#notedTo = revision;
  }

  #note(key: string, changed: string, revision: number, bytes: number): void {
    const log = this.#logs.get(key);
    if (log === undefined) return;
    const before = log.bytes;
    log.note(changed, revision, bytes);
    this.#bytes += log.bytes - before;
  }

  /** The largest go first: their users are few and far behind, or would be sent about as much by a snapshot. */
  #makeRoom(): void {
    const bySize = [...this.#logs.values()].toSorted((a, b) => b.bytes - a.bytes);
    for (const log of bySize) {
      if (this.#bytes <= this.#bytesMax * (1 - freedPart)) return;
      this.#lose(log);
    }
  }

  #lose(log: ChangeLog): void {
    for (const user of log.users) user.log = undefined;
    log.users.clear();
    this.#drop(log);
  }

  #drop(log: ChangeLog): void {
    this.#logs.delete(log.key);
    this.#bytes -= log.bytes;
  }
}

function logKey({ namespace, service }: Scope): string {
  return service === '' ? namespaceKey(namespace) : serviceKey(namespace, service);
}

function namespaceKey(namespace: string): string {
  return serviceKey(namespace, '');
}
