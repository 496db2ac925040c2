import { assert, assertEqual, must } from '../base/assert.ts';
import type { Entry, LogBase } from './log-types.ts';

/** Term and prefix hash of every kept entry: what a frame says of the entry before it, and what a base must be. */
export class PrefixIndex {
  #base: LogBase;
  /** Of the entries from #base.index + 1 on; both of one length. */
  #terms: number[] = [];
  #hashes: string[] = [];

  constructor(base: LogBase) {
    this.#base = base;
  }

  get base(): LogBase {
    return this.#base;
  }

  get lastIndex(): number {
    return this.#base.index + this.#terms.length;
  }

  /** @param index From base.index to lastIndex. */
  at(index: number): LogBase {
    if (index === this.#base.index) return this.#base;
    assert(index > this.#base.index && index <= this.lastIndex, () => `no entry ${index} in the log: ${this.#range()}`);
    const position = index - this.#base.index - 1;
    return {
      index,
      term: must(this.#terms[position], 'term of an entry'),
      hash: must(this.#hashes[position], 'hash of an entry'),
    };
  }

  /** Takes the entry as the last one; those from its index on are gone. */
  push(entry: Entry): void {
    assert(entry.index > this.#base.index && entry.index <= this.lastIndex + 1, () => {
      return `entry ${entry.index} does not continue the log: ${this.#range()}`;
    });
    const position = entry.index - this.#base.index - 1;
    if (position < this.#terms.length) {
      this.#terms.length = position;
      this.#hashes.length = position;
    }
    this.#terms.push(entry.term);
    this.#hashes.push(entry.hash);
    assertEqual(this.lastIndex, entry.index, 'last index');
  }

  /** Forgets the entries up to `base`, which must be one of them. */
  compact(base: LogBase): void {
    const known = this.at(base.index);
    assert(known.term === base.term && known.hash === base.hash, () => {
      return `entry ${base.index} has term ${known.term} and hash ${known.hash}, not ${base.term} and ${base.hash}`;
    });
    const count = base.index - this.#base.index;
    this.#terms = this.#terms.slice(count);
    this.#hashes = this.#hashes.slice(count);
    this.#base = base;
  }

  /** Forgets everything; the log goes on behind `base`. */
  restart(base: LogBase): void {
    this.#base = base;
    this.#terms = [];
    this.#hashes = [];
  }

  #range(): string {
    return `base ${this.#base.index}, last ${this.lastIndex}`;
  }
}
