// A gRPC client without a gRPC library: it sends what it is told, and says exactly what came back.
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:http2';

/** How one call ended, as HTTP/2 saw it. */
export type Outcome =
  | {
      readonly kind: 'status';
      readonly code: number;
      readonly message: string;
      readonly details: Buffer | undefined;
      readonly messages: readonly Buffer[];
    }
  /** An answer, or the end of one, that is no gRPC. */
  | { readonly kind: 'untyped'; readonly what: string }
  | { readonly kind: 'reset'; readonly code: number }
  | { readonly kind: 'connection'; readonly what: string }
  /** This side ended it, as the case wanted. */
  | { readonly kind: 'left'; readonly messages: number }
  | { readonly kind: 'silent' };

export interface CallOptions {
  readonly headers?: OutgoingHttpHeaders;
  /** What is sent as the body, piece by piece; framing is the caller's. */
  readonly chunks: readonly Uint8Array[];
  /** `open`: this side stays open until the answer ends, or until it is left. */
  readonly end: 'close' | 'open' | 'reset';
  /** Leave by a reset once nothing has come for so long: a stream that need not end by itself. */
  readonly leaveAfterMs?: number;
  readonly timeoutMs?: number;
  readonly rstCode?: number;
}

const timeoutMsDefault = 20_000;
/** A client that is to leave once it hears nothing more leaves by then in any case. */
const leaveLatestMs = 5_000;
/** An HTTP/2 answer of a member is read no further than this. */
const answerBytesMax = 64 * 1024 * 1024;

export function framed(body: Uint8Array, flags: number = 0, length: number = body.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([head, body]);
}

/** One HTTP/2 connection; dials anew where the member has closed it. */
export class FuzzConnection {
  readonly #authority: string;
  #session: ClientHttp2Session | undefined;
  /** Times that the connection was lost while it was not this side that closed it. */
  lost = 0;

  constructor(port: number) {
    this.#authority = `http://127.0.0.1:${port}`;
  }

  session(): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const session = connect(this.#authority, { maxSessionMemory: 64, maxSendHeaderBlockLength: 2 ** 20 });
    session.on('error', () => undefined);
    session.on('goaway', () => {
      if (this.#session === session) this.#session = undefined;
    });
    session.once('close', () => {
      if (this.#session !== session) return;
      this.#session = undefined;
      this.lost++;
    });
    this.#session = session;
    return session;
  }

  /** Takes no more calls; closes once those under way have ended. */
  retire(onClosed: () => void): void {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined || session.destroyed) return onClosed();
    session.once('close', onClosed);
    session.close();
  }

  close(): void {
    const session = this.#session;
    this.#session = undefined;
    session?.destroy();
  }

  call(path: string, options: CallOptions): Promise<Outcome> {
    let stream: ClientHttp2Stream;
    try {
      stream = this.session().request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...options.headers,
      });
    } catch (error) {
      return Promise.resolve({ kind: 'connection', what: String(error) });
    }
    return new CallRun(stream, options).outcome;
  }
}

/** One call from its headers to its end. */
class CallRun {
  readonly outcome: Promise<Outcome>;
  readonly #stream: ClientHttp2Stream;
  readonly #options: CallOptions;
  readonly #chunks: Buffer[] = [];
  #received = 0;
  readonly #startedMs = performance.now();
  #headers: IncomingHttpHeaders = {};
  #trailers: IncomingHttpHeaders = {};
  #left = false;
  #silent = false;
  #error: Error | undefined;
  #leaveTimer: NodeJS.Timeout | undefined;

