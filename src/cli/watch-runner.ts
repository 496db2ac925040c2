import { ChildCommand } from './child-command.ts';
import type { PassedSignal } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import type { JsonFields } from './json-documents.ts';
import { jsonLine } from './output.ts';
import { formatDuration } from './values.ts';

export type Present = JsonFields<'rollcall.present.v1'>;

export interface ChangeRunnerOptions {
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** From the signal to SIGKILL, ms. */
  readonly graceMs: number;
  readonly endsWithFirst: boolean;
  readonly endsWithFailure: boolean;
  readonly tell: (text: string) => void;
  /** Called once: nothing is run any more. */
  readonly onOver: () => void;
}

/**
 * Runs a command at changes, one run at a time. What changes meanwhile is one change for the next run, which is told
 * what is there when it begins: nothing is queued.
 */
export class ChangeRunner {
  readonly #options: ChangeRunnerOptions;
  #child: ChildCommand | undefined;
  #working: Promise<void> | undefined;
  /** What the next run is told; asked when it begins. */
  #next: (() => Present) | undefined;
  #over = false;
  #stopping = false;
  #exitCode: number = exitCodes.ok;
  #failure: Error | undefined;

  constructor(options: ChangeRunnerOptions) {
    this.#options = options;
  }

  changed(present: () => Present): void {
    this.#next = present;
    this.#working ??= this.#work();
  }

  /** SIGTERM and SIGINT end the runs, and a second one kills the one that goes; others are passed on. */
  onSignal(signal: PassedSignal): void {
    if (signal !== 'SIGTERM' && signal !== 'SIGINT') {
      this.#child?.signal(signal);
      return;
    }
    if (this.#stopping) {
      this.#child?.kill();
      return;
    }
    this.#stopping = true;
    this.#end();
    if (this.#child !== undefined) this.#stop(this.#child, signal);
  }

  /** Resolves when no run goes. */
  async drained(): Promise<void> {
    await this.#working;
  }

  /** What the whole ends with. @throws CliError where the command cannot be started. */
  result(): number {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#exitCode;
  }

  async #work(): Promise<void> {
    try {
      while (this.#next !== undefined && !this.#over) await this.#run(this.#next());
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#end();
    } finally {
      this.#working = undefined;
    }
  }

  async #run(present: Present): Promise<void> {
    this.#next = undefined;
    const { command, environment, endsWithFirst, endsWithFailure, tell } = this.#options;
    const child = await ChildCommand.start({
      command,
      environment: { ...environment, ROLLCALL_REVISION: String(present.revision) },
      input: `${jsonLine('rollcall.present.v1', present)}\n`,
    });
    this.#child = child;
    // The signal may have come while it was being started.
    if (this.#stopping) this.#stop(child, 'SIGTERM');
    const exitCode = await child.ended;
    this.#child = undefined;
    if (this.#stopping) return;
    const last = endsWithFirst || (endsWithFailure && exitCode !== 0);
    if (exitCode !== 0) tell(`${command[0]} ended with ${exitCode}${last ? '' : '; waiting for the next change'}`);
    if (!last) return;
    this.#exitCode = exitCode;
    this.#end();
  }

  #stop(child: ChildCommand, signal: PassedSignal): void {
    const { command, graceMs, tell } = this.#options;
    void child.stop(signal, graceMs, () => {
      tell(`${command[0]} goes on ${formatDuration(graceMs)} after ${signal}: killed`);
    });
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.onOver();
  }
}
