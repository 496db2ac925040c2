import { assert, assertEqual, unreachable } from '../base/assert.ts';
import { ArenaTable } from './arena-table.ts';
import { applyExpire, applyGrant, applyReap, applyRevoke } from './apply-lease.ts';
import { applyBatchRegister, applyRegister } from './apply-register.ts';
import { applyAttachSession, applyCloseSession, applyOpenSession, applyWriteSession } from './apply-session.ts';
import { ApplyTurn, type StateParts } from './apply-turn.ts';
import { applyDeregister, applyUpdate } from './apply-update.ts';
import { Catalog } from './catalog.ts';
import { type DecodedCommand, decodeBatch } from './command-codec.ts';
import { History } from './history.ts';
import type { FrozenChanges, LeaseInfo, Registry, ServiceSummary, SessionInfo, StatePosition } from './interfaces.ts';
import { metaKey, parseKey } from './keys.ts';
import { LeaseTable } from './lease-table.ts';
import { decodeMeta, encodeMeta, initialMeta } from './meta-codec.ts';
import { PersistedRecords } from './persisted-records.ts';
import { RequestTable, requestIdsTrimmedMin } from './request-table.ts';
import { SessionTable } from './session-table.ts';
import { type ApplyOutcome, type ChangeEvent, type CommandResult, stateMachineBounds } from './types.ts';
import type { Command, InstanceName, StateMachineBounds } from './types.ts';
import { checkedMetaOf, metaOf } from './view-codec.ts';

/**
 * The replicated registry in memory. See `Registry` for the contract.
 *
 * Memory that is handed out (views, events, frozen values) is never written again, so holding it is safe; holding much
 * of it for long keeps the chunks around it (at most 256 KiB each) alive.
 *
 * @param bounds The same on every member; other than the default only in tests.
 */
export class RegistryState implements Registry {
  readonly #parts: StateParts;
  readonly #records = new PersistedRecords();
  readonly #requests: RequestTable;
  #phase: 'new' | 'loading' | 'ready' = 'new';
  #index = 0;
  #term = 0;
  /** The counters' record as of the last freeze or load. */
  #metaFrozen = encodeMeta(initialMeta);
  #loadedKey = '';

