import { createServer } from 'node:http';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { mixedCall } from '../../scripts/heartbeats/calls.ts';
import { lateness, rise, scrape } from '../../scripts/heartbeats/scrape.ts';
import { framed } from '../../scripts/heartbeats/unary-load.ts';
import { MemberMetrics } from '../../src/telemetry/metrics.ts';

function series(metrics: MemberMetrics): Promise<ReadonlyMap<string, number>> {
  const server = createServer((_request, answer) => {
    metrics.text().then(
      (text) => answer.end(text),
      (error: unknown) => answer.destroy(error as Error),
    );
  });
  return (async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    try {
      return await scrape(typeof address === 'object' && address !== null ? address.port : 0);
    } finally {
      server.close();
    }
  })();
}

describe('bench-heartbeats', () => {
  it('reads quantiles of the time between two scrapes off a member’s histogram', async () => {
    const metrics = new MemberMetrics();
    metrics.raftLatenessSeconds.observe({ kind: 'tick' }, 3);
    metrics.stalls.inc();
    const before = await series(metrics);
    for (let i = 0; i < 999; i++) metrics.raftLatenessSeconds.observe({ kind: 'tick' }, 0.0015);
    metrics.raftLatenessSeconds.observe({ kind: 'tick' }, 0.19);
    metrics.raftLatenessSeconds.observe({ kind: 'heartbeat-sent' }, 4);
    metrics.stalls.inc(2);
    const after = await series(metrics);
    const ticks = lateness(before, after, 'tick');
    expect(ticks.count).toBe(1_000);
    expect(ticks.p50Ms).toBeGreaterThan(1);
    expect(ticks.p999Ms).toBeLessThanOrEqual(2);
    expect(ticks.maxMs).toBe(200);
    expect(lateness(before, after, 'heartbeat-heard').count).toBe(0);
    expect(rise(before, after, 'rollcall_raft_stalls_total')).toBe(2);
  });

  it('frames messages as gRPC does', () => {
    expect([...framed(new Uint8Array([7, 8]))]).toEqual([0, 0, 0, 0, 2, 7, 8]);
  });

  it('mixes its calls two, two, one in five turns of every lane', () => {
    for (const lane of [0, 3, 6_399]) {
      const names = Array.from({ length: 5 }, (_, n) => mixedCall(lane, n, 1_000).name).toSorted();
      expect(names).toEqual(['Discover', 'Discover', 'Discover stale', 'Discover stale', 'Register']);
    }
  });
});
