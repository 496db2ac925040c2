import type { ServerDuplexStream } from '@grpc/grpc-js';
import { apiBounds } from '../api/bounds.ts';
import { parseSession } from '../api/parse-session.ts';
import type {
  RegistryApi,
  SessionAnswer,
  SessionCall,
  SessionMessage,
  SessionOpenRequest,
  SessionSink,
} from '../api/types.ts';
import type { Timer } from '../base/clock.ts';
import { invalidField, RollcallError } from '../base/errors.ts';
import type { CallContext } from './call-context.ts';
import { callerOf, outcomeOf, StreamRecord, toCallerError } from './call-context.ts';
import { asBuffer } from './method-table.ts';
import { renderSessionAnswer } from './render-session.ts';
import { callStatusOf } from './status-errors.ts';

/**
 * One Session stream. Its first message opens it, the others go to the session that it opened. A session that is full,
 * or a client that does not read its answers, is not read until there is room: flow control holds the client.
 *
 * A client that closes its side ends its session. A stream that is cancelled ends only itself, but Node's HTTP/2 client
 * closes its side first and resets the stream behind that, and a connection that breaks looks the same for a moment: so
 * a half-close is carried out `sessionCloseDelayMs` later, and not if the call is cancelled by then.
 */
export class SessionStreamCall implements SessionSink {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #registry: RegistryApi;
  readonly #context: CallContext;
  readonly #record: StreamRecord;
  readonly #onClosed: () => void;
  #session: SessionCall | undefined;
  /** Answers that HTTP/2 has not taken. */
  #unsent = 0;
  #paused = false;
  #closing: Timer | undefined;
  #ended = false;
  #closed = false;

  constructor(
    call: ServerDuplexStream<Buffer, Buffer>,
    registry: RegistryApi,
    context: CallContext,
    onClosed: () => void,
  ) {
    this.#call = call;
    this.#registry = registry;
    this.#context = context;
    this.#record = new StreamRecord(context, 'Session');
    this.#onClosed = onClosed;
    call.on('data', (bytes: Buffer) => this.#receive(bytes));
    call.on('end', () => this.#endInput());
    // grpc-js says so at the end of every call, however it ended.
    call.on('cancelled', () => this.#close());
  }

  send(answer: SessionAnswer): void {
    if (this.#ended) return;
    const { sessionUnsentEndMax } = this.#context.limits;
    if (this.#unsent >= sessionUnsentEndMax) {
      const problem = `${sessionUnsentEndMax} answers and notices of this stream are not read`;
      const message = `${problem}; go on with the session on another stream, and read`;
      this.endWith(new RollcallError('OVERLOADED', message, { retryAfterMs: apiBounds.overloadedRetryAfterMs }));
      return;
    }
    this.#unsent++;
    this.#call.write(asBuffer(renderSessionAnswer(answer)), () => {
      this.#unsent--;
      this.#regulate();
    });
    this.#regulate();
  }

  end(error: RollcallError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#record.end(error?.code ?? 'OK');
    if (error === undefined) this.#call.end();
    else this.#call.emit('error', callStatusOf(error));
    // What still comes is read and dropped, so that the client's half of the stream can end.
    this.#call.resume();
  }

  /** The member ends the stream, not the session: the client goes on with it elsewhere. */
  endWith(error: RollcallError): void {
    if (this.#ended) return;
    this.#session?.close();
    this.end(error);
  }

  #receive(bytes: Uint8Array): void {
    if (this.#ended) return;
    try {
      const message = parseSession(bytes);
      if (message.kind === 'open') this.#open(message.request);
      else if (this.#session === undefined) throw invalidField('request', `is ${message.kind}, the first must be open`);
      else this.#hand(this.#session, message);
    } catch (thrown) {
      this.endWith(toCallerError(this.#context, thrown));
    }
    this.#regulate();
  }

  #hand(session: SessionCall, message: SessionMessage): void {
    if (message.kind === 'write') {
      let unknown = 0;
      for (const operation of message.operations) {
        if (operation.kind !== 'deregister') unknown += operation.spec.unknownFields;
      }
      if (unknown > 0) this.#context.observer.unknownFields(unknown);
    }
    session.receive(message);
  }

  #open(request: SessionOpenRequest): void {
    if (this.#session !== undefined) throw invalidField('open', 'is allowed once, as the first message of a stream');
    this.#session = this.#registry.openSession(request, this, callerOf(this.#call));
    this.#session.onRoom(() => this.#regulate());
  }

  #endInput(): void {
    if (this.#ended) return;
    if (this.#session === undefined) {
      this.end(invalidField('request', 'is missing, a stream begins with open'));
      return;
    }
    const session = this.#session;
    const { clock, limits } = this.#context;
    this.#closing = clock.setTimer(limits.sessionCloseDelayMs, () => {
      // After a stall timers run before the sockets are read, and the reset may lie in one of them.
      this.#closing = clock.nextTurn(() => {
        if (!this.#call.cancelled && !this.#ended) session.halfClose();
      });
    });
  }

  #regulate(): void {
    if (this.#ended) return;
    const full = this.#session?.full === true || this.#unsent >= this.#context.limits.sessionUnsentMax;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#call.pause();
    else this.#call.resume();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing?.cancel();
    if (!this.#ended) {
      this.#ended = true;
      this.#session?.close();
      this.#record.end(outcomeOf(this.#context, this.#call, undefined));
    }
    this.#onClosed();
  }
}
