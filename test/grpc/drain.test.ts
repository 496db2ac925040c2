import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { rollcall } from '../../src/gen/rollcall.js';
import { detailsOf, drainedStream, failureOf, Harness, registerBytes, until } from './grpc-harness.ts';
import { framed, openRaw } from './raw-http2.ts';

const v1 = rollcall.v1;
let harness: Harness;
const clients: (() => void)[] = [];
afterEach(() => {
  for (const close of clients) close();
  clients.length = 0;
});

const watchBytes = v1.WatchRequest.encode({ create: { watchId: 1, service: 'a' } }).finish();

describe('drain', () => {
  it('finishes unary calls, ends streams with NOT_SERVING and a hint, and takes nobody any more', async () => {
    harness = await Harness.start();
    const client = harness.client();
    const releases: (() => void)[] = [];
    harness.registry.before = () => new Promise((resolve) => releases.push(resolve));
    const call = client.registry('Register', registerBytes('last'));
    await until(() => harness.registry.callers.length === 1, 'the call is there');

    const watch = client.bidi('Watch');
    const watched = drainedStream(watch);
    watch.write(Buffer.from(watchBytes));
    const keepAlive = client.bidi('KeepAlive');
    const kept = drainedStream(keepAlive);
    keepAlive.write(Buffer.from(v1.KeepAliveRequest.encode({ leaseIds: [1] }).finish()));
    await until(() => harness.registry.renewBatches.length === 1, 'the renewal is there');

    const drained = harness.server.drain(10_000);
    const watchEnd = await watched;
    expect(watchEnd.error?.code).toBe(status.UNAVAILABLE);
    if (watchEnd.error !== undefined) {
      expect(detailsOf(watchEnd.error).errorInfo?.reason).toBe('NOT_SERVING');
      expect(detailsOf(watchEnd.error).retryInfo?.retryDelay?.nanos).toBe(100_000_000);
    }
    expect(harness.registry.watches[0]?.closed).toBe(true);

    for (const release of releases) release();
    const keptEnd = await kept;
    expect(keptEnd.messages).toHaveLength(1);
    expect(keptEnd.error?.code).toBe(status.UNAVAILABLE);
    expect(v1.RegisterResponse.decode(await call).leaseId).toBe(7_000);
    await drained;
    expect(harness.server.connections).toBe(0);
    expect((await failureOf(client.registry('Register', registerBytes('x')))).code).toBe(status.UNAVAILABLE);
  });

  it('cuts after the grace what does not leave', async () => {
    harness = await Harness.start();
    harness.registry.before = () => new Promise(() => undefined);
    const stuck = failureOf(harness.client().registry('Register', registerBytes('stuck')));
    // A watcher that reads nothing: the status that ends its stream cannot reach it.
    const raw = openRaw(harness.port, 'Watch');
    clients.push(() => raw.session.destroy());
    raw.stream.write(framed(watchBytes));
    await until(() => harness.registry.watches[0]?.open.size === 1, 'the watch is open');
    harness.registry.watches[0]?.send({ watchId: 1, errorMessage: 'x'.repeat(500_000) });
    await until(() => harness.registry.callers.length === 1, 'the call is there');
    const started = Date.now();
    await harness.server.drain(200);
    expect(Date.now() - started).toBeGreaterThanOrEqual(195);
    expect(Date.now() - started).toBeLessThan(3_000);
    expect([status.UNAVAILABLE, status.CANCELLED]).toContain((await stuck).code);
    await until(() => harness.server.connections === 0, 'no connection is left');
  });

  it('ends at once where nobody is connected', async () => {
    harness = await Harness.start();
    const started = Date.now();
    await harness.server.drain(60_000);
    expect(Date.now() - started).toBeLessThan(2_000);
    expect((await failureOf(harness.client().registry('Register', registerBytes('x')))).code).toBe(status.UNAVAILABLE);
  });
});

describe('listen', () => {
  it('refuses a port that is taken', async () => {
    harness = await Harness.start();
    await expect(Harness.start({}, harness.port)).rejects.toThrow(/EADDRINUSE/);
    await harness.stop();
  });
});
