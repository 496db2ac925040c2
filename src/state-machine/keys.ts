/*
 * Every key of the persisted state. What is written here is on disk and in snapshots: never change or reuse a letter.
 * The letters are in the order in which a load must meet the records: each refers only to earlier ones.
 *
 *   a                             counters (meta-codec.ts)
 *   b/<lease id>                  a lease (lease-table.ts)
 *   c/<namespace>/<service>/<id>  an instance: its InstanceView (view-codec.ts)
 *   d/<namespace>/<service>       the last removal from a service that has instances left (catalog.ts)
 *   e/<sequence>                  the result of a request with an id (request-table.ts)
 *   f/<revision>/<index>          a change of that revision (history.ts)
 *   g/<session id>                a session, whose id is its lease's (session-table.ts)
 *   h/<session id>/<namespace>/<service>/<id>
 *                                 an instance that the session lost and never restores (session-table.ts)
 *
 * Keys are ASCII, so their order by code unit is their byte order. Numbers are 14 hexadecimal digits, an index four.
 */
import { assert, InvariantError } from '../base/assert.ts';
import { isInstanceName, isServiceName } from './names.ts';
import type { InstanceName } from './types.ts';

export const metaKey = 'a';

const numberDigits = 14;
const indexDigits = 4;
const hexadecimal = /^[0-9a-f]+$/;

export type ParsedKey =
  | { readonly kind: 'meta' }
  | { readonly kind: 'lease'; readonly leaseId: number }
  | { readonly kind: 'instance'; readonly name: InstanceName }
  | { readonly kind: 'service'; readonly namespace: string; readonly service: string }
  | { readonly kind: 'request'; readonly sequence: number }
  | { readonly kind: 'history'; readonly revision: number; readonly index: number }
  | { readonly kind: 'session'; readonly sessionId: number }
  | { readonly kind: 'lost'; readonly sessionId: number; readonly name: InstanceName };

export function leaseKey(leaseId: number): string {
  return `b/${fixedNumber(leaseId)}`;
}

export function instanceKey(namespace: string, service: string, id: string): string {
  return `c/${namespace}/${service}/${id}`;
}

export function serviceKey(namespace: string, service: string): string {
  return `d/${namespace}/${service}`;
}

export function requestKey(sequence: number): string {
  return `e/${fixedNumber(sequence)}`;
}

export function historyKey(revision: number, index: number): string {
  return `f/${fixedNumber(revision)}/${index.toString(16).padStart(indexDigits, '0')}`;
}

export function sessionKey(sessionId: number): string {
  return `g/${fixedNumber(sessionId)}`;
}

/** @param instance As `instanceText` gives it. */
export function lostKey(sessionId: number, instance: string): string {
  return `h/${fixedNumber(sessionId)}/${instance}`;
}

/** A name as it stands in keys. */
export function instanceText(name: InstanceName): string {
  return `${name.namespace}/${name.service}/${name.id}`;
}

/** Throws InvariantError where the key is none of those above. */
export function parseKey(key: string): ParsedKey {
  if (key === metaKey) return { kind: 'meta' };
  const rest = key.slice(2);
  switch (key.slice(0, 2)) {
    case 'b/':
      return { kind: 'lease', leaseId: parsedNumber(rest, key) };
    case 'c/':
      return { kind: 'instance', name: parsedName(rest, key) };
    case 'd/': {
      const [namespace = '', service = '', ...further] = parts(rest);
      assert(isServiceName(namespace) && isServiceName(service) && further.length === 0, () => malformed(key));
      return { kind: 'service', namespace, service };
    }
    case 'e/':
      return { kind: 'request', sequence: parsedNumber(rest, key) };
    case 'f/':
      assert(rest[numberDigits] === '/', () => malformed(key));
      return {
        kind: 'history',
        revision: parsedNumber(rest.slice(0, numberDigits), key),
        index: parsedNumber(rest.slice(numberDigits + 1), key, indexDigits),
      };
    case 'g/':
      return { kind: 'session', sessionId: parsedNumber(rest, key) };
    case 'h/':
      assert(rest[numberDigits] === '/', () => malformed(key));
      return {
        kind: 'lost',
        sessionId: parsedNumber(rest.slice(0, numberDigits), key),
        name: parsedName(rest.slice(numberDigits + 1), key),
      };
    default:
      throw new InvariantError(malformed(key));
  }
}

/** The name in a text that `instanceText` gave. */
export function instanceNameIn(text: string): InstanceName {
  const [namespace = '', service = '', id = ''] = text.split('/');
  return { namespace, service, id };
}

/** The name in a key that `instanceKey` gave. */
export function instanceNameOf(key: string): InstanceName {
  const [, namespace = '', service = '', id = ''] = key.split('/');
  return { namespace, service, id };
}

function parsedName(text: string, key: string): InstanceName {
  const [namespace = '', service = '', id = '', ...further] = parts(text);
  const name = { namespace, service, id };
  assert(isInstanceName(name) && further.length === 0, () => malformed(key));
  return name;
}

/** Copies: a part cut from the key would keep the whole key in memory. */
function parts(text: string): string[] {
  return text.split('/').map((part) => Buffer.from(part, 'latin1').toString('latin1'));
}

function fixedNumber(value: number): string {
  return value.toString(16).padStart(numberDigits, '0');
}

function parsedNumber(text: string, key: string, digits: number = numberDigits): number {
  const value = Number.parseInt(text, 16);
  const isNumber = text.length === digits && hexadecimal.test(text) && Number.isSafeInteger(value);
  assert(isNumber, () => malformed(key));
  return value;
}

function malformed(key: string): string {
  return `no key of the state: ${JSON.stringify(key)}`;
}
