import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CliIo, PassedSignal } from './context.ts';
import { passedSignals } from './context.ts';
import { runCli } from './program.ts';
import { askOnTerminal, screenOf } from './terminal.ts';

/** Nobody reads any more, as behind `| head`: the end of a command, not its failure. */
const readerGone = new AbortController();

function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  readerGone.abort();
}

function interrupted(): AbortSignal {
  const signalled = new AbortController();
  const abort = (): void => signalled.abort();
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  return AbortSignal.any([signalled.signal, readerGone.signal]);
}

function onSignal(listener: (signal: PassedSignal) => void): () => void {
  for (const signal of passedSignals) process.on(signal, listener);
  return () => {
    for (const signal of passedSignals) process.off(signal, listener);
  };
}

const launcher = join(import.meta.dirname, 'launcher.cjs');

const io: CliIo = {
  stdout: process.stdout,
  stderr: process.stderr,
  workingDirectory: process.cwd(),
  // npm tells what it runs that it was `npx`.
  programName: process.env['npm_lifecycle_event'] === 'npx' ? 'npx rollcall' : 'rollcall',
  launcherPath: existsSync(launcher) ? launcher : undefined,
  stdin: () => process.stdin,
  environment: process.env,
  ask: process.stdin.isTTY && process.stderr.isTTY ? askOnTerminal : undefined,
  screen: process.stdin.isTTY && process.stdout.isTTY ? screenOf(process.stdin, process.stdout) : undefined,
  interrupted,
  onSignal,
};

process.stdout.on('error', onOutputError);
process.stderr.on('error', onOutputError);

const exitCode = await runCli(process.argv.slice(2), io);
process.exitCode = exitCode;
// A member that failed leaves its sockets and timers as they are, and must not go on half alive.
if (exitCode !== 0) process.exit();
