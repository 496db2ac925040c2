// Calls that break gRPC or HTTP/2, each on a connection of its own: what they do to it is their own affair.
import { gzipSync } from 'node:zlib';
import type { OutgoingHttpHeaders } from 'node:http2';
import type { CaseKind, FuzzCase, World } from './cases.ts';
import { targetOf } from './cases.ts';
import type { CallOptions } from './connection.ts';
import { FuzzConnection, framed } from './connection.ts';
import type { Draw } from './draw.ts';
import { validBytes } from './generate.ts';
import type { Verdict } from './judge.ts';
import { badFraming, judge } from './judge.ts';
import { mutateBytes } from './mutate.ts';
import type { FuzzMethod } from './proto-methods.ts';
import { hostileFrames, sendRaw } from './raw-frames.ts';

const holdMs = 150;

export const misuseCases: readonly CaseKind[] = [
  { name: 'framing', weight: 10, make: framingCase },
  { name: 'metadata', weight: 8, make: metadataCase },
  { name: 'frames of HTTP/2', weight: 5, make: (world, draw) => framesCase(world, draw, 'client') },
  { name: 'bytes on the client port', weight: 2, make: (world, draw) => bytesCase(world, draw, 'client') },
  { name: 'a client that does not read', weight: 1, make: deafCase },
  { name: 'many streams', weight: 1, make: manyStreamsCase },
  { name: 'peer port, calls', weight: 12, make: peerCase },
  { name: 'peer port, frames', weight: 3, make: (world, draw) => framesCase(world, draw, 'peer') },
  { name: 'peer port, bytes', weight: 2, make: (world, draw) => bytesCase(world, draw, 'peer') },
  { name: 'HTTP port', weight: 5, make: httpCase },
];

type Sent = Pick<CallOptions, 'chunks' | 'end' | 'rstCode' | 'headers'>;

function framingCase(world: World, draw: Draw): FuzzCase {
  const method = draw.pick(world.methods.drawn);
  const bytes = validBytes(method.request, draw);
  const { name, make } = draw.pick(framings);
  return alone(world, draw, method, `framing: ${name}`, make(bytes, draw));
}

const gzip = { 'grpc-encoding': 'gzip' };
const framings: readonly { readonly name: string; readonly make: (bytes: Buffer, draw: Draw) => Sent }[] = [
  { name: 'compressed, with no encoding', make: (bytes) => ({ chunks: [framed(bytes, 1)], end: 'close' }) },
  { name: 'compressed, and is not', make: (bytes) => ({ chunks: [framed(bytes, 1)], end: 'close', headers: gzip }) },
  {
    name: 'compressed',
    make: (bytes) => ({ chunks: [framed(gzipSync(bytes), 1)], end: 'close', headers: gzip }),
  },
  {
    name: 'compressed, damaged',
    make: (bytes, draw) => ({ chunks: [framed(mutateBytes(gzipSync(bytes), draw), 1)], end: 'close', headers: gzip }),
  },
  {
    name: 'compressed, 4 MiB of nothing',
    make: () => ({ chunks: [framed(gzipSync(Buffer.alloc(4 * 1_024 * 1_024)), 1)], end: 'close', headers: gzip }),
  },
  {
    name: 'an encoding that nobody has',
    make: (bytes) => ({ chunks: [framed(bytes, 1)], end: 'close', headers: { 'grpc-encoding': 'snappy' } }),
  },
  { name: 'flags', make: (bytes, draw) => ({ chunks: [framed(bytes, draw.below(256))], end: 'close' }) },
  {
    name: 'a length that lies',
    make: (bytes, draw) => {
      const length = draw.pick([0, 1, bytes.length - 1, bytes.length + 1, 2 ** 20, 2 ** 31, 2 ** 32 - 1]);
      return { chunks: [framed(bytes, 0, Math.max(0, length))], end: 'close' };
    },
  },
  {
    name: 'half a head',
    make: (bytes, draw) => ({ chunks: [framed(bytes).subarray(0, draw.below(5))], end: 'close' }),
  },
  {
    name: 'half a message',
    make: (bytes, draw) => ({ chunks: [framed(bytes).subarray(0, 5 + draw.below(bytes.length + 1))], end: 'close' }),
  },
  {
    name: 'reset within',
    make: (bytes, draw) => ({
      chunks: [framed(bytes).subarray(0, draw.below(bytes.length + 6))],
      end: 'reset',
      rstCode: draw.below(14),
    }),
  },
  { name: 'no message', make: () => ({ chunks: [], end: 'close' }) },
  { name: 'two messages', make: (bytes) => ({ chunks: [framed(bytes), framed(bytes)], end: 'close' }) },
  {
    name: 'a thousand messages',
    make: (bytes) => ({
      chunks: [Buffer.concat(Array.from({ length: 1_000 }, () => framed(bytes.subarray(0, 200))))],
      end: 'close',
    }),
  },
  { name: 'no framing', make: (bytes) => ({ chunks: [bytes], end: 'close' }) },
];

