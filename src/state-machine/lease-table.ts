import { assert } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { ArenaTable } from './arena-table.ts';
import { Column } from './column.ts';
import type { LeaseInfo } from './interfaces.ts';
import { leaseKey } from './keys.ts';
import { LeaseIndex } from './lease-index.ts';
import { LeaseMembers } from './lease-members.ts';
import type { PersistedRecords } from './persisted-records.ts';
import type { ServiceArena } from './service-arena.ts';
import { decodeStrictly, expectFormat, readChoice, readFlag } from '../base/strict-decode.ts';
import type { InstanceName } from './types.ts';

const leaseFormat = 1;
/** The place in the list is the number on disk and in the column: append only. */
const phases = ['live', 'expired', 'revoked', 'closed'] as const;
const live = 0;
const ttlMsMax = 0xffffffff;
const writer = new WireWriter();

/** Closed: the lease of a session that its owner closed. */
export type LeaseEnd = 'expired' | 'revoked' | 'closed';

/**
 * The leases, as columns by slot, a small number that is the lease's while it is there. Which instances a lease holds
 * is not stored with it but follows from their views.
 *
 * A live lease that was granted by itself may be empty; an implicit or an ended one is dropped with its last instance.
 */
export class LeaseTable {
  readonly #records: PersistedRecords;
  readonly #index = new LeaseIndex();
  readonly #freeSlots: number[] = [];
  readonly #epochs = new Column((length) => new Float64Array(length));
  readonly #ttlsMs = new Column((length) => new Uint32Array(length));
  readonly #phases = new Column((length) => new Uint8Array(length));
  readonly #implicit = new Column((length) => new Uint8Array(length));
  readonly #members: LeaseMembers;
  /** Leases that ended and still hold instances, with the reason given at their end. */
  readonly #endReasons = new Map<number, string>();

  constructor(records: PersistedRecords, arenas: ArenaTable) {
    this.#records = records;
    this.#members = new LeaseMembers(arenas);
  }

  get count(): number {
    return this.#index.size;
  }

  isLive(leaseId: number): boolean {
    return this.liveSlot(leaseId) !== undefined;
  }

  /** A small number that is the live lease's alone while it lives; undefined where it is none. */
  liveSlot(leaseId: number): number | undefined {
    const slot = this.#index.find(leaseId);
    return slot !== undefined && this.#phases.get(slot) === live ? slot : undefined;
  }

  /** Granted with a registration. */
  isImplicit(leaseId: number): boolean {
    return this.#implicit.get(this.#slotOf(leaseId)) === 1;
  }

  info(leaseId: number): LeaseInfo | undefined {
    const slot = this.#index.find(leaseId);
    return slot === undefined ? undefined : this.#infoAt(leaseId, slot);
  }

