import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import { Option } from 'commander';
import { RollcallClient } from '../client/client.ts';
import type { OutputFormat, OutputOptions } from './output.ts';
import { Output } from './output.ts';
import { parseDuration, parseServers } from './values.ts';

/** The process around a command. */
export interface CliIo {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly workingDirectory: string;
  /** How the user starts this program: `rollcall`, or `npx rollcall`. */
  readonly programName: string;
  /** The file that starts it, absolute; undefined where the sources are run. */
  readonly launcherPath: string | undefined;
  /** Opened by the first call: what is never read must be left to the commands that are started here. */
  stdin(): Readable;
  /** Of this process; commands that it starts get it with what they are told on top. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C, SIGTERM, or when nobody reads standard output any more. From its first use on, only so. */
  interrupted(): AbortSignal;
  /** Puts a question on standard error and resolves with the line that is typed; undefined: nobody is there to ask. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Where standard input and output are a terminal. */
  readonly screen: Screen | undefined;
  /** Hands every signal of `passedSignals` to the listener, and only there, until the function returned is called. */
  onSignal(listener: (signal: PassedSignal) => void): () => void;
}

/** A terminal that a command may draw on. */
export interface Screen {
  /** Its size now, in characters. */
  size(): { readonly columns: number; readonly rows: number };
  /** Takes the keyboard: each key goes to the listener, Ctrl-C too, until the function returned is called. */
  onKey(listener: (key: string) => void): () => void;
}

/** Signals that a command started here gets too. */
export const passedSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
export type PassedSignal = (typeof passedSignals)[number];

/** A single member, then the three of the cluster that `npm start` runs. All on this machine. */
const defaultServers = '127.0.0.1:7400,127.0.0.1:7410,127.0.0.1:7420,127.0.0.1:7430';

interface GlobalOptions {
  readonly server: readonly string[];
  readonly output: OutputFormat;
  readonly timeout: number;
  readonly namespace: string;
}

/** What a command works with: the global options, and how to speak. */
export interface CliContext {
  readonly io: CliIo;
  readonly output: Output;
  readonly servers: readonly string[];
  /** The user named them. */
  readonly serversGiven: boolean;
  readonly timeoutMs: number;
  /** The user said it. */
  readonly timeoutGiven: boolean;
  readonly namespace: string;
}

export function addGlobalOptions(program: Command): void {
  program
    .addOption(
      new Option('--server <addresses>', 'members to talk to, host:port separated by commas')
        .env('ROLLCALL_SERVER')
        .argParser(parseServers)
        .default(parseServers(defaultServers), defaultServers.replaceAll(',', ', ')),
    )
    .addOption(
      new Option('--output <format>', 'table for people, json for programs')
        .env('ROLLCALL_OUTPUT')
        .choices(['table', 'json'])
        .default('table'),
    )
    .addOption(
      new Option('--timeout <duration>', 'how long a call may take with its retries')
        .env('ROLLCALL_TIMEOUT')
        .argParser(parseDuration)
        .default(10_000, '10s'),
    )
    .addOption(new Option('--namespace <name>', 'namespace of services').env('ROLLCALL_NAMESPACE').default('default'));
}

export function contextOf(command: Command, io: CliIo): CliContext {
  const { server, output, timeout, namespace } = command.optsWithGlobals<GlobalOptions>();
  return {
    io,
    output: new Output({ ...streamsOf(io), format: output }),
    servers: server,
    serversGiven: command.getOptionValueSourceWithGlobals('server') !== 'default',
    timeoutMs: timeout,
    timeoutGiven: command.getOptionValueSourceWithGlobals('timeout') !== 'default',
    namespace,
  };
}

export function streamsOf({ stdout, stderr, programName }: CliIo): Omit<OutputOptions, 'format'> {
  return { stdout, stderr, programName };
}

/**
 * Runs `use` with a client, and closes it whatever happens.
 *
 * @param patient Waits for members that are away, and spreads over those named; for what stays.
 */
export async function withClient<R>(
  context: CliContext,
  use: (client: RollcallClient) => Promise<R>,
  patient = false,
): Promise<R> {
  const client = new RollcallClient({
    servers: context.servers,
    callTimeoutMs: Math.min(context.timeoutMs, 600_000),
    // The order that the user gave; and an answer at once where nothing listens.
    spread: patient,
    failFast: !patient,
  });
  try {
    return await use(client);
  } finally {
    client.close();
  }
}
