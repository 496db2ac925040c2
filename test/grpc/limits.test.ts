import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { detailsOf, failureOf, Harness, registerBytes, until } from './grpc-harness.ts';
import { clientHello, frame, framesIn, headerBlock } from './raw-http2.ts';

let harness: Harness;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.length = 0;
  await harness.stop();
});

/** A TCP connection; `received` grows with what the server sends. */
async function rawSocket(): Promise<{ readonly socket: Socket; received: Buffer; closed: boolean }> {
  const socket = connect(harness.port, '127.0.0.1');
  sockets.push(socket);
  const peer = { socket, received: Buffer.alloc(0) as Buffer, closed: false };
  socket.on('data', (chunk: Buffer) => (peer.received = Buffer.concat([peer.received, chunk])));
  socket.on('error', () => undefined);
  socket.on('close', () => (peer.closed = true));
  await new Promise((resolve) => socket.once('connect', resolve));
  return peer;
}

const stillServes = async (): Promise<void> => {
  const bytes = await harness.client().registry('Register', registerBytes('still-there'));
  expect(rollcall.v1.RegisterResponse.decode(bytes).leaseId).toBe(7_000);
};

describe('sizes', () => {
  it('refuses a request over 1 MiB by name, and one far over it before it is read', async () => {
    harness = await Harness.start();
    const client = harness.client();
    const over = Buffer.concat([registerBytes('big'), Buffer.alloc(apiBounds.requestBytesMax)]);
    const byName = await failureOf(client.registry('Register', over));
    expect([status.INVALID_ARGUMENT, status.RESOURCE_EXHAUSTED]).toContain(byName.code);
    expect(detailsOf(byName).status.message).toBe(byName.details);
    const farOver = await failureOf(client.registry('Register', Buffer.alloc(2 * apiBounds.requestBytesMax)));
    expect(farOver.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(harness.registry.revision).toBe(0);
    await stillServes();
  });

  it('answers a whole page of 4 MiB with its header', async () => {
    harness = await Harness.start();
    const view = new Uint8Array(apiBounds.pageBytesMax - 1_000);
    harness.registry.discover = async () => ({
      header: harness.registry.header(),
      known: true,
      views: [view],
      nextPageToken: 't'.repeat(900),
      firstRevision: 1,
    });
    const bytes = await harness.client().registry('Discover', Buffer.from([0x12, 1, 0x61]));
    expect(bytes.length).toBeGreaterThan(apiBounds.pageBytesMax - 1_000);
  });

  it('takes metadata up to the bound, and refuses more by ending that call alone', async () => {
    const headerListBytesMax = 16 * 1024;
    harness = await Harness.start({ headerListBytesMax });
    const client = harness.client();
    const request = Buffer.from([0x12, 1, 0x61]);
    const path = '/rollcall.v1.Registry/Discover';
    await client.unary(path, request);
    const within = new Metadata();
    within.set('filler', 'x'.repeat(headerListBytesMax - 1_024));
    await client.unary(path, request, { metadata: within });
    const over = new Metadata();
    over.set('filler', 'x'.repeat(headerListBytesMax));
    const error = await failureOf(client.unary(path, request, { metadata: over }));
    expect(error.code).not.toBe(status.OK);
    expect(harness.registry.discoverCalls).toBe(2);
    await client.unary(path, request);
  });

  it('takes no compressed request: a kilobyte of it may be a megabyte', async () => {
    harness = await Harness.start();
    const { gzipSync } = await import('node:zlib');
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(apiBounds.requestBytesMax);
    const { openRaw } = await import('./raw-http2.ts');
    const { session, stream } = openRaw(harness.port, 'Register', { 'grpc-encoding': 'gzip' });
    const head = Buffer.from([1, 0, 0, 0, 0]);
    head.writeUInt32BE(bomb.length, 1);
    stream.end(Buffer.concat([head, bomb]));
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
    expect(Number(headers['grpc-status'])).toBe(status.UNIMPLEMENTED);
    session.destroy();
    await stillServes();
  });
});

describe('streams', () => {
  const streamsMax = 128;
  const endHeaders = 4;
  const fields = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': '/rollcall.v1.Registry/Watch',
    ':authority': 'a',
    'content-type': 'application/grpc',
    te: 'trailers',
  };

  /** Opens one stream more than allowed. */
  async function openTooMany(acknowledge: boolean): ReturnType<typeof rawSocket> {
    harness = await Harness.start({ streamsPerConnectionMax: streamsMax });
    const peer = await rawSocket();
    peer.socket.write(clientHello);
    await until(() => framesIn(peer.received).some(({ type }) => type === 4), "the server's settings");
    if (acknowledge) peer.socket.write(frame('settings', 1, 0, new Uint8Array()));
    const ids = Array.from({ length: streamsMax + 1 }, (_, i) => 2 * i + 1);
    peer.socket.write(Buffer.concat(ids.map((id) => frame('headers', endHeaders, id, headerBlock(fields)))));
    return peer;
  }

  it('refuses the one beyond the bound to a client that has not seen the bound yet', async () => {
    const peer = await openTooMany(false);
    await until(() => harness.observer.streams.Watch === streamsMax, 'the others are open');
    const resets = (): number[][] =>
      framesIn(peer.received)
        .filter(({ type }) => type === 3)
        .map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)]);
    await until(() => resets().length > 0, 'a stream is refused');
    const refusedStream = 7;
    expect(resets()).toEqual([[2 * streamsMax + 1, refusedStream]]);
    peer.socket.destroy();
    await until(() => harness.observer.streams.Watch === 0, 'all are forgotten');
  });

  it('cuts a client that goes beyond the bound it has acknowledged', async () => {
    const peer = await openTooMany(true);
    await until(() => peer.closed, 'the connection is cut');
    expect(harness.observer.streams.Watch).toBe(0);
    await stillServes();
  });

  it('serves the call beyond the bound of a client that waits its turn', async () => {
    harness = await Harness.start({ streamsPerConnectionMax: 2 });
    const client = harness.client();
    const streams = [client.bidi('Watch'), client.bidi('Watch')];
    for (const stream of streams) stream.on('error', () => undefined);
    await until(() => harness.observer.streams.Watch === 2, 'two are open');
    const third = client.registry('Register', registerBytes('third'));
    streams[0]?.cancel();
    expect((await third).length).toBeGreaterThan(0);
  });
});

