import { assert } from '../base/assert.ts';
import { WireWriter } from '../base/wire-writer.ts';
import type { LeaseInfo } from './interfaces.ts';
import { instanceKey, instanceNameOf, leaseKey } from './keys.ts';
import type { PersistedRecords } from './persisted-records.ts';
import type { ServiceArena } from './service-arena.ts';
import { SortedStrings } from './sorted-strings.ts';
import { decodeStrictly, expectFormat, readChoice, readFlag } from './strict-decode.ts';
import type { InstanceName } from './types.ts';

const leaseFormat = 1;
const slotsMin = 16;
/** The place in the list is the number on disk and in the column: append only. */
const phases = ['live', 'expired', 'revoked', 'closed'] as const;
const live = 0;
const idsInBlock = 4_096;
const writer = new WireWriter();

/** Closed: the lease of a session that its owner closed. */
export type LeaseEnd = 'expired' | 'revoked' | 'closed';

/**
 * The leases, as columns. Which instances a lease holds is not stored with it but follows from their views; a lease
 * that holds one, the most frequent sort, keeps it in two columns, and only others have an object.
 *
 * A live lease that was granted by itself may be empty; an implicit or an ended one is dropped with its last instance.
 */
export class LeaseTable {
  readonly #records: PersistedRecords;
  /**
   * Id to slot, in blocks of consecutive ids: growing one map of a million entries would take tens of milliseconds.
   * Ids rise, and a load adds them in order, so the order of the maps is that of the ids.
   */
  readonly #blocks = new Map<number, Map<number, number>>();
  #count = 0;
  readonly #freeSlots: number[] = [];
  #epochs = new Float64Array(slotsMin);
  #ttlsMs = new Uint32Array(slotsMin);
  #phases = new Uint8Array(slotsMin);
  #implicit = new Uint8Array(slotsMin);
  readonly #soleArenas: (ServiceArena | undefined)[] = [];
  readonly #soleIds: string[] = [];
  /** By slot, for leases with more than one instance: their keys. */
  readonly #members = new Map<number, SortedStrings>();
  /** Leases that ended and still hold instances, with the reason given at their end. */
  readonly #endReasons = new Map<number, string>();

  constructor(records: PersistedRecords) {
    this.#records = records;
  }

  get count(): number {
    return this.#count;
  }

  isLive(leaseId: number): boolean {
    const slot = this.#find(leaseId);
    return slot !== undefined && this.#phases[slot] === live;
  }

  info(leaseId: number): LeaseInfo | undefined {
    const slot = this.#find(leaseId);
    return slot === undefined ? undefined : this.#infoAt(leaseId, slot);
  }

