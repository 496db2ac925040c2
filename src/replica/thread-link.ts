import { assert, must, unreachable } from '../base/assert.ts';
import { ByteBatch } from './byte-batch.ts';
import { fromPlainError, type PlainError, toPlainError } from './plain-error.ts';

/** One end of a pair over which cloned messages pass, in order, between threads. */
export interface Endpoint {
  /** The buffers are the receiver's afterwards. */
  post(message: unknown, transfer: readonly ArrayBuffer[]): void;
  /** Messages come from now on, never within a call of `post`. Once. */
  onMessage(listener: (message: unknown) => void): void;
  close(): void;
}

type Packet<Ask, Tell> =
  | { readonly kind: 'tells'; readonly tells: readonly Tell[]; readonly bytes: ArrayBuffer }
  | { readonly kind: 'ask'; readonly id: number; readonly ask: Ask }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: PlainError }
  /** The next piece of a body that the other side offered; answered with bytes, or undefined at its end. */
  | { readonly kind: 'pull'; readonly id: number; readonly source: number }
  | { readonly kind: 'drop'; readonly source: number };

export interface ThreadLinkOptions<AskIn, TellIn> {
  readonly endpoint: Endpoint;
  /** `bytes`: what the ranges in the tells refer to; the receiver's own. */
  readonly onTells: (tells: readonly TellIn[], bytes: ArrayBuffer) => void;
  readonly onAsk: (ask: AskIn) => Promise<unknown>;
  /** What a handler threw: a broken invariant. */
  readonly onFatal: (error: unknown) => void;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * What two sides of a member on two threads say to each other: tells, gathered into one batch a turn; questions with
 * one answer each; and bodies that the receiver pulls piece by piece. All in the order said.
 */
export class ThreadLink<AskOut, TellOut, AskIn, TellIn> {
  readonly #options: ThreadLinkOptions<AskIn, TellIn>;
  readonly #bytes = new ByteBatch();
  #tells: TellOut[] = [];
  readonly #pending = new Map<number, Pending>();
  readonly #offered = new Map<number, AsyncIterator<Uint8Array>>();
  #flushDue = false;
  #nextId = 1;
  #closed = false;

  constructor(options: ThreadLinkOptions<AskIn, TellIn>) {
    this.#options = options;
    options.endpoint.onMessage((message) => {
      // Both sides are of one build: what comes was put together by this class.
      if (!this.#closed) this.#received(message as Packet<AskIn, TellIn>);
    });
  }

  /** Said at the end of the present step of the loop, with whatever else is told in it. */
  tell(make: (bytes: ByteBatch) => TellOut): void {
    if (this.#closed) return;
    this.tellLater(make);
    if (this.#flushDue) return;
    this.#flushDue = true;
    queueMicrotask(() => this.flush());
  }

  /** Said together with whatever is said next: each message wakes the other thread, which this one is not worth. */
  tellLater(make: (bytes: ByteBatch) => TellOut): void {
    if (!this.#closed) this.#tells.push(make(this.#bytes));
  }

  /** Says at once what was told. */
  flush(): void {
    this.#flushDue = false;
    if (this.#tells.length === 0 || this.#closed) return;
    const tells = this.#tells;
    this.#tells = [];
    const bytes = this.#bytes.finish();
    this.#post({ kind: 'tells', tells, bytes }, [bytes]);
  }

  /** Rejects with the error of the other side, or with an Error once the link is closed. */
  ask(ask: AskOut): Promise<unknown> {
    return this.#asked((id) => ({ kind: 'ask', id, ask }));
  }

  /** Lets the other side pull a body, by the number returned. */
  offer(body: AsyncIterable<Uint8Array>): number {
    const source = this.#nextId++;
    this.#offered.set(source, body[Symbol.asyncIterator]());
    return source;
  }

  /** A body that the other side offered. Read it once; leaving it lets go of it over there too. */
  async *body(source: number): AsyncGenerator<Uint8Array, void, undefined> {
    let open = true;
    try {
      for (;;) {
        const piece = (await this.#asked((id) => ({ kind: 'pull', id, source }))) as ArrayBuffer | undefined;
        if (piece === undefined) break;
        yield new Uint8Array(piece);
      }
      open = false;
    } finally {
      if (open) this.#post({ kind: 'drop', source }, []);
    }
  }

  /** Nothing is said or heard any more; open questions end with `error`. */
  close(error: Error = new Error('the other thread is gone')): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    this.#options.endpoint.close();
  }

  #asked(packet: (id: number) => Packet<AskOut, TellOut>): Promise<unknown> {
    if (this.#closed) return Promise.reject(new Error('the other thread is gone'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#post(packet(id), []);
    });
  }

  #post(packet: Packet<AskOut, TellOut>, transfer: readonly ArrayBuffer[]): void {
    if (this.#closed) return;
    // What was told before goes before.
    if (packet.kind !== 'tells') this.flush();
    this.#options.endpoint.post(packet, transfer);
  }

  #received(packet: Packet<AskIn, TellIn>): void {
    try {
      this.#handle(packet);
    } catch (error) {
      this.#options.onFatal(error);
    }
  }

  #handle(packet: Packet<AskIn, TellIn>): void {
    switch (packet.kind) {
      case 'tells':
        return this.#options.onTells(packet.tells, packet.bytes);
      case 'ask':
        return this.#answer(packet.id, this.#options.onAsk(packet.ask), () => []);
      case 'pull':
        return this.#answer(packet.id, this.#nextPiece(packet.source), (piece) => (piece === undefined ? [] : [piece]));
      case 'answer':
        return this.#taken(packet.id)?.resolve(packet.value);
      case 'failure':
        return this.#taken(packet.id)?.reject(fromPlainError(packet.error));
      case 'drop':
        return this.#drop(packet.source);
      default:
        return unreachable(packet);
    }
  }

  #answer<T>(id: number, work: Promise<T>, transfer: (value: T) => readonly ArrayBuffer[]): void {
    work.then(
      (value) => this.#post({ kind: 'answer', id, value }, transfer(value)),
      (error: unknown) => this.#post({ kind: 'failure', id, error: toPlainError(error) }, []),
    );
  }

  #taken(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    assert(pending !== undefined || this.#closed, () => `answer to a question ${id} that was not asked`);
    this.#pending.delete(id);
    return pending;
  }

  async #nextPiece(source: number): Promise<ArrayBuffer | undefined> {
    const iterator = must(this.#offered.get(source), `body ${source}`);
    try {
      const piece = await iterator.next();
      // Copied: what comes may be a view of a buffer that is in use.
      if (piece.done !== true) return new Uint8Array(piece.value).buffer;
    } catch (error) {
      this.#offered.delete(source);
      throw error;
    }
    this.#offered.delete(source);
    return undefined;
  }

  #drop(source: number): void {
    const iterator = this.#offered.get(source);
    this.#offered.delete(source);
    // What is left in the middle ends its own way; nobody waits for it.
    iterator?.return?.().catch(() => undefined);
  }
}
