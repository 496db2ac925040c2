import { grown, PairTable } from './pair-table.ts';
import type { OperationSets } from './operation-sets.ts';

/**
 * The configurations that a search has been at: which answered operations were ordered, the state behind them, and the
 * open operations that were used up on the way. One that used up more than another and is otherwise the same can do
 * nothing that the other could not, so only the smallest sets are kept.
 */
export class Visited {
  readonly #sets: OperationSets;
  readonly #places = new PairTable();
  /** By place: its first entry of the chains below, 0 for none. */
  #heads = new Int32Array(64);
  #openSets = new Int32Array(64);
  #nexts = new Int32Array(64);
  #size = 0;

  constructor(sets: OperationSets) {
    this.#sets = sets;
  }

  /** Entries ever made. */
  get size(): number {
    return this.#size;
  }

  /** Remembers the configuration. False: it, or one that can do no less, was there already. */
  add(closedSet: number, state: number, openSet: number): boolean {
    const place = this.#places.intern(closedSet, state);
    if (place >= this.#heads.length) this.#heads = grown(this.#heads, this.#heads.length * 2);
    let previous = 0;
    for (let entry = this.#heads[place] ?? 0; entry !== 0; entry = this.#nexts[entry] ?? 0) {
      const known = this.#openSets[entry] ?? 0;
      if (this.#sets.isSubset(known, openSet)) return false;
      if (this.#sets.isSubset(openSet, known)) this.#unlink(place, previous, entry);
      else previous = entry;
    }
    const entry = ++this.#size;
    if (entry >= this.#nexts.length) {
      this.#nexts = grown(this.#nexts, this.#nexts.length * 2);
      this.#openSets = grown(this.#openSets, this.#openSets.length * 2);
    }
    this.#openSets[entry] = openSet;
    this.#nexts[entry] = this.#heads[place] ?? 0;
    this.#heads[place] = entry;
    return true;
  }

  #unlink(place: number, previous: number, entry: number): void {
    const next = this.#nexts[entry] ?? 0;
    if (previous === 0) this.#heads[place] = next;
    else this.#nexts[previous] = next;
  }
}
