// Evidence and redialing where time and links are the test's own: cut and frozen peers, breaks close and apart, waits.
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Packet } from '../../src/transport/memory-network.ts';
import { StreamEnds } from '../../src/transport/peer.ts';
import type { ProbeResult } from '../../src/transport/types.ts';
import { Bench, settle } from './bench.ts';
import { identityOf, type Member, peerOf } from './member.ts';
import { type MemoryTwin, memoryTwin } from './twins.ts';

type NetworkOptions = Parameters<typeof memoryTwin>[0];

async function pair(options: NetworkOptions = {}): Promise<[MemoryTwin, Member, Member, Bench]> {
  const twin = memoryTwin(options);
  const bench = new Bench(() => twin);
  bench.open();
  const [a, b] = await bench.pair();
  return [twin, a, b, bench];
}

/** The result of a probe and the milliseconds that it took. */
async function timed(twin: MemoryTwin, bench: Bench, probe: Promise<ProbeResult>): Promise<[ProbeResult, number]> {
  const startMs = twin.clock.monotonicMs();
  const result = await settle(bench, probe);
  return [result, twin.clock.monotonicMs() - startMs];
}

describe('a probe in the memory of a test', () => {
  it('takes as long as a connection and an answer', async () => {
    const [twin, a, b, bench] = await pair({ delayMs: ({ kind }) => (kind === 'probe' ? 20 : 0) });
    const [open, openMs] = await timed(twin, bench, a.probe(b));
    expect([open, openMs >= 40 && openMs < 60]).toEqual(['open', true]);
    await twin.kill(b.transport);
    const [refused, refusedMs] = await timed(twin, bench, a.probe(b));
    expect([refused, refusedMs >= 40 && refusedMs < 60]).toEqual(['refused', true]);
  });

  it.each([
    ['to', 'a', 'b'],
    ['from', 'b', 'a'],
  ])('is silent while the link %s the peer is cut, whether it lives or not', async (_name, from, to) => {
    const [twin, a, b, bench] = await pair();
    twin.network.cut(from, to);
    expect(await timed(twin, bench, a.probe(b))).toEqual(['silent', expect.closeTo(100, -1)]);
    await twin.kill(b.transport);
    expect((await timed(twin, bench, a.probe(b)))[0]).toBe('silent');
    twin.network.heal(from, to);
    // Late words of the former ones count for nothing.
    await twin.pass(5);
    expect((await timed(twin, bench, a.probe(b)))[0]).toBe('refused');
  });

  it('is one at a time to a peer: who asks meanwhile gets the same answer', async () => {
    let probes = 0;
    const [twin, a, b, bench] = await pair({
      delayMs: ({ kind, from }) => {
        if (kind === 'probe' && from === 'a') probes += 1;
        return kind === 'probe' ? 10 : 0;
      },
    });
    const first = [a.probe(b), a.probe(b)];
    await twin.pass(5);
    expect(await settle(bench, Promise.all([...first, a.probe(b)]))).toEqual(['open', 'open', 'open']);
    expect(probes).toBe(1);
    expect(await settle(bench, a.probe(b))).toBe('open');
    expect(probes).toBe(2);
  });

  it('ends with the stop of the transport', async () => {
    const [twin, a, b, bench] = await pair();
    twin.network.cut('a', 'b');
    const probing = a.probe(b);
    await settle(bench, a.transport.stop(0));
    const [result, ms] = await timed(twin, bench, probing);
    expect([result, ms < 50]).toEqual(['silent', true]);
  });

  it('waits for probeMsMax and no longer', async () => {
    for (const [delayMs, expected] of [
      [48, 'open'],
      [60, 'silent'],
    ] as const) {
      const [, a, b, bench] = await pair({ delayMs: ({ kind }) => (kind === 'probe' ? delayMs : 0) });
      expect(await settle(bench, a.probe(b))).toBe(expected);
    }
  });
});

describe('the end of streams', () => {
  it('of both directions close together is told once, and once more each time they were open again', async () => {
    const [twin, a, b, bench] = await pair();
    for (let round = 1; round <= 3; round += 1) {
      twin.network.breakStreams('a', 'b');
      await twin.until('told', () => a.ended.length === round && b.ended.length === round);
      await bench.connected(a, b);
      await twin.pass(50);
      expect([a.ended.length, b.ended.length]).toEqual([round, round]);
    }
  });

  it('is told where only keepalive finds it, while the peer is silent', async () => {
    const [twin, a, b, bench] = await pair({ halfOpenMs: 500 });
    twin.network.cut('b', 'a');
    await twin.pass(499);
    expect(a.ended).toEqual([]);
    await twin.until('told', () => a.ended.length > 0);
    expect((await timed(twin, bench, a.probe(b)))[0]).toBe('silent');
    await twin.pass(300);
    expect(a.ended).toEqual([{ peer: 'b', boot: 1 }]);
  });
});

