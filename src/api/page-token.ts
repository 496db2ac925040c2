import { invalidField } from '../base/errors.ts';
import type { RollcallError } from '../base/errors.ts';
import { WireError, WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';

/** Where the next page of a query begins. */
export interface PageToken {
  readonly query: 'discover' | 'list-services';
  readonly namespace: string;
  /** The service asked for, or the prefix. */
  readonly name: string;
  /** Revision of the first page. */
  readonly firstRevision: number;
  /** Last id, or last service, of the page before. */
  readonly last: string;
}

const version = 1;
const queryNumbers = { discover: 1, 'list-services': 2 } as const satisfies Record<PageToken['query'], number>;
const writer = new WireWriter();

/** As a client sees it: opaque, of base64url characters. */
export function encodePageToken(token: PageToken): string {
  writer.reset();
  writer.varint(version).varint(queryNumbers[token.query]).sizedString(token.namespace).sizedString(token.name);
  writer.varint(token.firstRevision).sizedString(token.last);
  return Buffer.from(writer.finish()).toString('base64url');
}

/**
 * What `encodePageToken` gave for the same query, and nothing else.
 *
 * @throws RollcallError INVALID_FIELD page_token
 */
export function decodePageToken(
  text: string,
  query: PageToken['query'],
  namespace: string,
  name: string,
): Pick<PageToken, 'firstRevision' | 'last'> {
  const token = decoded(text, query);
  // Base64 has more than one text for some bytes; only ours is taken.
  if (token === undefined || encodePageToken(token) !== text) throw refused('is not one that a member gave');
  if (token.namespace !== namespace || token.name !== name) throw refused('was given for another query');
  return token;
}

function decoded(text: string, query: PageToken['query']): PageToken | undefined {
  const reader = new WireReader(Buffer.from(text, 'base64url'));
  try {
    if (reader.varint() !== version || reader.varint() !== queryNumbers[query]) return undefined;
    const namespace = reader.sizedString();
    const name = reader.sizedString();
    const firstRevision = reader.varint();
    const last = reader.sizedString();
    return reader.left === 0 ? { query, namespace, name, firstRevision, last } : undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function refused(problem: string): RollcallError {
  return invalidField('page_token', `${problem}; leave it empty to begin with the first page`);
}
