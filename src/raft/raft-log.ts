import { assert } from '../base/assert.ts';
import { extendPrefixHash } from '../base/hash.ts';
import type { Entry, LogBase, PrefixHash } from './types.ts';

/** Term and prefix hash at one index: equal in two logs only if they are equal up to there. */
export interface Prefix {
  readonly term: number;
  readonly hash: PrefixHash;
}

/**
 * The kept log of one member, in memory, from `base.index + 1` on, and how far it is committed and applied. What of it
 * is durable is not known here (durability.ts).
 *
 * Invariant: base.index <= applied <= handedOut <= commit <= lastIndex; indexes contiguous, terms never falling.
 */
export class RaftLog {
  #base: LogBase;
  #entries: Entry[];
  #commit: number;
  /** Handed out to be applied. */
  #handedOut: number;
  #applied: number;
  #bytes = 0;
  #uncommittedBytes = 0;

  /** Takes what was found on disk; `entries` are contiguous from `base.index + 1`. */
  constructor(base: LogBase, entries: readonly Entry[], commit: number, applied: number) {
    this.#base = base;
    this.#entries = [];
    this.#commit = commit;
    this.#handedOut = applied;
    this.#applied = applied;
    for (const entry of entries) this.#push(entry);
    this.check();
  }

  get base(): LogBase {
    return this.#base;
  }

