import { assert } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { Catalog } from './catalog.ts';
import type { History } from './history.ts';
import type { LeaseTable } from './lease-table.ts';
import type { ServiceArena } from './service-arena.ts';
import type { SessionTable } from './session-table.ts';
import type {
  ApplyOutcome,
  ChangeEvent,
  CommandResult,
  InstanceName,
  LeaseChange,
  RefusalReason,
  RemovalCause,
  SessionChange,
  StateMachineBounds,
} from './types.ts';
import { type InstanceMeta, metaOf, writeView } from './view-codec.ts';

/** The counters that apply moves. */
export interface Counters {
  revision: number;
  replicatedTimeMs: number;
  nextLeaseId: number;
}

/** The parts of the state that commands work on. */
export interface StateParts {
  readonly bounds: StateMachineBounds;
  readonly counters: Counters;
  readonly catalog: Catalog;
  readonly leases: LeaseTable;
  readonly sessions: SessionTable;
  readonly history: History;
}

export type Refusal = Extract<CommandResult, { kind: 'refused' }>;

const writer = new WireWriter();

/** The application of one entry: its stamps, the state it changes, and what comes out. */
export class ApplyTurn {
  readonly bounds: StateMachineBounds;
  readonly catalog: Catalog;
  readonly leases: LeaseTable;
  readonly sessions: SessionTable;
  /** Term of the entry. */
  readonly term: number;
  readonly wallMs: number;
  readonly #counters: Counters;
  readonly #history: History;
  readonly #results: CommandResult[] = [];
  readonly #events: ChangeEvent[] = [];
  readonly #leaseChanges: LeaseChange[] = [];
  readonly #sessionChanges: SessionChange[] = [];
  /** Events of the revision opened by the present command; -1: it has opened none. */
  #eventsOpen = -1;

  constructor(parts: StateParts, term: number, wallMs: number) {
    this.bounds = parts.bounds;
    this.catalog = parts.catalog;
    this.leases = parts.leases;
    this.sessions = parts.sessions;
    this.#counters = parts.counters;
    this.#history = parts.history;
    this.term = term;
    this.wallMs = wallMs;
  }

  /** The revision reached. */
  get revision(): number {
    return this.#counters.revision;
  }

  get outcome(): ApplyOutcome {
    return {
      results: this.#results,
      events: this.#events,
      leases: this.#leaseChanges,
      sessions: this.#sessionChanges,
    };
  }

  /** Ends the present command with its result. */
  finishCommand(result: CommandResult): void {
    assert(this.#eventsOpen !== 0, 'a revision without a change');
    assert(result.revision === this.revision || this.#eventsOpen < 0, 'result of another revision');
    this.#history.trim(this.#eventsOpen < 0 ? 0 : this.#eventsOpen);
    this.#eventsOpen = -1;
    this.#results.push(result);
  }

  /** The next revision, for a command that is certain to change an instance; once a command. */
  openRevision(): number {
    assert(this.#eventsOpen < 0, 'two revisions in one command');
    this.#eventsOpen = 0;
    this.#counters.revision += 1;
    return this.#counters.revision;
  }

  /** The revision of the present command, opened by the first of its changes. */
  obtainRevision(): number {
    return this.#eventsOpen < 0 ? this.openRevision() : this.revision;
  }

  /** Of the instance that is there. */
  metaOf(name: InstanceName): InstanceMeta | undefined {
    const view = this.catalog.view(name);
    return view === undefined ? undefined : metaOf(view);
  }

  putInstance(name: InstanceName, spec: Uint8Array, meta: InstanceMeta): ServiceArena {
    this.#countEvent();
    assert(meta.modifyRevision === this.revision, 'put at another revision');
    writer.reset();
    writeView(writer, spec, meta);
    const view = writer.peek();
    const { kept, before } = this.#history.put(this.revision, name, view, this.catalog.view(name));
    this.#events.push({ kind: 'put', revision: this.revision, name, view: kept, before });
    return this.catalog.put(name, view, kept, this.revision);
  }

  /** Removes an instance that is there and takes it off its lease; true where that lease is gone with it. */
  removeInstance(name: InstanceName, cause: RemovalCause, reason: string): boolean {
    this.#countEvent();
    const arena = this.catalog.service(name.namespace, name.service);
    const view = arena?.get(name.id);
    assert(arena !== undefined && view !== undefined, 'removal of an absent instance');
    const { incarnation, leaseId } = metaOf(view);
    const before = this.#history.delete(this.revision, name, cause, reason, view);
    this.#events.push({ kind: 'delete', revision: this.revision, name, incarnation, cause, reason, before });
    // A lease finds its instances in their arenas.
    const isLeaseGone = leaseId !== 0 && this.leases.detach(leaseId, arena, name.id);
    this.catalog.remove(name, this.revision);
    return isLeaseGone;
  }

  /** Grants a lease with an id never used before; its deadline starts. */
  grantLease(ttlMs: number, implicit: boolean): number {
    const leaseId = this.#counters.nextLeaseId;
    this.#counters.nextLeaseId += 1;
    this.leases.grant(leaseId, ttlMs, implicit);
    this.#leaseChanges.push({ kind: 'live', leaseId, epoch: 1, ttlMs });
    return leaseId;
  }

  /** Raises the epoch of a live lease, which voids expiries on their way; its deadline starts anew. */
  restartLease(leaseId: number): void {
    const epoch = this.leases.raiseEpoch(leaseId);
    const info = this.leases.info(leaseId);
    assert(info !== undefined && info.epoch === epoch, 'restart of an unknown lease');
    this.#leaseChanges.push({ kind: 'live', leaseId, epoch, ttlMs: info.ttlMs });
  }

  /** Tells the leader that the lease has no deadline any more. */
  leaseEnded(leaseId: number, remaining: number): void {
    this.#leaseChanges.push({ kind: 'ended', leaseId, remaining });
  }

  sessionChanged(change: SessionChange): void {
    this.#sessionChanges.push(change);
  }

  /**
   * Where the lease is a session's: it has lost an instance by what another did, and must be told.
   *
   * @param incarnation That took over; 0: it was deregistered.
   */
  instanceLost(leaseId: number, name: InstanceName, incarnation: number): void {
    if (!this.sessions.has(leaseId)) return;
    this.sessionChanged({
      kind: 'lost',
      sessionId: leaseId,
      lost: this.sessions.lose(leaseId, name, incarnation),
    });
  }

  refuse(reason: RefusalReason, field: string, message: string): Refusal {
    assert(this.#eventsOpen < 0, 'refused after a change');
    return { kind: 'refused', revision: this.revision, reason, message, field };
  }

  #countEvent(): void {
    assert(this.#eventsOpen >= 0, 'change without a revision');
    this.#eventsOpen += 1;
    assert(this.#eventsOpen <= this.bounds.eventsPerRevisionMax, 'too many events in one revision');
  }
}

/** For messages. */
export function printedName(name: InstanceName): string {
  return `${name.namespace}/${name.service}/${name.id}`;
}
