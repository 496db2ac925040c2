// One service of 10,000 instances on three real members: pages, and snapshots in parts, have every instance once.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { apiBounds } from '../../src/api/bounds.ts';
import { must } from '../../src/base/assert.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { instanceOf, RegistryCaller } from './registry-caller.ts';

const instances = 10_000;
/** Of each member's connection. */
const lanes = 100;

let directory: string;
let cluster: ProcessCluster;
let callers: RegistryCaller[];
const ids = Array.from({ length: instances }, (_, i) => `i${String(i).padStart(5, '0')}`);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-large-service-'));
  cluster = new ProcessCluster({ directory, members: await planMembers(3) });
  cluster.startAll();
  await cluster.leader(20_000);
  callers = cluster.clientAddresses.map((address) => new RegistryCaller(address));
  let next = 0;
  const lane = async (caller: RegistryCaller): Promise<void> => {
    for (let id = ids[next++]; id !== undefined; id = ids[next++]) {
      // 600 bytes each: more than one page of 4 MiB together.
      const instance = instanceOf('large', id, { metadata: { filler: 'x'.repeat(500) } });
      await caller.register({ instance, persistent: true });
    }
  };
  await Promise.all(callers.flatMap((caller) => Array.from({ length: lanes }, () => lane(caller))));
}, 60_000);

afterAll(async () => {
  for (const caller of callers) caller.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('a service of 10,000 instances', () => {
  it.each([0, 1, 2])('is discovered whole, page by page, at member %i', async (member) => {
    const caller = must(callers[member], 'caller');
    const found: (string | null | undefined)[] = [];
    let [pageToken, pages] = ['', 0];
    do {
      const page = await caller.discover({ service: 'large', pageToken });
      const bytes = rollcall.v1.DiscoverResponse.encode(page).finish().length;
      expect(bytes).toBeLessThanOrEqual(apiBounds.pageBytesMax);
      found.push(...page.instances.map(({ spec }) => spec?.id));
      pageToken = page.nextPageToken;
      pages += 1;
    } while (pageToken !== '');
    expect(found).toEqual(ids);
    expect(pages).toBe(2);
    const counted = await caller.discover({ service: 'large', pageSize: 9_999 });
    expect(counted.instances.length).toBeLessThan(9_999);
    expect(counted.nextPageToken).not.toBe('');
  });

  it.each([0, 1, 2])('is watched whole, in parts, at member %i', async (member) => {
    const reader = must(callers[member], 'caller')
      .watch()
      .create({ watchId: 1, service: 'large', once: true })
      .halfClose();
    await waitFor('the end of the snapshot', 15_000, async () => reader.code);
    const parts = reader.of(1);
    const found = parts.flatMap(({ events }) => events.map(({ instance }) => instance?.spec?.id));
    expect(found).toEqual(ids);
    expect(parts.map(({ more }) => more)).toEqual([...parts.slice(2).map(() => true), false, false]);
    expect(parts.length).toBeGreaterThan(3);
  });

  it('is the same everywhere', async () => {
    const statuses = [...(await cluster.converged(15_000)).values()];
    expect(statuses.map((status) => status.instances)).toEqual([instances, instances, instances]);
    expect(new Set(statuses.map(({ stateHash }) => stateHash)).size).toBe(1);
  });
});
