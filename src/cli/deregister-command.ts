import type { Command } from 'commander';
import { checkInstanceId, checkName } from '../client/input-checks.ts';
import type { CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { checkService } from './instance-options.ts';
import { parseInteger } from './values.ts';

const examples = `
Examples:
  rollcall deregister web --id web-1
  rollcall deregister web --id web-1 --reason "host is being replaced"
  rollcall deregister web --id web-1 --incarnation 17 --dry-run`;

interface DeregisterFlags {
  readonly id: string;
  readonly incarnation?: number;
  readonly reason?: string;
  readonly dryRun?: true;
}

export function addDeregisterCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  program
    .command('deregister <service>')
    .summary('remove an instance')
    .description('Removes an instance. Where it is absent that is said, and no failure.')
    .requiredOption('--id <id>', 'id of the instance')
    .option('--incarnation <number>', 'only this incarnation of it (exit code 6 for another)', (text) =>
      parseInteger(text, 1),
    )
    .option('--reason <text>', 'kept with the change, for those who watch')
    .option('--dry-run', 'check, and print what would be sent')
    .addHelpText('after', examples)
    .action(async (service: string, flags: DeregisterFlags, command: Command) => {
      const context = contextOf(command, io);
      const { output, namespace } = context;
      checkName('namespace', namespace);
      checkService(service);
      checkInstanceId('id', flags.id);
      const { id, incarnation = 0, reason = '' } = flags;
      const request = { namespace, service, id, incarnation, reason };
      if (flags.dryRun === true) {
        await output.json('rollcall.deregister-request.v1', { dryRun: true, ...request });
        done(exitCodes.ok);
        return;
      }
      const { existed, header } = await withClient(context, (client) => client.deregister(request));
      const { revision, member } = header;
      if (output.format === 'json') {
        await output.json('rollcall.deregister.v1', { namespace, service, id, existed, revision, member });
      } else if (existed) await output.lines([`deregistered ${service}/${id}: revision ${revision}`]);
      if (!existed) output.message(`${service}/${id} was not registered; nothing changed`);
      done(exitCodes.ok);
    });
}
