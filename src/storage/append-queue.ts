import { assert, must } from '../base/assert.ts';
import { entryBytes } from './frame.ts';
import type { Entry } from './log-types.ts';

/** Whoever waits for a call to be durable. */
export interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What goes into one frame. */
export interface Batch {
  /** Contiguous; none where only a commit index is to be written. */
  readonly entries: readonly Entry[];
  readonly commit: number;
  /** Of the calls that are durable with this frame. */
  readonly waiters: readonly Waiter[];
}

interface Item {
  readonly entries: readonly Entry[];
  /** Of `entries`, those of [from, to) wait. */
  from: number;
  readonly to: number;
  readonly commit: number;
  readonly waiters: readonly Waiter[];
}

/**
 * What waits to be written. Entries that wait are contiguous over all calls: one that begins lower drops those that it
 * supersedes, and whoever waited for them waits for it, so that calls resolve in the order in which they were made and
 * each only when nothing that was asked before it is missing.
 */
export class AppendQueue {
  #items: Item[] = [];

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** Index of the first entry that waits. */
  get firstIndex(): number | undefined {
    for (const item of this.#items) if (item.from < item.to) return item.entries[item.from]?.index;
    return undefined;
  }

  add(entries: readonly Entry[], commit: number, waiter: Waiter): void {
    const first = entries[0]?.index;
    const dropped = first === undefined ? [] : this.#supersede(first);
    this.#items.push({ entries, from: 0, to: entries.length, commit, waiters: [...dropped, waiter] });
  }

  /**
   * Takes what fits into a frame, in order; at least one entry where any waits.
   *
   * @param payloadBytesMax Room in the frame.
   */
  take(payloadBytesMax: number): Batch | undefined {
    if (this.isEmpty) return undefined;
    const entries: Entry[] = [];
    const waiters: Waiter[] = [];
    let commit = 0;
    let room = payloadBytesMax;
    let done = 0;
    for (const item of this.#items) {
      while (item.from < item.to) {
        const entry = must(item.entries[item.from], 'entry that waits');
        room -= entryBytes(entry);
        if (room < 0) break;
        assert(entries.length === 0 || entries.at(-1)?.index === entry.index - 1, 'entries that wait are contiguous');
        entries.push(entry);
        item.from += 1;
      }
      commit = Math.max(commit, item.commit);
      if (item.from < item.to) break;
      for (const waiter of item.waiters) waiters.push(waiter);
      done += 1;
    }
    this.#items.splice(0, done);
    assert(done > 0 || entries.length > 0, () => `an entry larger than a frame: ${payloadBytesMax} bytes`);
    return { entries, commit, waiters };
  }

  /** Empties the queue and returns who waited. */
  clear(): readonly Waiter[] {
    const waiters = this.#items.flatMap((item) => item.waiters);
    this.#items = [];
    return waiters;
  }

  /** Drops the entries from `first` on; returns who waited for them or for anything asked after them. */
  #supersede(first: number): readonly Waiter[] {
    const touched = this.#items.findIndex(({ entries, from, to }) => {
      return from < to && must(entries[to - 1], 'entry that waits').index >= first;
    });
    if (touched === -1) return [];
    const [lowest, ...later] = this.#items.splice(touched);
    const item = must(lowest, 'call that is superseded');
    const kept = Math.max(0, first - must(item.entries[item.from], 'entry that waits').index);
    const waiters = [item, ...later].flatMap((one) => one.waiters);
    if (kept > 0) this.#items.push({ ...item, to: item.from + kept, waiters: [] });
    return waiters;
  }
}
