import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { assert } from '../base/assert.ts';

type StreamHandler = (extraInterceptors: unknown, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/**
 * Refuses compressed requests, and keeps a stream that is over before its call begins from ending the process. A client
 * may open a stream and reset it, or cut the connection, within one read of its socket: grpc-js (1.14.7) then answers a
 * stream that is destroyed, where it knows no such method or content type, and HTTP/2 throws out of the event. Such a
 * stream is left alone here; what else HTTP/2 refuses to send ends that stream and nothing more. Handlers of ours
 * report their own faults, and what they throw passes.
 *
 * Call it before the first connection. The handler is a private method, which a version that names it otherwise must
 * not leave unguarded in silence.
 */
export function guardStreams(server: Server): void {
  const guarded = server as unknown as { _streamHandler?: StreamHandler };
  const original = guarded._streamHandler;
  assert(typeof original === 'function', 'this version of grpc-js takes streams by another method');
  guarded._streamHandler = function guardedStreamHandler(this: Server, extraInterceptors, stream, headers) {
    if (stream.destroyed || stream.closed) {
      stream.on('error', ignore);
      return;
    }
    const encoding = headers['grpc-encoding'];
    try {
      if (encoding !== undefined && encoding !== 'identity') return refuseCompressed(stream);
      original.call(this, extraInterceptors, stream, headers);
    } catch (error) {
      if (!isOfHttp2(error)) throw error;
      stream.on('error', ignore);
      stream.destroy();
    }
  };
}

/**
 * grpc-js inflates each message by itself as soon as it is there, all of a connection's at once: a kilobyte becomes a
 * megabyte, 1.2 MB over 20 connections took 680 MB of a member. Requests are small; nobody needs to compress them.
 */
function refuseCompressed(stream: ServerHttp2Stream): void {
  stream.on('error', ignore);
  const unimplemented = 12;
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-status': unimplemented,
      'grpc-message': 'compressed requests are not taken',
      'grpc-accept-encoding': 'identity',
    },
    { endStream: true },
  );
  // What still comes is read and dropped, so that the client's half of the stream can end.
  stream.resume();
}

function isOfHttp2(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_HTTP2_');
}

function ignore(): void {
  // Its client has gone.
}
