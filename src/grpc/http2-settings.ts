import type { Server, ServerOptions } from '@grpc/grpc-js';
import type { ServerOptions as Http2ServerOptions } from 'node:http2';
import { assert } from '../base/assert.ts';
import type { GrpcLimits } from './limits.ts';

/** The limits as options of grpc-js. */
export function serverOptions(limits: GrpcLimits): ServerOptions {
  return {
    'grpc.max_receive_message_length': limits.receiveBytesMax,
    'grpc.max_send_message_length': limits.sendBytesMax,
    'grpc.max_concurrent_streams': limits.streamsPerConnectionMax,
    'grpc.keepalive_time_ms': limits.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    // Clients may ping as they like, also without calls: a lease's owner looks after its connection.
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_connection_age_ms': limits.connectionAgeMs,
    'grpc.max_connection_age_grace_ms': limits.connectionAgeGraceMs,
    'grpc.max_connection_idle_ms': limits.connectionIdleMs,
    'grpc-node.max_session_memory': limits.sessionMemoryMb,
    'grpc.enable_channelz': 0,
  };
}

/**
 * Bounds the header list of requests, for which grpc-js has no option: the options that it makes each HTTP/2 server
 * with are a private field, which a version that names it otherwise must not leave unbounded in silence.
 */
export function boundHeaderList(server: Server, limits: GrpcLimits): void {
  const { commonServerOptions } = server as unknown as { readonly commonServerOptions?: Http2ServerOptions };
  assert(
    commonServerOptions?.settings?.maxConcurrentStreams === limits.streamsPerConnectionMax,
    'this version of grpc-js keeps its HTTP/2 options elsewhere',
  );
  commonServerOptions.settings.maxHeaderListSize = limits.headerListBytesMax;
}
