import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RollcallError } from '../../src/base/errors.ts';
import { encodeItems } from '../../src/transport/peer-codec.ts';
import type { LocalIdentity } from '../../src/transport/types.ts';
import { Bench, settle } from '../transport/bench.ts';
import { formOf, identityOf, peerOf } from '../transport/member.ts';
import { heartbeat } from '../transport/messages.ts';
import type { TransportTwin } from '../transport/twins.ts';
import { evidenceCases } from './transport-evidence-cases.ts';
import { peersCases } from './transport-peers-cases.ts';
import { snapshotCases } from './transport-snapshot-cases.ts';

/** What a Transport promises, run against each twin. */
export function transportSuite(name: string, makeTwin: () => TransportTwin): void {
  describe(`transport: ${name}`, () => {
    const bench = new Bench(makeTwin);
    beforeEach(() => bench.open());
    afterEach(() => bench.close());
    connectionCases(bench);
    sendingCases(bench);
    overflowCases(bench);
    identityCases(bench);
    copyCases(bench);
    formCases(bench);
    snapshotCases(bench);
    peersCases(bench);
    evidenceCases(bench);
    stopCases(bench);
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

function connectionCases(bench: Bench): void {
  it('connects both ways and tells boot and client address of the peer', async () => {
    const [a, b] = await bench.pair({ boot: 3 }, { boot: 8 });
    expect(a.connected).toEqual(['b']);
    expect([a.transport.bootOf('b'), b.transport.bootOf('a'), a.transport.bootOf('x')]).toEqual([8, 3, 0]);
    a.beat(b, 1);
    await bench.twin.until('a batch at b', () => b.batches.length > 0);
    const [status] = b.transport.status();
    expect(status).toMatchObject({ memberId: 'a', address: a.address, connected: true, boot: 3 });
    expect(status).toMatchObject({ clientAddress: 'clients-a:1', queuedBytes: 0, droppedBatches: 0 });
    expect(status?.lastHeardMs).toBeLessThanOrEqual(bench.twin.clock.monotonicMs());
  });

  it('knows the boot of a peer before it says that it is connected', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b', { boot: 4 })];
    // b knows a under an address that leads nowhere: it never speaks, but its answer says who it is.
    const nowhere = { ...peerOf(a), address: bench.twin.address('nobody', 1) };
    b.transport.setIdentity(identityOf(b), [nowhere]);
    a.join([b]);
    await bench.twin.until('a connected', () => a.isConnected(b));
    expect(a.transport.bootOf('b')).toBe(4);
  });

  it('waits for a peer that is not formed yet, and connects at once when it is', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    a.join([b]);
    await bench.twin.until('a told', () => a.unreachable.length > 0);
    expect(a.reasons(b)).toEqual([expect.stringMatching(/^not-ready: /)]);
    await bench.twin.pass(100);
    b.join([a]);
    await bench.connected(a, b);
    // Told once, however often it dialed.
    expect(a.unreachable).toHaveLength(1);
    expect(b.transport.refusals().get('not-ready')).toBeGreaterThan(1);
  });

  it('tells that a peer is gone, and connects to its next life', async () => {
    const [a, b] = await bench.pair();
    await bench.twin.kill(b.transport);
    await bench.twin.until('a told', () => a.unreachable.length > 0);
    expect(a.isConnected(b)).toBe(false);
    expect(a.beat(b, 1)).toBe(false);
    const next = await bench.member('b', { boot: 2, port: b.port });
    next.join([a]);
    await bench.connected(a, next);
    expect(a.transport.bootOf('b')).toBe(2);
    expect(a.connected).toEqual(['b', 'b']);
    expect([a.beat(next, 5), next.beat(a, 6)]).toEqual([true, true]);
    await bench.twin.until('both heard', () => next.rounds(a).length > 0 && a.rounds(next).length > 0);
    // Nothing that was lost is sent again.
    expect([next.rounds(a), a.rounds(next)]).toEqual([[5], [6]]);
  });
}

function sendingCases(bench: Bench): void {
  it('keeps the order over many turns, and sends what one turn queues as one batch', async () => {
    const [a, b] = await bench.pair();
    a.beat(b, 1, 2);
    a.forward(b, 7);
    a.beat(b, 3);
    a.forward(b, 8);
    await bench.twin.until('the first turn', () => b.batches.length > 0);
    expect(b.batches).toHaveLength(1);
    for (const round of range(4, 400)) {
      a.beat(b, round);
      if (round % 10 === 0) await bench.twin.pass(1);
    }
    await bench.twin.until('all of it', () => b.rounds(a).length >= 399);
    expect(b.rounds(a)).toEqual(range(1, 400));
    expect(b.forwardedIds(a)).toEqual([7, 8]);
    expect(b.batches.length).toBeLessThan(100);
  });

  it('sends large messages whole, alone where they are above the size of a batch', async () => {
    const [a, b] = await bench.pair();
    const sizes = [10, 300_000, 4 * 1024 * 1024, 0, 700_000, 700_000, 1];
    const hash = '00000000000000ff';
    sizes.forEach((size, at) => {
      const entry = { index: at + 1, term: 1, hash, data: new Uint8Array(size).fill(at) };
      const append = {
        kind: 'append',
        prevIndex: at,
        prevTerm: 1,
        prevHash: hash,
        entries: [entry],
        commit: 0,
      } as const;
      const head = { from: 'a', to: 'b', fromBoot: 1, toBoot: 1, term: 1 } as const;
      expect(a.transport.send('b', [{ ...append, ...head }], [])).toBe(true);
    });
    const arrived = () => b.batches.flatMap((batch) => batch.messages);
    await bench.twin.until('all of it', () => arrived().length === sizes.length);
    arrived().forEach((message, at) => {
      if (message.kind !== 'append') throw new Error(`${message.kind} arrived`);
      const data = message.entries[0]?.data ?? new Uint8Array(1);
      expect(Buffer.compare(data, Buffer.alloc(sizes[at] ?? 0, at))).toBe(0);
    });
    expect(b.batches.length).toBeGreaterThan(3);
  });

  it('takes nothing for a peer that is unknown or not connected', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    expect(a.transport.send('b', [], [])).toBe(false);
    a.join([b]);
    expect(a.transport.send('x', [], [])).toBe(false);
    expect([a.beat(b, 1), a.beat(b, 2)]).toEqual([false, false]);
    expect(a.transport.status()[0]?.droppedBatches).toBe(2);
    b.join([a]);
    await bench.connected(a, b);
    a.beat(b, 3);
    await bench.twin.until('what was taken', () => b.rounds(a).length > 0);
    expect(b.rounds(a)).toEqual([3]);
  });

  it('refuses to send in the name of another', async () => {
    const [a] = await bench.pair();
    expect(() => a.transport.send('b', [heartbeat('x', 'b', 1, 1)], [])).toThrow('message from x');
    expect(() => a.transport.send('b', [heartbeat('a', 'c', 1, 1)], [])).toThrow('to c');
    expect(() => a.transport.send('b', [heartbeat('a', 'b', 2, 1)], [])).toThrow('boot 2');
  });
}

