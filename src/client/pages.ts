import type { rollcall } from '../gen/rollcall.js';
import { ClientError } from './client-error.ts';
import { fromHeader } from './convert.ts';
import { clientLimits } from './limits.ts';
import type { Paged, ReadOptions } from './types.ts';

/** Where a page begins, and the revision that the member asked for it must have. */
export interface PagePosition {
  readonly pageToken: string;
  readonly minRevision: number;
}

/** What every page says. */
export interface PageAnswer {
  readonly header?: rollcall.v1.ResponseHeader.$Properties | null;
  readonly nextPageToken: string;
}

/** Asks for page after page; a later one never of a member that is behind the first. */
export async function gatherPages(
  { minRevision = 0 }: ReadOptions,
  ask: (position: PagePosition) => Promise<PageAnswer>,
): Promise<Paged> {
  let answer = await ask({ pageToken: '', minRevision });
  let header = fromHeader(answer.header);
  const firstRevision = header.revision;
  let exact = true;
  const seen = new Set<string>();
  while (answer.nextPageToken !== '') {
    const { nextPageToken: pageToken } = answer;
    if (seen.has(pageToken) || seen.size >= clientLimits.pagesMax) {
      throw ClientError.badAnswer(header.member, `pages without an end: more than ${seen.size + 1}`);
    }
    seen.add(pageToken);
    answer = await ask({ pageToken, minRevision: Math.max(minRevision, firstRevision) });
    header = fromHeader(answer.header);
    exact &&= header.revision === firstRevision;
  }
  return { header, firstRevision, exact };
}