function metadataCase(world: World, draw: Draw): FuzzCase {
  const method = draw.pick(world.methods.drawn);
  const bytes = validBytes(method.request, draw);
  const headers = draw.pick(oddHeaders)(draw);
  return alone(world, draw, method, 'metadata', { chunks: [framed(bytes)], end: 'close', headers });
}

const oddHeaders: readonly ((draw: Draw) => OutgoingHttpHeaders)[] = [
  (draw) => ({
    'grpc-timeout': draw.pick(['0n', '1n', '1m', '-1S', '99999999H', '999999999S', 'abc', '', '5', 'S', '1S1']),
  }),
  (draw) => ({
    'content-type': draw.pick(['application/grpc+proto', 'application/grpc+json', 'application/json', '', 'text/html']),
  }),
  (draw) => ({ te: draw.pick(['gzip', '', 'trailers, gzip']) }),
  (draw) => ({ ':method': draw.pick(['GET', 'PUT', 'OPTIONS', 'HEAD']) }),
  (draw) => ({
    ':path': draw.pick([
      '/',
      '//',
      '/rollcall.v1.Registry/',
      '/rollcall.v1.Registry/None',
      '/rollcall.v1.None/Register',
      `/${'x'.repeat(4_000)}`,
      '/a?b=c',
      '/../..',
      '*',
    ]),
  }),
  (draw) => ({ 'x-data-bin': draw.pick(['!!!!', 'AAAA', '=', 'A', 'AAAA,BBBB']) }),
  (draw) => ({ [`x-${draw.below(1_000)}`]: 'y'.repeat(draw.pick([1, 4_000, 15_000, 16_384, 40_000])) }),
  (draw) => Object.fromEntries(Array.from({ length: draw.pick([10, 100, 400]) }, (_, i) => [`x-${i}`, `${i}`])),
  () => ({ 'grpc-encoding': 'identity', 'grpc-accept-encoding': 'nothing', 'grpc-retry-pushback-ms': 'x' }),
  () => ({ 'grpc-previous-rpc-attempts': '99999999999', 'grpc-status': '0', 'grpc-message': '%%%' }),
  () => ({ authorization: 'Bearer x', cookie: 'a=b', host: 'elsewhere', expect: '100-continue' }),
  () => ({ 'content-length': '1' }),
  () => ({ __proto__x: '1', constructor: 'x', 'to-string': 'x' }),
];

/** A call on a connection of its own. */
function alone(world: World, draw: Draw, method: FuzzMethod, kind: string, sent: Sent): FuzzCase {
  const { client } = targetOf(world, draw);
  const allowed = { ...badFraming, broken: true, left: true };
  return {
    kind,
    method: method.name,
    requests: 1,
    sent: sent.chunks,
    run: async () => {
      const connection = new FuzzConnection(client);
      try {
        const outcome = await connection.call(method.path, { ...sent, leaveAfterMs: holdMs });
        // What is no gRPC at all is answered as HTTP: that is typed too.
        if (outcome.kind === 'untyped' && outcome.what.startsWith('HTTP 4')) return { key: outcome.what };
        return judge(outcome, allowed, method.response);
      } finally {
        connection.close();
      }
    },
  };
}

function framesCase(world: World, draw: Draw, port: 'client' | 'peer'): FuzzCase {
  const { name, bytes } = hostileFrames(draw);
  return rawCase(`frames: ${name}`, port, bytes, targetOf(world, draw)[port]);
}

function bytesCase(world: World, draw: Draw, port: 'client' | 'peer'): FuzzCase {
  const bytes = draw.onceIn(3)
    ? Buffer.from(
        draw.pick([
          'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
          '\u0016\u0003\u0001',
          'PRI * HTTP/2.0\r\n\r\n',
          'PRI',
          'SSH-2.0-x\r\n',
        ]),
      )
    : draw.bytes(draw.within(1, 2_000));
  return rawCase('bytes', port, bytes, targetOf(world, draw)[port]);
}

function rawCase(kind: string, port: string, bytes: Buffer, number: number): FuzzCase {
  return {
    kind,
    method: `${port} port`,
    requests: 1,
    sent: [bytes],
    run: async () => ({
      key: (await sendRaw(number, bytes, holdMs)).closedByMember ? 'closed by the member' : 'left by the client',
    }),
  };
}