describe('connections', () => {
  it('drops those that stay silent, and those that stop within the preface', async () => {
    harness = await Harness.start({ firstFrameTimeoutMs: 150, connectionsPerAddressMax: 2_100 });
    const silent = await Promise.all(Array.from({ length: 300 }, () => rawSocket()));
    const partial = await rawSocket();
    partial.socket.write(clientHello.subarray(0, 28));
    await until(() => silent.every(({ closed }) => closed) && partial.closed, 'all are dropped');
    // On a busy machine the first may be dropped before the last is accepted.
    await until(() => harness.observer.refusals.length === 301, 'all were accepted first');
    await until(() => harness.server.connections === 0, 'none is counted any more');
    expect(harness.observer.refusals).toEqual(Array.from({ length: 301 }, () => 'silent'));
    await stillServes();
  });

  it('keeps a connection that has spoken in time', async () => {
    harness = await Harness.start({ firstFrameTimeoutMs: 100 });
    const peer = await rawSocket();
    for (const byte of clientHello) {
      peer.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => framesIn(peer.received).some(({ type }) => type === 4), "the server's settings");
    const spoken = Date.now();
    await until(() => Date.now() > spoken + 200, 'the timeout has passed');
    expect(peer.closed).toBe(false);
    peer.socket.write(frame('ping', 0, 0, Buffer.from('12345678')));
    const isPong = (one: { type: number; payload: Buffer }): boolean =>
      one.type === 6 && one.payload.toString() === '12345678';
    await until(() => framesIn(peer.received).some(isPong), 'the answer to a ping');
  });

  it('refuses more than the bound of one address, and takes another when one has gone', async () => {
    harness = await Harness.start({ connectionsPerAddressMax: 3 });
    const first = await Promise.all([rawSocket(), rawSocket(), rawSocket()]);
    await until(() => harness.server.connections === 3, 'three are connected');
    const refused = await rawSocket();
    await until(() => refused.closed, 'the fourth is closed');
    expect(harness.observer.refusals).toEqual(['address']);
    first[0]?.socket.destroy();
    await until(() => harness.server.connections === 2, 'one has gone');
    await stillServes();
  });

  it('refuses more than the bound in all', async () => {
    harness = await Harness.start({ connectionsMax: 2 });
    await Promise.all([rawSocket(), rawSocket()]);
    await until(() => harness.server.connections === 2, 'two are connected');
    const refused = await rawSocket();
    await until(() => refused.closed, 'the third is closed');
    expect(harness.observer.refusals).toEqual(['connections']);
    expect(harness.observer.connections).toBe(2);
  });

  it('tells a browser where it is, and closes on TLS and on garbage', async () => {
    harness = await Harness.start();
    const browser = await rawSocket();
    browser.socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => browser.closed, 'the browser is answered');
    expect(browser.received.toString()).toMatch(/^HTTP\/1\.1 400 .*\r\n[^]*gRPC/);
    const tls = await rawSocket();
    tls.socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
    await until(() => tls.closed, 'the TLS client is closed');
    const garbage = await rawSocket();
    garbage.socket.write(Buffer.alloc(100, 0xab));
    await until(() => garbage.closed, 'the garbage is closed');
    const notSettings = await rawSocket();
    notSettings.socket.write(Buffer.concat([clientHello.subarray(0, 24), frame('ping', 0, 0, Buffer.alloc(8))]));
    await until(() => notSettings.closed, 'the wrong first frame is closed');
    expect(harness.observer.refusals).toEqual(['http1', 'tls', 'garbage', 'garbage']);
    await stillServes();
  });

  it('survives random bytes behind the preface', async () => {
    // Bytes that begin a frame which never ends look like a slow client: that is for the ping to find out.
    harness = await Harness.start({ keepaliveTimeMs: 100, keepaliveTimeoutMs: 100 });
    const peers = await Promise.all(Array.from({ length: 20 }, () => rawSocket()));
    for (const [seed, { socket }] of peers.entries()) {
      const noise = Buffer.from(Array.from({ length: 2_000 }, (_, i) => (i * 7_919 + seed * 104_729) % 251));
      socket.write(Buffer.concat([clientHello, noise]));
    }
    await until(() => peers.every(({ closed }) => closed), 'all are closed');
    expect(harness.fatal).toEqual([]);
    await stillServes();
  });

  it('cuts a connection that does not answer a ping', async () => {
    harness = await Harness.start({ keepaliveTimeMs: 50, keepaliveTimeoutMs: 50 });
    const peer = await rawSocket();
    peer.socket.write(clientHello);
    await until(() => peer.closed, 'the connection is cut');
    expect(framesIn(peer.received).some(({ type }) => type === 6)).toBe(true);
  });

  it('asks a connection to leave at its age, and cuts it after the grace', async () => {
    harness = await Harness.start({ connectionAgeMs: 100, connectionAgeGraceMs: 50 });
    const stream = harness.client().bidi('Watch');
    const ended = new Promise<number>((resolve) =>
      stream.on('error', (error) => resolve(Number(Reflect.get(error, 'code')))),
    );
    expect([status.UNAVAILABLE, status.CANCELLED, status.INTERNAL]).toContain(await ended);
    await stillServes();
  });
});
