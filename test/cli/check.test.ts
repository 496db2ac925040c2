import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { afterEach, describe, expect, it } from 'vitest';
import { parseCheck, runCheck } from '../../src/cli/check.ts';
import { deadAddress } from '../client/fake-member.ts';

const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function http(answer: (path: string) => number | undefined): Promise<string> {
  const server = createServer(({ url = '' }, response) => {
    const code = answer(url);
    if (code !== undefined) response.writeHead(code).end('well');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const check = (text: string, timeoutMs = 5_000): Promise<string | undefined> => runCheck(parseCheck(text), timeoutMs);

describe('checks', () => {
  it.each([
    ['http://127.0.0.1:8080/healthz', { kind: 'http', url: 'http://127.0.0.1:8080/healthz' }],
    ['tcp://db.local:5432', { kind: 'tcp', host: 'db.local', port: 5432 }],
    ['tcp://[::1]:5432', { kind: 'tcp', host: '::1', port: 5432 }],
    ['grpc://127.0.0.1:50051', { kind: 'grpc', host: '127.0.0.1', port: 50_051, service: '' }],
    ['grpc://127.0.0.1:50051/shop.v1.Cart', { kind: 'grpc', host: '127.0.0.1', port: 50_051, service: 'shop.v1.Cart' }],
  ])('reads %s', (text, expected) => {
    expect(parseCheck(text)).toEqual(expected);
  });

  it.each([
    '',
    'x',
    'http://',
    'tcp://h',
    'tcp://h:0',
    'tcp://h:65536',
    'tcp://h:1/x',
    'grpc://h',
    'udp://h:1',
    'tcp://::1:1',
  ])('refuses "%s"', (text) => {
    expect(() => parseCheck(text)).toThrow(/is no check; write e.g. http:/);
  });

  it('takes 200 to 399 over HTTP for well', async () => {
    const codes: Readonly<Record<string, number>> = {
      '/a': 200,
      '/b': 204,
      '/c': 302,
      '/d': 399,
      '/e': 400,
      '/f': 503,
    };
    const address = await http((path) => codes[path]);
    const told = await Promise.all(Object.keys(codes).map((path) => check(`http://${address}${path}`)));
    expect(told.slice(0, 4)).toEqual([undefined, undefined, undefined, undefined]);
    expect(told.slice(4)).toEqual([`http://${address}/e answers 400`, `http://${address}/f answers 503`]);
    expect(await check(`http://${address}/silent`, 50)).toBe(`http://${address}/silent gives no answer within 50 ms`);
    expect(await check(`http://${await deadAddress()}/`)).toMatch(/ECONNREFUSED/);
  });

  it('takes a connection over TCP for well', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1');
    closing.push(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await check(`tcp://127.0.0.1:${port}`)).toBeUndefined();
    expect(await check(`tcp://${await deadAddress()}`)).toMatch(/ECONNREFUSED/);
  });

  it('takes SERVING over gRPC for well', async () => {
    const health = new HealthImplementation({ '': 'SERVING', 'shop.v1.Cart': 'NOT_SERVING' });
    const server = new Server();
    health.addToServer(server);
    closing.push(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    expect(await check(`grpc://127.0.0.1:${port}`)).toBeUndefined();
    expect(await check(`grpc://127.0.0.1:${port}/shop.v1.Cart`)).toMatch(/says that it does not serve$/);
    expect(await check(`grpc://127.0.0.1:${port}/unknown`)).toMatch(/NOT_FOUND/);
    expect(await check(`grpc://${await deadAddress()}`)).toMatch(/UNAVAILABLE/);
  });
});
