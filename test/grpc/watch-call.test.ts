import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import type { EdgeWatchSession } from './edge-registry.ts';
import { detailsOf, drainedStream, Harness, until } from './grpc-harness.ts';
import { framed, openRaw } from './raw-http2.ts';

const v1 = rollcall.v1;
let harness: Harness;
afterEach(() => harness.stop());

function create(watchId: number, extra: rollcall.v1.WatchCreate.$Properties = {}): Buffer {
  return Buffer.from(v1.WatchRequest.encode({ create: { watchId, service: 'shop', ...extra } }).finish());
}

function cancel(watchId: number): Buffer {
  return Buffer.from(v1.WatchRequest.encode({ cancel: { watchId } }).finish());
}

function acknowledge(watchId: number, revision: number): Buffer {
  return Buffer.from(v1.WatchRequest.encode({ ack: { watchId, revision } }).finish());
}

function kindsIn(messages: readonly Buffer[]): string[] {
  return messages.map((bytes) => {
    const { watchId, kind } = v1.WatchResponse.decode(bytes);
    return `${watchId}:${kind}`;
  });
}

async function firstSession(): Promise<EdgeWatchSession> {
  await until(() => harness.registry.watches.length === 1, 'the stream is open');
  const [session] = harness.registry.watches;
  if (session === undefined) throw new Error('no session');
  return session;
}

describe('a Watch stream', () => {
  it('carries many watches, and ends each when it is cancelled', async () => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Watch');
    const result = drainedStream(stream);
    stream.write(create(1));
    stream.write(create(2));
    stream.write(cancel(1));
    stream.write(cancel(99));
    const session = await firstSession();
    await until(() => session.open.size === 1 && session.open.has(2), 'one watch is left');
    session.send({ watchId: 2, kind: 2, fromRevision: 5, toRevision: 6 });
    stream.write(cancel(2));
    stream.end();
    const { messages, error } = await result;
    expect(error).toBeUndefined();
    expect(kindsIn(messages)).toEqual(['1:1', '2:1', '1:5', '2:2', '2:5']);
    expect(session.closed).toBe(true);
    expect(harness.observer.calls).toMatchObject([{ method: 'Watch', outcome: 'OK' }]);
  });

  it('serves a client that sends one create and closes its side, until the client leaves', async () => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Watch');
    const received: string[] = [];
    stream.on('data', (bytes: Buffer) => received.push(...kindsIn([bytes])));
    stream.on('error', () => undefined);
    stream.write(create(7));
    stream.end();
    await until(() => received.length === 1, 'the snapshot');
    const session = await firstSession();
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(session.closed).toBe(false);
    session.send({ watchId: 7, kind: 2 });
    await until(() => received.length === 2, 'a delta behind the half-close');
    expect(received).toEqual(['7:1', '7:2']);
    stream.cancel();
    await until(() => session.closed, 'the session is closed');
    expect(harness.observer.streams.Watch).toBe(0);
    expect(harness.observer.calls).toMatchObject([{ method: 'Watch', outcome: 'CANCELLED' }]);
  });

  it('hands on what a client acknowledges', async () => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Watch');
    const result = drainedStream(stream);
    stream.write(create(1));
    stream.write(acknowledge(1, 5));
    stream.write(acknowledge(2, 2 ** 40));
    const session = await firstSession();
    await until(() => session.acks.length === 2, 'both are taken');
    expect(session.acks).toEqual([
      [1, 5],
      [2, 2 ** 40],
    ]);
    stream.write(cancel(1));
    stream.end();
    expect((await result).error).toBeUndefined();
  });

  it('ends behind the snapshot of a single `once`', async () => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Watch');
    stream.write(create(3, { once: true }));
    stream.end();
    const { messages, error } = await drainedStream(stream);
    expect(error).toBeUndefined();
    expect(kindsIn(messages)).toEqual(['3:1', '3:5']);
  });

  it('stays open without a watch until its client closes', async () => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Watch');
    const result = drainedStream(stream);
    const session = await firstSession();
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(session.closed).toBe(false);
    stream.end();
    expect(await result).toEqual({ messages: [], error: undefined });
  });

  it.each([
    ['neither create nor cancel', Buffer.alloc(0), 'request'],
    ['a watch without an id', create(0), 'create.watch_id'],
    ['garbage', Buffer.alloc(12, 0xff), undefined],
  ])('ends with the error for %s', async (_name, bytes, field) => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Watch');
    stream.write(create(1));
    stream.write(bytes);
    const { messages, error } = await drainedStream(stream);
    expect(kindsIn(messages)).toEqual(['1:1']);
    expect(error?.code).toBe(status.INVALID_ARGUMENT);
    if (error === undefined) return;
    expect(detailsOf(error).badRequest?.fieldViolations[0]?.field).toBe(field);
    expect((await firstSession()).closed).toBe(true);
    expect(harness.observer.streams.Watch).toBe(0);
  });

  it('tells the client where no stream is to be had', async () => {
    harness = await Harness.start();
    harness.registry.openWatch = () => {
      throw new RollcallError('OVERLOADED', 'too many streams', { retryAfterMs: 100 });
    };
    const { error } = await drainedStream(harness.client().bidi('Watch'));
    expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
    harness.registry.openWatch = () => {
      throw new InvariantError('broken');
    };
    expect((await drainedStream(harness.client().bidi('Watch'))).error?.code).toBe(status.INTERNAL);
    expect(harness.fatal).toHaveLength(1);
  });
});

describe('a watcher that does not read', () => {
  it('holds back its own stream at the bound, and gets the rest when it reads again', async () => {
    const watchQueueBytesMax = 64 * 1024;
    harness = await Harness.start({ watchQueueBytesMax });
    const raw = openRaw(harness.port, 'Watch');
    raw.stream.write(framed(create(1)));
    const session = await firstSession();
    await until(() => session.open.size === 1, 'the watch is open');

    const batch = { watchId: 1, kind: 2, events: [{ reason: 'x'.repeat(8_000) }] };
    const batchBytes = v1.WatchResponse.encode(batch).finish().length;
    const total = 200;
    let sent = 0;
    let sentInOneGo = 0;
    const sendAll = (): void => {
      const before = sent;
      while (sent < total) {
        sent += 1;
        if (!session.send(batch)) break;
      }
      sentInOneGo = Math.max(sentInOneGo, sent - before);
    };
    session.onDrained = sendAll;
    sendAll();
    // What flow control lets through is taken; then the stream stands still.
    let seen = -1;
    for (let still = 0; still < 30; still = seen === sent ? still + 1 : 0) {
      seen = sent;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(sent).toBeLessThan(total);
    expect(sentInOneGo * batchBytes).toBeLessThan(watchQueueBytesMax + 2 * batchBytes);

    let receivedBytes = 0;
    raw.stream.on('data', (chunk: Buffer) => (receivedBytes += chunk.length));
    await until(() => receivedBytes > total * batchBytes, 'all batches');
    raw.session.destroy();
    expect(session.drains).toBeGreaterThan(1);
  });
});