function overflowCases(bench: Bench): void {
  const bytesOf = (id: number, body: Uint8Array): number =>
    encodeItems([], [{ id, answer: false, body }]).reduce((sum, item) => sum + item.bytes, 0);

  it('takes exactly queueBytesMax, then refuses and tells once until the queue has run empty', async () => {
    const queueBytesMax = 10_000;
    const [a, b] = await bench.pair({ limits: { queueBytesMax } });
    const first = new Uint8Array(6_000);
    const rest = queueBytesMax - bytesOf(1, first);
    const second = new Uint8Array(rest - (bytesOf(2, new Uint8Array(1_000)) - 1_000));
    expect(bytesOf(1, first) + bytesOf(2, second)).toBe(queueBytesMax);
    for (const episode of [1, 2]) {
      expect(a.forward(b, 1, first)).toBe(true);
      expect(a.forward(b, 3, new Uint8Array(second.length + 1))).toBe(false);
      expect(a.forward(b, 2, second)).toBe(true);
      expect(a.transport.status()[0]?.queuedBytes).toBe(queueBytesMax);
      expect([a.forward(b, 4), a.beat(b, 1)]).toEqual([false, false]);
      expect(a.reasons(b)).toHaveLength(episode - 1);
      await bench.twin.until('the queue empty', () => a.transport.status()[0]?.queuedBytes === 0);
      await bench.twin.until('all of it', () => b.forwardedIds(a).length === 2 * episode);
      expect(a.reasons(b)).toEqual(Array.from({ length: episode }, () => 'queue-full: 10000 bytes wait'));
      expect(a.transport.status()[0]?.droppedBatches).toBe(3 * episode);
    }
    expect(b.forwardedIds(a)).toEqual([1, 2, 1, 2]);
    expect(a.isConnected(b)).toBe(true);
  });

  it('takes exactly queueItemsMax', async () => {
    const [a, b] = await bench.pair({ limits: { queueItemsMax: 5 } });
    expect(a.beat(b, 1, 2, 3)).toBe(true);
    expect(a.beat(b, 4, 5, 6)).toBe(false);
    expect(a.beat(b, 4, 5)).toBe(true);
    expect(a.beat(b, 6)).toBe(false);
    await bench.twin.until('what was taken', () => b.rounds(a).length === 5);
    expect(b.rounds(a)).toEqual([1, 2, 3, 4, 5]);
  });
}

