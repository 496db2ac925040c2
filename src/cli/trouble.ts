import type { ClientError } from '../client/client-error.ts';

/** What went wrong with which member, for a command that goes on by itself: without the advice to do so. */
export function troubleOf({ message, address }: ClientError): string {
  const what = message.replace(/; (?:go on|try) .*$/, '');
  return address === undefined || what.includes(address) ? what : `${address}: ${what}`;
}
