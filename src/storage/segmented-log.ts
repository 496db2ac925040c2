import { assert, assertSafeInteger } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Batch, Waiter } from './append-queue.ts';
import { AppendQueue } from './append-queue.ts';
import type { CompactionMark } from './compaction-mark.ts';
import { writeMark } from './compaction-mark.ts';
import type { Disk } from './disk.ts';
import type { EntryLog, MembershipRecord, RecoveredLog } from './entry-log.ts';
import {
  entryBytes,
  entryDataBytesMax,
  FrameEncoder,
  framePagesMax,
  pageBytes,
  pagesFor,
  payloadRoom,
} from './frame.ts';
import type { RecoveredSegments } from './log-recovery.ts';
import { initialiseLog, isLogInitialised, recoverLog } from './log-recovery.ts';
import type { Entry, LogBase } from './log-types.ts';
import { PrefixIndex } from './prefix-index.ts';
import { assertSegmentBytes, logDirectory, segmentBytesDefault } from './segment.ts';
import { SegmentChain } from './segment-chain.ts';

export interface SegmentedLogOptions {
  readonly clock: Clock;
  /** Applied index of the flushed state: a log that ends before it has lost something. 0 without a state. */
  readonly appliedIndex: number;
  /** Index of the last installed snapshot, where there is one: a log that ends before it still waits for `restart`. */
  readonly installedIndex?: number;
  /** Size of new segment files; a multiple of 4,096. Default 16 MiB. */
  readonly segmentBytes?: number;
  /** A log that was idle for so long is sealed by an empty frame. Default 100. */
  readonly sealIdleMs?: number;
  /**
   * Told once, at the first failure, also one in the background: from then on nothing is written, and the process must
   * end. Called after the calls that wait were rejected.
   */
  readonly onFailure: (error: Error) => void;
}

const sealIdleMsDefault = 100;

interface Restart {
  readonly base: LogBase;
  readonly membership: MembershipRecord;
  readonly waiters: readonly Waiter[];
}

/**
 * The log in segment files (design: Durability). One frame is in flight at a time; whatever is appended meanwhile goes
 * into the next one. A conflict is undone by a later frame that begins lower, never by a cut. The last frame is never
 * left alone for long: damage to a last frame that was acknowledged cannot always be told from a torn write, so an idle
 * log is sealed by an empty frame.
 *
 * A restart behind a snapshot and a compaction are both one replacement of the compaction mark, which names the first
 * segment that counts: a crash leaves the old log or the new one. All calls may be made at any time; appends and
 * restarts resolve in the order in which they were made, an append that a restart overtakes together with it. A
 * compaction that was overtaken does nothing.
 */
export class SegmentedLog implements EntryLog {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #sealIdleMs: number;
  readonly #framePages: number;
  readonly #onFailure: (error: Error) => void;
  readonly #chain: SegmentChain;
  readonly #encoder = new FrameEncoder();
  readonly #queue = new AppendQueue();
  /** Of the log as it is once all that waits is written. */
  readonly #index: PrefixIndex;
  #mark: CompactionMark;
  /** Greatest commit index told. Invariant: no entry at or below it is superseded any more. */
  #commit: number;
  /** Last index in the frames that are durable. */
  #writtenIndex: number;
  /** Sequence of the next frame; all before it are durable. */
  #nextSequence: number;
  #inFlight: Batch | undefined;
  #restart: Restart | undefined;
  #restarting = false;
  /** Raised by each restart, so that a compaction asked for before one does nothing after it. */
  #generation = 0;
  #sealed: boolean;
  #sealDue = false;
  #sealTimer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** Compactions and restarts, one after the other. */
  #marking: Promise<unknown> = Promise.resolve();
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;

  private constructor(disk: Disk, options: SegmentedLogOptions, found: RecoveredSegments) {
    const segmentBytes = options.segmentBytes ?? segmentBytesDefault;
    const { mark, scanned, file } = found;
    this.#disk = disk;
    this.#clock = options.clock;
    this.#sealIdleMs = options.sealIdleMs ?? sealIdleMsDefault;
    this.#framePages = Math.min(framePagesMax, segmentBytes / pageBytes);
    this.#onFailure = options.onFailure;
    this.#index = new PrefixIndex(mark.base);
    for (const entry of scanned.entries) this.#index.push(entry);
    this.#mark = mark;
    this.#commit = scanned.commit;
    this.#writtenIndex = this.#index.lastIndex;
    this.#nextSequence = scanned.nextSequence;
    this.#sealed = scanned.lastFrame === undefined || scanned.lastFrame.entryCount === 0;
    this.#chain = new SegmentChain(disk, scanned.segments, file, segmentBytes, (error) => this.#fail(error));
    this.#armSeal();
  }

  /** Whether this disk holds a log. StorageError 'damaged' where it holds the remains of one. */
  static isInitialised(disk: Disk): Promise<boolean> {
    return isLogInitialised(disk);
  }

