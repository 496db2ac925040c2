import { isIPv6 } from 'node:net';
import { ClientError } from './client-error.ts';
import { clientLimits } from './limits.ts';

/**
 * Checks `host:port`, where an IPv6 address stands in brackets, and returns it.
 *
 * @throws ClientError INVALID_FIELD for anything else.
 */
export function checkedAddress(address: string): string {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(address) ?? [];
  const portNumber = Number(port);
  const isHost = bracketed === undefined ? plain !== undefined : isIPv6(bracketed);
  if (isHost && portNumber >= 1 && portNumber <= 65_535) return address;
  throw ClientError.invalidField(
    'servers',
    `"${address}" is no address; write host:port, e.g. 127.0.0.1:7400 or [::1]:7400`,
  );
}

/** The addresses of a client: at least one, none twice. */
export function checkedAddresses(addresses: readonly string[]): readonly string[] {
  const unique = [...new Set(addresses.map(checkedAddress))];
  if (unique.length === 0) throw ClientError.invalidField('servers', 'no address given; write host:port');
  if (unique.length > clientLimits.addressesMax) {
    const max = clientLimits.addressesMax;
    throw ClientError.invalidField('servers', `${unique.length} addresses, allowed are at most ${max}`);
  }
  return unique;
}