  constructor(bounds: StateMachineBounds = stateMachineBounds) {
    const arenas = new ArenaTable();
    const leases = new LeaseTable(this.#records, arenas);
    this.#parts = {
      bounds,
      counters: { ...initialMeta },
      catalog: new Catalog(this.#records, arenas),
      leases,
      sessions: new SessionTable(bounds, this.#records, leases),
      history: new History(bounds, this.#records),
    };
    this.#requests = new RequestTable(bounds, this.#records);
  }

  get position(): StatePosition {
    const { revision, replicatedTimeMs } = this.#parts.counters;
    return { index: this.#index, term: this.#term, revision, replicatedTimeMs };
  }

  stateHash(): string {
    return this.#records.hash.hexWith(metaKey, this.#encodeMeta());
  }

  apply(entry: { readonly index: number; readonly term: number; readonly data: Uint8Array }): ApplyOutcome {
    assert(this.#phase !== 'loading', 'apply during a load');
    assertEqual(entry.index, this.#index + 1, 'index of the applied entry');
    assert(entry.term >= this.#term, () => `entry of term ${entry.term} after one of term ${this.#term}`);
    // Decoded as a whole first: a batch that halts the member has changed nothing.
    const batch = entry.data.length === 0 ? undefined : decodeBatch(entry.data);
    const { counters } = this.#parts;
    const replicatedTimeMs = counters.replicatedTimeMs + (batch?.elapsedMs ?? 0);
    assert(Number.isSafeInteger(replicatedTimeMs), 'replicated time beyond 2^53');

    this.#phase = 'ready';
    this.#index = entry.index;
    this.#term = entry.term;
    counters.replicatedTimeMs = replicatedTimeMs;
    const turn = new ApplyTurn(this.#parts, entry.term, batch?.wallMs ?? 0);
    if (batch === undefined) return turn.outcome;
    this.#requests.trim(replicatedTimeMs, requestIdsTrimmedMin + 2 * batch.commands.length);
    for (const decoded of batch.commands) turn.finishCommand(this.#applyOnce(turn, decoded));
    return turn.outcome;
  }

  beginLoad(position: { readonly index: number; readonly term: number; readonly revision: number }): void {
    assertEqual(this.#phase, 'new', 'phase before a load');
    this.#phase = 'loading';
    this.#index = position.index;
    this.#term = position.term;
    this.#parts.counters.revision = position.revision;
  }

  addLoaded(key: string, value: Uint8Array): void {
    const { counters, leases, sessions, catalog, history } = this.#parts;
    assertEqual(this.#phase, 'loading', 'phase of a loaded record');
    assert(this.#loadedKey < key, () => `key ${key} loaded after ${this.#loadedKey}`);
    assert(key === metaKey || this.#loadedKey !== '', 'records without counters');
    this.#loadedKey = key;
    const parsed = parseKey(key);
    if (parsed.kind === 'meta') {
      this.#loadMeta(value);
      return;
    }
    this.#records.loaded(key, value);
    switch (parsed.kind) {
      case 'lease':
        assert(parsed.leaseId < counters.nextLeaseId, 'lease from the future');
        leases.load(parsed.leaseId, value);
        return;
      case 'instance':
        this.#loadInstance(parsed.name, value);
        return;
      case 'service':
        catalog.loadRemoval(parsed.namespace, parsed.service, value, counters.revision);
        return;
      case 'request':
        this.#requests.load(parsed.sequence, value, counters.replicatedTimeMs);
        return;
      case 'history':
        history.load(parsed.revision, parsed.index, value);
        return;
      case 'session':
        sessions.load(parsed.sessionId, value, counters.revision);
        return;
      case 'lost':
        this.#loadLost(parsed.sessionId, parsed.name, value);
        return;
      default:
        unreachable(parsed);
    }
  }

  finishLoad(): { readonly stateHash: string } {
    assertEqual(this.#phase, 'loading', 'phase at the end of a load');
    // Only a state that nothing ever changed has no counters.
    if (this.#loadedKey === '') assertEqual(this.#parts.counters.revision, 0, 'revision of an empty store');
    else this.#requests.finishLoad(decodeMeta(this.#metaFrozen).nextRequestSequence);
    this.#parts.leases.assertLoaded();
    this.#parts.history.finishLoad(this.#parts.counters.revision);
    this.#phase = 'ready';
    return { stateHash: this.stateHash() };
  }

  freeze(): FrozenChanges {
    assert(this.#phase !== 'loading', 'freeze during a load');
    const meta = this.#encodeMeta();
    if (Buffer.compare(meta, this.#metaFrozen) !== 0) this.#records.dirty.set(metaKey, meta);
    this.#metaFrozen = meta;
    const position = this.position;
    const stateHash = this.stateHash();
    const { changes, bytes } = this.#records.dirty.freeze();
    return {
      position,
      stateHash,
      keys: changes.size,
      bytes,
      *changes() {
        for (const [key, value] of changes) yield { key, value };
      },
    };
  }

  releaseFrozen(): void {
    this.#records.dirty.release();
  }

  get unflushedBytes(): number {
    return this.#records.dirty.bytes;
  }

  views(
    namespace: string,
    service: string,
    afterId: string,
    countMax: number,
    bytesMax: number,
  ): { readonly views: readonly Uint8Array[]; readonly lastId: string; readonly more: boolean } {
    assert(countMax > 0, 'a page of no instances');
    const arena = this.#parts.catalog.service(namespace, service);
    const views: Uint8Array[] = [];
    let bytes = 0;
    if (arena === undefined) return { views, lastId: afterId, more: false };
    let lastSlot = -1;
    let more = false;
    for (const slot of arena.slots(afterId)) {
      const view = arena.viewAt(slot);
      bytes += view.length;
      // The first view is given whatever its size, or a reader would never get past it.
      more = views.length === countMax || (views.length > 0 && bytes > bytesMax);
      if (more) break;
      views.push(view);
      lastSlot = slot;
    }
    return { views, lastId: lastSlot < 0 ? afterId : arena.idAt(lastSlot), more };
  }

  view(namespace: string, service: string, id: string): Uint8Array | undefined {
    return this.#parts.catalog.service(namespace, service)?.get(id);
  }

  incarnationOf(namespace: string, service: string, id: string): number | undefined {
    const view = this.view(namespace, service, id);
    return view === undefined ? undefined : metaOf(view).incarnation;
  }

  isKnown(namespace: string, service: string): boolean {
    return (
      this.#parts.catalog.service(namespace, service) !== undefined || this.#parts.history.remembers(namespace, service)
    );
  }

  services(
    namespace: string,
    prefix: string,
    afterService: string,
    countMax: number,
  ): { readonly services: readonly ServiceSummary[]; readonly more: boolean } {
    assert(countMax > 0, 'a page of no services');
    const services: ServiceSummary[] = [];
    for (const summary of this.#parts.catalog.summaries(namespace, prefix, afterService)) {
      if (services.length === countMax) return { services, more: true };
      services.push(summary);
    }
    return { services, more: false };
  }

  lease(leaseId: number): LeaseInfo | undefined {
    return this.#parts.leases.info(leaseId);
  }

  liveLeases(afterLeaseId: number, countMax: number): readonly LeaseInfo[] {
    return this.#parts.leases.live(afterLeaseId, countMax);
  }

  session(sessionId: number): SessionInfo | undefined {
    return this.#parts.sessions.info(sessionId);
  }

  endedLeases(): Iterable<LeaseInfo> {
    return this.#parts.leases.ended();
  }

  counts(): ReturnType<Registry['counts']> {
    const { catalog, leases, sessions } = this.#parts;
    return {
      services: catalog.services,
      instances: catalog.instances,
      leases: leases.count,
      sessions: sessions.count,
    };
  }

  get historyFloor(): number {
    return this.#parts.history.floor;
  }

  changes(namespace: string, service: string, from: number, to: number): Iterable<ChangeEvent> {
    const { revision } = this.#parts.counters;
    assert(from >= this.historyFloor && from <= to && to <= revision, () => `changes in (${from}, ${to}]`);
    return this.#parts.history.changes(namespace, service, from, to);
  }

  #applyOnce(turn: ApplyTurn, { command, identity }: DecodedCommand): CommandResult {
    const { requestId } = command;
    if (requestId === '') return applyCommand(turn, command);
    const first = this.#requests.find(requestId, identity);
    if (first === 'reused') {
      return turn.refuse('REQUEST_ID_REUSED', 'request_id', 'the request id was used for another request');
    }
    if (first !== 'new') return first;
    if (this.#requests.isFull) {
      return turn.refuse('OVERLOADED', 'request_id', 'too many requests with an id within a minute');
    }
    const result = applyCommand(turn, command);
    this.#requests.remember(requestId, identity, result, this.#parts.counters.replicatedTimeMs);
    return result;
  }

  #encodeMeta(): Uint8Array {
    return encodeMeta({ ...this.#parts.counters, nextRequestSequence: this.#requests.nextSequence });
  }

  #loadMeta(value: Uint8Array): void {
    const meta = decodeMeta(value);
    const { counters } = this.#parts;
    assertEqual(meta.revision, counters.revision, 'revision of the counters');
    counters.replicatedTimeMs = meta.replicatedTimeMs;
    counters.nextLeaseId = meta.nextLeaseId;
    this.#metaFrozen = Uint8Array.from(value);
  }

  #loadLost(sessionId: number, name: InstanceName, value: Uint8Array): void {
    const { catalog, sessions, counters } = this.#parts;
    const view = catalog.view(name);
    assert(view === undefined || metaOf(view).leaseId !== sessionId, 'session lost what it holds');
    sessions.loadLost(sessionId, name, value, counters.revision);
  }

  #loadInstance(name: InstanceName, view: Uint8Array): void {
    const meta = checkedMetaOf(view);
    assert(meta.modifyRevision <= this.#parts.counters.revision, 'instance from the future');
    const arena = this.#parts.catalog.load(name, view, meta.modifyRevision);
    if (meta.leaseId !== 0) this.#parts.leases.attach(meta.leaseId, arena, name.id);
  }
}

function applyCommand(turn: ApplyTurn, command: Command): CommandResult {
  const { body, reason } = command;
  switch (body.kind) {
    case 'register':
      return applyRegister(turn, body);
    case 'update':
      return applyUpdate(turn, body);
    case 'deregister':
      return applyDeregister(turn, body, reason);
    case 'grant-lease':
      return applyGrant(turn, body.ttlMs);
    case 'revoke-lease':
      return applyRevoke(turn, body.leaseId, reason);
    case 'expire-lease':
      return applyExpire(turn, body, reason);
    case 'reap-lease':
      return applyReap(turn, body.leaseId);
    case 'batch-register':
      return applyBatchRegister(turn, body);
    case 'open-session':
      return applyOpenSession(turn, body.ttlMs);
    case 'attach-session':
      return applyAttachSession(turn, body);
    case 'write-session':
      return applyWriteSession(turn, body);
    case 'close-session':
      return applyCloseSession(turn, body, reason);
    default:
      return unreachable(body);
  }
}
