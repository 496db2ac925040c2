import { expect, it } from 'vitest';
import type { RefusalReason } from '../../src/transport/refusal.ts';
import type { PeerAddress } from '../../src/transport/types.ts';
import { type Bench, settle } from '../transport/bench.ts';
import { identityOf, type Member, peerOf } from '../transport/member.ts';

/** The cases of a Transport that have to do with peers that change while it runs. */
export function peersCases(bench: Bench): void {
  comeCases(bench);
  goCases(bench);
  removedCases(bench);
  unbelievedCases(bench);
  changeCases(bench);
  dialCases(bench);
  edgeCases(bench);
}

function refusedAs(member: Member, reason: RefusalReason): number {
  return member.transport.refusals().get(reason) ?? 0;
}

/** a and b, connected; b told as `wrong` says. */
async function knowing(bench: Bench, wrong: (b: Member) => PeerAddress): Promise<[Member, Member]> {
  const [a, b] = [await bench.member('a'), await bench.member('b')];
  a.transport.setIdentity(identityOf(a), [wrong(b)]);
  b.join([a]);
  return [a, b];
}

function comeCases(bench: Bench): void {
  it('dials a new peer and lets it in, and the others do not notice', async () => {
    const [a, b] = await bench.pair();
    const c = await bench.member('c');
    c.join([a, b]);
    await bench.twin.until('c refused', () => c.reasons(a).length > 0 && c.reasons(b).length > 0);
    expect(c.reasons(a)).toEqual([expect.stringMatching(/^unknown-member: /)]);
    a.peers([peerOf(b), peerOf(c)]);
    b.peers([peerOf(a), peerOf(c)]);
    await bench.connected(a, c);
    await bench.connected(b, c);
    expect([a.beat(c, 1), c.beat(b, 2), b.beat(a, 3)]).toEqual([true, true, true]);
    await bench.twin.until('all of it', () => c.rounds(a).length + b.rounds(c).length + a.rounds(b).length === 3);
    expect(a.transport.status().map(({ memberId }) => memberId)).toEqual(['b', 'c']);
    expect([a.connected.sort(), a.unreachable, a.ended, c.removed]).toEqual([['b', 'c'], [], [], []]);
  });

  it('takes the same peers again and again, and nothing is reset', async () => {
    const [a, b] = await bench.pair();
    for (let round = 1; round <= 20; round += 1) {
      a.beat(b, round);
      a.peers([peerOf(b)]);
      b.peers([peerOf(a)], ['x', 'y']);
      await bench.twin.pass(1);
    }
    await bench.twin.until('all of it', () => b.rounds(a).length === 20);
    expect(b.rounds(a)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    expect([a.connected, a.unreachable, a.ended, b.unreachable, b.ended]).toEqual([['b'], [], [], [], []]);
  });
}

function goCases(bench: Bench): void {
  it('ends the streams of a peer that is gone, with what waits for it, and tells nothing of it any more', async () => {
    const [a, b] = await bench.pair();
    a.beat(b, 1);
    await bench.twin.until('the first', () => b.rounds(a).length === 1);
    expect([a.beat(b, 2), a.forward(b, 3)]).toEqual([true, true]);
    b.beat(a, 9);
    a.peers([]);
    expect([a.beat(b, 4), a.transport.status()]).toEqual([false, []]);
    await bench.twin.until('b told', () => b.reasons(a).some((reason) => reason.startsWith('unknown-member: ')));
    await bench.twin.pass(100);
    expect([b.rounds(a), b.forwardedIds(a), a.rounds(b)]).toEqual([[1], [], []]);
    expect([a.unreachable, a.ended, b.removed, b.connected]).toEqual([[], [], [], ['a']]);
    // It may come back: a membership is undone.
    a.peers([peerOf(b)]);
    await bench.connected(a, b);
    a.beat(b, 5);
    await bench.twin.until('the next', () => b.rounds(a).length === 2);
    expect(b.rounds(a)).toEqual([1, 5]);
  });

  it('gives up a snapshot that is on its way to a peer that is gone', async () => {
    const onSnapshot = async (incoming: { readonly body: AsyncIterable<Uint8Array> }): Promise<number> => {
      for await (const part of incoming.body) expect(part.length).toBeGreaterThan(0);
      return 1;
    };
    const [a, b] = await bench.pair({}, { onSnapshot });
    let go: () => void = () => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    const body = (async function* () {
      yield new Uint8Array(1_000);
      await held;
    })();
    const sent = settle(bench, a.transport.sendSnapshot('b', 7, { index: 4, term: 2, hash: '0123456789abcdef' }, body));
    const failed = sent.catch((error: unknown) => error);
    await bench.twin.pass(30);
    a.peers([]);
    expect(await failed).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('the receiver is no peer any more'),
    });
    go();
    await bench.twin.until('b told', () => b.unreachable.length > 0);
    expect(a.unreachable).toEqual([]);
  });

  it('remembers what it has heard of a peer that was none for a while', async () => {
    const [a, b] = await bench.pair({}, { boot: 5 });
    a.peers([]);
    await bench.twin.kill(b.transport);
    const copy = await bench.member('b', { boot: 4, port: b.port });
    copy.join([a]);
    a.peers([peerOf(copy)]);
    await bench.twin.until('the copy told', () => copy.reasons(a).some((reason) => reason.startsWith('old-copy: ')));
    expect([a.transport.bootOf('b'), a.isConnected(copy)]).toEqual([5, false]);
  });
}

