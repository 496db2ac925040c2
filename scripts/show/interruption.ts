const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Why the run is to end early, and the exit code that says so. */
export interface Interruption {
  readonly exitCode: number;
  readonly reason: string;
  /** Nobody reads what is printed any more. */
  readonly mute: boolean;
}

/** npm hands on the signal that the terminal has sent as well: one Ctrl-C may arrive twice. */
const sameSignalMs = 1_000;

/**
 * Everything that ends a run from outside or by a fault: signals, a reader of the output that is gone, an error that
 * nobody caught.
 */
export class Interruptions {
  readonly #first: Promise<Interruption>;
  #interrupt!: (interruption: Interruption) => void;
  #atMs: number | undefined;

  /** @param onImpatient A second signal, later than the first: end at once. */
  constructor(onImpatient: () => void) {
    this.#first = new Promise((resolve) => {
      this.#interrupt = resolve;
    });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        const nowMs = performance.now();
        if (this.#atMs !== undefined && nowMs - this.#atMs > sameSignalMs) onImpatient();
        this.#atMs ??= nowMs;
        this.#interrupt({ exitCode: exitCodes[signal], reason: signal, mute: false });
      });
    }
    for (const stream of [process.stdout, process.stderr]) {
      stream.on('error', () => this.#interrupt({ exitCode: 1, reason: 'nobody reads the output', mute: true }));
    }
    const fault = (error: unknown): void => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#interrupt({ exitCode: 1, reason: text, mute: false });
    };
    process.on('uncaughtException', fault);
    process.on('unhandledRejection', fault);
  }

  /** Resolves with the first one; never rejects. */
  get first(): Promise<Interruption> {
    return this.#first;
  }
}
