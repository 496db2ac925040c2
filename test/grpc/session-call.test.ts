import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { must } from '../../src/base/assert.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { grpcLimits } from '../../src/grpc/limits.ts';
import type { EdgeSession } from './edge-registry.ts';
import { detailsOf, drainedStream, Harness, type RawClient, until } from './grpc-harness.ts';
import { framed, openRaw } from './raw-http2.ts';

const { SessionRequest, SessionResponse } = rollcall.v1;
const endpoints = [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 1 }];
const header = { revision: 3, member: 'a', consistency: 'linearizable', ageMs: 0 } as const;
let harness: Harness;
let child: ChildProcess | undefined;

afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await harness.stop();
});

type Stream = ReturnType<RawClient['bidi']>;

function ask(stream: Stream, request: rollcall.v1.ISessionRequest): void {
  stream.write(Buffer.from(SessionRequest.encode(request).finish()));
}

function ping(pingId: number): Uint8Array {
  return SessionRequest.encode({ ping: { pingId } }).finish();
}

async function firstSession(): Promise<EdgeSession> {
  await until(() => harness.registry.sessions.length > 0, 'a session is opened');
  return must(harness.registry.sessions[0], 'session');
}

/** Reason and field of the error that ends a stream. */
async function refusalOf(stream: Stream): Promise<readonly string[]> {
  const { errorInfo, badRequest } = detailsOf(must((await drainedStream(stream)).error, 'error'));
  return [errorInfo?.reason ?? '', badRequest?.fieldViolations[0]?.field ?? ''];
}

/** Longer than a half-close waits for a reset. */
function closeDelayPassed(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3 * grpcLimits.sessionCloseDelayMs));
}