describe('ends that are told', () => {
  it.each([
    ['at once', 0, [true, false]],
    ['within the bound', 100, [true, false]],
    ['after it: the second stream may have died with its peer', 101, [true, true]],
  ])('second one %s', (_name, afterMs, told) => {
    const clock = new ManualClock();
    const ends = new StreamEnds(clock, 100);
    const first = ends.ended(3, 3);
    clock.advance(afterMs);
    expect([first, ends.ended(3, 3)]).toEqual(told);
  });

  it('are those of the present start, each after a stream was opened', () => {
    const ends = new StreamEnds(new ManualClock(), 100);
    expect([ends.ended(2, 3), ends.ended(3, 3), ends.ended(3, 3)]).toEqual([false, true, false]);
    ends.opened();
    expect([ends.ended(3, 3), ends.ended(4, 4), ends.ended(4, 4)]).toEqual([true, true, false]);
  });
});

describe('dialing again', () => {
  /** When a has dialed b, ms. */
  function dials(): { readonly atMs: number[]; note: (twin: MemoryTwin) => (packet: Packet) => number } {
    const atMs: number[] = [];
    const note = (twin: MemoryTwin) => (packet: Packet) => {
      if (packet.kind === 'open' && packet.from === 'a') atMs.push(twin.clock.monotonicMs());
      return 0;
    };
    return { atMs, note };
  }

  async function notedPair(): Promise<[MemoryTwin, Member, Member, Bench, number[]]> {
    const { atMs, note } = dials();
    let noted: (packet: Packet) => number = () => 0;
    const all = await pair({ delayMs: (packet) => noted(packet) });
    noted = note(all[0]);
    return [...all, atMs];
  }

  it('begins within 5 ms where the stream had lasted, then waits as ever', async () => {
    const waits: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      const [twin, a, b, , atMs] = await notedPair();
      await twin.pass(500 + 7 * round);
      const startMs = twin.clock.monotonicMs();
      await twin.kill(b.transport);
      await twin.pass(2_000);
      waits.push((atMs[0] ?? Number.NaN) - startMs);
      const wholes = [20, 40, 80, 160, 320, 500];
      for (const [at, whole] of wholes.entries()) {
        const wait = (atMs[at + 1] ?? Number.NaN) - (atMs[at] ?? Number.NaN);
        expect([wait >= whole / 2, wait <= whole + 5]).toEqual([true, true]);
      }
      expect(a.unreachable).toHaveLength(2);
    }
    // Two milliseconds until it is told.
    expect(Math.max(...waits)).toBeLessThanOrEqual(5 + 2);
  });

  it('is no busy loop where a stream lasts just long enough each time', async () => {
    const [twin, a, b, , atMs] = await notedPair();
    for (let round = 0; round < 8; round += 1) {
      await twin.until('connected', () => a.isConnected(b));
      await twin.pass(500);
      twin.network.breakStreams('a', 'b');
      await twin.pass(1);
    }
    await twin.pass(100);
    expect(atMs.length).toBeLessThanOrEqual(8);
  });

  it('makes an attempt anew that leads nowhere for a while after its peer has shown up', async () => {
    for (const [ageMs, waitMs, dialed] of [
      [90, 190, 1],
      [90, 215, 2],
      // It is given up soon anyway.
      [1_805, 190, 1],
    ] as const) {
      const { atMs, note } = dials();
      let noted: (packet: Packet) => number = () => 0;
      const twin = memoryTwin({ delayMs: (packet) => noted(packet) });
      noted = note(twin);
      const bench = new Bench(() => twin);
      bench.open();
      const [a, b] = [await bench.member('a'), await bench.member('b')];
      // What a says to b is on its way to nowhere; b reaches a.
      twin.network.cut('a', 'b');
      a.transport.setIdentity(identityOf(a), [peerOf(b)]);
      await twin.pass(ageMs);
      b.join([a]);
      await twin.pass(waitMs);
      expect(atMs.length).toBe(dialed);
      expect(a.unreachable).toEqual([]);
      twin.network.heal('a', 'b');
      await bench.connected(a, b);
    }
  });
});