  /** Makes a new log behind `base` on a disk without one; open it afterwards. Safe to repeat after a crash. */
  static initialise(
    disk: Disk,
    base: LogBase,
    membership: MembershipRecord,
    segmentBytes: number = segmentBytesDefault,
  ): Promise<void> {
    return initialiseLog(disk, base, membership, segmentBytes);
  }

  /**
   * Opens the log: what was read is durable when this resolves. One at a time for one disk.
   *
   * @throws StorageError 'damaged' with file and byte offset where anything is missing that was, or may have been,
   *   acknowledged. Only a write that a crash cut off is wiped.
   */
  static async open(
    disk: Disk,
    options: SegmentedLogOptions,
  ): Promise<{ readonly log: SegmentedLog; readonly recovered: RecoveredLog }> {
    assertSegmentBytes(options.segmentBytes ?? segmentBytesDefault);
    const found = await recoverLog(disk, options);
    const { base, membership } = found.mark;
    const { entries, commit, torn } = found.scanned;
    const wiped = torn && { file: torn.path, offset: torn.at, pages: torn.pages };
    const recovered = { base, membership, entries, commit, torn: wiped };
    return { log: new SegmentedLog(disk, options, found), recovered };
  }

  get durableIndex(): number {
    // The log of which this would speak does not exist yet.
    if (this.#restart !== undefined || this.#restarting) return 0;
    const superseded = Math.min(this.#inFlight?.entries[0]?.index ?? Infinity, this.#queue.firstIndex ?? Infinity);
    return Math.min(this.#writtenIndex, superseded - 1);
  }

  get keptBytes(): number {
    return this.#chain.usedBytes;
  }

  async append(entries: readonly Entry[], commit: number): Promise<void> {
    this.#check();
    this.#take(entries, commit);
    await new Promise<void>((resolve, reject) => {
      this.#queue.add(entries, this.#commit, { resolve, reject });
      this.#wake();
    });
  }

  noteCommit(commit: number): void {
    assertSafeInteger(commit, 'commit index');
    assert(commit <= this.#index.lastIndex, () => `commit ${commit}, but the last entry is ${this.#index.lastIndex}`);
    this.#commit = Math.max(this.#commit, commit);
  }

  async compact(base: LogBase, membership: MembershipRecord): Promise<void> {
    this.#check();
    const generation = this.#generation;
    await this.#exclusively(async () => {
      if (generation !== this.#generation || base.index <= this.#index.base.index) return;
      assert(base.index <= this.durableIndex, () => `base ${base.index}, durable up to ${this.durableIndex}`);
      this.#commit = Math.max(this.#commit, base.index);
      this.#index.compact(base);
      const needed = this.#chain.firstNeeded(base.index);
      const firstSequence =
        needed.number === this.#mark.firstSegment ? this.#mark.firstSequence : needed.first?.sequence;
      assert(firstSequence !== undefined, () => `segment ${needed.number} holds no frame, but one is needed`);
      const durableSequence = this.#nextSequence;
      const mark = { base, membership, firstSegment: needed.number, firstSequence, durableSequence };
      await writeMark(this.#disk, mark);
      this.#mark = mark;
      await this.#chain.removeBefore(needed.number);
    });
  }

  async restart(base: LogBase, membership: MembershipRecord): Promise<void> {
    this.#check();
    // A base below what is committed here would drop entries that this member acknowledged.
    assert(base.index >= this.#commit, () => `restart behind ${base.index}, committed up to ${this.#commit}`);
    this.#generation += 1;
    this.#index.restart(base);
    this.#commit = base.index;
    await new Promise<void>((resolve, reject) => {
      const before = [...(this.#restart?.waiters ?? []), ...this.#queue.clear()];
      this.#restart = { base, membership, waiters: [...before, { resolve, reject }] };
      this.#wake();
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#idle();
    if (!this.#sealed && this.#failure === undefined) {
      this.#sealDue = true;
      this.#wake();
      await this.#idle();
    }
    this.#sealTimer?.cancel();
    await this.#marking;
    await this.#chain.close();
  }

  #checkSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #check(): void {
    this.#checkSound();
    if (this.#closed !== undefined) throw new StorageError('refused', logDirectory, 'the log is closed');
  }

  /** Checks the relations that the disk format relies on, and makes the entries the log's last ones. */
  #take(entries: readonly Entry[], commit: number): void {
    assertSafeInteger(commit, 'commit index');
    let previous = entries[0] === undefined ? undefined : this.#index.at(entries[0].index - 1);
    for (const entry of entries) {
      assert(
        previous !== undefined && entry.index === previous.index + 1,
        () => `entry ${entry.index} is out of order`,
      );
      assert(entry.index > this.#commit, () => `entry ${entry.index} supersedes, committed up to ${this.#commit}`);
      assert(entry.term >= previous.term, () => `term ${entry.term} of entry ${entry.index} after ${previous?.term}`);
      assert(pagesFor(entryBytes(entry)) <= this.#framePages, () => {
        return `entry ${entry.index} has ${entry.data.byteLength} bytes, at most ${entryDataBytesMax} fit into a frame`;
      });
      previous = entry;
    }
    const lastIndex = previous?.index ?? this.#index.lastIndex;
    assert(commit <= lastIndex, () => `commit index ${commit}, but the last entry is ${lastIndex}`);
    for (const entry of entries) this.#index.push(entry);
    this.#commit = Math.max(this.#commit, commit);
  }

  get #hasWork(): boolean {
    return !this.#queue.isEmpty || this.#restart !== undefined || this.#sealDue;
  }

  #wake(): void {
    if (this.#running !== undefined || this.#failure !== undefined) return;
    this.#running = this.#run()
      .catch((error: unknown) => this.#fail(error))
      .then(() => {
        this.#running = undefined;
        if (this.#hasWork) this.#wake();
        else this.#armSeal();
      });
  }

  async #idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // What the same turn appends goes into the same frame.
    await Promise.resolve();
    while (this.#hasWork && this.#failure === undefined) {
      if (this.#restart !== undefined) await this.#performRestart(this.#restart);
      else await this.#writeFrame();
    }
  }

  async #writeFrame(): Promise<void> {
    const nothing: Batch = { entries: [], commit: this.#commit, waiters: [] };
    const batch = this.#queue.take(payloadRoom(this.#framePages)) ?? nothing;
    const { entries, waiters } = batch;
    const firstIndex = entries[0]?.index ?? this.#writtenIndex + 1;
    const lastIndex = firstIndex + entries.length - 1;
    // Asked before anything can supersede the entry that this frame follows.
    const previousHash = this.#index.at(firstIndex - 1).hash;
    this.#inFlight = batch;
    let payloadBytes = 0;
    for (const entry of entries) payloadBytes += entryBytes(entry);
    await this.#chain.makeRoom(pagesFor(payloadBytes));
    const { number: segment, pages: segmentPages } = this.#chain.active;
    const commit = Math.min(batch.commit, lastIndex);
    const sequence = this.#nextSequence;
    const head = { sequence, segment, segmentPages, firstIndex, commit, previousHash };
    await this.#chain.write(this.#encoder.encode(head, entries), { sequence, index: firstIndex });
    // A failure in the background has rejected whoever waits: nothing is acknowledged after it.
    if (this.#failure !== undefined) return;
    this.#nextSequence += 1;
    this.#writtenIndex = lastIndex;
    this.#sealed = entries.length === 0;
    this.#sealDue = false;
    this.#inFlight = undefined;
    for (const waiter of waiters) waiter.resolve();
  }

  /**
   * The new mark names a segment that no frame was written to: with its replacement the old log has ended and the new
   * one has begun, empty. Before, the new segment is a spare of the old log; after, the old segments are left-overs.
   */
  async #performRestart(restart: Restart): Promise<void> {
    const { base, membership, waiters } = restart;
    this.#restart = undefined;
    this.#restarting = true;
    this.#inFlight = { entries: [], commit: 0, waiters };
    await this.#exclusively(async () => {
      const next = await this.#chain.next();
      const sequence = this.#nextSequence;
      const mark = {
        base,
        membership,
        firstSegment: next.number,
        firstSequence: sequence,
        durableSequence: sequence,
      };
      await writeMark(this.#disk, mark);
      this.#mark = mark;
      await this.#chain.restart(next);
    });
    if (this.#failure !== undefined) return;
    this.#writtenIndex = base.index;
    this.#sealed = true;
    this.#sealDue = false;
    this.#restarting = false;
    this.#inFlight = undefined;
    for (const waiter of waiters) waiter.resolve();
  }

  /** Runs after all that was handed in before; a failure ends the log. */
  async #exclusively(work: () => Promise<void>): Promise<void> {
    const turn = this.#marking.then(async () => {
      this.#checkSound();
      await work();
      this.#checkSound();
    });
    this.#marking = turn.catch((error: unknown) => this.#fail(error));
    await turn;
  }

  #armSeal(): void {
    if (this.#sealed || this.#sealTimer !== undefined || this.#closed !== undefined) return;
    if (this.#failure !== undefined) return;
    this.#sealTimer = this.#clock.setTimer(this.#sealIdleMs, () => {
      this.#sealTimer = undefined;
      // When it is not idle, the end of the work sets the timer again.
      if (this.#sealed || this.#running !== undefined || this.#closed !== undefined) return;
      this.#sealDue = true;
      this.#wake();
    });
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    const failure = error instanceof Error ? error : new Error(String(error));
    // What waits is forgotten below, but what it supersedes is not durable any the more.
    this.#writtenIndex = this.durableIndex;
    this.#failure = failure;
    this.#sealTimer?.cancel();
    const waiters = [...(this.#inFlight?.waiters ?? []), ...(this.#restart?.waiters ?? []), ...this.#queue.clear()];
    this.#restart = undefined;
    for (const waiter of waiters) waiter.reject(failure);
    this.#onFailure(failure);
  }
}
