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
}

/** In this environment variable a worker is told that it is one. */
export const workerMark = 'ROLLCALL_SIMULATE_WORKER';

/** Runs seeds in processes of their own, one a worker at a time. Resolves when `next` has no more. */
export class SeedPool {
  readonly #options: SeedPoolOptions;
  readonly #children = new Set<ChildProcess>();

  constructor(options: SeedPoolOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { workers } = this.#options;
    try {
      await Promise.all(Array.from({ length: workers }, () => this.#work()));
    } finally {
      this.stop();
    }
  }

  /** Ends all workers, by process id. */
  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children.clear();
  }

  #work(): Promise<void> {
    const { script, next, onReport } = this.#options;
    return new Promise((resolve, reject) => {
      // Most of what a run makes is garbage at once: a larger young generation saves a tenth of the time.
      const execArgv = [...process.execArgv, '--max-semi-space-size=32'];
      const child = fork(script, [], {
        execArgv,
        env: { ...process.env, [workerMark]: '1' },
        stdio: ['ignore', 2, 2, 'ipc'],
      });
      this.#children.add(child);
      let current: SeedRun | undefined;
      let done = false;
      const give = (): void => {
        current = next();
        if (current !== undefined) {
          child.send(current);
          return;
        }
        done = true;
        child.disconnect();
      };
      child.on('message', (answer: WorkerAnswer) => {
        if (answer.kind === 'report') onReport(answer.report);
        give();
      });
      child.on('exit', (code, signal) => {
        this.#children.delete(child);
        if (done || signal === 'SIGKILL') resolve();
        else reject(new Error(`the worker of seed ${current?.seed} ended with ${code ?? signal}`));
      });
      child.on('error', reject);
    });
  }
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
  // Nobody waits for what it is at any more.
  process.on('disconnect', () => process.exit(0));
  tell({ kind: 'ready' });
}