  /** Those above `afterLeaseId`, ascending by id, at most `countMax`. */
  live(afterLeaseId: number, countMax: number): LeaseInfo[] {
    const found: LeaseInfo[] = [];
    for (const { leaseId, slot } of this.#index.after(afterLeaseId)) {
      if (this.#phases.get(slot) !== live) continue;
      if (found.length === countMax) break;
      found.push(this.#infoAt(leaseId, slot));
    }
    return found;
  }

  /** Ascending by id. */
  ended(): LeaseInfo[] {
    const ids = [...this.#endReasons.keys()].toSorted((a, b) => a - b);
    return ids.map((leaseId) => this.#infoAt(leaseId, this.#slotOf(leaseId)));
  }

  /** How an ended lease ended, and why. */
  endOf(leaseId: number): { readonly end: LeaseEnd; readonly reason: string } {
    const end = phases[this.#phases.get(this.#slotOf(leaseId))];
    const reason = this.#endReasons.get(leaseId);
    assert(end !== undefined && end !== 'live' && reason !== undefined, 'end of a live lease');
    return { end, reason };
  }

  /** @param implicit Granted with a registration, and gone with its last instance. */
  grant(leaseId: number, ttlMs: number, implicit: boolean): void {
    const slot = this.#add(leaseId);
    this.#epochs.set(slot, 1);
    this.#ttlsMs.set(slot, ttlMs);
    this.#phases.set(slot, live);
    this.#implicit.set(slot, implicit ? 1 : 0);
    this.#records.changed(leaseKey(leaseId), undefined, this.#encode(leaseId, slot));
  }

  /** A lease from the store, before the instances that it holds. */
  load(leaseId: number, bytes: Uint8Array): void {
    const slot = this.#add(leaseId);
    decodeStrictly('lease', bytes, (reader) => {
      expectFormat(reader, leaseFormat);
      this.#epochs.set(slot, reader.varint());
      const ttlMs = reader.varint();
      assert(ttlMs > 0 && ttlMs <= ttlMsMax, () => `lease ${leaseId}: TTL of ${ttlMs} ms`);
      this.#ttlsMs.set(slot, ttlMs);
      this.#implicit.set(slot, readFlag(reader) ? 1 : 0);
      const phase = readChoice(reader, phases, 'lease phase');
      this.#phases.set(slot, phases.indexOf(phase));
      if (phase !== 'live') this.#endReasons.set(leaseId, reader.sizedString());
    });
  }

  /** After a load: no lease that should have gone with its last instance. */
  assertLoaded(): void {
    for (const { leaseId, slot } of this.#index.after(0)) {
      assert(!this.#isDone(slot), () => `lease ${leaseId} should have gone with its last instance`);
    }
  }

  /** Void whatever was decided about the lease so far; returns the new epoch. */
  raiseEpoch(leaseId: number): number {
    const slot = this.#slotOf(leaseId);
    assert(this.#phases.get(slot) === live, 'epoch of an ended lease');
    const before = this.#encode(leaseId, slot);
    const epoch = this.#epochs.get(slot) + 1;
    this.#epochs.set(slot, epoch);
    this.#records.changed(leaseKey(leaseId), before, this.#encode(leaseId, slot));
    return epoch;
  }

  /** Marks a live lease as ended; nothing can be attached to it, and it goes with its last instance. */
  end(leaseId: number, end: LeaseEnd, reason: string): void {
    const slot = this.#slotOf(leaseId);
    assert(this.#phases.get(slot) === live, 'lease ends twice');
    const before = this.#encode(leaseId, slot);
    this.#phases.set(slot, phases.indexOf(end));
    this.#endReasons.set(leaseId, reason);
    this.#records.changed(leaseKey(leaseId), before, this.#encode(leaseId, slot));
    this.#dropIfDone(leaseId, slot);
  }

  /** The instance is in its arena. */
  attach(leaseId: number, arena: ServiceArena, id: string): void {
    this.#members.add(this.#slotOf(leaseId), arena, id);
  }

  /** The instance is still in its arena. True where the lease is gone with it. */
  detach(leaseId: number, arena: ServiceArena, id: string): boolean {
    const slot = this.#slotOf(leaseId);
    this.#members.delete(slot, arena, id);
    return this.#dropIfDone(leaseId, slot);
  }

  /** The first `countMax` instances of a lease in byte order of their keys. */
  members(leaseId: number, countMax: number): InstanceName[] {
    return this.#members.first(this.#slotOf(leaseId), countMax);
  }

  #add(leaseId: number): number {
    const slot = this.#freeSlots.pop() ?? this.#index.size;
    this.#index.add(leaseId, slot);
    assert(this.#members.count(slot) === 0, 'lease begins with instances');
    return slot;
  }

  /** An ended lease, or one that was there for its instances only, goes when it holds none. */
  #isDone(slot: number): boolean {
    const mayBeEmpty = this.#phases.get(slot) === live && this.#implicit.get(slot) === 0;
    return !mayBeEmpty && this.#members.count(slot) === 0;
  }

  #dropIfDone(leaseId: number, slot: number): boolean {
    if (!this.#isDone(slot)) return false;
    this.#records.changed(leaseKey(leaseId), this.#encode(leaseId, slot), undefined);
    this.#index.delete(leaseId);
    this.#endReasons.delete(leaseId);
    this.#freeSlots.push(slot);
    return true;
  }

  #infoAt(leaseId: number, slot: number): LeaseInfo {
    return {
      leaseId,
      epoch: this.#epochs.get(slot),
      ttlMs: this.#ttlsMs.get(slot),
      ended: this.#phases.get(slot) !== live,
      instances: this.#members.count(slot),
    };
  }

  #slotOf(leaseId: number): number {
    const slot = this.#index.find(leaseId);
    assert(slot !== undefined, () => `no lease ${leaseId}`);
    return slot;
  }

  #encode(leaseId: number, slot: number): Uint8Array {
    writer.reset();
    writer
      .byte(leaseFormat)
      .varint(this.#epochs.get(slot))
      .varint(this.#ttlsMs.get(slot))
      .byte(this.#implicit.get(slot))
      .byte(this.#phases.get(slot));
    const reason = this.#endReasons.get(leaseId);
    if (reason !== undefined) writer.sizedString(reason);
    return writer.finish();
  }
}