function identityCases(bench: Bench): void {
  const strangers: readonly (readonly [string, Partial<LocalIdentity>])[] = [
    ['wrong-cluster', { clusterId: 'other' }],
    ['wrong-directory', { directoryId: 'other' }],
    ['unknown-member', { memberId: 'x' }],
    ['own-member-id', { memberId: 'b' }],
  ];
  it.each(strangers)('refuses a caller: %s', async (reason, change) => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    const nowhere = { ...peerOf(a), address: bench.twin.address('nobody', 1) };
    b.transport.setIdentity(identityOf(b), [nowhere]);
    // Under b's own id a caller knows b by another.
    const target = change.memberId === 'b' ? { ...peerOf(b), memberId: 'z' } : peerOf(b);
    a.transport.setIdentity({ ...identityOf(a), ...change }, [target]);
    await bench.twin.until('a told', () => a.unreachable.length > 0);
    const expected = change.memberId === 'b' ? 'wrong-addressee' : reason;
    expect(a.unreachable[0]?.reason).toMatch(new RegExp(`^${expected}: `));
    expect(b.transport.refusals().get(expected as 'wrong-cluster')).toBeGreaterThan(0);
    expect([b.batches, b.connected]).toEqual([[], []]);
  });

  it('refuses to be another than was meant', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    b.join([a]);
    // The address of c leads to b.
    a.transport.setIdentity(identityOf(a), [{ ...peerOf(b), memberId: 'c' }]);
    await bench.twin.until('a told', () => a.unreachable.length > 0);
    expect(a.unreachable[0]?.reason).toMatch(/^wrong-addressee: /);
    expect(a.transport.status()[0]?.connected).toBe(false);
  });
}

