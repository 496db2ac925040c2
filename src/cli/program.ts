import { Command, CommanderError } from 'commander';
import { ClientError } from '../client/client-error.ts';
import { addApplyCommand } from './apply-command.ts';
import { addClusterCommand } from './cluster-command.ts';
import { addCompletionCommand } from './completion-command.ts';
import type { CliIo } from './context.ts';
import { addGlobalOptions, streamsOf } from './context.ts';
import { addDeregisterCommand } from './deregister-command.ts';
import { addDevCommand } from './dev-command.ts';
import { CliError, cliErrorOf, exitCodes } from './exit-codes.ts';
import type { OutputFormat } from './output.ts';
import { Output } from './output.ts';
import { packageVersion } from './package-version.ts';
import { addDiscoverCommand, addServicesCommand } from './read-commands.ts';
import { addRegisterCommand } from './register-command.ts';
import { addRunCommand } from './run-command.ts';
import { addServeCommand } from './serve-command.ts';
import { addTopCommand } from './top-command.ts';
import { addWatchCommand } from './watch-command.ts';

/** Columns of the help, whatever the terminal has: it stands in docs/reference/cli.md as well. */
const helpColumns = 80;

const footer = `
Exit codes: 0 ok, 1 other, 2 usage, 3 not found, 4 denied, 5 no quorum,
6 conflict, 7 timeout. \`run\` ends as the command does that it runs.

Examples:
  rollcall dev
  rollcall run web --endpoint main=http://127.0.0.1:8080 -- node server.js
  rollcall discover web
  rollcall run --help`;

/** Runs one command line, without the name of the program. Resolves with the exit code; never rejects. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = exitCodes.other;
  let takesStale = false;
  const { own, command } = split(args);
  const format = wantedFormat(own, io);
  const program = buildProgram(io, {
    command,
    quietErrors: format === 'json',
    done: (code) => {
      exitCode = code;
    },
  });
  program.hook('preAction', (_, action) => {
    takesStale = action.options.some(({ long }) => long === '--stale');
  });
  try {
    await program.parseAsync(own, { from: 'user' });
    return exitCode;
  } catch (error) {
    return tell(error, io, { format, takesStale, lacksDashes: command === undefined && lacksDashes(own, error) });
  }
}

/** What stands behind the first `--` is a command to start, and none of our business. */
function split(args: readonly string[]): { readonly own: string[]; readonly command: readonly string[] | undefined } {
  const at = args.indexOf('--');
  return at < 0 ? { own: [...args], command: undefined } : { own: args.slice(0, at), command: args.slice(at + 1) };
}

export interface ProgramOptions {
  /** What stands behind `--`; undefined: there is no `--`. */
  readonly command: readonly string[] | undefined;
  /** No help where it is asked for by mistake. */
  readonly quietErrors: boolean;
  readonly done: (exitCode: number) => void;
}

/** The whole command line, also to be looked at by what explains or completes it. */
export function buildProgram(io: CliIo, { command, quietErrors, done }: ProgramOptions): Command {
  const program = new Command('rollcall')
    .description('A service registry: processes register, clients discover and watch.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('--help', 'explain a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void (quietErrors || io.stderr.write(text)),
      // Told by `runCli`, which knows what to try next.
      outputError: () => {},
      getOutHelpWidth: () => helpColumns,
      getErrHelpWidth: () => helpColumns,
    })
    .configureHelp({ showGlobalOptions: true, sortOptions: false, minWidthToWrap: 20 })
    .addHelpText('after', footer)
    .hook('preAction', (_, action) => {
      if (command !== undefined && !['run', 'watch'].includes(action.name())) {
        const hint = '`rollcall run` and `rollcall watch` start a command';
        throw new CliError(exitCodes.usage, `${action.name()} takes no command behind --`, hint);
      }
    });
  addGlobalOptions(program);
  program.commandsGroup('Run:');
  addDevCommand(program, io, done);
  addServeCommand(program, io, done);
  program.commandsGroup('Register:');
  addRunCommand(program, io, command, done);
  addRegisterCommand(program, io, done);
  addDeregisterCommand(program, io, done);
  addApplyCommand(program, io, done);
  program.commandsGroup('Look:');
  addServicesCommand(program, io, done);
  addDiscoverCommand(program, io, done);
  addWatchCommand(program, io, command, done);
  program.commandsGroup('Members:');
  addClusterCommand(program, io, done);
  addTopCommand(program, io, done);
  program.commandsGroup('Help:');
  addCompletionCommand(program, io, done);
  program.helpCommand('help [command]', 'explain a command');
  return program;
}

/** As the options will say it; needed also where they cannot be read. */
function wantedFormat(args: readonly string[], { environment }: CliIo): OutputFormat {
  const given = args.flatMap((arg, i) => {
    if (arg === '--output') return [args[i + 1] ?? ''];
    return arg.startsWith('--output=') ? [arg.slice('--output='.length)] : [];
  });
  return (given.at(-1) ?? environment['ROLLCALL_OUTPUT']) === 'json' ? 'json' : 'table';
}

/** What is left over is a command that stands without its `--`, as far as can be told. */
function lacksDashes(args: readonly string[], error: unknown): boolean {
  const code = error instanceof CommanderError ? error.code : '';
  const name = args.find((arg) => arg === 'run' || arg === 'watch');
  return (
    (code === 'commander.excessArguments' && name !== undefined) ||
    (code === 'commander.unknownOption' && name === 'run')
  );
}

/** What advice depends on beside the error. */
interface Circumstances {
  readonly format: OutputFormat;
  /** The command is a read with --stale. */
  readonly takesStale: boolean;
  readonly lacksDashes: boolean;
}

/** What a failed command prints, and its exit code. */
function tell(error: unknown, io: CliIo, circumstances: Circumstances): number {
  const { format } = circumstances;
  // Commander has printed it.
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
  if (error instanceof CommanderError && error.code === 'commander.help' && format === 'table') return exitCodes.usage;
  const output = new Output({ ...streamsOf(io), format });
  const told = toldAs(error, circumstances);
  if (format === 'json') {
    const { reason, code, message, field = null, hint, exitCode, mayHaveApplied, retryAfterMs = null } = told;
    const facts = { field, exitCode, mayHaveApplied, retryAfterMs };
    output.jsonError({ reason, code, message: output.advice(message), hint: output.advice(hint), ...facts });
  } else {
    output.message(`error: ${told.message}`);
    output.message(`next: ${told.hint}`);
  }
  return told.exitCode;
}

function toldAs(error: unknown, { takesStale, lacksDashes: withoutDashes }: Circumstances): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof ClientError) return cliErrorOf(error, takesStale);
  if (error instanceof CommanderError) {
    const message = error.code === 'commander.help' ? 'no command is given' : error.message.replace(/^error: /, '');
    const [, field] = /(?:option|argument) '(?:-\w, )?(?:--)?([\w-]+)/.exec(message) ?? [];
    const hint = withoutDashes
      ? 'put -- before the command, as in `rollcall run web --endpoint main=http://127.0.0.1:80 -- node server.js`'
      : 'the same with --help explains the command and shows examples';
    return new CliError(exitCodes.usage, message, hint, { field });
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const hint = 'this is a fault of rollcall itself; please report it with the lines above';
  return new CliError(exitCodes.other, text, hint, { reason: 'FAULT', code: 'INTERNAL' });
}
