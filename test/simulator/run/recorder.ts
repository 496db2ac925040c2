import type { Action, HeldBySession, Operation, Outcome, Recorder, SimEvent, WatchStep } from '../types.ts';

/** Takes what clients do, numbers it, and tells it on. */
export class RunRecorder implements Recorder {
  readonly #now: () => number;
  readonly #tell: (event: SimEvent) => void;
  readonly #next = { value: 0, watch: 0 };
  readonly open = new Set<Operation>();
  readonly counts = { ok: 0, refused: 0, failed: 0, unknown: 0 };
  #operations = 0;
  watchSteps = 0;

  constructor(now: () => number, tell: (event: SimEvent) => void) {
    this.#now = now;
    this.#tell = tell;
  }

  get nowMs(): number {
    return this.#now();
  }

  get operations(): number {
    return this.#operations;
  }

  invoked(client: string, action: Action): Operation {
    const operation: Operation = {
      number: ++this.#operations,
      client,
      action,
      startMs: this.#now(),
      endMs: Infinity,
      outcome: undefined,
    };
    this.open.add(operation);
    this.#tell({ kind: 'invoked', operation });
    return operation;
  }

  returned(operation: Operation, outcome: Outcome): void {
    if (!this.open.delete(operation)) return;
    operation.endMs = this.#now();
    operation.outcome = outcome;
    this.counts[outcome.kind]++;
    this.#tell({ kind: 'returned', operation });
  }

  watched(step: WatchStep): void {
    this.watchSteps++;
    this.#tell({ kind: 'watched', step });
  }

  watchOpened(watch: number, client: string, since: number): void {
    this.#tell({ kind: 'watch-opened', watch, client, since });
  }

  watchEnded(watch: number, reason: string): void {
    this.#tell({ kind: 'watch-ended', watch, reason });
  }

  kept(client: string, leaseId: number, sinceMs: number): void {
    this.#tell({ kind: 'kept', client, leaseId, sinceMs });
  }

  holds(client: string, held: HeldBySession): void {
    this.#tell({ kind: 'holds', client, held });
  }

  clientGone(client: string): void {
    // What a process asked for and did not hear of stays open for ever: nobody waits for it.
    for (const operation of this.open) if (operation.client === client) this.open.delete(operation);
    this.#tell({ kind: 'client-gone', client });
  }

  next(what: 'value' | 'watch'): number {
    return ++this.#next[what];
  }
}
