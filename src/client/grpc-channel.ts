import type { CallOptions } from '@grpc/grpc-js';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { Channel } from './channel.ts';
import { clientLimits } from './limits.ts';

const channelOptions = {
  'grpc.max_receive_message_length': clientLimits.receiveBytesMax,
  'grpc.max_send_message_length': clientLimits.receiveBytesMax,
  // A member that came back is found within a second.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // Half-open connections are noticed by pings, also where nobody calls.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  // Retries are made here, where it is known what is safe.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // Nobody is contacted whom the user did not name.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // Connections are this client's own, so that close() ends them.
  'grpc.use_local_subchannel_pool': 1,
};
const callOptions: CallOptions = {};

/** A channel of grpc-js: one HTTP/2 connection, made at the first call and again when it has ended. */
export function grpcChannel(address: string): Channel {
  const client = new Client(`dns:${address}`, credentials.createInsecure(), channelOptions);
  return {
    call: (path, request, callback) =>
      client.makeUnaryRequest(path, same, same, request, new Metadata(), callOptions, callback),
    stream: (path) => client.makeBidiStreamRequest(path, same, same, new Metadata(), callOptions),
    close: () => client.close(),
  };
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
