import { assert } from '../base/assert.ts';
import type { LeaseInfo } from '../state-machine/interfaces.ts';
import type { LeaseChange } from '../state-machine/types.ts';

export interface DueLease {
  readonly leaseId: number;
  readonly epoch: number;
}

const wheelTicks = 4_096;
const live = 1;
const expiring = 2;

/**
 * The leader's deadlines of all leases, in ticks, in memory only (a new leader starts every lease in full). Renewing
 * writes one number; a lease is looked at again only when its place in the wheel comes by, and is then put further on
 * or falls due. A lease is LIVE, or EXPIRING while the entry that ends it is on its way.
 *
 * Never early: a tick is at least its length, and a renewal that arrives between two ticks counts from the later one.
 */
export class LeaseKeeper {
  readonly #tickMs: number;
  readonly #slots = new Map<number, number>();
  readonly #free: number[] = [];
  #leaseIds = new Float64Array(1_024);
  #epochs = new Float64Array(1_024);
  #deadlines = new Float64Array(1_024);
  #lengths = new Int32Array(1_024);
  /** 0 where the slot is free. */
  #states = new Uint8Array(1_024);
  /** The tick under which the slot stands in the wheel; entries of other ticks for it are stale. */
  #listedAt = new Float64Array(1_024);
  #used = 0;
  #wheel: number[][] = [];
  #processedTick: number;

  constructor(tickMs: number, nowTick: number) {
    this.#tickMs = tickMs;
    this.#processedTick = nowTick;
    for (let i = 0; i < wheelTicks; i++) this.#wheel.push([]);
  }

  get size(): number {
    return this.#slots.size;
  }

  has(leaseId: number): boolean {
    return this.#slots.has(leaseId);
  }

  /** How long it lives without a renewal, in ticks; 0 where it is not known. */
  lengthTicks(leaseId: number): number {
    const slot = this.#slots.get(leaseId);
    return slot === undefined ? 0 : this.#at(this.#lengths, slot);
  }

  /** Takes a lease in, or starts it anew in full: on becoming leader, on grant, attach and takeover. */
  begin(lease: Pick<LeaseInfo, 'leaseId' | 'epoch' | 'ttlMs'>, nowTick: number): void {
    const slot = this.#slots.get(lease.leaseId) ?? this.#allocate(lease.leaseId);
    const wasLive = this.#at(this.#states, slot) === live;
    this.#epochs[slot] = lease.epoch;
    this.#lengths[slot] = Math.ceil(lease.ttlMs / this.#tickMs) + 1;
    this.#states[slot] = live;
    this.#deadlines[slot] = nowTick + this.#at(this.#lengths, slot);
    // It stands in the wheel already, and will be put further on: many takeovers of one lease must not fill the wheel.
    if (wasLive && this.#at(this.#listedAt, slot) <= this.#at(this.#deadlines, slot)) return;
    this.#list(slot, this.#at(this.#deadlines, slot));
  }

  /** What applying an entry did to a lease. */
  change(change: LeaseChange, nowTick: number): void {
    if (change.kind === 'live') this.begin(change, nowTick);
    else this.#forget(change.leaseId);
  }

  /**
   * A renewal arrived: the lease lives at least its TTL from now, whatever becomes of the renewal's round. An expiring
   * one keeps its fate: its end is on its way already.
   */
  touch(leaseId: number, nowTick: number): 'live' | 'expiring' | 'unknown' {
    const slot = this.#slots.get(leaseId);
    if (slot === undefined) return 'unknown';
    if (this.#at(this.#states, slot) === expiring) return 'expiring';
    const deadline = nowTick + this.#at(this.#lengths, slot);
    if (deadline > this.#at(this.#deadlines, slot)) this.#deadlines[slot] = deadline;
    return 'live';
  }

  isExpiring(leaseId: number): boolean {
    const slot = this.#slots.get(leaseId);
    return slot !== undefined && this.#at(this.#states, slot) === expiring;
  }

  /** The entry that was to end the lease did not: it lives on and falls due again unless it is renewed. */
  restore(leaseId: number, nowTick: number): void {
    const slot = this.#slots.get(leaseId);
    if (slot === undefined || this.#at(this.#states, slot) !== expiring) return;
    this.#states[slot] = live;
    this.#list(slot, nowTick + 1);
  }

  /**
   * Leases whose deadline has passed, at most `countMax`; they are EXPIRING from now on. The rest falls due next tick.
   */
  due(nowTick: number, countMax: number): DueLease[] {
    assert(nowTick >= this.#processedTick, 'ticks do not go back');
    const result: DueLease[] = [];
    while (this.#processedTick < nowTick) {
      this.#processedTick++;
      this.#process(this.#processedTick, nowTick, countMax, result);
    }
    return result;
  }

  #process(tick: number, nowTick: number, countMax: number, result: DueLease[]): void {
    const place = tick % wheelTicks;
    const bucket = this.#wheel[place] ?? [];
    this.#wheel[place] = [];
    for (const slot of bucket) {
      if (this.#at(this.#states, slot) !== live || this.#at(this.#listedAt, slot) !== tick) continue;
      const deadline = this.#at(this.#deadlines, slot);
      if (deadline > nowTick || result.length >= countMax) {
        this.#list(slot, Math.max(deadline, nowTick + 1));
        continue;
      }
      this.#states[slot] = expiring;
      result.push({ leaseId: this.#at(this.#leaseIds, slot), epoch: this.#at(this.#epochs, slot) });
    }
  }

  #list(slot: number, tick: number): void {
    // Further than the wheel reaches: it comes by once a turn of the wheel and is put on again.
    const listed = Math.min(Math.max(tick, this.#processedTick + 1), this.#processedTick + wheelTicks - 1);
    this.#listedAt[slot] = listed;
    this.#wheel[listed % wheelTicks]?.push(slot);
  }

  #allocate(leaseId: number): number {
    const slot = this.#free.pop() ?? this.#used++;
    if (slot >= this.#leaseIds.length) this.#grow();
    this.#slots.set(leaseId, slot);
    this.#leaseIds[slot] = leaseId;
    return slot;
  }

  #forget(leaseId: number): void {
    const slot = this.#slots.get(leaseId);
    if (slot === undefined) return;
    this.#slots.delete(leaseId);
    this.#states[slot] = 0;
    this.#listedAt[slot] = -1;
    this.#free.push(slot);
  }

  #grow(): void {
    const length = this.#leaseIds.length * 2;
    const grown = <T extends Float64Array | Int32Array | Uint8Array>(made: T, old: T): T => {
      made.set(old);
      return made;
    };
    this.#leaseIds = grown(new Float64Array(length), this.#leaseIds);
    this.#epochs = grown(new Float64Array(length), this.#epochs);
    this.#deadlines = grown(new Float64Array(length), this.#deadlines);
    this.#lengths = grown(new Int32Array(length), this.#lengths);
    this.#states = grown(new Uint8Array(length), this.#states);
    this.#listedAt = grown(new Float64Array(length), this.#listedAt);
  }

  #at(array: Float64Array | Int32Array | Uint8Array, slot: number): number {
    const value = array[slot];
    assert(value !== undefined, () => `lease slot ${slot} is outside of the table`);
    return value;
  }
}
