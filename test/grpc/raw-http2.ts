import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect } from 'node:http2';

/** A message as gRPC sends it: not compressed, four bytes of length. */
export function framed(body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** A call of a Registry method on a connection of its own, without a gRPC library. */
export function openRaw(
  port: number,
  method: string,
  headers: Readonly<Record<string, string>> = {},
): { readonly session: ClientHttp2Session; readonly stream: ClientHttp2Stream } {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  const stream = session.request({
    ':method': 'POST',
    ':path': `/rollcall.v1.Registry/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  return { session, stream };
}

const frameTypes = { data: 0, headers: 1, settings: 4, ping: 6 } as const;

/** One HTTP/2 frame (RFC 9113 section 4.1). */
export function frame(type: keyof typeof frameTypes, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = frameTypes[type];
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** Header fields as HPACK literals that are not indexed (RFC 7541 section 6.2.2); names and values up to 126 bytes. */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(fields)) {
    parts.push(Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value));
  }
  return Buffer.concat(parts);
}

/** What an HTTP/2 client sends first: the preface and its settings. */
export const clientHello: Buffer = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame('settings', 0, 0, new Uint8Array()),
]);

/** Frames in bytes that came from the server; an incomplete last one is left out. */
export function framesIn(
  bytes: Buffer,
): { readonly type: number; readonly streamId: number; readonly payload: Buffer }[] {
  const frames = [];
  let at = 0;
  while (at + 9 <= bytes.length) {
    const length = bytes.readUIntBE(at, 3);
    if (at + 9 + length > bytes.length) break;
    const payload = bytes.subarray(at + 9, at + 9 + length);
    frames.push({ type: bytes[at + 3] ?? 0, streamId: bytes.readUInt32BE(at + 5), payload });
    at += 9 + length;
  }
  return frames;
}
