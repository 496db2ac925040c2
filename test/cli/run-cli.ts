import { Writable } from 'node:stream';
import { runCli } from '../../src/cli/program.ts';

class Captured extends Writable {
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
  const stdout = new Captured();
  const stderr = new Captured();
  const controller = new AbortController();
  const exitCode = runCli(args, {
    stdout,
    stderr,
    workingDirectory: process.cwd(),
    interrupted: () => controller.signal,
  });
  return {
    exitCode,
    stdout: () => stdout.text,
    stderr: () => stderr.text,
    interrupt: () => controller.abort(),
  };
}

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function cli(...args: readonly string[]): Promise<CliResult> {
  const run = startCli(...args);
  const exitCode = await run.exitCode;
  return { exitCode, stdout: run.stdout(), stderr: run.stderr() };
}
