import type { Command } from 'commander';
import type { CliIo } from './context.ts';
import { addMemberOrders } from './member-orders.ts';
import { addReplaceCommand } from './replace-command.ts';
import { addStatusCommand } from './status-command.ts';

const examples = `
Examples:
  rollcall cluster status
  rollcall cluster members
  rollcall cluster transfer b`;

export function addClusterCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  const cluster = program
    .command('cluster')
    .summary('look after the members')
    .description('Looks after the members.')
    .addHelpText('after', examples);
  addStatusCommand(cluster, io, done);
  addMemberOrders(cluster, io, done);
  addReplaceCommand(cluster, io, done);
}
