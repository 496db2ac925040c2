import type { Command } from 'commander';
import { Argument } from 'commander';
import { ClientError } from '../client/client-error.ts';
import { modelOf } from './completion-model.ts';
import { bashScript, fishScript, zshScript } from './completion-scripts.ts';
import type { CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { exitCodes } from './exit-codes.ts';

const examples = `
Examples:
  source <(rollcall completion bash)                  # in ~/.bashrc
  source <(rollcall completion zsh)                   # in ~/.zshrc
  rollcall completion fish | source                   # in config.fish
  source <(npx rollcall completion bash)              # in a clone`;

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

export function addCompletionCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  program
    .command('completion')
    .summary('print a script that completes commands in a shell')
    .description(
      'Prints a script for a shell, which then completes commands, options, and the names of services, for which it ' +
        'asks the registry. Where the shell finds no program rollcall, the script defines it as a function that ' +
        'starts this one.',
    )
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', examples)
    .action((shell: keyof typeof scripts) => {
      io.stdout.write(scripts[shell](modelOf(program), io.launcherPath));
      done(exitCodes.ok);
    });
  const services = program
    .command('complete-services', { hidden: true })
    .argument('[prefix]', 'how they begin', '')
    .action(async (prefix: string) => {
      done(exitCodes.ok);
      const context = contextOf(services, io);
      try {
        const listed = await withClient(context, (client) =>
          // What is old is good enough here, and comes without a leader.
          client.listServices({ namespace: context.namespace, prefix, consistency: 'stale' }),
        );
        // Shells expand what they are offered: nothing else than a name may get there.
        const names = listed.services.map(({ service }) => service).filter((name) => /^[a-z0-9.-]+$/.test(name));
        await context.output.lines(names);
      } catch (error) {
        // Whoever presses a key wants no error.
        if (!(error instanceof ClientError)) throw error;
      }
    });
}