function removedCases(bench: Bench): void {
  it('tells a member that it was removed for good, once, whoever says it, and goes on refusing it', async () => {
    const [a, b, c] = [await bench.member('a'), await bench.member('b'), await bench.member('c')];
    a.join([b, c]);
    b.join([a, c]);
    c.join([a, b]);
    await bench.connected(a, c);
    await bench.connected(b, c);
    a.peers([peerOf(b)], ['c']);
    b.peers([peerOf(a)], ['c']);
    await bench.twin.until('c told', () => c.removed.length > 0);
    const by = c.removed[0]?.by ?? '';
    const text = `member "c" was removed from cluster cluster for good, says member ${by}`;
    expect([['a', 'b'].includes(by), c.removed]).toEqual([true, [{ by, text }]]);
    await bench.twin.until('refused again', () => refusedAs(a, 'removed') > 2 && refusedAs(b, 'removed') > 2);
    expect([c.removed.length, c.reasons(a), c.reasons(b)]).toEqual([
      1,
      [`removed: ${text.replace(`member ${by}`, 'member a')}`],
      [`removed: ${text.replace(`member ${by}`, 'member b')}`],
    ]);
    expect([a.unreachable, a.ended, a.isConnected(b), b.isConnected(a)]).toEqual([[], [], true, true]);
  });

  it('tells it to a later start of the member, which was away meanwhile', async () => {
    const [a, c] = [await bench.member('a'), await bench.member('c', { boot: 2 })];
    a.join([c]);
    c.join([a]);
    await bench.connected(a, c);
    await bench.twin.kill(c.transport);
    a.peers([], ['c']);
    const next = await bench.member('c', { boot: 3, port: c.port });
    next.join([a]);
    await bench.twin.until('told', () => next.removed.length > 0);
    expect(next.removed[0]?.by).toBe('a');
  });
}

function unbelievedCases(bench: Bench): void {
  const odd: readonly (readonly [string, (a: Member) => Partial<PeerAddress>])[] = [
    ['has another directory than is recorded', () => ({ directoryId: 'other' })],
    ['has a directory that is not recorded', () => ({ directoryId: '' })],
    ['is another than was meant', () => ({ memberId: 'z' })],
  ];
  it.each(odd)('does not believe it of a peer that %s', async (_name, change) => {
    const [a, c] = [await bench.member('a'), await bench.member('c')];
    a.transport.setIdentity(identityOf(a), []);
    a.peers([], ['c']);
    c.transport.setIdentity(identityOf(c), [{ ...peerOf(a), ...change(a) }]);
    await bench.twin.until('refused a few times', () => {
      return refusedAs(a, 'removed') + refusedAs(a, 'wrong-addressee') > 2;
    });
    expect([c.removed, c.unreachable.length]).toEqual([[], 1]);
  });

  it('does not believe it of another cluster, which does not even say it', async () => {
    const [a, c] = [await bench.member('a'), await bench.member('c')];
    a.transport.setIdentity({ ...identityOf(a), clusterId: 'other' }, []);
    a.peers([], ['c']);
    c.join([a]);
    await bench.twin.until('refused', () => refusedAs(a, 'wrong-cluster') > 2);
    expect([c.removed, refusedAs(a, 'removed')]).toEqual([[], 0]);
  });
}

