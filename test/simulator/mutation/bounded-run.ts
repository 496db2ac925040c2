import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { assert } from '../../../src/base/assert.ts';

/** The end of the output is where a run says what became of it; the rest is thrown away. */
export const outputBytesMax = 256 * 1024;

export interface RunLimits {
  readonly directory: string;
  /** The whole group of processes is killed after so long. */
  readonly limitMs: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** Each whole line of standard output, as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface RunOutcome {
  /** Undefined where the limit or a signal ended it. */
  readonly exitCode: number | undefined;
  readonly timedOut: boolean;
  readonly elapsedMs: number;
  readonly standardOutput: string;
  readonly standardError: string;
}

/** What takes longer a timer of Node would end at once. */
const timerMsMax = 2 ** 31 - 1;

const living = new Set<ChildProcess>();
let watchesExit = false;

/**
 * Runs a command in a process group of its own, and kills what is left of the group when the command has ended or
 * `limitMs` have passed: a planted bug may well loop for ever, or leave a worker behind. Never rejects for what the
 * command does; rejects where it cannot be started.
 */
export async function boundedRun(command: readonly string[], limits: RunLimits): Promise<RunOutcome> {
  const [program, ...args] = command;
  assert(program !== undefined, 'a command has a program');
  killAllAtExit();
  const started = performance.now();
  const child = spawn(program, args, {
    cwd: limits.directory,
    env: { ...process.env, ...limits.environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  const standardOutput = new Tail(limits.onLine);
  const standardError = new Tail(undefined);
  child.stdout.on('data', (bytes: Buffer) => standardOutput.add(bytes));
  child.stderr.on('data', (bytes: Buffer) => standardError.add(bytes));
  let timedOut = false;
  const timer = setTimeout(
    () => {
      timedOut = true;
      killGroup(child);
    },
    Math.min(limits.limitMs, timerMsMax),
  );
  try {
    const exitCode = await new Promise<number | undefined>((resolve, reject) => {
      child.once('error', reject);
      // A grandchild may hold the pipes open, so `close` is waited for only after the group was killed.
      child.once('exit', () => killGroup(child));
      child.once('close', (code) => resolve(code ?? undefined));
    });
    standardOutput.end();
    return {
      exitCode: timedOut ? undefined : exitCode,
      timedOut,
      elapsedMs: performance.now() - started,
      standardOutput: standardOutput.text,
      standardError: standardError.text,
    };
  } finally {
    clearTimeout(timer);
    living.delete(child);
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    // Nothing is left of the group.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function killAllAtExit(): void {
  if (watchesExit) return;
  watchesExit = true;
  // Before whoever removes the directory that they write to.
  process.prependOnceListener('exit', () => {
    for (const child of living) killGroup(child);
  });
  // A signal would end the process without the event.
  // It may come twice, from a terminal and from whoever started this one: the second must not cut the first one short.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143));
  }
}

/** Keeps the last `outputBytesMax` characters, and cuts what comes into lines. */
class Tail {
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #decoder = new TextDecoder();
  #line = '';
  text = '';

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  add(bytes: Buffer): void {
    const more = this.#decoder.decode(bytes, { stream: true });
    this.text = (this.text + more).slice(-outputBytesMax);
    if (this.#onLine === undefined) return;
    const lines = (this.#line + more).split('\n');
    this.#line = (lines.pop() ?? '').slice(-outputBytesMax);
    for (const line of lines) this.#onLine(line);
  }

  end(): void {
    if (this.#line !== '') this.#onLine?.(this.#line);
  }
}
