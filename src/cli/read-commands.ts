import type { Command } from 'commander';
import type { Discovered, Paged, ServicesListed } from '../client/types.ts';
import type { CliContext, CliIo } from './context.ts';
import { contextOf, withClient } from './context.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import type { FilterFlags } from './filter-options.ts';
import { filterOf, withFilterOptions } from './filter-options.ts';
import type { Output } from './output.ts';
import { counted, instanceHeader, instanceRow } from './render.ts';
import { formatDuration, parseInteger } from './values.ts';

const servicesExamples = `
Examples:
  rollcall services
  rollcall services --prefix shop.
  rollcall services --namespace staging --output json`;

const discoverExamples = `
Examples:
  rollcall discover web
  rollcall discover web --tag blue --zone eu-1a --version-range '^1.4'
  rollcall discover web --meta 'track in stable,canary' --status up
  rollcall discover web --stale --output json
  rollcall discover web --min-revision 1234`;

interface ReadFlags extends FilterFlags {
  readonly stale?: true;
  readonly minRevision?: number;
  readonly prefix?: string;
}

function withReadOptions(command: Command): Command {
  return command
    .option('--stale', 'what the asked member has, also without a leader; says how old it may be')
    .option('--min-revision <number>', 'wait until the asked member has this revision', (text) => parseInteger(text));
}

function readOptions({ namespace }: CliContext, { stale, minRevision = 0 }: ReadFlags) {
  return { namespace, minRevision, consistency: stale === true ? ('stale' as const) : ('linearizable' as const) };
}

export function addServicesCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  withReadOptions(
    program
      .command('services')
      .summary('list services')
      .description('Lists the services of a namespace with the number of their instances.')
      .option('--prefix <text>', 'only those whose name begins so', ''),
  )
    .addHelpText('after', servicesExamples)
    .action(async (flags: ReadFlags, command: Command) => {
      const context = contextOf(command, io);
      const listed = await withClient(context, (client) =>
        client.listServices({ ...readOptions(context, flags), prefix: flags.prefix ?? '' }),
      );
      await showServices(context, listed);
      done(exitCodes.ok);
    });
}

async function showServices({ output, namespace }: CliContext, listed: ServicesListed): Promise<void> {
  const { services } = listed;
  if (output.format === 'json') {
    await output.json('rollcall.services.v1', { namespace, ...freshness(listed), services });
    return;
  }
  const rows = services.map((each) => [each.service, String(each.instances), String(each.modifyRevision)]);
  await output.table(['SERVICE', 'INSTANCES', 'CHANGED AT REVISION'], rows);
  tellFreshness(output, counted(services.length, 'service'), listed);
}

export function addDiscoverCommand(program: Command, io: CliIo, done: (exitCode: number) => void): void {
  const discover = program
    .command('discover <service>')
    .summary('list the instances of a service')
    .description('Lists the instances of a service. Ends with 3 where the service is not known.');
  withFilterOptions(withReadOptions(discover))
    .addHelpText('after', discoverExamples)
    .action(async (service: string, flags: ReadFlags) => {
      const context = contextOf(discover, io);
      const request = { ...readOptions(context, flags), service, ...filterOf(flags) };
      const found = await withClient(context, (client) => client.discover(request));
      await showInstances(context, service, found);
      if (!found.known) {
        const hint = `\`rollcall services --namespace ${context.namespace}\` lists what is there`;
        const message = `nothing is known of service ${service} in namespace ${context.namespace}`;
        throw new CliError(exitCodes.notFound, message, hint, { reason: 'UNKNOWN_SERVICE', field: 'service' });
      }
      done(exitCodes.ok);
    });
}

async function showInstances({ output, namespace }: CliContext, service: string, found: Discovered): Promise<void> {
  const { instances, known } = found;
  if (output.format === 'json') {
    await output.json('rollcall.discover.v1', { namespace, service, known, ...freshness(found), instances });
    return;
  }
  if (!known) return;
  await output.table(instanceHeader, instances.map(instanceRow));
  tellFreshness(output, counted(instances.length, 'instance'), found);
}

function freshness({ header, firstRevision, exact }: Paged) {
  const { revision, member, consistency, ageMs } = header;
  return { revision, firstRevision, exact, member, consistency, ageMs };
}

/** A member that has heard no leader since it started cannot date what it knows. */
function printedAge(ageMs: number): string {
  return ageMs === Number.MAX_SAFE_INTEGER ? 'nobody can say how' : `up to ${formatDuration(ageMs)}`;
}

function tellFreshness(output: Output, what: string, { header, firstRevision, exact }: Paged): void {
  const { revision, member, consistency, ageMs } = header;
  const at = exact ? `revision ${revision}` : `revisions ${firstRevision} to ${revision}, not one moment`;
  const age = consistency === 'stale' ? `, ${printedAge(ageMs)} old` : '';
  output.message(`${what} at ${at}, from member ${member}${age}`);
}
