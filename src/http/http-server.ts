import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { HealthReport } from './health-report.ts';

export interface HttpServerOptions {
  /** Metrics in the text format of Prometheus, and its media type. */
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly health: () => HealthReport;
  readonly clock: Clock;
  readonly limits?: HttpLimits;
  /** An answer could not be made. */
  readonly onError: (error: unknown) => void;
}

/** What a client may make the HTTP port hold. */
export interface HttpLimits {
  /** Default 256. */
  readonly connectionsMax: number;
  /** Default 100; the connection is closed behind the last. */
  readonly requestsPerConnectionMax: number;
  /** Default 8 KiB. */
  readonly headerBytesMax: number;
  /** From the first byte of a request to its last header, and to its end. Defaults 5 s, 10 s. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Between two requests. Default 15 s, the usual interval of a scrape. */
  readonly keepAliveTimeoutMs: number;
  /** A socket on which nothing moves, answers that are not taken included. Default 20 s. */
  readonly socketTimeoutMs: number;
}

export const httpLimits: HttpLimits = {
  connectionsMax: 256,
  requestsPerConnectionMax: 100,
  headerBytesMax: 8 * 1024,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 15_000,
  socketTimeoutMs: 20_000,
};

interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const jsonType = 'application/json; charset=utf-8';
const textType = 'text/plain; charset=utf-8';
/** A connection that waits for its headers is looked at so often. */
const timeoutCheckMs = 1_000;

const pathTexts: Readonly<Record<string, string>> = {
  '/metrics': 'metrics for Prometheus',
  '/healthz': '200 while this member serves, otherwise 503 and why',
  '/livez': '200 while the process answers',
};

/** The HTTP port of a member: metrics and health, GET and HEAD only. `start` once, `stop` once. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  /** One scrape at a time; whoever asks meanwhile gets the same. */
  #scrape: Promise<string> | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const limits = options.limits ?? httpLimits;
    this.#server = createServer({
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(timeoutCheckMs, limits.headersTimeoutMs),
    });
    this.#server.maxConnections = limits.connectionsMax;
    this.#server.maxRequestsPerSocket = limits.requestsPerConnectionMax;
    this.#server.setTimeout(limits.socketTimeoutMs, (socket) => socket.destroy());
    this.#server.on('request', (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        options.onError(error);
        response.destroy();
      });
    });
  }

  /** Resolves with the port bound; rejects where the address is not to be had. */
  start(host: string, port: number): Promise<number> {
    assert(!this.#server.listening, 'the HTTP server is started once');
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', this.#options.onError);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Lets answers finish, for `graceMs` at most, then cuts what is left. */
  stop(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimer(graceMs, () => this.#server.closeAllConnections());
      this.#server.close(() => {
        timer.cancel();
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const page = await this.#page(request);
    const body = Buffer.from(page.body);
    response.writeHead(page.status, {
      'Content-Type': page.contentType,
      'Content-Length': body.length,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...page.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #page(request: IncomingMessage): Promise<Page> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const headers = { Allow: 'GET, HEAD', Connection: 'close' };
      return { status: 405, contentType: textType, body: 'Only GET and HEAD are answered here.\n', headers };
    }
    const [path = ''] = (request.url ?? '').split('?', 1);
    switch (path) {
      case '/metrics':
        return { status: 200, contentType: this.#options.metrics.contentType, body: await this.#metrics() };
      case '/healthz':
        return this.#health();
      case '/livez':
        return { status: 200, contentType: jsonType, body: '{"status":"live"}\n' };
      default:
        return { status: 404, contentType: textType, body: notFoundText };
    }
  }

  #health(): Page {
    const { serving, ...facts } = this.#options.health();
    const body = JSON.stringify({ status: serving ? 'serving' : 'not-serving', ...facts });
    return { status: serving ? 200 : 503, contentType: jsonType, body: `${body}\n` };
  }

  #metrics(): Promise<string> {
    this.#scrape ??= this.#options.metrics.text().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }
}

const notFoundText = `Nothing is here. There is:\n${Object.entries(pathTexts)
  .map(([path, text]) => `  ${path}  ${text}\n`)
  .join('')}`;