function changeCases(bench: Bench): void {
  it('dials a peer at another address at once, and tells what was lost', async () => {
    const [a, b] = await bench.pair();
    expect(a.beat(b, 1)).toBe(true);
    a.peers([{ ...peerOf(b), address: bench.twin.address('nobody', 1) }]);
    expect([a.beat(b, 2), a.isConnected(b), a.unreachable]).toEqual([false, false, []]);
    await bench.twin.until('told twice', () => a.unreachable.length === 2);
    expect(a.reasons(b)[0]).toBe('changed: the peer has another address or directory');
    expect([b.rounds(a), a.ended]).toEqual([[], []]);
    // What comes from it still comes.
    expect(b.beat(a, 3)).toBe(true);
    await bench.twin.until('what b says', () => a.rounds(b).length === 1);
    await bench.twin.pass(700);
    const startMs = bench.twin.clock.monotonicMs();
    a.peers([peerOf(b)]);
    await bench.connected(a, b);
    // Far below the wait that it had come to.
    expect(bench.twin.clock.monotonicMs() - startMs).toBeLessThan(240);
    a.beat(b, 4);
    await bench.twin.until('a batch', () => b.rounds(a).length > 0);
    expect([b.rounds(a), a.unreachable.length]).toEqual([[4], 2]);
  });

  it('ends what comes from another directory than the one that is known now', async () => {
    const [a, b] = await knowing(bench, (one) => ({ ...peerOf(one), directoryId: '' }));
    await bench.connected(a, b);
    // Now it is known, and it is the right one: the stream from it stays.
    a.peers([peerOf(b)]);
    await bench.connected(a, b);
    expect([b.unreachable, b.connected]).toEqual([[], ['a']]);
    a.peers([{ ...peerOf(b), directoryId: 'other' }]);
    const foreign = (reason: string): boolean => reason.startsWith('wrong-directory: ');
    await bench.twin.until('both told', () => b.reasons(a).some(foreign) && a.reasons(b).some(foreign));
    b.beat(a, 1);
    expect([a.isConnected(b), b.isConnected(a), a.rounds(b)]).toEqual([false, false, []]);
  });
}

function dialCases(bench: Bench): void {
  it('forgets an attempt that is under way to a peer that is gone or elsewhere', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    b.join([a]);
    a.join([b]);
    a.peers([]);
    await bench.twin.pass(60);
    expect([a.connected, a.unreachable, a.transport.status()]).toEqual([[], [], []]);
    // There, gone and back in one turn; then turned twice while it is dialed.
    a.peers([peerOf(b)]);
    a.peers([]);
    a.peers([peerOf(b)]);
    a.peers([{ ...peerOf(b), address: bench.twin.address('nobody', 1) }]);
    a.peers([peerOf(b)]);
    await bench.connected(a, b);
    expect([a.connected, a.unreachable, a.ended]).toEqual([['b'], [], []]);
  });

  it('lets its owner change the peers while it tells of one', async () => {
    const [a, b] = await bench.pair();
    a.onEnded = () => a.transport.setPeers([], ['b']);
    await bench.twin.kill(b.transport);
    await bench.twin.until('told', () => a.ended.length > 0);
    await bench.twin.pass(50);
    // Whichever of the two streams ended first: of who is no peer any more nothing is told.
    expect([a.ended.length, a.transport.status(), a.unreachable]).toEqual([1, [], []]);
  });
}

function edgeCases(bench: Bench): void {
  it('refuses peers that cannot be, and keeps those it has', async () => {
    const [a, b] = await bench.pair();
    expect(() => a.peers([peerOf(a)])).toThrow('this member among its peers');
    expect(() => a.peers([peerOf(b), peerOf(b)])).toThrow('peer b named twice');
    expect(() => a.peers([peerOf(b)], ['b'])).toThrow('member b, which was removed, among the peers');
    const c = await bench.member('c');
    expect(() => c.peers([peerOf(a)])).toThrow('gate of a member whose peers change');
    expect(a.isConnected(b)).toBe(true);
  });

  it('changes nothing any more once it is stopping', async () => {
    const [a, b] = await bench.pair();
    const stopped = a.transport.stop(200);
    a.peers([]);
    await settle(bench, stopped);
    a.peers([peerOf(b)]);
    await bench.twin.pass(50);
    expect(a.isConnected(b)).toBe(false);
  });
}
