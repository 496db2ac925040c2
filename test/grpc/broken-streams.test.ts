// Streams that are over before their call has begun: they cost their own client its call, and nobody else anything.
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { rawFrame, headerList, hello, sendRaw } from '../../scripts/fuzz/raw-frames.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { failureOf, Harness, registerBytes, until } from './grpc-harness.ts';

let harness: Harness;
afterEach(() => harness.stop());

const types = { data: 0, headers: 1, reset: 3 } as const;
const endHeaders = 4;
const streams = 60;

function headers(path: string, contentType: string): Buffer {
  return headerList([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'a'],
    ['content-type', contentType],
    ['te', 'trailers'],
  ]);
}

/** Opens streams and resets each, all in one write: the member reads both at once. */
function openedAndReset(path: string, contentType: string): Buffer {
  const frames = Array.from({ length: streams }, (_, i) =>
    Buffer.concat([
      rawFrame(types.headers, endHeaders, 2 * i + 1, headers(path, contentType)),
      rawFrame(types.reset, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8])),
    ]),
  );
  return Buffer.concat([hello, ...frames]);
}

async function stillServes(): Promise<void> {
  const bytes = await harness.client().registry('Register', registerBytes('still-there'));
  expect(rollcall.v1.RegisterResponse.decode(bytes).leaseId).toBe(7_000);
}

describe('a stream that is reset within the read that opened it', () => {
  const kinds = [
    ['of a method that is not there', '/rollcall.v1.Registry/None', 'application/grpc'],
    ['that is no gRPC', '/rollcall.v1.Registry/Discover', 'text/html'],
    ['of a unary method', '/rollcall.v1.Registry/Discover', 'application/grpc'],
    ['of a stream', '/rollcall.v1.Registry/Watch', 'application/grpc'],
    ['of the health service', '/grpc.health.v1.Health/Watch', 'application/grpc'],
  ] as const;
  it.each(kinds)('%s, is left alone', async (_what, path, contentType) => {
    harness = await Harness.start();
    for (let i = 0; i < 5; i++) await sendRaw(harness.port, openedAndReset(path, contentType), 30);
    await until(() => harness.observer.connections === 0, 'the connections have gone');
    expect(harness.observer.streams).toMatchObject({ Watch: 0, KeepAlive: 0 });
    expect(harness.fatal).toEqual([]);
    await stillServes();
  });
});

describe('a stream whose connection is cut within the read that opened it', () => {
  it('is left alone', async () => {
    // What HTTP/2 has given up it does not read any more: that its client has gone, the ping finds out.
    harness = await Harness.start({ keepaliveTimeMs: 100, keepaliveTimeoutMs: 100 });
    const opened = rawFrame(types.headers, endHeaders, 1, headers('/rollcall.v1.Registry/None', 'application/grpc'));
    const tooLong = rawFrame(types.data, 0, 1, Buffer.alloc(20), 0xffffff);
    for (let i = 0; i < 20; i++) await sendRaw(harness.port, Buffer.concat([hello, opened, tooLong]), 30);
    await until(() => harness.observer.connections === 0, 'the connections have gone');
    expect(harness.fatal).toEqual([]);
    await stillServes();
  });
});

describe('a method that is not there', () => {
  it('is UNIMPLEMENTED', async () => {
    harness = await Harness.start();
    const error = await failureOf(harness.client().unary('/rollcall.v1.Registry/None', new Uint8Array(0)));
    expect(error.code).toBe(status.UNIMPLEMENTED);
  });
});
