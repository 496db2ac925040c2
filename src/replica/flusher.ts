import { assertEqual } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { LogBase } from '../raft/types.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { StateStore } from '../storage/state-store.ts';
import type { ConsensusPort } from './consensus-port.ts';

export interface FlusherOptions {
  readonly clock: Clock;
  /** Of the log on disk: its last durable index, its bytes, and where it may begin. */
  readonly log: Pick<ConsensusPort, 'durableIndex' | 'keptBytes' | 'compactable' | 'compact'>;
  /** How long changes are gathered before they are written. */
  readonly flushIntervalMs: number;
  /** Bytes of log kept for slow followers; a prefix goes once twice as much is there. */
  readonly logKeepBytes: number;
  /** The last applied entry: index, term and prefix hash. */
  readonly applied: () => LogBase;
  readonly onFlushed: (flushedIndex: number, keys: number, ms: number) => void;
  readonly onCompacted: (index: number) => void;
  readonly onFatal: (error: unknown) => void;
}

/**
 * Writes the changed keys of the state to the store, one applied index at a time, and lets go of the log prefix that is
 * covered. Order (design section 4): flush synced, then the store's directory, then the compaction mark, then the
 * segments. What is flushed never goes beyond the member's own durable log.
 */
export class Flusher {
  readonly #options: FlusherOptions;
  #state: Registry;
  #store: StateStore;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #paused = false;
  #stopped = false;

  constructor(state: Registry, store: StateStore, options: FlusherOptions) {
    this.#state = state;
    this.#store = store;
    this.#options = options;
  }

  get flushedIndex(): number {
    return this.#store.mark.index;
  }

  start(): void {
    this.#arm();
  }

  /** Flushes what may be flushed now, behind what is being flushed. */
  async flushNow(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    await this.#run();
  }

  /** Begins no flush until `resumeWith`; the one under way goes on. */
  hold(): void {
    this.#paused = true;
  }

  /** As `hold`, and waits for the flush under way. */
  async pause(): Promise<void> {
    this.hold();
    while (this.#running !== undefined) await this.#running;
  }

  resumeWith(state: Registry, store: StateStore): void {
    this.#state = state;
    this.#store = store;
    this.#paused = false;
    this.changed();
  }

  /** A last flush of what is durable, then nothing more. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    if (!this.#paused) await this.flushNow();
    this.#stopped = true;
    while (this.#running !== undefined) await this.#running;
  }

  /** Something was applied. While nothing is, no timer runs. */
  changed(): void {
    if (this.#timer === undefined) this.#arm();
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.setTimer(this.#options.flushIntervalMs, () => {
      this.#run().then(
        () => {
          this.#timer = undefined;
          if (this.#isBehind) this.#arm();
        },
        (error: unknown) => this.#options.onFatal(error),
      );
    });
  }

  /** There is more to flush, or to compact: the disk was behind, a peer was, or a snapshot was coming in. */
  get #isBehind(): boolean {
    const { log, logKeepBytes } = this.#options;
    return this.#paused || this.#state.position.index > this.#store.mark.index || log.keptBytes >= logKeepBytes * 2;
  }

  async #run(): Promise<void> {
    if (this.#running !== undefined || this.#paused || this.#stopped) return;
    this.#running = this.#flush();
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  async #flush(): Promise<void> {
    const position = this.#state.position;
    if (position.index > this.#store.mark.index && position.index <= this.#options.log.durableIndex) {
      await this.#write();
    }
    // The core's log may begin behind a snapshot by now, and the log on disk will.
    if (!this.#paused) await this.#compact();
  }

  async #write(): Promise<void> {
    const startMs = this.#options.clock.monotonicMs();
    const frozen = this.#state.freeze();
    const { index, term, revision } = frozen.position;
    const applied = this.#options.applied();
    assertEqual(index, applied.index, 'index of the state to flush');
    assertEqual(term, applied.term, `term of the state at index ${index}`);
    const mark = { index, term, prefixHash: applied.hash, revision, stateHash: frozen.stateHash };
    await this.#store.flush(frozen.changes(), mark);
    const keys = frozen.keys;
    this.#state.releaseFrozen();
    this.#options.onFlushed(index, keys, this.#options.clock.monotonicMs() - startMs);
  }

  async #compact(): Promise<void> {
    const keep = this.#options.logKeepBytes;
    const kept = this.#options.log.keptBytes;
    if (kept < keep * 2) return;
    // The log counts what its frames take on disk, the core what is in the entries: a share means the same to both.
    const base = await this.#options.log.compactable(keep / kept, this.#store.mark.index);
    // Meanwhile a snapshot may be on its way in, behind which the log begins anew.
    if (base === undefined || this.#paused) return;
    // LevelDB gives its new files no directory sync of its own: without it a power loss could take the flush away
    // whose log is dropped here.
    await this.#store.syncDirectory();
    if (this.#paused) return;
    await this.#options.log.compact(base);
    this.#options.onCompacted(base.index);
  }
}
