import { type ChildProcess, fork } from 'node:child_process';
import type { SeedReport, SeedRun } from './run-seed.ts';

/** What comes from a worker. */
export type WorkerAnswer = { readonly kind: 'report'; readonly report: SeedReport } | { readonly kind: 'ready' };

export interface SeedPoolOptions {
  /** The script that is also the worker: see `serveSeeds`. */
  readonly script: string;
  readonly workers: number;
  /** The next run, or undefined where there is none any more. */
  readonly next: () => SeedRun | undefined;
  readonly onReport: (report: SeedReport) => void;
  /** Of the real clock: a run that takes longer has lost its way. Default: `seedMsMaxDefault`. */
  readonly seedMsMax?: number;
}

/** In this environment variable a worker is told that it is one. */
export const workerMark = 'ROLLCALL_SIMULATE_WORKER';

/** Far beyond what any seed takes: no virtual time ends a loop in which none passes. */
export const seedMsMaxDefault = 10 * 60_000;

/** A run whose worker was lost in the midst of it. */
interface LostRun {
  readonly run: SeedRun;
  readonly how: string;
}

/**
 * Runs seeds in processes of their own, one a worker at a time. A seed that ends its worker, or never ends, is told as
 * a breach of the checker `worker`, and the worker is replaced.
 */
export class SeedPool {
  readonly #options: SeedPoolOptions;
  readonly #children = new Set<ChildProcess>();
  #stopped = false;

  constructor(options: SeedPoolOptions) {
    this.#options = options;
  }

  /** Resolves when `next` has no more, or behind `stop`. Rejects where a worker ends before it was given a seed. */
  async run(): Promise<void> {
    const { workers } = this.#options;
    try {
      await Promise.all(Array.from({ length: workers }, () => this.#lane()));
    } finally {
      this.stop();
    }
  }

  /** Ends all workers, by process id. What they were at is not told. */
  stop(): void {
    this.#stopped = true;
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async #lane(): Promise<void> {
    for (let lost = await this.#work(); lost !== undefined; lost = await this.#work()) {
      this.#options.onReport(lostReport(lost));
      if (this.#stopped) return;
    }
  }

  #work(): Promise<LostRun | undefined> {
    const { next, onReport, seedMsMax = seedMsMaxDefault } = this.#options;
    return new Promise((resolve, reject) => {
      const child = this.#fork();
      let current: SeedRun | undefined;
      let isDone = false;
      let isOverdue = false;
      let timer: NodeJS.Timeout | undefined;
      const give = (): void => {
        clearTimeout(timer);
        current = this.#stopped ? undefined : next();
        if (current === undefined) {
          isDone = true;
          if (child.connected) child.disconnect();
          return;
        }
        timer = setTimeout(() => {
          isOverdue = true;
          child.kill('SIGKILL');
        }, seedMsMax);
        child.send(current);
      };
      child.on('message', (answer: WorkerAnswer) => {
        if (this.#stopped) return;
        if (answer.kind === 'report') onReport(answer.report);
        give();
      });
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        this.#children.delete(child);
        const how = isOverdue ? `has not ended in ${seedMsMax} ms` : `has ended its process with ${code ?? signal}`;
        if (this.#stopped || isDone) resolve(undefined);
        else if (current !== undefined) resolve({ run: current, how });
        else reject(new Error(`a worker ${how} before its first seed`));
      });
      child.on('error', reject);
    });
  }

  #fork(): ChildProcess {
    // Most of what a run makes is garbage at once: a larger young generation saves a tenth of the time.
    const execArgv = [...process.execArgv, '--max-semi-space-size=32'];
    const child = fork(this.#options.script, [], {
      execArgv,
      env: { ...process.env, [workerMark]: '1' },
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.#children.add(child);
    return child;
  }
}

/** Nothing is known of it but that it broke off. */
function lostReport({ run: { seed, profile }, how }: LostRun): SeedReport {
  return {
    seed,
    profile,
    breach: { checker: 'worker', text: `the run ${how}`, atMs: 0 },
    virtualMs: 0,
    wallMs: 0,
    steps: 0,
    events: 0,
    operations: { ok: 0, refused: 0, failed: 0, unknown: 0 },
    watchSteps: 0,
    faults: [],
    situations: [],
    traceHash: '',
    undecided: '',
  };
}

/** The worker's side: answers each run with its report, until the other side lets go. */
export function serveSeeds(run: (run: SeedRun) => Promise<SeedReport>): void {
  const tell = (answer: WorkerAnswer): void => void process.send?.(answer);
  process.on('message', (message: SeedRun) => {
    run(message).then(
      (report) => tell({ kind: 'report', report }),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
        process.exit(1);
      },
    );
  });
  // A terminal tells all of its processes: whoever started this one ends it.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
  // Nobody waits for what it is at any more.
  process.on('disconnect', () => process.exit(0));
  tell({ kind: 'ready' });
}
