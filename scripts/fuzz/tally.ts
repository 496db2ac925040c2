/** Counts by two names. */
export class Tally {
  readonly #counts = new Map<string, Map<string, number>>();

  add(row: string, column: string, count: number = 1): void {
    let columns = this.#counts.get(row);
    if (columns === undefined) this.#counts.set(row, (columns = new Map()));
    columns.set(column, (columns.get(column) ?? 0) + count);
  }

  rows(): { readonly row: string; readonly total: number; readonly columns: readonly (readonly [string, number])[] }[] {
    return [...this.#counts]
      .map(([row, columns]) => ({
        row,
        total: [...columns.values()].reduce((sum, count) => sum + count, 0),
        columns: [...columns].toSorted(([, a], [, b]) => b - a),
      }))
      .toSorted((a, b) => (a.row < b.row ? -1 : 1));
  }
}
