import { Command, CommanderError } from 'commander';
import { ClientError } from '../client/client-error.ts';
import { addClusterCommand } from './cluster-command.ts';
import type { CliIo } from './context.ts';
import { addGlobalOptions } from './context.ts';
import { addDeregisterCommand } from './deregister-command.ts';
import { CliError, cliErrorOf, exitCodes } from './exit-codes.ts';
import { addDevCommand, addServeCommand } from './member-commands.ts';
import { Output } from './output.ts';
import { packageVersion } from './package-version.ts';
import { addDiscoverCommand, addServicesCommand } from './read-commands.ts';
import { addRegisterCommand } from './register-command.ts';
import { addWatchCommand } from './watch-command.ts';

const footer = `
Every global option can be given as ROLLCALL_SERVER, ROLLCALL_OUTPUT, ... in the environment.
Exit codes: 0 ok, 1 other, 2 usage, 3 not found, 4 denied, 5 no quorum, 6 conflict, 7 timeout.`;

/** Runs one command line, without the name of the program. Resolves with the exit code; never rejects. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = exitCodes.other;
  const program = buildProgram(io, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    return tell(error, io);
  }
}

function buildProgram(io: CliIo, done: (exitCode: number) => void): Command {
  const program = new Command('rollcall')
    .description('A service registry: processes register, clients discover and watch.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('--help', 'explain a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
    })
    .configureHelp({ showGlobalOptions: true, sortOptions: false })
    .showHelpAfterError('next: the same with --help explains the command and shows examples')
    .addHelpText('after', footer);
  addGlobalOptions(program);
  program.commandsGroup('Run:');
  addDevCommand(program, io, done);
  addServeCommand(program, io, done);
  program.commandsGroup('Register:');
  addRegisterCommand(program, io, done);
  addDeregisterCommand(program, io, done);
  program.commandsGroup('Look:');
  addServicesCommand(program, io, done);
  addDiscoverCommand(program, io, done);
  addWatchCommand(program, io, done);
  program.commandsGroup('Members:');
  addClusterCommand(program, io, done);
  program.commandsGroup('Help:');
  return program;
}

/** What a failed command prints, and its exit code. */
function tell(error: unknown, io: CliIo): number {
  // Commander has printed its own.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const output = new Output(io.stdout, io.stderr, 'table');
  const told = error instanceof ClientError ? cliErrorOf(error) : error;
  if (told instanceof CliError) {
    output.message(`error: ${told.message}`);
    output.message(`next: ${told.hint}`);
    return told.exitCode;
  }
  output.message(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  output.message('next: this is a fault of rollcall itself; please report it with the lines above');
  return exitCodes.other;
}
