import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CliError } from './exit-codes.ts';

/** As shells end when a command cannot be started. */
const notExecutable = 126;
const notFound = 127;
/** As shells report the end by a signal: this and its number. */
const signalBase = 128;

export interface ChildOptions {
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Given as standard input; undefined: it has ours. */
  readonly input?: string;
}

/**
 * A command that was started here, with our standard output and error. It has a process group of its own: Ctrl-C in a
 * terminal reaches this program alone, which passes it on when it is time, and not twice.
 */
export class ChildCommand {
  readonly #process: ChildProcess;
  readonly name: string;
  /** Resolves with its exit code, or 128 and the number of the signal that it died by. */
  readonly ended: Promise<number>;
  #running = true;

  /** @throws CliError 126 or 127 where it cannot be started. */
  static async start({ command, environment, input }: ChildOptions): Promise<ChildCommand> {
    const [file = '', ...args] = command;
    const started = spawn(file, args, {
      stdio: [input === undefined ? 'inherit' : 'pipe', 'inherit', 'inherit'],
      env: environment,
      detached: true,
    });
    const child = new ChildCommand(file, started);
    await new Promise<void>((resolve, reject) => {
      started.once('spawn', resolve);
      started.once('error', (error: NodeJS.ErrnoException) => reject(notStarted(file, error)));
    });
    // A command that does not read all of its input, or ends before, is none that failed.
    started.stdin?.on('error', () => {});
    started.stdin?.end(input);
    return child;
  }

  private constructor(name: string, started: ChildProcess) {
    this.name = name;
    this.#process = started;
    this.ended = new Promise((resolve) => {
      started.once('exit', (code, signal) => {
        this.#running = false;
        resolve(code ?? signalBase + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  }

  get running(): boolean {
    return this.#running;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#running) this.#process.kill(signal);
  }

  /** SIGKILL to it and what it has started and not set apart. */
  kill(): void {
    if (!this.#running) return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // The group is of another user, or gone.
      this.#process.kill('SIGKILL');
    }
  }

  /**
   * Signals it and waits for its end; after the grace it is killed, and `onKill` told.
   *
   * @returns As `ended`.
   */
  async stop(signal: NodeJS.Signals, graceMs: number, onKill: () => void): Promise<number> {
    this.signal(signal);
    const timer = setTimeout(() => {
      onKill();
      this.kill();
    }, graceMs);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }
}

function notStarted(file: string, error: NodeJS.ErrnoException): CliError {
  const absent = error.code === 'ENOENT';
  const hint = absent
    ? 'give the command as in a shell: a name found in PATH, or a path'
    : 'see whether it is a program, and may be executed: `ls -l`';
  const why = absent ? 'not found' : error.message;
  return new CliError(absent ? notFound : notExecutable, `${file} cannot be started: ${why}`, hint, {
    reason: absent ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_STARTED',
    code: absent ? 'NOT_FOUND' : 'FAILED_PRECONDITION',
    field: 'CMD',
  });
}
