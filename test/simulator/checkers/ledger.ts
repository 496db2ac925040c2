import { must } from '../../../src/base/assert.ts';
import type { ChangeEvent, CommandResult, RemovalCause } from '../../../src/state-machine/types.ts';
import type { KeyText, SimEvent } from '../types.ts';
import { type LoggedCommand, readCommands } from './commands.ts';
import { hasTag, type LedgerInstance, readView, shown } from './views.ts';

export type Applied = Extract<SimEvent, { kind: 'applied' }>;

export interface LedgerEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
  readonly hash: string;
  readonly revision: number;
  readonly results: readonly CommandResult[];
  readonly events: number;
  /** Who applied it first, and when. */
  readonly member: string;
  readonly atMs: number;
}

/** What one revision did to one instance. */
export interface Change {
  readonly revision: number;
  readonly key: KeyText;
  readonly before: LedgerInstance | undefined;
  readonly after: LedgerInstance | undefined;
  /** '' for a put. */
  readonly cause: RemovalCause | '';
  readonly command: LoggedCommand;
  readonly index: number;
  readonly atMs: number;
}

export type LeaseEnd = LoggedCommand['kind'] | 'emptied';

export interface LedgerLease {
  readonly leaseId: number;
  readonly ttlMs: number;
  readonly isSession: boolean;
  readonly keys: Set<KeyText>;
  /** Of one registration: it goes with its last instance. */
  readonly isImplicit: boolean;
  /** When it ended, by a command of its own or with its last instance; undefined: it may live. */
  ended: { readonly atMs: number; readonly revision: number; readonly by: LeaseEnd } | undefined;
  /** Instances that are to go with further revisions. */
  remaining: number;
}

/** Which instances: of one service, or of the namespace where their service begins with a prefix; with a tag. */
export interface Scope {
  /** '' : by prefix. */
  readonly service: string;
  readonly prefix: string;
  readonly tag: string;
}

interface Version {
  readonly revision: number;
  readonly instance: LedgerInstance | undefined;
}

/** A service as it stands in keys; a name alone is of the namespace "default". */
export function servicePath(service: string): string {
  return service.includes('/') ? service : `default/${service}`;
}

export function inScope(scope: Scope, key: KeyText): boolean {
  if (scope.service !== '') return key.startsWith(`${servicePath(scope.service)}/`);
  return key.startsWith(servicePath(scope.prefix));
}

/**
 * The committed log as any member applied it first, and what it did: a dumb replay of the events, kept whole, so that
 * the state as of any revision can be asked. Fed by the checker of states; the others read.
 */
export class Ledger {
  readonly entries: LedgerEntry[] = [];
  readonly changes: Change[] = [];
  readonly leases = new Map<number, LedgerLease>();
  /** In the order of their ends. */
  readonly endedLeases: LedgerLease[] = [];
  /** Of an empty state: as first told. */
  emptyHash = '';
  /** By revision: how many changes there are up to it. */
  readonly #changesTo: number[] = [0];
  readonly #versions = new Map<KeyText, Version[]>();
  readonly #keysOfService = new Map<string, Set<KeyText>>();

  get index(): number {
    return this.entries.length;
  }

  get revision(): number {
    return this.#changesTo.length - 1;
  }

  entry(index: number): LedgerEntry | undefined {
    return this.entries[index - 1];
  }

  /** Of the state at an index. */
  hashAt(index: number): string {
    return index === 0 ? this.emptyHash : (this.entry(index)?.hash ?? '');
  }

  revisionAt(index: number): number {
    return index === 0 ? 0 : must(this.entry(index), `entry ${index}`).revision;
  }

  /** The instance as of a revision. */
  at(key: KeyText, revision: number): LedgerInstance | undefined {
    const versions = this.#versions.get(key) ?? [];
    let [from, to] = [0, versions.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (must(versions[middle], 'version').revision <= revision) from = middle + 1;
      else to = middle;
    }
    return versions[from - 1]?.instance;
  }

  /** What changed at one revision. */
  changeAt(key: KeyText, revision: number): Change | undefined {
    return this.changesIn(revision - 1, revision).find((change) => change.key === key);
  }

