import { must } from '../base/assert.ts';
import { sha256Head, sha256HeadWords } from '../base/sha256.ts';
import type { ViewMatcher } from '../filter/types.ts';
import type { Registry } from '../state-machine/interfaces.ts';
import { nameOf } from '../watch/view-reader.ts';
import { apiBounds } from './bounds.ts';
import type { DiscoverRequest } from './types.ts';

/**
 * Of the views of a page: the rest of `pageBytesMax` is for the header, the token and the two to four bytes in front of
 * each view, which has at least 43 itself.
 */
const pageViewBytesMax = apiBounds.pageBytesMax - apiBounds.pageBytesMax / 16;
const pageViewsMax = 2 ** 31 - 1;
/** Views fetched at once while a filter looks at them. */
const scanViewsMax = 256;

export interface DiscoverPage {
  readonly views: readonly Uint8Array[];
  /** Id of the last instance that was looked at. */
  readonly lastId: string;
  readonly more: boolean;
}

/**
 * One page as of now, in one piece. With a filter no more is looked at than `discoverScanViewsMax` instances, and than
 * a page without it would hold.
 */
export function readPage(state: Registry, request: DiscoverRequest, afterId: string): DiscoverPage {
  const { namespace, service, matcher } = request;
  const countMax = request.pageSize === 0 ? pageViewsMax : request.pageSize;
  if (matcher.key === '') return state.views(namespace, service, afterId, countMax, pageViewBytesMax);
  const scan = new Scan(matcher, countMax);
  let lastId = afterId;
  for (;;) {
    const batch = state.views(namespace, service, lastId, scanViewsMax, Number.MAX_SAFE_INTEGER);
    for (const view of batch.views) {
      // The id is read only where the page ends: of nearly all views nobody wants to know it.
      if (scan.look(view) === 'full')
        return { views: scan.found, lastId: nameOf(must(scan.last, 'a view')).id, more: true };
    }
    ({ lastId } = batch);
    if (!batch.more) return { views: scan.found, lastId, more: false };
  }
}

/** What a filter lets through, until the page is full. */
class Scan {
  readonly found: Uint8Array[] = [];
  /** The last view that was looked at. */
  last: Uint8Array | undefined;
  readonly #matcher: ViewMatcher;
  readonly #countMax: number;
  #bytes = 0;
  #looked = 0;

  constructor(matcher: ViewMatcher, countMax: number) {
    this.#matcher = matcher;
    this.#countMax = countMax;
  }

  /** 'full': there was no room to look at it. Bytes count whether they match or not: they bound the work as well. */
  look(view: Uint8Array): 'full' | 'looked' {
    if (this.found.length >= this.#countMax || this.#looked >= apiBounds.discoverScanViewsMax) return 'full';
    if (this.#bytes + view.length > pageViewBytesMax) return 'full';
    if (this.#matcher.matches(view)) this.found.push(view);
    this.last = view;
    this.#bytes += view.length;
    this.#looked++;
    return 'looked';
  }
}

const words = new Uint32Array(sha256HeadWords);

/** Names a filter in a page token: equal for filters that mean the same, '' for one that matches all. */
export function filterHash(matcher: ViewMatcher): string {
  if (matcher.key === '') return '';
  sha256Head(Buffer.from(matcher.key), words);
  return Array.from(words, (word) => word.toString(16).padStart(8, '0')).join('');
}