  get lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#base.term;
  }

  get lastHash(): PrefixHash {
    return this.#entries.at(-1)?.hash ?? this.#base.hash;
  }

  get commit(): number {
    return this.#commit;
  }

  get applied(): number {
    return this.#applied;
  }

  /** Whether committed entries wait to be handed out. */
  get hasCommitted(): boolean {
    return this.#handedOut < this.#commit;
  }

  /** Data bytes of the kept entries. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Data bytes of the entries above the commit index. */
  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }

  /** Undefined below the base and above the last index. */
  prefixAt(index: number): Prefix | undefined {
    return index === this.#base.index ? this.#base : this.#entries[index - this.#base.index - 1];
  }

  /** Entries of [from, to), all of them kept. The entries are shared: nobody may change them. */
  between(from: number, to: number): Entry[] {
    assert(
      this.#base.index < from && from <= to && to <= this.lastIndex + 1,
      () => `entries [${from}, ${to}) of a log (${this.#base.index}, ${this.lastIndex}]`,
    );
    return this.#entries.slice(from - this.#base.index - 1, to - this.#base.index - 1);
  }

  /** Entries from `from` up to `last` with at most `bytesMax` bytes of data, but at least one if there is one. */
  bounded(from: number, last: number, bytesMax: number): Entry[] {
    assert(from > this.#base.index && last <= this.lastIndex, () => `entries ${from} to ${last} are not kept`);
    let bytes = 0;
    let end = from;
    while (end <= last) {
      bytes += this.#entries[end - this.#base.index - 1]?.data.length ?? 0;
      if (bytes > bytesMax && end > from) break;
      end += 1;
    }
    return from > last ? [] : this.between(from, end);
  }

  /** A candidate's log is as up to date as this one if its last term is later, or equal and it is as long (5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /**
   * The greatest index at or below `index` whose term is not above `term`: where a log that has `term` at `index` or
   * later may agree with this one. Skips whole terms at a time (end of section 5.3). Term 0: below the kept log.
   */
  agreementBelow(index: number, term: number): { readonly index: number; readonly term: number } {
    let low = this.#base.index;
    let high = Math.min(index, this.lastIndex);
    // Below the base no terms are known, and a log that does not agree at the base needs what is below it.
    if (high < low || this.#base.term > term) return { index: Math.max(0, Math.min(index, low - 1)), term: 0 };
    // Terms never fall along a log, hence binary search.
    while (low < high) {
      const middle = low + Math.ceil((high - low) / 2);
      if ((this.prefixAt(middle)?.term ?? 0) <= term) low = middle;
      else high = middle - 1;
    }
    return { index: low, term: this.prefixAt(low)?.term ?? 0 };
  }

  /** Appends an entry of this member's own making and returns it. Keeps `data`: the caller must not change it. */
  append(term: number, data: Uint8Array): Entry {
    const index = this.lastIndex + 1;
    const entry = { index, term, hash: extendPrefixHash(this.lastHash, index, term, data), data };
    this.#push(entry);
    return entry;
  }

  /** Replaces everything from the first entry's index on. The entries' hashes were verified by the caller. */
  replaceFrom(entries: readonly Entry[]): void {
    const first = entries[0];
    assert(first !== undefined, 'nothing to append');
    assert(
      this.#commit < first.index && first.index <= this.lastIndex + 1,
      () => `entries from ${first.index} would replace commit ${this.#commit} or leave a gap after ${this.lastIndex}`,
    );
    const kept = first.index - this.#base.index - 1;
    for (const entry of this.#entries.slice(kept)) {
      this.#bytes -= entry.data.length;
      this.#uncommittedBytes -= entry.data.length;
    }
    this.#entries.length = kept;
    for (const entry of entries) this.#push(entry);
  }

  /** Raises the commit index; a lower one is old news. */
  commitTo(index: number): void {
    if (index <= this.#commit) return;
    assert(index <= this.lastIndex, () => `commit ${index} is above the last index ${this.lastIndex}`);
    for (const entry of this.between(this.#commit + 1, index + 1)) this.#uncommittedBytes -= entry.data.length;
    this.#commit = index;
  }

  /** Hands out committed entries, each once, at most `bytesMax` bytes of data (a single larger one goes alone). */
  takeCommitted(bytesMax: number): Entry[] {
    const entries = this.bounded(this.#handedOut + 1, this.#commit, bytesMax);
    this.#handedOut += entries.length;
    return entries;
  }

  appliedTo(index: number): void {
    assert(index <= this.#handedOut, () => `applied ${index} was not handed out, ${this.#handedOut} was`);
    // An older report may arrive after a snapshot has moved the state past it.
    if (index > this.#applied) this.#applied = index;
  }

  /** Drops the entries up to `index`, which becomes the base. */
  compact(index: number): void {
    assert(
      this.#base.index <= index && index <= this.#applied,
      () => `compaction to ${index}, base ${this.#base.index}, applied ${this.#applied}`,
    );
    const prefix = this.prefixAt(index);
    assert(prefix !== undefined, () => `no entry at ${index}`);
    const dropped = this.#entries.slice(0, index - this.#base.index);
    for (const entry of dropped) this.#bytes -= entry.data.length;
    this.#entries = this.#entries.slice(dropped.length);
    this.#base = { index, term: prefix.term, hash: prefix.hash };
  }

  /** The log starts anew at a snapshot: all entries go, and what the snapshot covers counts as applied. */
  restartAt(base: LogBase): void {
    assert(base.index > this.#commit, () => `snapshot at ${base.index} is not above commit ${this.#commit}`);
    this.#base = base;
    this.#entries = [];
    this.#bytes = 0;
    this.#uncommittedBytes = 0;
    this.#commit = base.index;
    this.#handedOut = base.index;
    this.#applied = base.index;
  }

  /** Asserts the invariant of the class (I7). */
  check(): void {
    assert(
      this.#base.index <= this.#applied &&
        this.#applied <= this.#handedOut &&
        this.#handedOut <= this.#commit &&
        this.#commit <= this.lastIndex,
      () =>
        `base ${this.#base.index}, applied ${this.#applied}, handed out ${this.#handedOut}, commit ${this.#commit}, ` +
        `last index ${this.lastIndex}`,
    );
    assert(this.#uncommittedBytes >= 0 && this.#uncommittedBytes <= this.#bytes, () => `${this.#bytes} bytes are kept`);
  }

  #push(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, () => `entry ${entry.index} follows ${this.lastIndex}`);
    assert(entry.term >= this.lastTerm, () => `entry ${entry.index} of term ${entry.term} follows ${this.lastTerm}`);
    this.#entries.push(entry);
    this.#bytes += entry.data.length;
    if (entry.index > this.#commit) this.#uncommittedBytes += entry.data.length;
  }
}
