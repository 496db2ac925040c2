import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import type { InstanceFilter, InstanceStatus, MetadataCondition } from '../client/types.ts';
import { collecting } from './values.ts';

type Status = Exclude<InstanceStatus, 'unrecognised'>;
const statuses: readonly string[] = ['starting', 'up', 'draining', 'down'] satisfies readonly Status[];

/** Which instances a reader wants. */
export interface FilterFlags {
  readonly tag?: readonly string[];
  readonly meta?: readonly MetadataCondition[];
  readonly versionRange?: string;
  readonly zone?: readonly string[];
  readonly region?: readonly string[];
  readonly status?: readonly Status[];
}

export function withFilterOptions(command: Command): Command {
  return command
    .optionsGroup('Filters, all of which must hold:')
    .option('--tag <tag>', 'has this tag; may be given up to 16 times', collecting(String))
    .option(
      '--meta <condition>',
      'metadata: "key=value", "key in a,b", or "key" for any value; may be given up to 16 times',
      collecting(parseCondition),
    )
    .option('--version-range <range>', 'semantic versions, as "^1.4" or ">=1.4.0 <2.0.0"')
    .option('--zone <names>', 'in one of these, separated by commas', collectingList)
    .option('--region <names>', 'in one of these, separated by commas', collectingList)
    .addOption(
      new Option('--status <statuses>', 'one of these, separated by commas: starting, up, draining, down').argParser(
        parseStatuses,
      ),
    );
}

/** Nothing where no filter was given. */
export function filterOf(flags: FilterFlags): { readonly filter?: InstanceFilter } {
  const { tag, meta, versionRange, zone, region, status } = flags;
  const filter: InstanceFilter = {
    ...(tag === undefined ? {} : { tags: tag }),
    ...(meta === undefined ? {} : { metadata: meta }),
    ...(versionRange === undefined ? {} : { versionRange }),
    ...(zone === undefined ? {} : { zones: zone }),
    ...(region === undefined ? {} : { regions: region }),
    ...(status === undefined ? {} : { statuses: status }),
  };
  return Object.keys(filter).length === 0 ? {} : { filter };
}

/** `key=value`, `key in a,b`, or `key`. A key of spaces and equal signs is for programs. */
export function parseCondition(text: string): MetadataCondition {
  const oneOf = /^([^=\s]+)\s+in\s+(.+)$/.exec(text);
  if (oneOf !== null) {
    const [, key = '', values = ''] = oneOf;
    return { key, in: valuesOf(values) };
  }
  const at = text.indexOf('=');
  if (at > 0) return { key: text.slice(0, at), equals: text.slice(at + 1) };
  if (at < 0 && /^\S+$/.test(text)) return { key: text, exists: true };
  throw new InvalidArgumentError(`"${text}" is no condition; write key=value, "key in a,b" or key.`);
}

function valuesOf(text: string): string[] {
  const values = text.split(',').map((value) => value.trim());
  if (values.includes('')) throw new InvalidArgumentError(`"${text}" has an empty value; write e.g. a,b.`);
  return values;
}

function collectingList(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), ...valuesOf(text)];
}

function parseStatuses(text: string, before: readonly Status[] | undefined): Status[] {
  const given = valuesOf(text);
  const wrong = given.find((status) => !statuses.includes(status));
  if (wrong !== undefined) throw new InvalidArgumentError(`"${wrong}" is none of ${statuses.join(', ')}.`);
  return [...(before ?? []), ...(given as Status[])];
}
