import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect, isIPv6 } from 'node:net';
import { Client, credentials, status } from '@grpc/grpc-js';
import { InvalidArgumentError } from 'commander';
import protobuf from 'protobufjs/minimal.js';
import { unreachable } from '../base/assert.ts';

/** How to see whether a process is well. */
export type Check =
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'grpc'; readonly host: string; readonly port: number; readonly service: string };

/** `http://…`, `https://…`, `tcp://host:port`, `grpc://host:port` or `grpc://host:port/service`. */
export function parseCheck(text: string): Check {
  const [, scheme] = /^([a-z]+):\/\//.exec(text) ?? [];
  if ((scheme === 'http' || scheme === 'https') && URL.canParse(text)) return { kind: 'http', url: text };
  const match = /^(tcp|grpc):\/\/(?:\[([^\]]+)\]|([^:[\]/\s]+)):(\d{1,5})(?:\/([\w.-]*))?$/.exec(text);
  const [, kind, bracketed, plain = '', portText = '', service = ''] = match ?? [];
  const port = Number(portText);
  const host = bracketed ?? plain;
  const wellFormed = host !== '' && port >= 1 && port <= 65_535 && (bracketed === undefined || isIPv6(bracketed));
  if (wellFormed && kind === 'grpc') return { kind, host, port, service };
  if (wellFormed && kind === 'tcp' && service === '') return { kind, host, port };
  throw new InvalidArgumentError(
    `"${text}" is no check; write e.g. http://127.0.0.1:8080/healthz, tcp://127.0.0.1:5432 or grpc://127.0.0.1:50051.`,
  );
}

/** Looks once. Resolves with undefined where all is well, otherwise with why not; never rejects. */
export function runCheck(check: Check, timeoutMs: number): Promise<string | undefined> {
  switch (check.kind) {
    case 'http':
      return checkHttp(check.url, timeoutMs);
    case 'tcp':
      return checkTcp(check, timeoutMs);
    case 'grpc':
      return checkGrpc(check, timeoutMs);
    default:
      return unreachable(check);
  }
}

/** Well is 200 to 399: a server that sends its visitors elsewhere works. */
function checkHttp(url: string, timeoutMs: number): Promise<string | undefined> {
  const get = url.startsWith('https:') ? httpsGet : httpGet;
  return new Promise((resolve) => {
    // No agent: each look is a connection of its own, as a new visitor's.
    const signal = AbortSignal.timeout(timeoutMs);
    const request = get(url, { agent: false, signal, headers: { 'user-agent': 'rollcall-check' } }, (response) => {
      const { statusCode = 0 } = response;
      response.destroy();
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `${url} answers ${statusCode}`);
    });
    request.on('error', (error) => {
      resolve(signal.aborted ? `${url} gives no answer within ${timeoutMs} ms` : `${url}: ${messageOf(error)}`);
    });
  });
}

function checkTcp({ host, port }: { readonly host: string; readonly port: number }, timeoutMs: number) {
  return new Promise<string | undefined>((resolve) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => end(`${host}:${port} takes no connection within ${timeoutMs} ms`), timeoutMs);
    const end = (why: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    socket.once('connect', () => end(undefined));
    socket.once('error', (error) => end(messageOf(error)));
  });
}

/** SERVING of grpc.health.v1.HealthCheckResponse. */
const serving = 1;

/** Asks grpc.health.v1.Health, of which two fields are needed. */
function checkGrpc(check: Extract<Check, { kind: 'grpc' }>, timeoutMs: number): Promise<string | undefined> {
  const { host, port, service } = check;
  const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1,
  });
  return new Promise((resolve) => {
    const deadline = Date.now() + timeoutMs;
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      (name: string) => Buffer.from(protobuf.Writer.create().uint32(0x0a).string(name).finish()),
      healthOf,
      service,
      { deadline },
      (error, answer) => {
        client.close();
        if (error !== null) resolve(`${address}: ${status[error.code]}: ${error.details}`);
        else resolve(answer === serving ? undefined : `${address} says that it does not serve`);
      },
    );
  });
}

/** Field 1, the status. */
function healthOf(bytes: Buffer): number {
  const reader = protobuf.Reader.create(bytes);
  let health = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 0x08) health = reader.int32();
    else reader.skipType(tag & 7);
  }
  return health;
}

/** A refused connection to a name with several addresses has its errors inside. */
function messageOf(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((each) => messageOf(each as Error)).join('; ');
  return error.message;
}