  constructor(stream: ClientHttp2Stream, options: CallOptions) {
    this.#stream = stream;
    this.#options = options;
    const timer = setTimeout(() => this.#giveUp(), options.timeoutMs ?? timeoutMsDefault);
    this.outcome = new Promise((resolve) => {
      stream.once('close', () => {
        clearTimeout(timer);
        clearTimeout(this.#leaveTimer);
        resolve(this.#outcome());
      });
    });
    stream.on('response', (headers: IncomingHttpHeaders) => (this.#headers = headers));
    stream.on('trailers', (headers: IncomingHttpHeaders) => (this.#trailers = headers));
    stream.on('error', (error: Error) => (this.#error = error));
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#send();
  }

  #send(): void {
    const { chunks, end, rstCode, leaveAfterMs } = this.#options;
    for (const chunk of chunks) this.#stream.write(chunk);
    if (end === 'close') this.#stream.end();
    // Behind what was written: a reset at once would leave nothing to read.
    if (end === 'reset') setImmediate(() => this.#leave(rstCode));
    if (leaveAfterMs !== undefined) this.#leaveTimer = setTimeout(() => this.#leave(), leaveAfterMs);
  }

  #receive(chunk: Buffer): void {
    // A watch of what others change all the time is never quiet.
    if (performance.now() - this.#startedMs < leaveLatestMs) this.#leaveTimer?.refresh();
    this.#received += chunk.length;
    if (this.#received > answerBytesMax) this.#leave();
    else this.#chunks.push(chunk);
  }

  #leave(code: number = 8): void {
    this.#left = true;
    if (!this.#stream.destroyed) this.#stream.close(code);
  }

  #giveUp(): void {
    this.#silent = true;
    if (!this.#stream.destroyed) this.#stream.close(8);
  }

  #outcome(): Outcome {
    if (this.#silent) return { kind: 'silent' };
    const trailers = this.#headers['grpc-status'] === undefined ? this.#trailers : this.#headers;
    if (trailers['grpc-status'] !== undefined) return this.#status(trailers);
    if (this.#left) return { kind: 'left', messages: this.#messages()?.length ?? 0 };
    // HTTP/2 lets a client send it again: the member has not looked at it.
    if (this.#error?.message.includes('NGHTTP2_REFUSED_STREAM') === true) return { kind: 'reset', code: 7 };
    const { rstCode } = this.#stream;
    if (this.#headers[':status'] !== undefined && rstCode === 0) {
      return { kind: 'untyped', what: `HTTP ${this.#headers[':status']?.toString()} without grpc-status` };
    }
    if (this.#error !== undefined && this.#stream.session?.destroyed !== false) {
      return { kind: 'connection', what: this.#error.message };
    }
    return rstCode === undefined || rstCode === 0
      ? { kind: 'connection', what: this.#error?.message ?? 'closed without an answer' }
      : { kind: 'reset', code: rstCode };
  }

  #status(trailers: IncomingHttpHeaders): Outcome {
    const code = Number(trailers['grpc-status']);
    const messages = this.#messages();
    if (!Number.isInteger(code) || code < 0 || code > 16) return { kind: 'untyped', what: `grpc-status ${code}` };
    if (messages === undefined) return { kind: 'untyped', what: 'a message is cut off or compressed' };
    const details = trailers['grpc-status-details-bin'];
    return {
      kind: 'status',
      code,
      message: decodedMessage(trailers['grpc-message']),
      details: typeof details === 'string' ? Buffer.from(details, 'base64') : undefined,
      messages,
    };
  }

  /** The whole messages of the answer; undefined where the bytes are not made of such. */
  #messages(): Buffer[] | undefined {
    const bytes = Buffer.concat(this.#chunks);
    const messages: Buffer[] = [];
    let at = 0;
    while (at + 5 <= bytes.length) {
      const length = bytes.readUInt32BE(at + 1);
      if (bytes[at] !== 0 || at + 5 + length > bytes.length) return undefined;
      messages.push(bytes.subarray(at + 5, at + 5 + length));
      at += 5 + length;
    }
    return at === bytes.length ? messages : undefined;
  }
}

function decodedMessage(text: string | string[] | undefined): string {
  const whole = Array.isArray(text) ? text.join() : (text ?? '');
  try {
    return decodeURIComponent(whole);
  } catch {
    return whole;
  }
}
