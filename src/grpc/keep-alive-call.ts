import type { ServerDuplexStream } from '@grpc/grpc-js';
import { parseKeepAlive } from '../api/parse-writes.ts';
import type { Caller, RegistryApi, RenewAnswer } from '../api/types.ts';
import { assertEqual, must } from '../base/assert.ts';
import type { Timer } from '../base/clock.ts';
import type { RollcallError } from '../base/errors.ts';
import type { CallContext } from './call-context.ts';
import { callerOf, outcomeOf, StreamRecord, toCallerError } from './call-context.ts';
import { asBuffer } from './method-table.ts';
import { renderKeepAlive } from './render-registry.ts';
import { callStatusOf } from './status-errors.ts';

/** One request: what it asks, and its answer once there. */
interface Renewal {
  readonly leaseIds: readonly number[];
  answer: Uint8Array | undefined;
}

/**
 * One KeepAlive stream. Each request is answered by one response in the order asked; what arrives in one turn of the
 * loop goes to the use case as one batch. Requests not yet answered are bounded by `keepAliveUnansweredMax`, an answer
 * that HTTP/2 has not taken counting as none: beyond, the stream is not read, and flow control holds the client.
 */
export class KeepAliveCall {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #registry: RegistryApi;
  readonly #context: CallContext;
  readonly #caller: Caller;
  readonly #record: StreamRecord;
  readonly #onClosed: () => void;
  /** In the order asked; `#unasked` are the last of them. */
  readonly #waiting: Renewal[] = [];
  #unasked: Renewal[] = [];
  /** Invariant: #unanswered >= #waiting.length; the difference is written and not yet taken by HTTP/2. */
  #unanswered = 0;
  #turn: Timer | undefined;
  /** The client sends no more, or is heard no more. */
  #inputEnded = false;
  #failure: RollcallError | undefined;
  #ended = false;

  constructor(
    call: ServerDuplexStream<Buffer, Buffer>,
    registry: RegistryApi,
    context: CallContext,
    onClosed: () => void,
  ) {
    this.#call = call;
    this.#registry = registry;
    this.#context = context;
    this.#caller = callerOf(call);
    this.#record = new StreamRecord(context, 'KeepAlive');
    this.#onClosed = onClosed;
    call.on('data', (bytes: Buffer) => this.#receive(bytes));
    // Also where the client cancels: leaving with nothing unanswered is an end like any other.
    call.on('end', () => this.#endInput(undefined));
    // grpc-js says so at the end of every call, however it ended.
    call.on('cancelled', () => this.#close());
  }

  /** Takes no more requests, answers those taken, then ends the stream with `error`. */
  endWith(error: RollcallError): void {
    this.#endInput(error);
  }

  #receive(bytes: Uint8Array): void {
    if (this.#inputEnded) return;
    try {
      this.#take(parseKeepAlive(bytes));
    } catch (thrown) {
      this.#endInput(toCallerError(this.#context, thrown));
    }
  }

  #take(leaseIds: readonly number[]): void {
    const renewal: Renewal = { leaseIds, answer: undefined };
    this.#waiting.push(renewal);
    this.#unasked.push(renewal);
    this.#unanswered += 1;
    if (this.#unanswered >= this.#context.limits.keepAliveUnansweredMax) this.#call.pause();
    this.#turn ??= this.#context.clock.nextTurn(() => this.#ask());
  }

  /** Hands on what this turn brought, in batches of at most `renewBatchIdsMax` ids or one request. */
  #ask(): void {
    this.#turn = undefined;
    const asked = this.#unasked;
    this.#unasked = [];
    let batch: Renewal[] = [];
    let ids: number[] = [];
    for (const renewal of asked) {
      if (ids.length > 0 && ids.length + renewal.leaseIds.length > this.#context.limits.renewBatchIdsMax) {
        this.#renew(batch, ids);
        batch = [];
        ids = [];
      }
      batch.push(renewal);
      for (const id of renewal.leaseIds) ids.push(id);
    }
    if (batch.length > 0) this.#renew(batch, ids);
  }

  #renew(batch: readonly Renewal[], ids: readonly number[]): void {
    this.#registry
      .renew(ids, this.#caller)
      .then((results) => this.#answer(batch, ids, results))
      .catch((thrown: unknown) => {
        // A batch without an answer leaves a hole in the order: nothing can be answered behind it.
        this.#waiting.length = Math.min(this.#waiting.length, this.#positionOf(batch));
        this.#endInput(toCallerError(this.#context, thrown));
      });
  }

  #positionOf(batch: readonly Renewal[]): number {
    const at = this.#waiting.indexOf(must(batch[0], 'a batch of renewals'));
    return at === -1 ? this.#waiting.length : at;
  }

  #answer(batch: readonly Renewal[], ids: readonly number[], results: readonly RenewAnswer[]): void {
    assertEqual(results.length, ids.length, 'answers to renewals');
    let at = 0;
    for (const renewal of batch) {
      const to = at + renewal.leaseIds.length;
      renewal.answer = renderKeepAlive(results, at, to);
      at = to;
    }
    this.#sendInOrder();
  }

  #sendInOrder(): void {
    while (!this.#ended) {
      const answer = this.#waiting[0]?.answer;
      if (answer === undefined) break;
      this.#waiting.shift();
      this.#call.write(asBuffer(answer), () => this.#written());
    }
    this.#endIfDone();
  }

  #written(): void {
    this.#unanswered -= 1;
    if (!this.#inputEnded && this.#unanswered < this.#context.limits.keepAliveUnansweredMax) this.#call.resume();
  }

  #endInput(failure: RollcallError | undefined): void {
    this.#failure ??= failure;
    this.#inputEnded = true;
    // What still comes is read and dropped, so that the client's half of the stream can end.
    if (failure !== undefined && !this.#ended) this.#call.resume();
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#ended || !this.#inputEnded || this.#waiting.length > 0) return;
    this.#ended = true;
    this.#record.end(this.#failure?.code ?? 'OK');
    if (this.#failure === undefined) this.#call.end();
    else this.#call.emit('error', callStatusOf(this.#failure));
  }

  #close(): void {
    this.#record.end(outcomeOf(this.#context, this.#call, this.#failure));
    this.#ended = true;
    this.#inputEnded = true;
    this.#waiting.length = 0;
    this.#unasked = [];
    this.#turn?.cancel();
    this.#onClosed();
  }
}
