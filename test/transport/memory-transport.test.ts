// What only the twin in memory has: links that are cut, batches that come back, delivery by hand, equal runs.
import { describe, expect, it } from 'vitest';
import type { Packet } from '../../src/transport/memory-network.ts';
import { Bench } from './bench.ts';
import { identityOf, type Member, peerOf } from './member.ts';
import { type MemoryTwin, memoryTwin } from './twins.ts';

/** Two connected members, and the network between them. */
async function pair(options: Parameters<typeof memoryTwin>[0] = {}): Promise<[MemoryTwin, Member, Member, Bench]> {
  const twin = memoryTwin(options);
  const bench = new Bench(() => twin);
  bench.open();
  const [a, b] = await bench.pair();
  return [twin, a, b, bench];
}

describe('a cut link', () => {
  it('holds what is sent on it, in order, until it is healed; the other direction goes on', async () => {
    const [twin, a, b] = await pair();
    twin.network.cut('a', 'b');
    for (const round of [1, 2, 3]) {
      a.beat(b, round);
      await twin.pass(5);
    }
    b.beat(a, 9);
    await twin.until('the other direction', () => a.rounds(b).length === 1);
    expect(b.rounds(a)).toEqual([]);
    expect(a.transport.status()[0]?.queuedBytes).toBeGreaterThan(0);
    twin.network.heal('a', 'b');
    await twin.until('what was held', () => b.rounds(a).length === 3);
    expect(b.rounds(a)).toEqual([1, 2, 3]);
    expect([a.unreachable, b.unreachable]).toEqual([[], []]);
  });

  it('that stays cut breaks its streams at both ends, and loses what was on them', async () => {
    const [twin, a, b] = await pair({ halfOpenMs: 500 });
    twin.network.cut('a', 'b');
    a.beat(b, 1);
    await twin.pass(499);
    expect([a.unreachable, b.unreachable]).toEqual([[], []]);
    await twin.pass(5);
    expect([a.reasons(b), b.reasons(a)]).toEqual([['keepalive timeout'], ['keepalive timeout']]);
    twin.network.heal('a', 'b');
    await twin.until('connected again', () => a.isConnected(b) && b.isConnected(a));
    a.beat(b, 2);
    await twin.until('a batch', () => b.rounds(a).length > 0);
    expect(b.rounds(a)).toEqual([2]);
  });

  it('keeps a process that was killed behind it alive in the eyes of the other, until it is healed', async () => {
    const [twin, a, b] = await pair();
    twin.network.cut('b', 'a');
    await twin.kill(b.transport);
    await twin.pass(100);
    expect(a.isConnected(b)).toBe(true);
    twin.network.heal('b', 'a');
    await twin.until('a told', () => a.unreachable.length > 0);
  });
});

describe('batches that come back', () => {
  it('from an earlier life are refused or dropped, and never handed on', async () => {
    const [twin, a, b, bench] = await pair({ archiveMax: 100 });
    a.beat(b, 1);
    b.beat(a, 2);
    await twin.until('both', () => a.rounds(b).length === 1 && b.rounds(a).length === 1);
    const archive = [...twin.network.archive];
    // Of each member the first batch of its stream, which is identity alone, and a heartbeat.
    expect(archive).toHaveLength(4);
    await twin.kill(b.transport);
    const next = await bench.member('b', { boot: 2, port: b.port });
    next.join([a]);
    await bench.connected(a, next);
    for (const how of ['later', 'open'] as const) {
      for (const packet of archive) expect(twin.network.replay(packet, how)).toBe(true);
      await twin.pass(50);
    }
    expect([a.rounds(b), next.rounds(a)]).toEqual([[2], []]);
    expect(a.transport.bootOf('b')).toBe(2);
    expect(a.transport.refusals().get('late-boot')).toBeGreaterThan(0);
    expect(a.transport.refusals().get('old-copy')).toBeGreaterThan(0);
    expect(next.transport.refusals().get('earlier-life')).toBeGreaterThan(0);
    await bench.connected(a, next);
  });

  it('within one life arrive twice: the one thing that a simulation may want and a stream never does', async () => {
    const [twin, a, b] = await pair({ archiveMax: 1 });
    a.beat(b, 1);
    await twin.until('the batch', () => b.rounds(a).length === 1);
    const [packet] = twin.network.archive;
    expect(packet !== undefined && twin.network.replay(packet, 'later')).toBe(true);
    expect(b.rounds(a)).toEqual([1, 1]);
    expect(twin.network.archive).toHaveLength(1);
  });
});

