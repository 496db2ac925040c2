import { assert } from '../base/assert.ts';

interface Step {
  readonly sequence: number;
  readonly hardVersion: number;
  readonly snapshot: boolean;
  /** The log as it stands in memory is durable up to here once this step is. Lowered when the log is cut below it. */
  claim: number;
}

/**
 * Which part of term, vote and log is on disk, while several writes are under way. Writes are done in the order of
 * their sequence, and a report covers all up to it.
 *
 * The danger is a report that comes late: entries 5 to 9 are being written, 5 is replaced, and then the first write is
 * reported. Index, term and even content may look the same again after a second replacement (A-B-A). So a report never
 * carries indexes of its own: each step remembers a claim, and a cut of the log lowers every claim that is still out.
 *
 * Invariant: claims never fall along the steps; durableIndex <= the first claim; the last claim <= handedIndex.
 */
export class Durability {
  #steps: Step[] = [];
  #sequence = 0;
  #durableIndex: number;
  #handedIndex: number;
  #hardVersion = 0;
  #handedHardVersion = 0;
  #durableHardVersion = 0;

  /** @param lastIndex Everything up to here, and the hard state, was found durable at the start. */
  constructor(lastIndex: number) {
    this.#durableIndex = lastIndex;
    this.#handedIndex = lastIndex;
  }

  /** The log in memory is durable up to here: below its base while the snapshot that it restarted at is written. */
  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** Entries up to here were handed to the host. */
  get handedIndex(): number {
    return this.#handedIndex;
  }

  /** Number of the present (term, vote); raised at each change. */
  get hardVersion(): number {
    return this.#hardVersion;
  }

  get durableHardVersion(): number {
    return this.#durableHardVersion;
  }

  get hardStateUnhanded(): boolean {
    return this.#handedHardVersion < this.#hardVersion;
  }

  get snapshotUnderWay(): boolean {
    return this.#steps.some((step) => step.snapshot);
  }

  hardStateChanged(): void {
    this.#hardVersion += 1;
  }

  /** A step goes to the host, with everything that it did not have yet up to `lastIndex`. Returns its sequence. */
  handOut(lastIndex: number, snapshot: boolean): number {
    assert(lastIndex >= this.#handedIndex, () => `handed out ${lastIndex} after ${this.#handedIndex}`);
    this.#sequence += 1;
    this.#handedIndex = lastIndex;
    this.#handedHardVersion = this.#hardVersion;
    this.#steps.push({ sequence: this.#sequence, hardVersion: this.#hardVersion, snapshot, claim: lastIndex });
    return this.#sequence;
  }

  /** Every step up to `sequence` is durable. A repeated report is harmless. */
  report(sequence: number): void {
    assert(
      Number.isSafeInteger(sequence) && sequence >= 0 && sequence <= this.#sequence,
      () => `sequence ${sequence} was not handed out, ${this.#sequence} was the last`,
    );
    let done = 0;
    for (const step of this.#steps) {
      if (step.sequence > sequence) break;
      assert(step.claim >= this.#durableIndex, () => `claim ${step.claim} is below durable ${this.#durableIndex}`);
      this.#durableIndex = step.claim;
      this.#durableHardVersion = step.hardVersion;
      done += 1;
    }
    if (done > 0) this.#steps = this.#steps.slice(done);
  }

  /** The log was cut: what lies above `index` is replaced by entries that are not durable, whatever is on disk now. */
  cutTo(index: number): void {
    this.#durableIndex = Math.min(this.#durableIndex, index);
    this.#handedIndex = Math.min(this.#handedIndex, index);
    for (const step of this.#steps) step.claim = Math.min(step.claim, index);
  }

  /** The log restarts at a snapshot of `index`; of what is on disk only the part up to `commit` is sure to agree. */
  restartAt(index: number, commit: number): void {
    this.cutTo(commit);
    this.#handedIndex = index;
  }

  /** Asserts the invariant of the class; `lastIndex` is that of the log. */
  check(lastIndex: number): void {
    let least = this.#durableIndex;
    for (const step of this.#steps) {
      assert(step.claim >= least, () => `claim ${step.claim} of step ${step.sequence} follows ${least}`);
      least = step.claim;
    }
    assert(
      least <= this.#handedIndex && this.#handedIndex <= lastIndex,
      () => `claim ${least}, handed out ${this.#handedIndex}, last index ${lastIndex}`,
    );
  }
}