function copyCases(bench: Bench): void {
  it('refuses an earlier boot than was heard: an old copy of the directory', async () => {
    const [a, b] = await bench.pair({}, { boot: 5 });
    await bench.twin.kill(b.transport);
    await bench.twin.until('a told', () => a.unreachable.length > 0);
    const copy = await bench.member('b', { boot: 4, port: b.port });
    copy.join([a]);
    await bench.twin.until('the copy told', () => copy.reasons(a).some((reason) => reason.startsWith('old-copy: ')));
    // It hears it from both sides: a also says that it knows a later boot, and does not take it for the peer.
    await bench.twin.until('a told of it', () => a.reasons(b).some((reason) => reason.includes('receiver-old-copy')));
    await bench.twin.until('named here too', () =>
      copy.reasons(a).some((reason) => reason.startsWith('receiver-old-copy: ')),
    );
    expect([a.isConnected(copy), copy.isConnected(a)]).toEqual([false, false]);
    expect(a.transport.bootOf('b')).toBe(5);
    expect(a.rounds(copy)).toEqual([]);
    // The right one comes back.
    await bench.twin.kill(copy.transport);
    const next = await bench.member('b', { boot: 6, port: b.port });
    next.join([a]);
    await bench.connected(a, next);
  });

  it('refuses another start with the boot that was heard: a copy of the directory', async () => {
    const [a, b] = await bench.pair({}, { boot: 5, startId: 50 });
    await bench.twin.kill(b.transport);
    await bench.twin.until('a told', () => a.unreachable.length > 0);
    const copy = await bench.member('b', { boot: 5, startId: 51, port: b.port });
    copy.join([a]);
    await bench.twin.until('the copy told', () => copy.reasons(a).some((reason) => reason.startsWith('old-copy: ')));
    await bench.twin.until('a told of it', () => a.reasons(b).some((reason) => reason.includes('receiver-old-copy')));
    await bench.twin.until('named here too', () =>
      copy.reasons(a).some((reason) => reason.startsWith('receiver-old-copy: ')),
    );
    expect([a.isConnected(copy), copy.isConnected(a)]).toEqual([false, false]);
    expect([a.beat(copy, 1), copy.beat(a, 1)]).toEqual([false, false]);
    // The right one is told apart from the copy by its next boot.
    await bench.twin.kill(copy.transport);
    const next = await bench.member('b', { boot: 6, startId: 60, port: b.port });
    next.join([a]);
    await bench.connected(a, next);
    expect([a.transport.bootOf('b'), a.rounds(copy), copy.rounds(a)]).toEqual([6, [], []]);
  });
}

function formCases(bench: Bench): void {
  it('asks for the form state of an address, before and after there is an identity', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    const ask = async (): Promise<unknown> => settle(bench, a.transport.form(b.address, formOf('a'), 1_000));
    expect(await ask()).toEqual({ ...formOf('b'), initialMembers: formOf('a').initialMembers });
    a.join([b]);
    b.join([a]);
    await bench.connected(a, b);
    expect(await ask()).toEqual({ ...formOf('b'), initialMembers: formOf('a').initialMembers });
  });

  it('says UNAVAILABLE where nobody answers', async () => {
    const a = await bench.member('a');
    const asked = settle(bench, a.transport.form(bench.twin.address('nobody', 1), formOf('a'), 300));
    await expect(asked).rejects.toMatchObject({ name: 'RollcallError', code: 'UNAVAILABLE', retryable: true });
  });
}

function stopCases(bench: Bench): void {
  it('sends what is queued before it stops, tells the peers, and takes nothing more', async () => {
    const [a, b] = await bench.pair();
    a.beat(b, ...range(1, 50));
    const stopped = a.transport.stop(2_000);
    expect(a.beat(b, 99)).toBe(false);
    await settle(bench, stopped);
    await settle(bench, a.transport.stop(2_000));
    await bench.twin.until('all of it', () => b.rounds(a).length === 49);
    await bench.twin.until('b told', () => b.reasons(a).some((reason) => reason.startsWith('stopping: ')));
    const failed = { code: 'UNAVAILABLE' } satisfies Partial<RollcallError>;
    await expect(a.transport.form(b.address, formOf('a'), 100)).rejects.toMatchObject(failed);
    await expect(
      a.transport.sendSnapshot('b', 1, { index: 1, term: 1, hash: '0000000000000000' }, (async function* () {})()),
    ).rejects.toMatchObject(failed);
    expect(a.unreachable).toEqual([]);
  });

  it('stops before it has an identity, and while nobody answers', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    await settle(bench, b.transport.stop(100));
    a.join([b]);
    await bench.twin.pass(5);
    await settle(bench, a.transport.stop(100));
    expect([a.isConnected(b), a.beat(b, 1)]).toEqual([false, false]);
  });
}
