import type { Command } from 'commander';
import { ClientError } from '../client/client-error.ts';
import { checkInstanceId, checkName } from '../client/input-checks.ts';
import type { Endpoint, InstanceInput } from '../client/types.ts';
import { CliError, exitCodes } from './exit-codes.ts';
import { collecting, parseInteger, parsePair } from './values.ts';

/** What `register` and `run` say of an instance, beside its id and where it is reached. */
export interface InstanceFlags {
  readonly tag?: readonly string[];
  readonly meta?: readonly (readonly [string, string])[];
  readonly versionLabel?: string;
  readonly weight?: number;
  readonly region?: string;
  readonly zone?: string;
}

export function withInstanceOptions(command: Command): Command {
  return command
    .option('--tag <tag>', 'may be given up to 64 times', collecting(String))
    .option('--meta <key=value>', 'metadata; may be given up to 64 times', collecting(parsePair))
    .option('--version-label <text>', 'version of the service')
    .option('--weight <number>', '0 to 1000000, relative to the others; 100 if not given', (text) => parseInteger(text))
    .option('--region <name>', 'where it runs')
    .option('--zone <name>', 'where it runs');
}

export interface InstanceName {
  readonly namespace: string;
  readonly service: string;
  readonly id: string;
}

/** @throws ClientError INVALID_FIELD or CliError for what can be seen to be wrong from here. */
export function instanceOf(
  { namespace, service, id }: InstanceName,
  endpoints: readonly Endpoint[],
  { tag = [], meta = [], versionLabel: version, weight, region, zone }: InstanceFlags,
): InstanceInput {
  checkName('namespace', namespace);
  checkService(service);
  checkInstanceId('id', id);
  return {
    namespace,
    service,
    id,
    endpoints,
    tags: tag,
    metadata: metadataOf(meta),
    ...(version === undefined ? {} : { version }),
    ...(weight === undefined ? {} : { weight }),
    ...(region === undefined ? {} : { region }),
    ...(zone === undefined ? {} : { zone }),
  };
}

export function checkService(service: string): void {
  if (service === '') throw ClientError.invalidField('service', 'is empty');
  checkName('service', service);
}

function metadataOf(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  const metadata = Object.fromEntries(pairs);
  if (Object.keys(metadata).length < pairs.length) {
    const hint = 'give each key once';
    throw new CliError(exitCodes.usage, 'a key of --meta is given twice', hint, { field: 'meta' });
  }
  return metadata;
}
