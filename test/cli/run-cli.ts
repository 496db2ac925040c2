import { Readable, Writable } from 'node:stream';
import type { CliIo } from '../../src/cli/context.ts';
import { runCli } from '../../src/cli/program.ts';

/** Keeps what is written. */
export class Captured extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += chunk.toString('utf8');
    callback();
  }
}

export interface CliRun {
  readonly exitCode: Promise<number>;
  /** What was printed until now. */
  stdout(): string;
  stderr(): string;
  /** As Ctrl-C. */
  interrupt(): void;
}

/** Starts a command in this process, with streams and signal of its own. */
export function startCli(...args: readonly string[]): CliRun {
  return startCliWith('', args);
}

function startCliWith(stdin: string, args: readonly string[]): CliRun {
  const stdout = new Captured();
  const stderr = new Captured();
  const controller = new AbortController();
  const exitCode = runCli(args, testIo({ stdin, stdout, stderr, signal: controller.signal }));
  return {
    exitCode,
    stdout: () => stdout.text,
    stderr: () => stderr.text,
    interrupt: () => controller.abort(),
  };
}

export interface TestIo {
  readonly stdin?: string;
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  readonly signal?: AbortSignal;
  readonly launcherPath?: string;
  readonly ask?: CliIo['ask'];
  readonly screen?: CliIo['screen'];
}

/** The process around a command, as far as a test gives it. */
export function testIo(given: TestIo = {}): CliIo {
  const { stdin = '', stdout, stderr, signal = new AbortController().signal, launcherPath } = given;
  return {
    launcherPath,
    stdin: () => Readable.from([stdin]),
    stdout: stdout ?? new Captured(),
    stderr: stderr ?? new Captured(),
    workingDirectory: process.cwd(),
    programName: 'rollcall',
    environment: process.env,
    ask: given.ask,
    screen: given.screen,
    interrupted: () => signal,
    onSignal: (listener) => {
      const pass = (): void => listener('SIGINT');
      signal.addEventListener('abort', pass);
      return () => signal.removeEventListener('abort', pass);
    },
  };
}

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function cli(...args: readonly string[]): Promise<CliResult> {
  return cliWith('', ...args);
}

/** The same with a text on its standard input. */
export async function cliWith(stdin: string, ...args: readonly string[]): Promise<CliResult> {
  const run = startCliWith(stdin, args);
  const exitCode = await run.exitCode;
  return { exitCode, stdout: run.stdout(), stderr: run.stderr() };
}
