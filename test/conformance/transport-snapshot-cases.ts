import { expect, it } from 'vitest';
import type { IncomingSnapshot } from '../../src/transport/types.ts';
import { type Bench, settle } from '../transport/bench.ts';
import type { Member } from '../transport/member.ts';

const base = { index: 40, term: 2, hash: '0123456789abcdef' };
const unavailable = { name: 'RollcallError', code: 'UNAVAILABLE', retryable: true };

async function* pieces(
  count: number,
  bytes: number,
  onPiece: (at: number) => void = () => {},
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at += 1) {
    onPiece(at);
    yield new Uint8Array(bytes).fill(at);
  }
}

/** Holds back until it is opened. */
class Gate {
  open: () => void = () => {};
  readonly opened = new Promise<void>((resolve) => (this.open = resolve));
}

async function readAll(incoming: IncomingSnapshot): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of incoming.body) parts.push(part.slice());
  return Buffer.concat(parts);
}

/** The cases of a Transport that have to do with snapshots. */
export function snapshotCases(bench: Bench): void {
  const send = (from: Member, to: Member, body: AsyncIterable<Uint8Array>): Promise<number> => {
    return from.transport.sendSnapshot(to.name, 7, base, body);
  };
  arrivalCases(bench, send);
  breakCases(bench, send);
  stoppedCases(bench, send);
  goneCases(bench, send);
  stallCases(bench, send);
  boundCases(bench, send);
}

type Send = (from: Member, to: Member, body: AsyncIterable<Uint8Array>) => Promise<number>;

function arrivalCases(bench: Bench, send: Send): void {
  it('carries a snapshot whole, and answers with the index of the receiver', async () => {
    const seen: { head: Omit<IncomingSnapshot, 'body'>; body: Buffer }[] = [];
    const [a, b] = await bench.pair(
      { boot: 3 },
      {
        onSnapshot: async ({ body, ...head }) => {
          seen.push({ head, body: await readAll({ body, ...head }) });
          return 45;
        },
      },
    );
    expect(await settle(bench, send(a, b, pieces(5, 600_000)))).toBe(45);
    expect(seen[0]?.head).toEqual({ from: 'a', fromBoot: 3, term: 7, snapshot: base });
    const expected = Buffer.concat([0, 1, 2, 3, 4].map((at) => Buffer.alloc(600_000, at)));
    expect(Buffer.compare(seen[0]?.body ?? Buffer.alloc(0), expected)).toBe(0);
    // Another one, with nothing in it.
    expect(await settle(bench, send(a, b, pieces(0, 0)))).toBe(45);
    expect(seen[1]?.body.length).toBe(0);
    // Batches went on meanwhile and go on now.
    a.beat(b, 1);
    await bench.twin.until('a batch', () => b.rounds(a).length === 1);
  });

  it('is told when the receiver refuses, before it has read a byte or after', async () => {
    let reads = false;
    const [a, b] = await bench.pair(
      {},
      {
        onSnapshot: async (incoming) => {
          if (reads) await readAll(incoming);
          throw new Error('disk is full');
        },
      },
    );
    const refused = { ...unavailable, message: expect.stringContaining('snapshot-refused: disk is full') };
    await expect(settle(bench, send(a, b, pieces(3, 1_000)))).rejects.toMatchObject(refused);
    reads = true;
    await expect(settle(bench, send(a, b, pieces(3, 1_000)))).rejects.toMatchObject(refused);
    expect(b.transport.refusals().get('snapshot-refused')).toBe(2);
  });

  it('needs a connected peer', async () => {
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    a.join([b]);
    await expect(send(a, b, pieces(1, 1))).rejects.toMatchObject(unavailable);
    await expect(a.transport.sendSnapshot('x', 7, base, pieces(1, 1))).rejects.toMatchObject(unavailable);
  });
}

function breakCases(bench: Bench, send: Send): void {
  it('that breaks at its source is thrown away by the receiver; the sender gets its own error back', async () => {
    const ends: unknown[] = [];
    const begun = new Gate();
    const onSnapshot = async (incoming: IncomingSnapshot): Promise<number> => {
      try {
        for await (const part of incoming.body) if (part.length > 0) begun.open();
        return 1;
      } catch (error) {
        ends.push(error);
        throw error;
      }
    };
    const [a, b] = await bench.pair({}, { onSnapshot });
    const body = (async function* () {
      yield new Uint8Array(500_000);
      await begun.opened;
      throw new TypeError('iterator is closed');
    })();
    await expect(settle(bench, send(a, b, body))).rejects.toThrow(new TypeError('iterator is closed'));
    await bench.twin.until('the receiver told', () => ends.length > 0);
    expect(ends[0]).toBeInstanceOf(Error);
    // The place is free again.
    await expect(settle(bench, send(a, b, pieces(1, 1)))).resolves.toBe(1);
  });
}

