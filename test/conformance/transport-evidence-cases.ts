import { expect, it } from 'vitest';
import type { ProbeResult } from '../../src/transport/types.ts';
import { type Bench, settle } from '../transport/bench.ts';
import { identityOf, type Member, peerOf } from '../transport/member.ts';

/** The cases of a Transport that have to do with evidence that a peer is gone. */
export function evidenceCases(bench: Bench): void {
  endedCases(bench);
  notEndedCases(bench);
  probeCases(bench);
  probeEdgeCases(bench);
}

function probe(bench: Bench, from: Member, to: Member): Promise<ProbeResult> {
  return settle(bench, from.probe(to));
}

function endedCases(bench: Bench): void {
  it('tells once that the streams of a peer have ended when it dies, and again when its next start does', async () => {
    // However slow this process is to read the two sockets.
    const [a, b] = await bench.pair({ limits: { sameEndMsMax: 10_000 } }, { boot: 8 });
    await bench.twin.kill(b.transport);
    await bench.twin.until('a told', () => a.ended.length > 0);
    expect(await probe(bench, a, b)).toBe('refused');
    await bench.twin.pass(150);
    expect(a.ended).toEqual([{ peer: 'b', boot: 8 }]);
    const next = await bench.member('b', { boot: 9, port: b.port });
    next.join([a]);
    await bench.connected(a, next);
    expect(await probe(bench, a, next)).toBe('open');
    await bench.twin.kill(next.transport);
    await bench.twin.until('a told again', () => a.ended.length > 1);
    await bench.twin.pass(150);
    expect(a.ended).toEqual([
      { peer: 'b', boot: 8 },
      { peer: 'b', boot: 9 },
    ]);
  });

  it('tells it of either direction alone', async () => {
    const [a, b] = [await bench.member('a', { boot: 3 }), await bench.member('b', { boot: 4 })];
    const nowhere = (peer: Member): ReturnType<typeof peerOf> => {
      return { ...peerOf(peer), address: bench.twin.address('nobody', 1) };
    };
    // Only a dials: b hears from it, and a speaks to it.
    b.transport.setIdentity(identityOf(b), [nowhere(a)]);
    a.join([b]);
    await bench.twin.until('a connected', () => a.isConnected(b));
    await bench.twin.kill(a.transport);
    await bench.twin.until('b told', () => b.ended.length > 0);
    expect(b.ended).toEqual([{ peer: 'a', boot: 3 }]);
    const next = await bench.member('a', { boot: 4, port: a.port });
    next.join([b]);
    await bench.twin.until('connected again', () => next.isConnected(b));
    await bench.twin.kill(b.transport);
    await bench.twin.until('a told', () => next.ended.length > 0);
    expect(next.ended).toEqual([{ peer: 'b', boot: 4 }]);
  });

  it('tells it of a peer that stops in order, which nobody finds there any more', async () => {
    const [a, b] = await bench.pair({ limits: { sameEndMsMax: 10_000 } });
    const stopped = settle(bench, b.transport.stop(100));
    await bench.twin.until('a told', () => a.ended.length > 0);
    await stopped;
    expect(await probe(bench, a, b)).toBe('refused');
    await bench.twin.pass(150);
    expect([a.ended, b.ended]).toEqual([[{ peer: 'b', boot: 1 }], []]);
  });
}

function notEndedCases(bench: Bench): void {
  it('does not tell it of attempts that fail', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    a.join([b]);
    await bench.twin.until('refused a few times', () => (b.transport.refusals().get('not-ready') ?? 0) > 2);
    expect(a.ended).toEqual([]);
  });

  it('does not tell it of what this member ends itself', async () => {
    const [a, b] = await bench.pair();
    a.peers([]);
    await bench.twin.until('b told', () => b.ended.length > 0);
    expect(await probe(bench, b, a)).toBe('open');
    a.peers([peerOf(b)]);
    await bench.connected(a, b);
    a.peers([{ ...peerOf(b), address: bench.twin.address('nobody', 1) }]);
    await bench.twin.until('b told', () => b.ended.length > 1);
    await settle(bench, a.transport.stop(50));
    expect(a.ended).toEqual([]);
  });
}

function probeCases(bench: Bench): void {
  it('finds a live peer open, also one that it may not speak to', async () => {
    const [a, b] = await bench.pair();
    expect(await probe(bench, a, b)).toBe('open');
    b.peers([], ['a']);
    expect(await probe(bench, a, b)).toBe('open');
    expect([b.transport.refusals().get('malformed'), b.transport.refusals().get('no-first-batch')]).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('finds a port where nobody listens refused', async () => {
    const [a] = await bench.pair();
    const absent = { memberId: 'c', address: bench.twin.address('nobody', 1), directoryId: '' };
    a.peers([absent]);
    expect(await settle(bench, a.transport.probe('c'))).toBe('refused');
  });

  it('asks where the peer is now', async () => {
    const [a, b] = await bench.pair();
    const before = a.probe(b);
    a.peers([{ ...peerOf(b), address: bench.twin.address('nobody', 1) }]);
    const after = a.probe(b);
    expect(await settle(bench, Promise.all([before, after]))).toEqual(['open', 'refused']);
  });
}

function probeEdgeCases(bench: Bench): void {
  it('is silent on whom it does not know, and once it is stopping; a probe under way ends with the stop', async () => {
    const [a, b] = await bench.pair();
    expect(await settle(bench, a.transport.probe('x'))).toBe('silent');
    const under = a.probe(b);
    const stopped = a.transport.stop(0);
    expect(await settle(bench, a.transport.probe('b'))).toBe('silent');
    expect(['silent', 'open']).toContain(await settle(bench, under));
    await settle(bench, stopped);
  });
}
