import { assertEqual } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { isSystemData } from '../raft/system-entries.ts';
import type { Entry } from '../raft/types.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import type { ApplyOutcome, ChangeEvent, SessionChange } from '../state-machine/types.ts';

const noCommands = new Uint8Array(0);

/** Own work of one turn of the loop, ms; what is left goes on in the next. */
const sliceMsMax = 8;

export interface ApplyLoopOptions {
  readonly clock: Clock;
  /** After each entry, in order. */
  readonly onEntry: (entry: Entry, outcome: ApplyOutcome) => void;
  /** After each slice: what changed in it. Not called for a slice without entries. */
  readonly onSlice: (events: readonly ChangeEvent[], sessions: readonly SessionChange[]) => void;
  /** The state was replaced by this one, loaded from an installed snapshot. */
  readonly onReplaced: (state: Registry) => void;
  /** While false nothing is applied: too much is changed and not yet flushed. `resume` goes on. */
  readonly mayApply: () => boolean;
  readonly onFatal: (error: unknown) => void;
}

type Item = { readonly kind: 'entry'; readonly entry: Entry } | { readonly kind: 'replace' };

/**
 * Applies committed entries in their order, in slices, so that no turn of the loop is held for long. An installed
 * snapshot takes its place in the order: what was committed after it waits until the new state is loaded.
 */
export class ApplyLoop {
  readonly #options: ApplyLoopOptions;
  #state: Registry;
  #queue: Item[] = [];
  #head = 0;
  #scheduled = false;
  #loading = false;
  #stopped = false;

  constructor(state: Registry, options: ApplyLoopOptions) {
    this.#state = state;
    this.#options = options;
  }

  /** Entries waiting to be applied. */
  get backlog(): number {
    return this.#queue.length - this.#head;
  }

  /** Takes committed entries; applies at once what fits a slice. */
  push(entries: readonly Entry[]): void {
    for (const entry of entries) this.#queue.push({ kind: 'entry', entry });
    if (!this.#scheduled) this.#run();
  }

  /**
   * From here on in the order the state is the one that `load` gives. Entries that still wait are covered by it and are
   * not applied: where too much is unflushed they never could be, since nothing is flushed while a state is replaced.
   */
  replace(load: () => Promise<Registry>): void {
    this.#queue = this.#queue.slice(this.#head).filter(({ kind }) => kind === 'replace');
    this.#head = 0;
    this.#queue.push({ kind: 'replace' });
    this.#loads.push(load);
    if (!this.#scheduled) this.#run();
  }

  /** Goes on after `mayApply` said no. */
  resume(): void {
    if (!this.#scheduled) this.#run();
  }

  stop(): void {
    this.#stopped = true;
  }

  readonly #loads: (() => Promise<Registry>)[] = [];

  #run(): void {
    if (this.#stopped || this.#loading) return;
    try {
      this.#slice();
    } catch (error) {
      this.#stopped = true;
      this.#options.onFatal(error);
    }
  }

  #slice(): void {
    const startMs = this.#options.clock.monotonicMs();
    const events: ChangeEvent[] = [];
    const sessions: SessionChange[] = [];
    let applied = false;
    for (;;) {
      const item = this.#queue[this.#head];
      if (item === undefined) break;
      if (item.kind === 'replace') {
        this.#take();
        if (applied) this.#options.onSlice(events, sessions);
        this.#load();
        return;
      }
      if (!this.#options.mayApply()) break;
      this.#take();
      this.#apply(item.entry, events, sessions);
      applied = true;
      if (this.#options.clock.monotonicMs() - startMs > sliceMsMax) break;
    }
    if (applied) this.#options.onSlice(events, sessions);
    if (this.backlog > 0 && this.#options.mayApply()) this.#schedule();
  }

  #apply(entry: Entry, events: ChangeEvent[], sessions: SessionChange[]): void {
    assertEqual(entry.index, this.#state.position.index + 1, 'index of the next entry to apply');
    // What such an entry says the consensus side has read: to the state it is one without commands.
    const outcome = this.#state.apply(isSystemData(entry.data) ? { ...entry, data: noCommands } : entry);
    for (const event of outcome.events) events.push(event);
    for (const change of outcome.sessions) sessions.push(change);
    this.#options.onEntry(entry, outcome);
  }

  #load(): void {
    const load = this.#loads.shift();
    if (load === undefined) return;
    this.#loading = true;
    load().then(
      (state) => {
        this.#loading = false;
        if (this.#stopped) return;
        this.#state = state;
        this.#options.onReplaced(state);
        this.#schedule();
      },
      (error: unknown) => {
        this.#stopped = true;
        this.#options.onFatal(error);
      },
    );
  }

  #take(): void {
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
      return;
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#options.clock.nextTurn(() => {
      this.#scheduled = false;
      this.#run();
    });
  }
}
