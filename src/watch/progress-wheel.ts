import { must } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';

/** What the wheel knows of a watch; `sentMs` is by the clock's monotonic time and set by whoever sends to it. */
export interface ProgressEntry {
  readonly progressIntervalMs: number;
  sentMs: number;
  /** Where it stands in the wheel; the wheel's own. */
  slot: number | undefined;
}

export const progressTickMs = 50;
/** Marks sent in one tick; the others follow in the next. */
export const progressMarksPerTickMax = 1_000;

/**
 * Calls `due` for each entry that was sent nothing for its interval (at least 100 ms); it answers whether the entry
 * goes on. Late by at most two ticks while it is not overloaded. One timer for all, which goes to the next entry that
 * may be due, and none while there is no entry. An entry that is sent to often is looked at once an interval only.
 */
export class ProgressWheel<E extends ProgressEntry> {
  readonly #clock: Clock;
  readonly #due: (entry: E) => boolean;
  readonly #slots = new Map<number, Set<E>>();
  #size = 0;
  #timer: Timer | undefined;
  #nextSlot = 0;
  /** Where the timer leads. */
  #armedSlot = 0;

  constructor(clock: Clock, due: (entry: E) => boolean) {
    this.#clock = clock;
    this.#due = due;
  }

  get size(): number {
    return this.#size;
  }

  /** Nothing for an entry that wants no marks. */
  add(entry: E): void {
    if (entry.progressIntervalMs === 0 || entry.slot !== undefined) return;
    if (this.#timer === undefined) this.#nextSlot = Math.floor(this.#clock.monotonicMs() / progressTickMs);
    const slot = this.#place(entry);
    if (this.#timer === undefined || slot < this.#armedSlot) this.#arm(slot);
  }

  remove(entry: E): void {
    if (entry.slot === undefined) return;
    this.#take(entry);
    if (this.#size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #place(entry: E): number {
    const slot = Math.max(this.#nextSlot, Math.ceil((entry.sentMs + entry.progressIntervalMs) / progressTickMs));
    let entries = this.#slots.get(slot);
    if (entries === undefined) this.#slots.set(slot, (entries = new Set()));
    entries.add(entry);
    entry.slot = slot;
    this.#size++;
    return slot;
  }

  #take(entry: E): void {
    const slot = must(entry.slot, 'slot of an entry in the wheel');
    const entries = must(this.#slots.get(slot), 'entries of a slot');
    entries.delete(entry);
    if (entries.size === 0) this.#slots.delete(slot);
    entry.slot = undefined;
    this.#size--;
  }

  #arm(slot: number): void {
    this.#timer?.cancel();
    this.#armedSlot = slot;
    const ms = Math.max(progressTickMs, slot * progressTickMs - this.#clock.monotonicMs());
    this.#timer = this.#clock.setTimer(ms, () => this.#tick(), { unref: true });
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    const lastSlot = Math.floor(nowMs / progressTickMs);
    let marks = 0;
    // Slots that were passed without a timer are empty: it would have led to them.
    this.#nextSlot = Math.max(this.#nextSlot, Math.min(lastSlot, this.#firstSlot()));
    while (this.#nextSlot <= lastSlot && marks < progressMarksPerTickMax) {
      const entries = this.#slots.get(this.#nextSlot);
      if (entries === undefined) {
        this.#nextSlot++;
        continue;
      }
      for (const entry of entries) {
        if (marks === progressMarksPerTickMax) break;
        this.#take(entry);
        if (entry.sentMs + entry.progressIntervalMs <= nowMs) {
          marks++;
          entry.sentMs = nowMs;
          if (!this.#due(entry)) continue;
        }
        // Its interval is longer than a tick, so it is not met again in this walk.
        this.#place(entry);
      }
    }
    if (this.#size > 0) this.#arm(this.#firstSlot());
    else this.#timer = undefined;
  }

  /** The earliest slot with entries. They are as few as the longest interval has ticks. */
  #firstSlot(): number {
    let first = Number.MAX_SAFE_INTEGER;
    for (const slot of this.#slots.keys()) if (slot < first) first = slot;
    return first;
  }
}
