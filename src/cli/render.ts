import type { Instance, RemovalCause, WatchEvent } from '../client/types.ts';
import { printable } from './output.ts';
import { formatEndpoint } from './values.ts';

export const instanceHeader = [
  'ID',
  'ENDPOINTS',
  'STATUS',
  'VERSION',
  'WEIGHT',
  'REGION/ZONE',
  'TAGS',
  'LEASE',
  'INCARNATION',
];

export function instanceRow(instance: Instance): string[] {
  return [
    instance.id,
    instance.endpoints.map(formatEndpoint).join(','),
    instance.status,
    instance.version,
    String(instance.weight),
    placeOf(instance),
    instance.tags.join(','),
    instance.leaseId === 0 ? 'persistent' : String(instance.leaseId),
    String(instance.incarnation),
  ];
}

/** `eu-1/eu-1a`; a part that is not said is `-`, so that the other is not taken for it. */
function placeOf({ region, zone }: Instance): string {
  return region === '' && zone === '' ? '' : `${region || '-'}/${zone || '-'}`;
}

const causes: Readonly<Record<RemovalCause, string>> = {
  deregistered: 'deregistered',
  'lease-expired': 'its lease expired',
  'lease-revoked': 'its lease was revoked',
  unspecified: 'gone',
  unrecognised: 'for a reason that this version does not know',
};

/** One change as a line; `+` registered, `~` changed, `-` gone or not matched any more. */
export function eventLine(event: WatchEvent): string {
  if (event.kind === 'put') {
    const { instance, revision } = event;
    const sign = instance.incarnation === revision ? '+' : '~';
    return printable(`${sign} ${instanceText(instance)}  (revision ${revision})`);
  }
  const { key, revision } = event;
  if (event.kind === 'leaves') {
    return printable(`- ${key.service}/${key.id}  does not match any more  (revision ${revision})`);
  }
  const { cause, reason } = event;
  const why = reason === '' ? causes[cause] : `${causes[cause]}: ${reason}`;
  return printable(`- ${key.service}/${key.id}  ${why}  (revision ${revision})`);
}

/** One instance that was there already. */
export function instanceLine(instance: Instance): string {
  return printable(`  ${instanceText(instance)}`);
}

function instanceText({ service, id, endpoints, status }: Instance): string {
  const shown = [`${service}/${id}`, ...endpoints.map(formatEndpoint)];
  return status === 'up' ? shown.join('  ') : `${shown.join('  ')}  ${status}`;
}

/** @param plural Default: the noun with an `s`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