describe('streams', () => {
  it('that break lose what is under way, tell both ends, and are dialed again', async () => {
    const [twin, a, b] = await pair({ delayMs: () => 10 });
    a.beat(b, 1);
    await twin.pass(5);
    twin.network.breakStreams('a', 'b');
    await twin.until('told', () => a.unreachable.length > 0 && b.unreachable.length > 0);
    expect([a.reasons(b), b.reasons(a)]).toEqual([['connection reset'], ['connection reset']]);
    await twin.until('connected again', () => a.isConnected(b) && b.isConnected(a));
    await twin.pass(100);
    expect(b.rounds(a)).toEqual([]);
  });

  it('of different links overtake each other by their delays, and never themselves', async () => {
    const delays = [30, 1, 20, 5];
    let asked = 0;
    const twin = memoryTwin({
      delayMs: ({ from, kind }: Packet) => (kind === 'batch' && from === 'a' ? (delays[asked++ % 4] ?? 0) : 0),
    });
    const bench = new Bench(() => twin);
    bench.open();
    const [a, b, c] = [await bench.member('a'), await bench.member('b'), await bench.member('c')];
    for (const [one, others] of [
      [a, [c]],
      [b, [c]],
      [c, [a, b]],
    ] as const) {
      one.join(others);
    }
    await twin.until('connected', () => a.isConnected(c) && b.isConnected(c));
    for (let round = 1; round <= 8; round += 1) {
      a.beat(c, round);
      b.beat(c, round);
      await twin.pass(2);
    }
    await twin.until('all of it', () => c.rounds(a).length === 8);
    expect([c.rounds(a), c.rounds(b)]).toEqual([
      [1, 2, 3, 4, 5, 6, 7, 8],
      [1, 2, 3, 4, 5, 6, 7, 8],
    ]);
    const order = c.batches.filter((batch) => batch.messages.length > 0).map((batch) => batch.from);
    expect(order.slice(0, 8)).not.toEqual(order.slice(8));
  });

  it('lose single packets where a simulation asks for it', async () => {
    let batches = 0;
    const [twin, a, b] = await pair({ loses: ({ from, kind }) => from === 'a' && kind === 'batch' && ++batches === 3 });
    for (const round of [1, 2, 3]) {
      a.beat(b, round);
      await twin.pass(2);
    }
    expect(b.rounds(a)).toEqual([1, 3]);
  });
});

describe('delivery by hand', () => {
  it('moves nothing but what it is told to, in any order between streams', async () => {
    const twin = memoryTwin({ manual: true });
    const bench = new Bench(() => twin);
    bench.open();
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    a.join([b]);
    b.join([a]);
    await twin.pass(20);
    expect(twin.network.pending.map(({ from, kind }) => `${from} ${kind}`)).toEqual([
      'a open',
      'a open',
      'b open',
      'b open',
    ]);
    // The second one of each stream is its batch: the order within it stays.
    for (const index of [2, 2]) expect(twin.network.deliver(index)).toBe(true);
    expect(twin.network.pending.map(({ from, kind }) => `${from} ${kind}`)).toEqual(['a open', 'a open', 'a accept']);
    expect(b.isConnected(a)).toBe(false);
    expect(twin.network.deliver(2)).toBe(true);
    expect([b.isConnected(a), a.isConnected(b)]).toEqual([true, false]);
    while (twin.network.deliver());
    expect([b.isConnected(a), a.isConnected(b)]).toEqual([true, true]);
    expect(twin.network.deliver()).toBe(false);
  });
});

