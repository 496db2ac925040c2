import { assert } from '../base/assert.ts';

const runLengthMax = 512;

/**
 * A set of strings in order of code units, in runs of at most 512, so that an insertion moves few elements however
 * large the set is.
 */
export class SortedStrings {
  /** No run is empty; the last of each is below the first of the next. */
  readonly #runs: string[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** False where it is there already. */
  add(value: string): boolean {
    const runIndex = this.#runOf(value);
    const run = this.#runs[runIndex];
    if (run === undefined) {
      this.#runs.push([value]);
      this.#size = 1;
      return true;
    }
    const at = lowerBound(run, value);
    if (run[at] === value) return false;
    if (at === run.length) run.push(value);
    else run.splice(at, 0, value);
    this.#size += 1;
    if (run.length > runLengthMax) {
      // What comes in order (a load, counting ids) leaves full runs behind, the rest halves.
      const cut = at === run.length - 1 ? runLengthMax : runLengthMax / 2;
      this.#runs.splice(runIndex + 1, 0, run.splice(cut));
    }
    return true;
  }

  /** False where it is not there. */
  delete(value: string): boolean {
    const runIndex = this.#runOf(value);
    const run = this.#runs[runIndex];
    if (run === undefined) return false;
    const at = lowerBound(run, value);
    if (run[at] !== value) return false;
    run.splice(at, 1);
    this.#size -= 1;
    if (run.length === 0) this.#runs.splice(runIndex, 1);
    else this.#mergeWithNext(runIndex, run);
    return true;
  }

  /** In order, from `start` (included or not) on. Not to be changed meanwhile. */
  *from(start: string, included: boolean): Generator<string, void, undefined> {
    let runIndex = this.#runOf(start);
    let run = this.#runs[runIndex];
    if (run === undefined) return;
    let at = lowerBound(run, start);
    if (!included && run[at] === start) at += 1;
    while (run !== undefined) {
      for (; at < run.length; at += 1) yield run[at] as string;
      at = 0;
      runIndex += 1;
      run = this.#runs[runIndex];
    }
  }

  /** The run that holds `value` or must take it: the last that begins at or below it, or the first. */
  #runOf(value: string): number {
    let low = 0;
    let high = this.#runs.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#runs[middle]?.[0] as string) <= value) low = middle;
      else high = middle;
    }
    return low;
  }

  #mergeWithNext(runIndex: number, run: string[]): void {
    const next = this.#runs[runIndex + 1];
    if (next === undefined || run.length + next.length > runLengthMax / 2) return;
    assert((run.at(-1) as string) < (next[0] as string), 'runs out of order');
    run.push(...next);
    this.#runs.splice(runIndex + 1, 1);
  }
}

/** The first place in `run` whose string is not below `value`. */
function lowerBound(run: readonly string[], value: string): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((run[middle] as string) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
