// Pages of a discover with a filter: short ones, empty ones, and what is looked at for each.
import { describe, expect, it } from 'vitest';
import { Admission } from '../../src/api/admission.ts';
import { apiBounds } from '../../src/api/bounds.ts';
import { parseDiscover } from '../../src/api/parse-reads.ts';
import { ReplicatedRegistryApi } from '../../src/api/registry-api.ts';
import type { DiscoverAnswer } from '../../src/api/types.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import type { BatchItem } from '../../src/state-machine/types.ts';
import { noSessions, ReplicaDouble } from './replica-double.ts';
import { plainEndpoint } from './requests.ts';

const { v1 } = rollcall;
const caller = { actor: 'anonymous', origin: '127.0.0.1:9' };
const scanMax = apiBounds.discoverScanViewsMax;

class Harness {
  readonly replica = new ReplicaDouble();
  readonly api = new ReplicatedRegistryApi({
    replica: this.replica,
    hub: this.replica.hub,
    admission: new Admission(),
    sessions: noSessions,
  });

  /** Ids are in order; every `taggedEvery`th has the tag `blue`, from the first on. */
  fill(count: number, taggedEvery: number, textBytes = 0): void {
    const items: BatchItem[] = [];
    for (let i = 0; i < count; i++) {
      const name = { namespace: 'default', service: 'cart', id: `i${String(i).padStart(6, '0')}` };
      const metadata = { text: 'x'.repeat(textBytes) };
      const tags = i % taggedEvery === 0 ? ['blue'] : ['red'];
      const spec = v1.InstanceSpec.encode({ ...name, endpoints: [plainEndpoint], tags, metadata }).finish();
      items.push({ name, spec, ifAbsent: false, ifIncarnation: 0, keepEqual: false });
    }
    for (let at = 0; at < count; at += 1_000) {
      const lifetime = { kind: 'persistent' } as const;
      this.replica.driver.apply({ kind: 'batch-register', lifetime, items: items.slice(at, at + 1_000) });
    }
  }

  discover(rest: rollcall.v1.DiscoverRequest.$Properties): Promise<DiscoverAnswer> {
    return this.api.discover(parseDiscover(v1.DiscoverRequest.encode({ service: 'cart', ...rest }).finish()), caller);
  }

  async pages(rest: rollcall.v1.DiscoverRequest.$Properties): Promise<readonly DiscoverAnswer[]> {
    const pages: DiscoverAnswer[] = [];
    let pageToken = '';
    do {
      const page = await this.discover({ ...rest, pageToken });
      pages.push(page);
      ({ nextPageToken: pageToken } = page);
    } while (pageToken !== '');
    return pages;
  }
}

function idsOf(pages: readonly DiscoverAnswer[]): string[] {
  return pages.flatMap((page) => page.views.map((view) => v1.InstanceView.decode(view).spec?.id ?? ''));
}

function expectedIds(count: number, taggedEvery: number): string[] {
  const ids: string[] = [];
  for (let i = 0; i < count; i += taggedEvery) ids.push(`i${String(i).padStart(6, '0')}`);
  return ids;
}

const blue = { tags: ['blue'] };

describe('a discover with a filter', () => {
  it('gives what matches in the order of ids, whatever the size of the page', async () => {
    const h = new Harness();
    h.fill(1_000, 7);
    for (const pageSize of [0, 1, 10, 142, 143, 144, 5_000]) {
      const pages = await h.pages({ filter: blue, pageSize });
      expect([pageSize, idsOf(pages)]).toEqual([pageSize, expectedIds(1_000, 7)]);
      if (pageSize > 0) expect(Math.max(...pages.map(({ views }) => views.length))).toBeLessThanOrEqual(pageSize);
    }
  });

  it('looks at as many instances a page as it may, and goes on behind them', async () => {
    const h = new Harness();
    h.fill(scanMax, scanMax);
    // Exactly as many as may be looked at: one page.
    expect((await h.pages({ filter: blue })).map(({ views }) => views.length)).toEqual([1]);
    h.replica.driver.register('cart', 'j');
    const pages = await h.pages({ filter: blue });
    expect(pages.map(({ views }) => views.length)).toEqual([1, 0]);
    expect(pages.map(({ known }) => known)).toEqual([true, true]);
    expect((await h.pages({ filter: { tags: ['nobody'] } })).map(({ views }) => views.length)).toEqual([0, 0]);
    // Without a filter the page is bound by its bytes alone.
    expect((await h.pages({})).map(({ views }) => views.length)).toEqual([scanMax + 1]);
  });

  it('keeps a page below 4 MiB', async () => {
    const h = new Harness();
    h.fill(1_400, 2, 8_000);
    const bytesOf = (page: DiscoverAnswer | undefined): number =>
      page?.views.reduce((sum, view) => sum + view.length + 4, 0) ?? 0;
    const some = await h.pages({ filter: blue });
    expect(idsOf(some)).toEqual(expectedIds(1_400, 2));
    // What is looked at counts, whether it matches or not: it is what the page costs.
    expect(some.map((page) => Math.round((10 * bytesOf(page)) / apiBounds.pageBytesMax))).toEqual([5, 5, 4]);
    const whole = await h.discover({ filter: { metadata: [{ key: 'text', operator: 3 }] } });
    expect(bytesOf(whole)).toBeLessThan(apiBounds.pageBytesMax - 1_000);
    expect(bytesOf(whole)).toBeGreaterThan(apiBounds.pageBytesMax * 0.9);
  });

  it('says whether the service is known, also where nothing matches', async () => {
    const h = new Harness();
    expect(await h.discover({ filter: blue })).toMatchObject({ known: false, views: [], nextPageToken: '' });
    h.fill(1, 2);
    expect(await h.discover({ filter: { tags: ['red'] } })).toMatchObject({ known: true, views: [] });
  });

  it('takes a token with the filter that it was given for, written in whatever order', async () => {
    const h = new Harness();
    h.fill(4, 1);
    const zones = ['z1', 'z2'];
    const statuses = [2, 1];
    const first = await h.discover({ filter: { ...blue, statuses }, pageSize: 2 });
    const pageToken = first.nextPageToken;
    expect(pageToken).not.toBe('');
    const second = await h.discover({ filter: { ...blue, statuses: [1, 2, 2] }, pageSize: 2, pageToken });
    expect(idsOf([first, second])).toEqual(expectedIds(4, 1));
    for (const filter of [undefined, blue, { ...blue, statuses, zones }, { tags: ['red'], statuses }]) {
      const refused = await h
        .discover({ ...(filter === undefined ? {} : { filter }), pageToken })
        .catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(RollcallError);
      expect(refused).toMatchObject({ reason: 'INVALID_FIELD', field: 'page_token' });
    }
  });
});
