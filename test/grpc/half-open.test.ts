// A client that is gone without a word: its machine has lost power, or its process is frozen. Nothing closes such a
// connection but the member's own ping.
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { headerList, hello, rawFrame } from '../../scripts/fuzz/raw-frames.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { Harness, until } from './grpc-harness.ts';
import { framed, framesIn } from './raw-http2.ts';

const { v1 } = rollcall;
const types = { data: 0, headers: 1, settings: 4, ping: 6, goaway: 7 } as const;
const endHeaders = 4;
const acknowledged = 1;
const keepaliveMs = 200;

let harness: Harness;
let drained = false;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.length = 0;
  if (!drained) await harness.stop();
  drained = false;
});

interface Peer {
  readonly socket: Socket;
  received: Buffer;
  closed: boolean;
}

/** Opens a watch and a stream of renewals, and answers pings or not. */
function openStreams(answersPings: boolean): Peer {
  const socket = connect(harness.port, '127.0.0.1');
  sockets.push(socket);
  const peer: Peer = { socket, received: Buffer.alloc(0), closed: false };
  let answered = 0;
  socket.on('error', () => undefined);
  socket.on('close', () => (peer.closed = true));
  socket.on('data', (chunk: Buffer) => {
    peer.received = Buffer.concat([peer.received, chunk]);
    const pings = framesIn(peer.received).filter(({ type }) => type === types.ping);
    for (const { payload } of answersPings ? pings.slice(answered) : []) {
      socket.write(rawFrame(types.ping, acknowledged, 0, payload));
    }
    answered = pings.length;
  });
  const create = v1.WatchRequest.encode({ create: { watchId: 1, service: 'a' } }).finish();
  const renew = v1.KeepAliveRequest.encode({ leaseIds: [1] }).finish();
  const opened = [
    rawFrame(types.headers, endHeaders, 1, headers('/rollcall.v1.Registry/Watch')),
    rawFrame(types.data, 0, 1, framed(create)),
    rawFrame(types.headers, endHeaders, 3, headers('/rollcall.v1.Registry/KeepAlive')),
    rawFrame(types.data, 0, 3, framed(renew)),
  ];
  socket.write(Buffer.concat([hello, ...opened]));
  return peer;
}

function headers(path: string): Buffer {
  return headerList([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'a'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ]);
}

async function streamsOpen(): Promise<void> {
  await until(
    () => harness.observer.streams.Watch === 1 && harness.observer.streams.KeepAlive === 1,
    'both streams are open',
  );
}

describe('a client that answers no ping', () => {
  it('loses its connection, and its streams and watches are let go, within both times', async () => {
    harness = await Harness.start({ keepaliveTimeMs: keepaliveMs, keepaliveTimeoutMs: keepaliveMs });
    const peer = openStreams(false);
    await streamsOpen();
    const startMs = Date.now();
    await until(() => peer.closed, 'the connection is cut');
    // Twice both times: the machine may be busy.
    expect(Date.now() - startMs).toBeLessThan(4 * keepaliveMs + 2_000);
    await until(() => harness.observer.connections === 0, 'the connection is not counted any more');
    expect(harness.observer.streams).toMatchObject({ Watch: 0, KeepAlive: 0 });
    expect(harness.registry.watches[0]?.closed).toBe(true);
  });

  it('is told from one that is only quiet', async () => {
    harness = await Harness.start({ keepaliveTimeMs: keepaliveMs, keepaliveTimeoutMs: 2_000 });
    const peer = openStreams(true);
    await streamsOpen();
    const pings = (): number => framesIn(peer.received).filter(({ type }) => type === types.ping).length;
    await until(() => pings() >= 4, 'four pings');
    expect(peer.closed).toBe(false);
    expect(harness.observer.streams).toMatchObject({ Watch: 1, KeepAlive: 1 });
  });
});

describe('drain', () => {
  it('sends GOAWAY to whoever is connected, so that no new call comes', async () => {
    harness = await Harness.start();
    const peer = openStreams(true);
    await streamsOpen();
    drained = true;
    const done = harness.server.drain(5_000);
    await until(() => framesIn(peer.received).some(({ type }) => type === types.goaway), 'GOAWAY');
    const noError = framesIn(peer.received)
      .find(({ type }) => type === types.goaway)
      ?.payload.readUInt32BE(4);
    expect(noError).toBe(0);
    peer.socket.destroy();
    await done;
    expect(harness.observer.streams).toMatchObject({ Watch: 0, KeepAlive: 0 });
  });
});
