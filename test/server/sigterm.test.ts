// A member that is asked to stop while clients are at work: nothing that is under way is lost, and they go on with the
// others.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { RollcallClient } from '../../src/client/client.ts';

const stopGraceMs = 5_000;
let directory: string;
let cluster: ProcessCluster;
let client: RollcallClient;
afterEach(async () => {
  client.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

const endpoints = [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 80 }];

describe('SIGTERM', () => {
  it('lets the clients of a member go on elsewhere, loses no write, and ends the process in time', async () => {
    directory = mkdtempSync(join(tmpdir(), 'rollcall-sigterm-'));
    cluster = new ProcessCluster({ directory, members: await planMembers(3) });
    cluster.startAll();
    const leader = await cluster.leader(30_000);
    // The leader is the hardest to miss; the client begins with it.
    const servers = cluster.members
      .toSorted((a, b) => Number(b.id === leader) - Number(a.id === leader))
      .map(({ client: port }) => `127.0.0.1:${port}`);
    client = new RollcallClient({ servers, spread: false, callTimeoutMs: 30_000 });
    const watch = client.watch({ namespace: 'stop', service: 's' });
    const kinds: string[] = [];
    const read = (async (): Promise<void> => {
      for await (const { kind } of watch) kinds.push(kind);
    })();
    let stopping = false;
    const acknowledged: string[] = [];
    const lane = async (name: string): Promise<void> => {
      for (let i = 0; !stopping; i++) {
        const id = `${name}-${i}`;
        const instance = { namespace: 'stop', service: 's', id, endpoints };
        await client.register({ instance, lifetime: { persistent: true } });
        acknowledged.push(id);
      }
    };
    const lanes = ['a', 'b', 'c', 'd'].map((name) => lane(name));
    await waitFor('fifty writes', 20_000, async () => (acknowledged.length >= 50 ? true : undefined));
    const startMs = performance.now();
    expect(await cluster.kill(leader, 'SIGTERM')).toBe(0);
    // Clients, then peers, have the grace; the rest is for a busy machine.
    expect(performance.now() - startMs).toBeLessThan(2 * stopGraceMs + 2_000);
    const then = acknowledged.length;
    await waitFor('writes after the stop', 20_000, async () => (acknowledged.length >= then + 20 ? true : undefined));
    stopping = true;
    await Promise.all(lanes);
    await waitFor('the watch to hold them all', 20_000, async () =>
      acknowledged.every((id) => watch.instances.has(`s/${id}`)) ? true : undefined,
    );
    // It went on where it was: nothing had to be told anew.
    expect(kinds.filter((kind) => kind === 'snapshot' || kind === 'reset')).toEqual(['snapshot']);
    const found = await client.discover({ namespace: 'stop', service: 's' });
    expect(found.instances.map(({ id }) => id).toSorted()).toEqual(acknowledged.toSorted());
    watch.close();
    await read;
  }, 90_000);
});
