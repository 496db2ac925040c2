import type { ServerDuplexStream } from '@grpc/grpc-js';
import { parseWatch } from '../api/parse-reads.ts';
import type { RegistryApi, WatchSession } from '../api/types.ts';
import { unreachable } from '../base/assert.ts';
import type { RollcallError } from '../base/errors.ts';
import type { WatchSink } from '../watch/types.ts';
import type { CallContext } from './call-context.ts';
import { callerOf, outcomeOf, StreamRecord, toCallerError } from './call-context.ts';
import { asBuffer } from './method-table.ts';
import { callStatusOf } from './status-errors.ts';

/**
 * One Watch stream. Bytes that HTTP/2 has not taken are counted: above `watchQueueBytesMax`, or where grpc-js itself
 * says so, `send` answers false and the session keeps the rest as keys until all that was sent is taken. A client that
 * closes its side keeps its watches; the stream ends when the last of them has.
 */
export class WatchCall implements WatchSink {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #context: CallContext;
  readonly #record: StreamRecord;
  readonly #session: WatchSession;
  readonly #onClosed: () => void;
  #queuedBytes = 0;
  /** True from a `send` that answered false until `drained`. */
  #blocked = false;
  #inputEnded = false;
  #ended = false;
  #closed = false;

  constructor(
    call: ServerDuplexStream<Buffer, Buffer>,
    registry: RegistryApi,
    context: CallContext,
    onClosed: () => void,
  ) {
    this.#call = call;
    this.#context = context;
    this.#record = new StreamRecord(context, 'Watch');
    this.#onClosed = onClosed;
    this.#session = registry.openWatch(this, callerOf(call));
    this.#session.onIdle(() => this.#endIfDone());
    call.on('data', (bytes: Buffer) => this.#receive(bytes));
    // Also where the client cancels: leaving without a watch is an end like any other.
    call.on('end', () => this.#endInput());
    // grpc-js says so at the end of every call, however it ended.
    call.on('cancelled', () => this.#close());
  }

  send(response: Uint8Array): boolean {
    if (this.#ended) return false;
    this.#queuedBytes += response.length;
    const taken = this.#call.write(asBuffer(response), () => this.#written(response.length));
    if (!taken || this.#queuedBytes >= this.#context.limits.watchQueueBytesMax) this.#blocked = true;
    return !this.#blocked;
  }

  /** Ends all watches and the stream with `error`, behind what was sent already. */
  endWith(error: RollcallError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#session.close();
    this.#record.end(error.code);
    this.#call.emit('error', callStatusOf(error));
    // What still comes is read and dropped, so that the client's half of the stream can end.
    this.#call.resume();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#ended) return;
    try {
      const command = parseWatch(bytes);
      switch (command.kind) {
        case 'create':
          this.#session.create(command.request);
          break;
        case 'cancel':
          this.#session.cancel(command.watchId);
          break;
        case 'ack':
          this.#session.ack(command.watchId, command.revision);
          break;
        default:
          unreachable(command);
      }
    } catch (thrown) {
      this.endWith(toCallerError(this.#context, thrown));
    }
  }

  #written(bytes: number): void {
    this.#queuedBytes -= bytes;
    if (!this.#blocked || this.#ended || this.#queuedBytes > 0 || this.#call.writableNeedDrain) return;
    this.#blocked = false;
    this.#session.drained();
  }

  #endInput(): void {
    this.#inputEnded = true;
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#ended || !this.#inputEnded || !this.#session.idle) return;
    this.#ended = true;
    this.#session.close();
    this.#record.end('OK');
    this.#call.end();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#ended) {
      this.#ended = true;
      this.#session.close();
      this.#record.end(outcomeOf(this.#context, this.#call, undefined));
    }
    this.#onClosed();
  }
}
