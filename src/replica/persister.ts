import { assert, must } from '../base/assert.ts';
import type { LogBase, Persist } from '../raft/types.ts';
import type { EntryLog, MembershipRecord } from '../storage/entry-log.ts';
import type { HardStateFile } from '../storage/hard-state.ts';

export interface PersisterOptions {
  readonly log: EntryLog;
  readonly hardState: HardStateFile;
  /** Makes the staged snapshot with this base the active state; resolves when that is durable. */
  readonly activateSnapshot: (base: LogBase) => Promise<MembershipRecord>;
  /** State and log both stand at this base, durably. */
  readonly onSnapshotDurable: (base: LogBase) => void;
  /** Every persist step up to this sequence is durable. */
  readonly onDurable: (sequence: number) => void;
  /** A write failed: nothing may be acknowledged any more. Called once. */
  readonly onFailure: (error: unknown) => void;
}

interface Step {
  readonly sequence: number;
  done: boolean;
}

/**
 * Carries the core's persist steps to the disk in their order. Steps that only append go to the log at once, so that
 * those which wait behind a frame in flight share the next one; a step with a hard state or a snapshot waits for all
 * before it, and those after it wait for it (raft section 5.1: the term must be durable before what was done in it).
 */
export class Persister {
  readonly #options: PersisterOptions;
  /** Not yet reported, in order of sequence. Bounded by the core's bound on uncommitted bytes. */
  readonly #steps: Step[] = [];
  /** Settles with the newest step. The log resolves appends in order, so this covers every step before it. */
  #tail: Promise<void> = Promise.resolve();
  /** Steps that wait for `#tail` instead of going straight to the log. */
  #waiting = 0;
  #failed = false;

  constructor(options: PersisterOptions) {
    this.#options = options;
  }

  /** Never throws; a failure goes to `onFailure`, and nothing is reported durable after it. */
  persist(step: Persist): void {
    const last = this.#steps.at(-1);
    assert(last === undefined || last.sequence < step.sequence, 'persist steps come in the order of their sequence');
    const pending: Step = { sequence: step.sequence, done: false };
    this.#steps.push(pending);
    const onlyAppends = step.hardState === undefined && step.snapshot === undefined && step.entries.length > 0;
    this.#tail = onlyAppends && this.#waiting === 0 ? this.#append(step) : this.#runBehindTail(step);
    this.#tail.then(
      () => {
        pending.done = true;
        this.#report();
      },
      (error: unknown) => {
        if (this.#failed) return;
        this.#failed = true;
        this.#options.onFailure(error);
      },
    );
  }

  /**
   * The commit index has risen. Told to the log only while it holds all that was handed over: behind a hard state an
   * entry may wait that supersedes one of the same index.
   */
  noteCommit(commit: number): void {
    if (this.#waiting === 0 && !this.#failed) this.#options.log.noteCommit(commit);
  }

  /** Resolves once all that was handed over is durable; rejects where a write failed. */
  async idle(): Promise<void> {
    await this.#tail;
  }

  async #runBehindTail(step: Persist): Promise<void> {
    this.#waiting++;
    try {
      await this.#tail;
      if (step.hardState !== undefined) {
        await this.#options.hardState.write({ ...step.hardState, boot: this.#options.hardState.current.boot });
      }
      if (step.snapshot !== undefined) {
        const membership = await this.#options.activateSnapshot(step.snapshot);
        await this.#options.log.restart(step.snapshot, membership);
        this.#options.onSnapshotDurable(step.snapshot);
      }
      await this.#append(step);
    } finally {
      this.#waiting--;
    }
  }

  async #append(step: Persist): Promise<void> {
    if (step.entries.length > 0) await this.#options.log.append(step.entries, step.commit);
  }

  #report(): void {
    if (this.#failed) return;
    let durable = 0;
    while (this.#steps[0]?.done === true) durable = must(this.#steps.shift(), 'first persist step').sequence;
    if (durable > 0) this.#options.onDurable(durable);
  }
}
