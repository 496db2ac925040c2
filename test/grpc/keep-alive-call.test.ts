import type { ClientDuplexStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { detailsOf, drainedStream, Harness, until } from './grpc-harness.ts';
import { framed, openRaw } from './raw-http2.ts';

const v1 = rollcall.v1;
let harness: Harness;

async function open(limits: Parameters<typeof Harness.start>[0] = {}): Promise<ClientDuplexStream<Buffer, Buffer>> {
  harness = await Harness.start(limits);
  return harness.client().bidi('KeepAlive');
}

function ask(stream: ClientDuplexStream<Buffer, Buffer>, ...leaseIds: number[]): void {
  stream.write(Buffer.from(v1.KeepAliveRequest.encode({ leaseIds }).finish()));
}

function idsIn(messages: readonly Buffer[]): number[][] {
  return messages.map((bytes) => v1.KeepAliveResponse.decode(bytes).results.map(({ leaseId }) => leaseId ?? 0));
}

afterEach(() => harness.stop());

describe('a KeepAlive stream', () => {
  it('answers each request in order, with the state of each lease in the order asked', async () => {
    const stream = await open();
    ask(stream, 3, 10, 11);
    ask(stream, 5);
    ask(stream, 2, 1);
    stream.end();
    const { messages, error } = await drainedStream(stream);
    expect(error).toBeUndefined();
    expect(idsIn(messages)).toEqual([[3, 10, 11], [5], [2, 1]]);
    expect(v1.KeepAliveResponse.decode(messages[0] ?? Buffer.alloc(0)).results).toMatchObject([
      { status: v1.KeepAliveStatus.KEEP_ALIVE_STATUS_RENEWED, ttlMs: 10_000 },
      { status: v1.KeepAliveStatus.KEEP_ALIVE_STATUS_UNKNOWN, ttlMs: 0 },
      { status: v1.KeepAliveStatus.KEEP_ALIVE_STATUS_UNAVAILABLE, ttlMs: 0 },
    ]);
    expect(harness.observer.calls).toMatchObject([{ method: 'KeepAlive', outcome: 'OK' }]);
  });

  it('hands the requests of one turn on together', async () => {
    harness = await Harness.start();
    const { session, stream } = openRaw(harness.port, 'KeepAlive');
    const requests = Array.from({ length: 40 }, (_, i) =>
      framed(v1.KeepAliveRequest.encode({ leaseIds: [i + 1] }).finish()),
    );
    stream.end(Buffer.concat(requests));
    let answeredBytes = 0;
    for await (const chunk of stream) answeredBytes += (chunk as Buffer).length;
    session.close();
    expect(answeredBytes).toBeGreaterThan(40 * 5);
    expect(harness.registry.renewBatches.flat()).toHaveLength(40);
    expect(harness.registry.renewBatches.length).toBeLessThan(4);
  });

  it('keeps the order where a later batch is answered first', async () => {
    const stream = await open();
    const releases: (() => void)[] = [];
    harness.registry.before = () => new Promise((resolve) => releases.push(resolve));
    ask(stream, 1);
    await until(() => releases.length === 1, 'the first batch is asked');
    ask(stream, 2);
    await until(() => releases.length === 2, 'the second batch is asked');
    releases[1]?.();
    await new Promise((resolve) => setImmediate(resolve));
    releases[0]?.();
    stream.end();
    expect(idsIn((await drainedStream(stream)).messages)).toEqual([[1], [2]]);
  });

  it('cuts a turn into batches of bounded size', async () => {
    const stream = await open({ renewBatchIdsMax: 10 });
    for (let i = 0; i < 8; i++) ask(stream, 1, 2, 3, 4);
    ask(stream, ...Array.from({ length: 30 }, (_, i) => i + 1));
    stream.end();
    expect((await drainedStream(stream)).messages).toHaveLength(9);
    expect(harness.registry.renewBatches.every((batch) => batch.length <= 10 || batch.length === 30)).toBe(true);
  });

  it('does not read beyond the bound of unanswered requests, and goes on when they are answered', async () => {
    const unansweredMax = 8;
    const stream = await open({ keepAliveUnansweredMax: unansweredMax });
    const releases: (() => void)[] = [];
    harness.registry.before = () => new Promise((resolve) => releases.push(resolve));
    const result = drainedStream(stream);
    for (let i = 1; i <= 500; i++) ask(stream, i);
    stream.end();
    const asked = (): number => harness.registry.renewBatches.flat().length;
    await until(() => asked() >= unansweredMax, 'the bound is reached');
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(asked()).toBe(unansweredMax);
    harness.registry.before = async () => undefined;
    for (const release of releases) release();
    expect(idsIn((await result).messages).flat()).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  });

  it.each([
    ['no id', Buffer.alloc(0), 'lease_ids'],
    ['more than 1,000 ids', Buffer.from([0x0a, 0xe9, 7, ...Array.from({ length: 1_001 }, () => 1)]), 'lease_ids'],
    ['garbage', Buffer.alloc(40, 0xff), undefined],
  ])('answers what it took, then refuses %s', async (_name, bytes, field) => {
    const stream = await open();
    ask(stream, 1);
    stream.write(bytes);
    ask(stream, 2);
    const { messages, error } = await drainedStream(stream);
    expect(idsIn(messages)).toEqual([[1]]);
    expect(error?.code).toBe(status.INVALID_ARGUMENT);
    if (error === undefined) return;
    expect(detailsOf(error).status.message).toBe(error.details);
    expect(detailsOf(error).badRequest?.fieldViolations[0]?.field).toBe(field);
  });

  it('ends with the error of a batch that got no answer, and answers nothing behind it', async () => {
    const stream = await open();
    ask(stream, 1);
    await until(() => harness.registry.renewBatches.length === 1, 'the first batch is asked');
    harness.registry.before = async () => {
      throw new RollcallError('OVERLOADED', 'too much', { retryAfterMs: 100 });
    };
    ask(stream, 2);
    const { messages, error } = await drainedStream(stream);
    expect(idsIn(messages)).toEqual([[1]]);
    expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  it('is forgotten when its client goes', async () => {
    const stream = await open();
    stream.on('error', () => undefined);
    harness.registry.before = () => new Promise(() => undefined);
    ask(stream, 1);
    await until(() => harness.registry.renewBatches.length === 1, 'the request is there');
    expect(harness.observer.streams.KeepAlive).toBe(1);
    stream.cancel();
    await until(() => harness.observer.streams.KeepAlive === 0, 'the stream is closed');
    expect(harness.observer.calls).toMatchObject([{ method: 'KeepAlive', outcome: 'CANCELLED' }]);
  });
});
