import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../src/base/system-clock.ts';
import type { HealthReport } from '../../src/http/health-report.ts';
import { applyLagEntriesMax, healthOf } from '../../src/http/health-report.ts';
import type { HttpLimits } from '../../src/http/http-server.ts';
import { HttpServer, httpLimits } from '../../src/http/http-server.ts';
import { sampleStatus, until } from '../grpc/grpc-harness.ts';

const { replica } = sampleStatus;
const errors: unknown[] = [];
let server: HttpServer;
let port: number;
let report: HealthReport = healthOf(replica);
let scrapes = 0;
let text: () => Promise<string> = async () => 'rollcall_up 1\n';

async function start(limits: Partial<HttpLimits> = {}): Promise<void> {
  errors.length = 0;
  scrapes = 0;
  server = new HttpServer({
    metrics: {
      contentType: 'text/plain; version=0.0.4',
      text: () => {
        scrapes += 1;
        return text();
      },
    },
    health: () => report,
    clock: new SystemClock(),
    limits: { ...httpLimits, ...limits },
    onError: (error) => errors.push(error),
  });
  port = await server.start('127.0.0.1', 0);
}

afterEach(() => server.stop(100));

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

function ask(path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    sent.on('error', reject).end();
  });
}

async function rawSocket(): Promise<{ readonly socket: Socket; closed: boolean; received: string }> {
  const peer = { socket: connect(port, '127.0.0.1'), closed: false, received: '' };
  peer.socket.on('error', () => undefined).on('close', () => (peer.closed = true));
  peer.socket.setEncoding('latin1').on('data', (chunk: string) => (peer.received += chunk));
  await new Promise((resolve) => peer.socket.once('connect', resolve));
  return peer;
}

describe('the HTTP port', () => {
  it('gives metrics, health and life', async () => {
    await start();
    const metrics = await ask('/metrics');
    expect(metrics).toMatchObject({ status: 200, body: 'rollcall_up 1\n' });
    expect(metrics.headers['content-type']).toBe('text/plain; version=0.0.4');
    expect(await ask('/livez?x=1')).toMatchObject({ status: 200, body: '{"status":"live"}\n' });
    const health = await ask('/healthz');
    expect(health.status).toBe(200);
    expect(JSON.parse(health.body)).toEqual({
      status: 'serving',
      message: 'serving',
      member: 'a',
      role: 'leader',
      leader: 'a',
      term: 4,
      revision: 7,
      commit: 10,
      applied: 9,
    });
  });

  it('answers 503 and why while the member does not serve', async () => {
    await start();
    report = healthOf({ ...replica, phase: 'forming', waitingFor: 'b, c' });
    const health = await ask('/healthz');
    expect(health.status).toBe(503);
    expect(JSON.parse(health.body)).toMatchObject({
      status: 'not-serving',
      reason: 'forming',
      message: 'waits for b, c',
    });
    expect((await ask('/livez')).status).toBe(200);
    report = healthOf(replica);
  });

  it('answers HEAD without a body, and nothing else than GET and HEAD', async () => {
    await start();
    const head = await ask('/metrics', 'HEAD');
    expect(head).toMatchObject({ status: 200, body: '' });
    expect(head.headers['content-length']).toBe('14');
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']) {
      const answer = await ask('/metrics', method);
      expect(answer.status).toBe(405);
      expect(answer.headers['allow']).toBe('GET, HEAD');
    }
    expect(scrapes).toBe(1);
  });

  it.each(['/', '/metrics/', '/healthz/x', '/../metrics', '/%6detrics', '//metrics'])(
    'says at %s what there is',
    async (path) => {
      await start();
      const answer = await ask(path);
      expect(answer.status).toBe(404);
      expect(answer.body).toMatch(/\/metrics .*\n.*\/healthz .*\n.*\/livez/);
    },
  );

  it('makes one scrape for all who ask meanwhile', async () => {
    await start();
    let release: (body: string) => void = () => undefined;
    text = () => new Promise((resolve) => (release = resolve));
    const answers = Promise.all([ask('/metrics'), ask('/metrics'), ask('/metrics')]);
    await until(() => scrapes === 1, 'the scrape has begun');
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    release('x 1\n');
    text = async () => 'y 1\n';
    const bodies = (await answers).map(({ body }) => body);
    expect(bodies[0]).toBe('x 1\n');
    expect(scrapes).toBeLessThanOrEqual(2);
  });

  it('tells its owner where metrics cannot be made, and goes on', async () => {
    await start();
    text = async () => {
      throw new Error('broken');
    };
    await expect(ask('/metrics')).rejects.toThrow(/socket hang up/);
    expect(errors).toEqual([new Error('broken')]);
    text = async () => 'rollcall_up 1\n';
    expect((await ask('/metrics')).status).toBe(200);
  });

  it('cuts slow headers, refuses long ones and too many connections', async () => {
    await start({ headersTimeoutMs: 100, requestTimeoutMs: 100, connectionsMax: 3 });
    const slow = await rawSocket();
    slow.socket.write('GET /livez HTTP/1.1\r\nHost: a\r\nX-A: ');
    await until(() => slow.closed, 'the slow one is cut');
    expect(slow.received).toMatch(/^HTTP\/1\.1 408 |^$/);
    const long = await rawSocket();
    long.socket.write(`GET /livez HTTP/1.1\r\nHost: a\r\nX-A: ${'x'.repeat(10_000)}\r\n\r\n`);
    await until(() => long.closed, 'the long one is refused');
    expect(long.received).toMatch(/^HTTP\/1\.1 431 /);
    const garbage = await rawSocket();
    garbage.socket.write('\u0000\u0001\u0002 garbage\r\n\r\n');
    await until(() => garbage.closed, 'the garbage is refused');
    const held = await Promise.all([rawSocket(), rawSocket(), rawSocket()]);
    const fourth = await rawSocket();
    await until(() => fourth.closed, 'the fourth is refused');
    for (const { socket } of held) socket.destroy();
    await until(() => held.every(({ closed }) => closed), 'all are gone');
    expect((await ask('/livez')).status).toBe(200);
    expect(errors).toEqual([]);
  });

  it('cuts a connection on which nothing moves', async () => {
    await start({ socketTimeoutMs: 100 });
    const silent = await rawSocket();
    await until(() => silent.closed, 'it is cut');
    expect(silent.received).toBe('');
  });

  it('stops within the grace', async () => {
    await start();
    text = () => new Promise(() => undefined);
    const stuck = ask('/metrics').catch((error: unknown) => error);
    await until(() => scrapes === 1, 'the scrape has begun');
    const started = Date.now();
    await server.stop(100);
    expect(Date.now() - started).toBeLessThan(2_000);
    expect(await stuck).toBeInstanceOf(Error);
    text = async () => 'rollcall_up 1\n';
    await start();
  });
});

describe('healthOf', () => {
  it.each([
    ['serving', {}, undefined],
    ['forming', { phase: 'forming' }, 'forming'],
    ['stopping', { phase: 'stopping' }, 'stopping'],
    ['failed', { phase: 'failed' }, 'failed'],
    ['fenced', { fenced: true }, 'fenced'],
    ['without a leader', { leader: '' }, 'no-leader'],
    ['behind by the bound', { commit: applyLagEntriesMax + 9 }, undefined],
    ['behind by more', { commit: applyLagEntriesMax + 10 }, 'apply-lag'],
  ] as const)('of a member that is %s', (_name, change, reason) => {
    const health = healthOf({ ...replica, ...change });
    expect(health.serving).toBe(reason === undefined);
    expect(health.reason).toBe(reason);
    expect(health.message).not.toBe('');
  });
});
