import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { waitFor } from '../../scripts/cluster/process-cluster.ts';

/** A line of an example: JSON with `event`, and what belongs to it. */
export interface Line {
  readonly event: string;
  readonly [fact: string]: unknown;
}

/** How to start an example: what comes before `register SERVICE ...`. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/** One run of an example, with all that it has printed. Whoever starts one calls `kill`, also on failure. */
export class ExampleProgram {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  readonly #what: string;
  readonly #ended: Promise<number | null>;
  #errors = '';

  constructor(command: Command, args: readonly string[]) {
    this.#what = args.slice(0, 3).join(' ');
    this.#child = spawn(command.file, [...command.args, ...args], {
      cwd: command.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('pipes were asked for');
    createInterface({ input: stdout }).on('line', (line) => this.lines.push(JSON.parse(line) as Line));
    stderr.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    // When all that it has printed is read, too.
    this.#ended = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  /** Resolves with the first line of this event, optionally behind the first `after` lines, that `fits`. */
  line(event: string, timeoutMs: number, fits: (line: Line) => boolean = () => true, after: number = 0): Promise<Line> {
    return waitFor(`"${event}" of ${this.#what}`, timeoutMs, async () => {
      const found = this.lines.slice(after).find((line) => line.event === event && fits(line));
      if (found === undefined && this.#child.exitCode !== null) {
        throw new Error(`${this.#what} ended with ${this.#child.exitCode} before "${event}"`);
      }
      return Promise.resolve(found);
    });
  }

  /** All that it has printed, for the message of a failure. */
  get transcript(): string {
    return `${this.#what}:\n${this.lines.map((line) => JSON.stringify(line)).join('\n')}\n${this.#errors}`;
  }

  /** Stands still, as on a machine that sleeps. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Resolves once it has ended by itself with exit code 0. */
  async succeeded(): Promise<void> {
    const code = await this.#ended;
    if (code !== 0) throw new Error(`${this.#what} ended with ${code}`);
  }

  /** Asks it to end; resolves once it has done so with exit code 0. */
  terminated(): Promise<void> {
    this.#child.kill('SIGTERM');
    return this.succeeded();
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