function goneCases(bench: Bench, send: Send): void {
  it('breaks at both ends when the sender is gone', async () => {
    const ends: unknown[] = [];
    const [a, b] = await bench.pair(
      {},
      {
        onSnapshot: async (incoming) => {
          try {
            await readAll(incoming);
          } catch (error) {
            ends.push(error);
          }
          throw new Error('not installed');
        },
      },
    );
    const held = new Gate();
    const body = (async function* () {
      yield new Uint8Array(100_000);
      await held.opened;
    })();
    let sent: unknown;
    send(a, b, body).catch((error: unknown) => (sent = error));
    await bench.twin.pass(50);
    await bench.twin.kill(a.transport);
    await bench.twin.until('the receiver told', () => ends.length > 0);
    expect(ends[0]).toBeInstanceOf(Error);
    held.open();
    // A killed process hears nothing; a stopped one hears that it failed.
    expect([undefined, 'RollcallError']).toContain(sent instanceof Error ? sent.name : sent);
  });

  it('is told to the sender when the receiver is gone, also while it waits for its own source', async () => {
    const held = new Gate();
    const [a, b] = await bench.pair({}, { onSnapshot: (incoming) => readAll(incoming).then(() => 1) });
    let closed = false;
    const body = (async function* () {
      try {
        yield new Uint8Array(100_000);
        await held.opened;
        yield new Uint8Array(1);
      } finally {
        closed = true;
      }
    })();
    const sent = settle(bench, send(a, b, body));
    await bench.twin.pass(50);
    await bench.twin.kill(b.transport);
    await expect(sent).rejects.toMatchObject(unavailable);
    held.open();
    await bench.twin.until('the source closed', () => closed);
  });
}

function stoppedCases(bench: Bench, send: Send): void {
  it('is told to the sender when the receiver stops in order, and never comes to an answer', async () => {
    const never = new Gate();
    const onSnapshot = async (incoming: IncomingSnapshot): Promise<number> => {
      await readAll(incoming);
      await never.opened;
      return 1;
    };
    const [a, b] = await bench.pair({}, { onSnapshot });
    const sent = settle(bench, send(a, b, pieces(1, 1_000)));
    await bench.twin.pass(50);
    const stopped = b.transport.stop(100);
    await expect(sent).rejects.toMatchObject(unavailable);
    await settle(bench, stopped);
  });
}

function stallCases(bench: Bench, send: Send): void {
  it('that stalls is given up by the receiver', async () => {
    const held = new Gate();
    const limits = { snapshotStallMsMax: 150 };
    const [a, b] = await bench.pair({}, { limits, onSnapshot: (incoming) => readAll(incoming).then(() => 1) });
    const body = (async function* () {
      yield new Uint8Array(10);
      await held.opened;
    })();
    await expect(settle(bench, send(a, b, body))).rejects.toMatchObject(unavailable);
    held.open();
  });

  it('that the receiver does not take is given up by the sender', async () => {
    const held = new Gate();
    const onSnapshot = (): Promise<number> => held.opened.then(() => 1);
    const [a, b] = await bench.pair({ limits: { snapshotStallMsMax: 150 } }, { onSnapshot });
    const stalled = { ...unavailable, message: expect.stringContaining('snapshot stalled') };
    await expect(settle(bench, send(a, b, pieces(200, 256_000)))).rejects.toMatchObject(stalled);
    held.open();
  });

  it('that the receiver does not answer is given up by the sender', async () => {
    const held = new Gate();
    const onSnapshot = (incoming: IncomingSnapshot): Promise<number> => {
      return readAll(incoming).then(() => held.opened.then(() => 1));
    };
    const [a, b] = await bench.pair({ limits: { snapshotAnswerMsMax: 150 } }, { onSnapshot });
    const silent = { ...unavailable, message: expect.stringContaining('no answer to the snapshot') };
    await expect(settle(bench, send(a, b, pieces(1, 10)))).rejects.toMatchObject(silent);
    held.open();
  });
}

function boundCases(bench: Bench, send: Send): void {
  it('does not run ahead of a receiver that is slow', async () => {
    const held = new Gate();
    const [a, b] = await bench.pair(
      {},
      {
        onSnapshot: async (incoming) => {
          await held.opened;
          return (await readAll(incoming)).length;
        },
      },
    );
    let taken = 0;
    const sent = settle(
      bench,
      send(
        a,
        b,
        pieces(100, 256 * 1024, () => (taken += 1)),
      ),
    );
    await bench.twin.pass(300);
    const before = taken;
    await bench.twin.pass(100);
    // 100 pieces are 25 MiB: what is under way is what a stream and the sockets hold.
    expect([taken, before < 60]).toEqual([before, true]);
    held.open();
    expect(await sent).toBe(100 * 256 * 1024);
    expect(taken).toBe(100);
  });

  it('goes one at a time to a peer, and one at a time into a member', async () => {
    const held = new Gate();
    const onSnapshot = async (incoming: IncomingSnapshot): Promise<number> => {
      await readAll(incoming);
      await held.opened;
      return 9;
    };
    const [a, b, c] = [await bench.member('a'), await bench.member('b', { onSnapshot }), await bench.member('c')];
    a.join([b, c]);
    b.join([a, c]);
    c.join([a, b]);
    await bench.connected(a, b);
    await bench.connected(c, b);
    const first = settle(bench, send(a, b, pieces(1, 100)));
    await expect(send(a, b, pieces(1, 1))).rejects.toMatchObject(unavailable);
    await bench.twin.pass(50);
    const busy = { ...unavailable, message: expect.stringContaining('snapshot-busy: ') };
    await expect(settle(bench, send(c, b, pieces(1, 1)))).rejects.toMatchObject(busy);
    held.open();
    expect(await first).toBe(9);
    expect(await settle(bench, send(c, b, pieces(1, 1)))).toBe(9);
  });
}