describe('one seed', () => {
  async function trace(): Promise<string[]> {
    const lines: string[] = [];
    const twin = memoryTwin({
      delayMs: (packet) => {
        lines.push(`${twin.clock.monotonicMs()} ${packet.from}>${packet.to} ${packet.kind} ${packet.bytes.length}`);
        return packet.bytes.length % 7;
      },
      halfOpenMs: 50,
    });
    const bench = new Bench(() => twin);
    bench.open();
    const [a, b] = await bench.pair();
    for (let round = 1; round < 60; round += 1) {
      a.beat(b, round);
      b.forward(a, round, new Uint8Array(round));
      if (round === 20) twin.network.breakStreams('a', 'b');
      if (round === 30) twin.network.cut('b', 'a');
      if (round === 45) twin.network.heal('b', 'a');
      await twin.pass(7);
    }
    return lines;
  }

  it('gives one run', async () => {
    const first = await trace();
    expect(first.length).toBeGreaterThan(100);
    expect(await trace()).toEqual(first);
  });
});

describe('dialing a peer that is not there', () => {
  it('waits from 20 ms up to 500 ms, by half at random, and dials at once when the peer does', async () => {
    const dialedMs: number[] = [];
    const twin = memoryTwin({
      delayMs: ({ from, kind }) => {
        if (from === 'a' && kind === 'open') dialedMs.push(twin.clock.monotonicMs());
        return 0;
      },
    });
    const bench = new Bench(() => twin);
    bench.open();
    const a = await bench.member('a');
    const absent = { memberId: 'b', address: 'b:77', directoryId: '' };
    a.transport.setIdentity({ ...identityOf(a), clientAddress: '' }, [absent]);
    await twin.pass(5_000);
    const waits = dialedMs.slice(1).map((at, index) => at - (dialedMs[index] ?? 0));
    const wholes = [20, 40, 80, 160, 320, 500, 500, 500, 500];
    wholes.forEach((whole, at) => {
      expect(waits[at]).toBeGreaterThanOrEqual(whole / 2);
      // A few milliseconds are the way to where nobody is and back.
      expect(waits[at]).toBeLessThanOrEqual(whole + 5);
    });
    expect(new Set(waits.slice(5)).size).toBeGreaterThan(2);
    expect(a.unreachable).toEqual([{ peer: 'b', reason: 'connect refused b:77' }]);

    // Right after an attempt the next one is far; the peer's own dialing shortens the wait.
    const before = dialedMs.length;
    await twin.until('another attempt', () => dialedMs.length > before);
    await twin.pass(5);
    const b = await bench.member('b', { port: 77 });
    const startMs = twin.clock.monotonicMs();
    b.transport.setIdentity({ ...identityOf(b), clientAddress: '' }, [peerOf(a)]);
    await bench.connected(a, b);
    expect(twin.clock.monotonicMs() - startMs).toBeLessThan(10);
  });

  it('does not hammer a peer that takes it and ends it again', async () => {
    let dialed = 0;
    const twin = memoryTwin({
      delayMs: ({ from, kind }) => {
        if (from === 'a' && kind === 'open') dialed += 1;
        return 0;
      },
    });
    const bench = new Bench(() => twin);
    bench.open();
    const [a, b] = await bench.pair();
    for (let ms = 0; ms < 4_000; ms += 1) {
      if (a.isConnected(b)) twin.network.breakStreams('a', 'b');
      await twin.pass(1);
    }
    // b dials too and wakes a each time, so up to twice the attempts of one; the waits of both double to 500 ms.
    expect(dialed).toBeLessThan(60);
    expect(dialed).toBeGreaterThan(5);
  });
});
