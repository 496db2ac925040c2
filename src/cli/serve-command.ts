import type { Command } from 'commander';
import type { CliIo } from './context.ts';
import { contextOf } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import { JoinAsker } from './join-asker.ts';
import { packageVersion } from './package-version.ts';
import { collecting, parseServers } from './values.ts';

const examples = `
Examples:
  rollcall serve --config cluster-configs/single.yaml
  rollcall serve --config cluster-configs/three-members/a.yaml
  rollcall serve --config cluster-configs/joining/d.yaml
  rollcall serve --config d.yaml --join 127.0.0.1:7410,127.0.0.1:7420`;

interface ServeFlags {
  readonly config: string;
  readonly join?: readonly (readonly string[])[];
  readonly learner?: boolean;
}

export function addServeCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  program
    .command('serve')
    .summary('run a member')
    .description(
      'Runs a member of a cluster until SIGINT or SIGTERM. Its configuration files explain themselves. With --join, ' +
        'or join in the file, an empty member is taken in by a cluster that runs; later starts need neither.',
    )
    .requiredOption('--config <file>', 'YAML file with the settings of the member')
    .option(
      '--join <addresses>',
      'members of a running cluster, as clients reach them, host:port separated by commas; may be repeated',
      collecting(parseServers),
    )
    .option('--learner', 'joins to be fed, and never votes unless it is promoted')
    .addHelpText('after', examples)
    .action(async (flags: ServeFlags, command: Command) => {
      done(await serve(flags, io, command));
    });
}

async function serve(flags: ServeFlags, io: CliIo, command: Command): Promise<number> {
  const { ConfigError } = await import('../server/config-load.ts');
  const { loadConfig } = await import('../server/config.ts');
  const config = await loadConfig(flags.config, io.workingDirectory).catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error;
    throw new CliError(exitCodes.usage, error.message, 'correct the file; cluster-configs/ holds examples');
  });
  const servers = [...new Set(flags.join?.flat() ?? config.join)];
  const learner = flags.learner ?? config.learner;
  if (learner && servers.length === 0) {
    const hint = 'name members of the cluster with --join, or in the file as `join`';
    throw new CliError(exitCodes.usage, 'only a member that joins a cluster is a learner', hint, { field: 'learner' });
  }
  const { runMember } = await import('../server/run-member.ts');
  const version = packageVersion();
  if (servers.length === 0) return runMember(config, { version });
  const { output } = contextOf(command, io);
  const onTrouble = (text: string): void => output.message(`not taken in yet: ${text}`);
  const asker = new JoinAsker({ servers, learner, onTrouble });
  try {
    return await runMember(config, { version, join: { learner, ask: (peerAddress) => asker.ask(peerAddress) } });
  } finally {
    asker.close();
  }
}
