import type { Client, ClientDuplexStream } from '@grpc/grpc-js';
import { rollcall } from '../../src/gen/rollcall.js';

const { SessionRequest, SessionResponse } = rollcall.v1;
type Response = rollcall.v1.SessionResponse;

interface Waiting {
  readonly resolve: (response: Response) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One session over the wire, kept as small as can be: a load of ten thousand of them is to measure the members, not
 * their client.
 */
export class SessionStream {
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  readonly #waiting = new Map<string, Waiting>();
  readonly #onEnd: (reason: string) => void;
  #pings = 0;
  #failure: Error | undefined;
  sessionId = 0;

  /** @param onEnd The stream has ended, for whatever reason. */
  constructor(client: Client, onEnd: (reason: string) => void) {
    const same = (bytes: Buffer): Buffer => bytes;
    this.#onEnd = onEnd;
    this.#stream = client.makeBidiStreamRequest('/rollcall.v1.Registry/Session', same, same);
    this.#stream.on('data', (bytes: Buffer) => this.#answer(SessionResponse.decode(bytes)));
    this.#stream.on('error', (error: Error) => this.#ended(error));
    this.#stream.on('end', () => this.#ended(new Error('the stream has ended')));
  }

  async open(ttlMs: number): Promise<void> {
    const request = SessionRequest.encode({ open: { ttlMs } }).finish();
    const { opened } = await this.#ask('opened', request);
    this.sessionId = opened?.sessionId ?? 0;
  }

  async write(sequence: number, operations: rollcall.v1.ISessionOperation[]): Promise<rollcall.v1.ISessionResult[]> {
    const { written } = await this.#ask('written', SessionRequest.encode({ write: { sequence, operations } }).finish());
    return written?.results ?? [];
  }

  /** Resolves with whether a leader confirmed it. */
  async ping(): Promise<boolean> {
    const pingId = ++this.#pings;
    const { pong } = await this.#ask(`pong ${pingId}`, SessionRequest.encode({ ping: { pingId } }).finish());
    return pong?.renewed === true;
  }

  /** Ends the session with all that it holds. */
  end(): void {
    this.#stream.end();
  }

  #ask(kind: string, request: Uint8Array): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting.set(kind, { resolve, reject });
      this.#stream.write(Buffer.from(request.buffer, request.byteOffset, request.byteLength));
    });
  }

  #answer(response: Response): void {
    const kind = response.pong ? `pong ${response.pong.pingId ?? 0}` : (response.response ?? '');
    const waiting = this.#waiting.get(kind);
    this.#waiting.delete(kind);
    waiting?.resolve(response);
  }

  #ended(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#onEnd(error.message);
  }
}
