// HTTP/2 byte by byte, so that every rule of it can be broken.
import { connect } from 'node:net';
import type { Draw } from './draw.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const types = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  more: 9,
};

export function rawFrame(type: number, flags: number, streamId: number, payload: Uint8Array, length?: number): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE((length ?? payload.length) & 0xffffff, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([head, payload]);
}

export const hello: Buffer = Buffer.concat([preface, rawFrame(types.settings, 0, 0, new Uint8Array(0))]);

/** A header list without any compression: literals with new names. */
export function headerList(fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value);
    const head = bytes.length < 127 ? [bytes.length] : [127, ...longLength(bytes.length - 127)];
    return Buffer.concat([Buffer.from(head), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function longLength(rest: number): number[] {
  const bytes: number[] = [];
  let left = rest;
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
  return [...bytes, left];
}

function requestHeaders(draw: Draw): Buffer {
  return headerList([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', draw.pick(['/rollcall.v1.Registry/Watch', '/rollcall.v1.Registry/Discover', '/x'])],
    [':authority', 'a'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ]);
}

/** Frames behind a good beginning; `count` says how many of what is repeated. */
export function hostileFrames(draw: Draw): { readonly name: string; readonly bytes: Buffer } {
  const { name, make } = draw.pick(hostile);
  return { name, bytes: Buffer.concat([hello, ...make(draw)]) };
}

const odd = (index: number): number => 2 * index + 1;
const empty = new Uint8Array(0);
const many = (count: number, make: (index: number) => Buffer): Buffer[] =>
  Array.from({ length: count }, (_, i) => make(i));

const hostile: readonly { readonly name: string; readonly make: (draw: Draw) => Buffer[] }[] = [
  { name: 'random frames', make: (draw) => many(draw.within(1, 30), () => randomFrame(draw)) },
  { name: 'random bytes', make: (draw) => [draw.bytes(draw.within(1, 3_000))] },
  { name: 'pings', make: (draw) => many(draw.within(1, 400), () => rawFrame(types.ping, 0, 0, draw.bytes(8))) },
  { name: 'settings', make: (draw) => many(draw.within(1, 200), () => settingsFrame(draw)) },
  { name: 'window updates', make: (draw) => many(draw.within(1, 200), () => windowFrame(draw)) },
  {
    name: 'streams opened and reset',
    make: (draw) =>
      many(draw.within(1, 200), (i) =>
        Buffer.concat([
          rawFrame(types.headers, 4, odd(i), requestHeaders(draw)),
          rawFrame(types.reset, 0, odd(i), Buffer.from([0, 0, 0, 8])),
        ]),
      ),
  },
  {
    name: 'streams opened',
    make: (draw) => many(draw.within(1, 140), (i) => rawFrame(types.headers, 4, odd(i), requestHeaders(draw))),
  },
  {
    name: 'a header list without end',
    make: (draw) => [
      rawFrame(types.headers, 0, 1, requestHeaders(draw)),
      ...many(draw.within(1, 60), () =>
        rawFrame(types.more, 0, 1, headerList([[`x-${draw.below(99)}`, 'y'.repeat(1_000)]])),
      ),
    ],
  },
  { name: 'a header list of noise', make: (draw) => [rawFrame(types.headers, 5, 1, draw.bytes(draw.within(1, 200)))] },
  {
    name: 'data without a stream',
    make: (draw) => [rawFrame(types.data, draw.below(2), odd(draw.below(9)), draw.bytes(draw.below(100)))],
  },
  {
    name: 'a length that lies',
    make: (draw) => [
      rawFrame(
        draw.below(10),
        draw.below(256),
        draw.below(4),
        draw.bytes(20),
        draw.pick([0, 19, 21, 16_384, 0xffffff]),
      ),
    ],
  },
  {
    name: 'half a message',
    make: (draw) => [
      rawFrame(types.headers, 4, 1, requestHeaders(draw)),
      rawFrame(types.data, draw.below(2), 1, Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), draw.bytes(20)])),
    ],
  },
  {
    name: 'goaway',
    make: (draw) => [rawFrame(types.goaway, 0, 0, draw.bytes(draw.pick([7, 8, 100]))), randomFrame(draw)],
  },
  {
    name: 'empty data',
    make: (draw) => [
      rawFrame(types.headers, 4, 1, requestHeaders(draw)),
      ...many(draw.within(1, 300), () => rawFrame(types.data, 0, 1, empty)),
    ],
  },
];

function randomFrame(draw: Draw): Buffer {
  return rawFrame(draw.below(12), draw.below(256), draw.pick([0, 1, 1, 2, 3, 5, 2 ** 31]), draw.bytes(draw.below(60)));
}

function settingsFrame(draw: Draw): Buffer {
  const entry = Buffer.alloc(6);
  entry.writeUInt16BE(draw.below(8), 0);
  entry.writeUInt32BE(draw.pick([0, 1, 16_384, 65_535, 2 ** 31 - 1, 2 ** 32 - 1]), 2);
  return rawFrame(types.settings, 0, 0, entry);
}

function windowFrame(draw: Draw): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(draw.pick([0, 1, 65_535, 2 ** 31 - 1]), 0);
  return rawFrame(types.window, 0, draw.pick([0, 0, 1]), payload);
}

export interface RawEnd {
  readonly closedByMember: boolean;
  readonly received: Buffer;
}

/** Sends bytes over a connection of their own; leaves when the member has closed it, or after `holdMs`. */
export function sendRaw(port: number, bytes: Uint8Array, holdMs: number): Promise<RawEnd> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const received: Buffer[] = [];
    let left = false;
    const timer = setTimeout(() => {
      left = true;
      socket.destroy();
    }, holdMs);
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve({ closedByMember: !left, received: Buffer.concat(received) });
    });
    socket.write(bytes);
  });
}