/** Opens watches of everything and reads nothing for a moment. */
function deafCase(world: World, draw: Draw): FuzzCase {
  const { client } = targetOf(world, draw);
  const method = draw.pick(world.methods.own.filter(({ name }) => name === 'Watch' || name === 'KeepAlive'));
  const messages = Array.from({ length: draw.within(1, 200) }, () => framed(validBytes(method.request, draw)));
  return {
    kind: 'a client that does not read',
    method: method.name,
    requests: messages.length,
    sent: messages.slice(0, 3),
    run: async (): Promise<Verdict> => {
      const connection = new FuzzConnection(client);
      const stream = connection.session().request({
        ':method': 'POST',
        ':path': method.path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => undefined);
      stream.pause();
      for (const message of messages) stream.write(message);
      await new Promise((resolve) => setTimeout(resolve, 3 * holdMs));
      connection.close();
      return { key: 'left by the client' };
    },
  };
}

function manyStreamsCase(world: World, draw: Draw): FuzzCase {
  const { client } = targetOf(world, draw);
  const method = draw.pick(world.methods.drawn);
  const count = draw.within(100, 200);
  const bytes = validBytes(method.request, draw);
  return {
    kind: 'many streams',
    method: method.name,
    requests: count,
    sent: [bytes],
    run: async (): Promise<Verdict> => {
      const connection = new FuzzConnection(client);
      const options: CallOptions = {
        chunks: [framed(bytes)],
        end: draw.onceIn(2) ? 'close' : 'open',
        leaveAfterMs: holdMs,
      };
      const outcomes = await Promise.all(Array.from({ length: count }, () => connection.call(method.path, options)));
      connection.close();
      const verdicts = outcomes.map((outcome) =>
        judge(outcome, { ...badFraming, left: true, broken: true }, method.response),
      );
      return verdicts.find(({ breach }) => breach !== undefined) ?? { key: 'many at once' };
    },
  };
}

/** Strangers on the peer port: whatever they say, they are refused by a status. */
function peerCase(world: World, draw: Draw): FuzzCase {
  const method = draw.pick(world.methods.peer);
  const target = targetOf(world, draw);
  const messages = Array.from({ length: method.requestStream ? draw.within(1, 4) : 1 }, () =>
    draw.onceIn(4) ? draw.bytes(draw.below(200)) : mutateBytes(validBytes(method.request, draw), draw),
  );
  return {
    kind: 'peer call',
    method: method.name,
    requests: messages.length,
    sent: messages,
    run: async () => {
      const outcome = await world.peer(target).call(method.path, {
        chunks: messages.map((bytes) => framed(bytes)),
        end: 'close',
        leaveAfterMs: 20 * holdMs,
      });
      if (outcome.kind === 'status' && outcome.code !== 0 && outcome.code !== 2)
        return { key: `refused ${outcome.code}` };
      return judge(outcome, { bare: [], left: true }, method.response);
    },
  };
}

function httpCase(world: World, draw: Draw): FuzzCase {
  const { http } = targetOf(world, draw);
  const bytes = draw.onceIn(3) ? draw.bytes(draw.within(1, 500)) : httpRequest(draw);
  return {
    kind: 'HTTP',
    method: 'HTTP port',
    requests: 1,
    sent: [bytes],
    run: async () => {
      const { received } = await sendRaw(http, bytes, holdMs);
      if (received.length === 0) return { key: 'no answer' };
      const code = /^HTTP\/1\.1 (\d{3}) /.exec(received.toString('latin1'))?.[1];
      if (code === undefined)
        return { key: 'no HTTP', breach: `the HTTP port says ${received.toString('latin1', 0, 80)}` };
      return code.startsWith('5') && code !== '503' ? { key: code, breach: `HTTP ${code}` } : { key: `HTTP ${code}` };
    },
  };
}

function httpRequest(draw: Draw): Buffer {
  const method = draw.pick(['GET', 'GET', 'HEAD', 'POST', 'PUT', 'BREW', 'CONNECT', 'OPTIONS', 'get']);
  const path = draw.pick([
    '/healthz',
    '/livez',
    '/metrics',
    '/',
    '/../etc',
    '*',
    `/${'a'.repeat(10_000)}`,
    '/%00',
    '/healthz?x=1',
    'http://a/livez',
  ]);
  const version = draw.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', '']);
  const header = draw.pick([
    'Host: a',
    '',
    'Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3',
    'X: \0',
    `X: ${'y'.repeat(9_000)}`,
    'Upgrade: h2c\r\nConnection: Upgrade',
    'Expect: 100-continue',
    ': x',
  ]);
  return Buffer.from(`${method} ${path} ${version}\r\n${header}\r\n\r\n${draw.onceIn(3) ? 'zz\r\nabc' : ''}`, 'latin1');
}
