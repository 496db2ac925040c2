import { invalidField } from '../base/errors.ts';
import type { RollcallError } from '../base/errors.ts';
import { WireError, WireReader } from '../base/wire-reader.ts';
import { WireWriter } from '../base/wire-writer.ts';

/** What is asked for page by page: a token is good for the same query only. */
export interface PageQuery {
  readonly kind: 'discover' | 'list-services';
  readonly namespace: string;
  /** The service asked for, or the prefix. */
  readonly name: string;
  /** Names the filter, in few bytes; '' for none. */
  readonly filter: string;
}

/** Where a page begins. */
export interface PageStart {
  /** Revision of the first page. */
  readonly firstRevision: number;
  /** Last id, or last service, that was looked at for the page before. */
  readonly last: string;
}

export interface PageToken extends PageStart {
  readonly query: PageQuery;
}

const version = 2;
const kindNumbers = { discover: 1, 'list-services': 2 } as const satisfies Record<PageQuery['kind'], number>;
const writer = new WireWriter();

/** As a client sees it: opaque, of base64url characters. */
export function encodePageToken({ query, firstRevision, last }: PageToken): string {
  writer.reset();
  writer.varint(version).varint(kindNumbers[query.kind]);
  writer.sizedString(query.namespace).sizedString(query.name).sizedString(query.filter);
  writer.varint(firstRevision).sizedString(last);
  return Buffer.from(writer.finish()).toString('base64url');
}

/**
 * What `encodePageToken` gave for the same query, and nothing else.
 *
 * @throws RollcallError INVALID_FIELD page_token
 */
export function decodePageToken(text: string, query: PageQuery): PageStart {
  const token = decoded(text, query.kind);
  // Base64 has more than one text for some bytes; only ours is taken.
  if (token === undefined || encodePageToken(token) !== text) throw refused('is not one that a member gave');
  const { namespace, name, filter } = token.query;
  if (namespace !== query.namespace || name !== query.name) throw refused('was given for another query');
  if (filter !== query.filter) throw refused('was given for another filter');
  return token;
}

function decoded(text: string, kind: PageQuery['kind']): PageToken | undefined {
  const reader = new WireReader(Buffer.from(text, 'base64url'));
  try {
    if (reader.varint() !== version || reader.varint() !== kindNumbers[kind]) return undefined;
    const query = { kind, namespace: reader.sizedString(), name: reader.sizedString(), filter: reader.sizedString() };
    const firstRevision = reader.varint();
    const last = reader.sizedString();
    return reader.left === 0 ? { query, firstRevision, last } : undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function refused(problem: string): RollcallError {
  return invalidField('page_token', `${problem}; leave it empty to begin with the first page`);
}
