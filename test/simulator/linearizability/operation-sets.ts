import { PairTable } from './pair-table.ts';

export const emptySet = 0;

/**
 * Sets of operations as numbers: equal sets have the same number, so that comparing and remembering one costs as much
 * as an integer. A set is a list from its largest member down, and shares its tail with others: an operation is added
 * close to the end of what came before it, so that a set costs a few nodes and not its length.
 */
export class OperationSets {
  /** (set of the smaller members, largest member). */
  readonly #nodes = new PairTable();
  readonly #lifted: number[] = [];

  /** The set with this member more; it must not be in it. */
  add(set: number, member: number): number {
    const lifted = this.#lifted;
    let rest = set;
    while (rest !== emptySet && this.#nodes.second(rest) > member) {
      lifted.push(this.#nodes.second(rest));
      rest = this.#nodes.first(rest);
    }
    rest = this.#nodes.intern(rest, member);
    for (let above = lifted.pop(); above !== undefined; above = lifted.pop()) rest = this.#nodes.intern(rest, above);
    return rest;
  }

  isSubset(set: number, of: number): boolean {
    let smaller = set;
    let larger = of;
    while (smaller !== larger) {
      if (smaller === emptySet) return true;
      const member = this.#nodes.second(smaller);
      while (larger !== emptySet && this.#nodes.second(larger) > member) larger = this.#nodes.first(larger);
      if (larger === emptySet || this.#nodes.second(larger) !== member) return false;
      smaller = this.#nodes.first(smaller);
      larger = this.#nodes.first(larger);
    }
    return true;
  }
}