  /** Those above `afterLeaseId`, ascending by id, at most `countMax`. */
  live(afterLeaseId: number, countMax: number): LeaseInfo[] {
    const found: LeaseInfo[] = [];
    const firstBlock = blockOf(afterLeaseId);
    for (const [number, block] of this.#blocks) {
      if (number < firstBlock) continue;
      for (const [leaseId, slot] of block) {
        if (leaseId <= afterLeaseId || this.#phases[slot] !== live) continue;
        if (found.length === countMax) return found;
        found.push(this.#infoAt(leaseId, slot));
      }
    }
    return found;
  }

  /** A small number that is the live lease's alone while it lives; undefined where it is none. */
  liveSlot(leaseId: number): number | undefined {
    const slot = this.#find(leaseId);
    return slot !== undefined && this.#phases[slot] === live ? slot : undefined;
  }

  /** Granted with a registration. */
  isImplicit(leaseId: number): boolean {
    return this.#implicit[this.#slotOf(leaseId)] === 1;
  }

  /** Ascending by id. */
  ended(): LeaseInfo[] {
    const ids = [...this.#endReasons.keys()].toSorted((a, b) => a - b);
    return ids.map((leaseId) => this.#infoAt(leaseId, this.#slotOf(leaseId)));
  }

  /** How an ended lease ended, and why. */
  endOf(leaseId: number): { readonly end: LeaseEnd; readonly reason: string } {
    const end = phases[this.#phases[this.#slotOf(leaseId)] as number];
    const reason = this.#endReasons.get(leaseId);
    assert(end !== undefined && end !== 'live' && reason !== undefined, 'end of a live lease');
    return { end, reason };
  }

  /** @param implicit Granted with a registration, and gone with its last instance. */
  grant(leaseId: number, ttlMs: number, implicit: boolean): void {
    const slot = this.#add(leaseId);
    this.#epochs[slot] = 1;
    this.#ttlsMs[slot] = ttlMs;
    this.#phases[slot] = live;
    this.#implicit[slot] = implicit ? 1 : 0;
    this.#records.changed(leaseKey(leaseId), undefined, this.#encode(leaseId, slot));
  }

  /** A lease from the store, before the instances that it holds. */
  load(leaseId: number, bytes: Uint8Array): void {
    const slot = this.#add(leaseId);
    decodeStrictly('lease', bytes, (reader) => {
      expectFormat(reader, leaseFormat);
      this.#epochs[slot] = reader.varint();
      const ttlMs = reader.varint();
      assert(ttlMs > 0 && ttlMs <= 0xffffffff, () => `lease ${leaseId}: TTL of ${ttlMs} ms`);
      this.#ttlsMs[slot] = ttlMs;
      this.#implicit[slot] = readFlag(reader) ? 1 : 0;
      const phase = readChoice(reader, phases, 'lease phase');
      this.#phases[slot] = phases.indexOf(phase);
      if (phase !== 'live') this.#endReasons.set(leaseId, reader.sizedString());
    });
  }

  /** After a load: no lease that should have gone with its last instance. */
  assertLoaded(): void {
    for (const block of this.#blocks.values()) {
      for (const [leaseId, slot] of block) {
        const mayBeEmpty = this.#phases[slot] === live && this.#implicit[slot] === 0;
        assert(mayBeEmpty || this.#countAt(slot) > 0, () => `lease ${leaseId} should have gone with its last instance`);
      }
    }
  }

  /** Void whatever was decided about the lease so far; returns the new epoch. */
  raiseEpoch(leaseId: number): number {
    const slot = this.#slotOf(leaseId);
    assert(this.#phases[slot] === live, 'epoch of an ended lease');
    const before = this.#encode(leaseId, slot);
    const epoch = (this.#epochs[slot] as number) + 1;
    this.#epochs[slot] = epoch;
    this.#records.changed(leaseKey(leaseId), before, this.#encode(leaseId, slot));
    return epoch;
  }

  /** Marks a live lease as ended; nothing can be attached to it, and it goes with its last instance. */
  end(leaseId: number, end: LeaseEnd, reason: string): void {
    const slot = this.#slotOf(leaseId);
    assert(this.#phases[slot] === live, 'lease ends twice');
    const before = this.#encode(leaseId, slot);
    this.#phases[slot] = phases.indexOf(end);
    this.#endReasons.set(leaseId, reason);
    this.#records.changed(leaseKey(leaseId), before, this.#encode(leaseId, slot));
    this.#dropIfDone(leaseId, slot);
  }

  attach(leaseId: number, arena: ServiceArena, id: string): void {
    const slot = this.#slotOf(leaseId);
    let members = this.#members.get(slot);
    const soleArena = this.#soleArenas[slot];
    if (members === undefined && soleArena === undefined) {
      this.#soleArenas[slot] = arena;
      this.#soleIds[slot] = id;
      return;
    }
    if (members === undefined) {
      members = new SortedStrings();
      members.add(memberKey(soleArena as ServiceArena, this.#soleIds[slot] as string));
      this.#clearSole(slot);
      this.#members.set(slot, members);
    }
    assert(members.add(memberKey(arena, id)), 'instance is on the lease already');
  }

  /** True where the lease is gone with it. */
  detach(leaseId: number, arena: ServiceArena, id: string): boolean {
    const slot = this.#slotOf(leaseId);
    const members = this.#members.get(slot);
    if (members === undefined) {
      assert(this.#soleArenas[slot] === arena && this.#soleIds[slot] === id, 'instance is not on the lease');
      this.#clearSole(slot);
    } else {
      assert(members.delete(memberKey(arena, id)), 'instance is not on the lease');
      if (members.size === 0) this.#members.delete(slot);
    }
    return this.#dropIfDone(leaseId, slot);
  }

  /** The first `countMax` instances of a lease in byte order of their keys. */
  members(leaseId: number, countMax: number): InstanceName[] {
    const slot = this.#slotOf(leaseId);
    const names: InstanceName[] = [];
    for (const key of this.#members.get(slot)?.from('', true) ?? []) {
      if (names.length === countMax) return names;
      names.push(instanceNameOf(key));
    }
    const arena = this.#soleArenas[slot];
    if (arena !== undefined && countMax > 0) {
      names.push({ namespace: arena.namespace, service: arena.service, id: this.#soleIds[slot] as string });
    }
    return names;
  }

  #add(leaseId: number): number {
    const number = blockOf(leaseId);
    let block = this.#blocks.get(number);
    if (block === undefined) {
      block = new Map();
      this.#blocks.set(number, block);
    }
    assert(!block.has(leaseId), 'lease id used twice');
    const slot = this.#freeSlots.pop() ?? this.#count;
    block.set(leaseId, slot);
    this.#count += 1;
    if (slot >= this.#epochs.length) this.#growColumns();
    this.#clearSole(slot);
    return slot;
  }

  /** An ended lease, or one that was there for its instances only, goes when it holds none. */
  #dropIfDone(leaseId: number, slot: number): boolean {
    if (this.#countAt(slot) > 0 || (this.#phases[slot] === live && this.#implicit[slot] === 0)) return false;
    this.#records.changed(leaseKey(leaseId), this.#encode(leaseId, slot), undefined);
    const block = this.#blocks.get(blockOf(leaseId));
    assert(block?.delete(leaseId) === true, 'lease dropped twice');
    if (block.size === 0) this.#blocks.delete(blockOf(leaseId));
    this.#count -= 1;
    this.#endReasons.delete(leaseId);
    this.#freeSlots.push(slot);
    return true;
  }

  #infoAt(leaseId: number, slot: number): LeaseInfo {
    return {
      leaseId,
      epoch: this.#epochs[slot] as number,
      ttlMs: this.#ttlsMs[slot] as number,
      ended: this.#phases[slot] !== live,
      instances: this.#countAt(slot),
    };
  }

  #countAt(slot: number): number {
    return this.#members.get(slot)?.size ?? (this.#soleArenas[slot] === undefined ? 0 : 1);
  }

  #find(leaseId: number): number | undefined {
    return this.#blocks.get(blockOf(leaseId))?.get(leaseId);
  }

  #slotOf(leaseId: number): number {
    const slot = this.#find(leaseId);
    assert(slot !== undefined, () => `no lease ${leaseId}`);
    return slot;
  }

  #clearSole(slot: number): void {
    this.#soleArenas[slot] = undefined;
    this.#soleIds[slot] = '';
  }

  #encode(leaseId: number, slot: number): Uint8Array {
    writer.reset();
    writer
      .byte(leaseFormat)
      .varint(this.#epochs[slot] as number)
      .varint(this.#ttlsMs[slot] as number)
      .byte(this.#implicit[slot] as number)
      .byte(this.#phases[slot] as number);
    const reason = this.#endReasons.get(leaseId);
    if (reason !== undefined) writer.sizedString(reason);
    return writer.finish();
  }

  #growColumns(): void {
    const size = this.#epochs.length * 2;
    const epochs = new Float64Array(size);
    const ttlsMs = new Uint32Array(size);
    const phaseColumn = new Uint8Array(size);
    const implicit = new Uint8Array(size);
    epochs.set(this.#epochs);
    ttlsMs.set(this.#ttlsMs);
    phaseColumn.set(this.#phases);
    implicit.set(this.#implicit);
    this.#epochs = epochs;
    this.#ttlsMs = ttlsMs;
    this.#phases = phaseColumn;
    this.#implicit = implicit;
  }
}

function blockOf(leaseId: number): number {
  return (leaseId - (leaseId % idsInBlock)) / idsInBlock;
}

function memberKey(arena: ServiceArena, id: string): string {
  return instanceKey(arena.namespace, arena.service, id);
}