  /** The changes in (from, to], in order. */
  changesIn(from: number, to: number): readonly Change[] {
    return this.changes.slice(this.#changesTo[from] ?? 0, this.#changesTo[to] ?? this.changes.length);
  }

  /** Everything of a scope that was there as of a revision. */
  scopeAt(scope: Scope, revision: number): Map<KeyText, LedgerInstance> {
    const found = new Map<KeyText, LedgerInstance>();
    for (const [path, keys] of this.#keysOfService) {
      const isIn =
        scope.service === '' ? path.startsWith(servicePath(scope.prefix)) : path === servicePath(scope.service);
      if (!isIn) continue;
      for (const key of keys) {
        const instance = this.at(key, revision);
        if (instance !== undefined && hasTag(instance, scope.tag)) found.set(key, instance);
      }
    }
    return found;
  }

  /** Takes the next entry. Returns what is wrong with it by itself, or ''. */
  add(applied: Applied, atMs: number): string {
    const { index, term, data, hash, results, events, member } = applied;
    const before = this.revision;
    let commands: LoggedCommand[];
    try {
      commands = readCommands(data);
    } catch (error) {
      return `entry ${index} holds no commands: ${String(error)}`;
    }
    if (commands.length !== results.length) {
      return `entry ${index} has ${commands.length} commands and ${results.length} results on ${member}`;
    }
    this.entries.push({
      index,
      term,
      data,
      hash,
      revision: applied.revision,
      results,
      events: events.length,
      member,
      atMs,
    });
    let problem = '';
    let next = 0;
    commands.forEach((command, at) => {
      const result = must(results[at], 'result');
      const isOpened = result.revision === this.revision + 1 && events[next]?.revision === result.revision;
      this.#noteLease(command, result, atMs);
      if (!isOpened) return;
      for (let event = events[next]; event?.revision === result.revision; event = events[++next]) {
        problem ||= this.#addEvent(event, command, index, atMs);
      }
      this.#changesTo.push(this.changes.length);
    });
    const name = `entry ${index} (term ${term}) on ${member}`;
    if (problem !== '') return `${name}: ${problem}`;
    if (next < events.length) {
      const event = must(events[next], 'event');
      return `${name}: an event of revision ${event.revision} stands behind revision ${this.revision}`;
    }
    if (applied.revision !== this.revision) {
      return `${name}: revision ${before} became ${applied.revision}, its events reach ${this.revision}`;
    }
    return '';
  }

  #addEvent(event: ChangeEvent, command: LoggedCommand, index: number, atMs: number): string {
    const { revision } = event;
    const { namespace, service, id } = event.name;
    const key = `${namespace}/${service}/${id}`;
    let versions = this.#versions.get(key);
    if (versions === undefined) this.#versions.set(key, (versions = []));
    const before = versions.at(-1)?.instance;
    const after = event.kind === 'put' ? readView(key, event.view) : undefined;
    versions.push({ revision, instance: after });
    this.#noteService(`${namespace}/${service}`, key);
    const cause = event.kind === 'put' ? '' : event.cause;
    this.changes.push({ revision, key, before, after, cause, command, index, atMs });
    if (after !== undefined && after.leaseId !== 0) this.leases.get(after.leaseId)?.keys.add(key);
    const former = before === undefined ? undefined : this.leases.get(before.leaseId);
    if (former !== undefined && former.leaseId !== after?.leaseId) {
      former.keys.delete(key);
      if (former.isImplicit && former.keys.size === 0) this.#ended(former, revision, 'emptied', atMs);
    }
    return problemOf(event, key, before, after);
  }

  #noteService(path: string, key: KeyText): void {
    const keys = this.#keysOfService.get(path);
    if (keys === undefined) this.#keysOfService.set(path, new Set([key]));
    else keys.add(key);
  }

  #noteLease(command: LoggedCommand, result: CommandResult, atMs: number): void {
    const isImplicit = result.kind === 'registered' || result.kind === 'batch-registered';
    if ((isImplicit || result.kind === 'lease-granted') && result.leaseId !== 0) {
      this.#granted({ leaseId: result.leaseId, ttlMs: result.ttlMs, isSession: false, isImplicit });
    } else if (result.kind === 'session-opened') {
      this.#granted({ leaseId: result.sessionId, ttlMs: result.ttlMs, isSession: true, isImplicit });
    }
    if (result.kind !== 'lease-ended' || !result.existed) return;
    const lease = this.leases.get(command.leaseId);
    if (lease === undefined) return;
    lease.remaining = result.remaining;
    this.#ended(lease, result.revision, command.kind, atMs);
  }

  /** The first that is told of a lease is its grant. */
  #granted(lease: Omit<LedgerLease, 'keys' | 'ended' | 'remaining'>): void {
    if (this.leases.has(lease.leaseId)) return;
    this.leases.set(lease.leaseId, { ...lease, keys: new Set(), ended: undefined, remaining: 0 });
  }

  #ended(lease: LedgerLease, revision: number, by: LeaseEnd, atMs: number): void {
    if (lease.ended !== undefined) return;
    lease.ended = { atMs, revision, by };
    this.endedLeases.push(lease);
  }
}

/** What an event says of itself that its replay does not confirm, or ''. */
function problemOf(
  event: ChangeEvent,
  key: KeyText,
  before: LedgerInstance | undefined,
  after: LedgerInstance | undefined,
): string {
  const { revision } = event;
  const told = event.before === undefined ? undefined : readView(key, event.before);
  if (shown(told) !== shown(before)) {
    return `revision ${revision} says that ${key} was ${shown(told)} before, it was ${shown(before)}`;
  }
  if (event.kind === 'delete') {
    if (before === undefined) return `revision ${revision} removes ${key}, which is not there`;
    if (event.incarnation === before.incarnation) return '';
    return `revision ${revision} removes ${key} ${event.incarnation}, it was ${before.incarnation}`;
  }
  if (after === undefined) return '';
  if (after.modifyRevision !== revision) return `revision ${revision} puts ${key} as of ${after.modifyRevision}`;
  const createRevision = before?.createRevision ?? revision;
  if (after.createRevision !== createRevision) {
    return `revision ${revision} puts ${key} created at ${after.createRevision}, it was created at ${createRevision}`;
  }
  if (after.incarnation === revision) return '';
  const isKept = before?.incarnation === after.incarnation && before.leaseId === after.leaseId;
  return isKept ? '' : `revision ${revision} changes ${key} (${shown(before)}) to ${shown(after)}`;
}