describe('a Session stream', () => {
  it('opens with the first message, hands the others on, and sends what it is answered', async () => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Session');
    const drained = drainedStream(stream);
    ask(stream, { open: { ttlMs: 10_000, requestId: 'r1' } });
    const instance = { service: 'shop', id: 'i1', endpoints };
    ask(stream, { write: { sequence: 1, operations: [{ register: { instance } }] } });
    ask(stream, { ping: { pingId: 7 } });
    const session = await firstSession();
    expect(session.request).toEqual({ sessionId: 0, ttlMs: 10_000, requestId: 'r1', attachment: 0 });
    await until(() => session.received.length === 2, 'both messages');
    expect(session.received).toMatchObject([
      { kind: 'write', sequence: 1, operations: [{ kind: 'register', restore: false, spec: { name: { id: 'i1' } } }] },
      { kind: 'ping', pingId: 7 },
    ]);
    session.sink.send({
      kind: 'opened',
      header,
      sessionId: 9,
      ttlMs: 10_000,
      lastSequence: 0,
      instances: 0,
      moreLost: false,
    });
    session.sink.send({ kind: 'pong', pingId: 7, renewed: true });
    const name = { namespace: 'default', service: 'shop', id: 'i1' };
    session.sink.send({ kind: 'lost', lost: { name, cause: 'superseded', incarnation: 5 } });
    stream.end();
    const { messages, error } = await drained;
    expect(error).toBeUndefined();
    expect(session.halfClosed).toBe(true);
    expect(messages.map((bytes) => SessionResponse.decode(bytes).response)).toEqual(['opened', 'pong', 'lost']);
    expect(harness.observer.calls).toMatchObject([{ method: 'Session', outcome: 'OK' }]);
  });

  it('must begin with open, and has only one', async () => {
    harness = await Harness.start();
    const first = harness.client().bidi('Session');
    first.write(Buffer.from(ping(1)));
    expect(await refusalOf(first)).toEqual(['INVALID_FIELD', 'request']);
    const twice = harness.client().bidi('Session');
    ask(twice, { open: { ttlMs: 10_000 } });
    ask(twice, { open: { ttlMs: 10_000 } });
    expect(await refusalOf(twice)).toEqual(['INVALID_FIELD', 'open']);
    await until(() => must(harness.registry.sessions[0], 'session').closed, 'the session is left to its time');
    expect(harness.registry.sessions[0]?.halfClosed).toBe(false);
    const empty = harness.client().bidi('Session');
    empty.end();
    expect(await refusalOf(empty)).toEqual(['INVALID_FIELD', 'request']);
  });

  it('ends with the error of its session', async () => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Session');
    ask(stream, { open: { sessionId: 4, attachment: 2 } });
    const session = await firstSession();
    session.sink.end(new RollcallError('UNKNOWN_SESSION', 'session 4 has ended'));
    expect(await refusalOf(stream)).toEqual(['UNKNOWN_SESSION', '']);
  });

  it('leaves the session alone where the client cancels, though its library closes its side first', async () => {
    harness = await Harness.start();
    const stream = harness.client().bidi('Session');
    ask(stream, { open: { ttlMs: 10_000 } });
    const session = await firstSession();
    const drained = drainedStream(stream);
    stream.cancel();
    await drained;
    await until(() => session.closed, 'the session is left to its time');
    await closeDelayPassed();
    expect(session.halfClosed).toBe(false);
  });

  it('leaves the session alone where a reset comes some time behind the half-close', async () => {
    harness = await Harness.start({ sessionCloseDelayMs: 300 });
    const { session: connection, stream } = openRaw(harness.port, 'Session');
    stream.resume();
    stream.end(framed(SessionRequest.encode({ open: { ttlMs: 10_000 } }).finish()));
    const session = await firstSession();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([session.halfClosed, session.closed]).toEqual([false, false]);
    stream.close(constants.NGHTTP2_CANCEL);
    await until(() => session.closed, 'the session is left to its time');
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(session.halfClosed).toBe(false);
    connection.destroy();
  });

  it('leaves the session alone where the connection breaks', async () => {
    harness = await Harness.start();
    const { session: connection, stream } = openRaw(harness.port, 'Session');
    stream.write(framed(SessionRequest.encode({ open: { ttlMs: 10_000 } }).finish()));
    const session = await firstSession();
    connection.destroy();
    await until(() => session.closed, 'the session is left to its time');
    await closeDelayPassed();
    expect(session.halfClosed).toBe(false);
  });

  it('leaves the session alone where the process of its client is killed', async () => {
    harness = await Harness.start();
    const open = framed(SessionRequest.encode({ open: { ttlMs: 10_000 } }).finish()).toString('hex');
    const program = `
      const { connect } = require('node:http2');
      const session = connect('http://127.0.0.1:${harness.port}');
      const stream = session.request({
        ':method': 'POST', ':path': '/rollcall.v1.Registry/Session', 'content-type': 'application/grpc', te: 'trailers',
      });
      stream.write(Buffer.from('${open}', 'hex'));
    `;
    child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
    const session = await firstSession();
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    await until(() => session.closed, 'the session is left to its time');
    await closeDelayPassed();
    expect(session.halfClosed).toBe(false);
  });

  it('is not read while its session is full, and goes on where there is room', async () => {
    harness = await Harness.start();
    const { session: connection, stream } = openRaw(harness.port, 'Session');
    stream.write(framed(SessionRequest.encode({ open: { ttlMs: 10_000 } }).finish()));
    const session = await firstSession();
    session.full = true;
    stream.write(framed(ping(1)));
    await until(() => session.received.length === 1, 'the message that was on its way');
    stream.write(framed(ping(2)));
    await closeDelayPassed();
    expect(session.received).toHaveLength(1);
    session.full = false;
    session.room();
    await until(() => session.received.length === 2, 'the message that waited');
    connection.destroy();
  });

  it('is not read while the client does not read its answers', async () => {
    harness = await Harness.start({ sessionUnsentMax: 4 });
    const { session: connection, stream } = openRaw(harness.port, 'Session');
    stream.pause();
    stream.write(framed(SessionRequest.encode({ open: { ttlMs: 10_000 } }).finish()));
    const session = await firstSession();
    const results = Array.from({ length: apiBounds.sessionOperationsMax }, () => ({
      status: 'refused' as const,
      incarnation: 1,
      reason: 'SUPERSEDED' as const,
      message: 'x'.repeat(100),
    }));
    // Far more than the windows of the stream and the connection take.
    for (let sequence = 1; sequence <= 8; sequence++) session.sink.send({ kind: 'written', header, sequence, results });
    stream.write(framed(ping(1)));
    await closeDelayPassed();
    expect(session.received).toHaveLength(0);
    stream.resume();
    await until(() => session.received.length === 1, 'the message that waited');
    connection.destroy();
  });

  it('ends where the client does not read what its session is told, and leaves the session to its time', async () => {
    harness = await Harness.start();
    const { session: connection, stream } = openRaw(harness.port, 'Session');
    stream.pause();
    stream.write(framed(SessionRequest.encode({ open: { ttlMs: 10_000 } }).finish()));
    const session = await firstSession();
    const max = grpcLimits.sessionUnsentEndMax;
    const lost = (i: number): void => {
      const name = { namespace: 'default', service: 'shop', id: `i${i}` };
      session.sink.send({ kind: 'lost', lost: { name, cause: 'superseded', incarnation: 5 } });
    };
    for (let i = 0; i < max; i++) lost(i);
    expect(session.closed).toBe(false);
    expect(harness.observer.calls).toEqual([]);
    lost(max);
    expect([session.closed, session.halfClosed]).toEqual([true, false]);
    expect(harness.observer.calls).toMatchObject([{ method: 'Session', outcome: 'RESOURCE_EXHAUSTED' }]);
    connection.destroy();
  });
});
