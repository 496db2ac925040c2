import { EventEmitter } from 'node:events';
import type { ServiceError } from '@grpc/grpc-js';
import { Metadata, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../../src/base/clock.ts';
import type { AnswerCallback, ByteStream, RunningCall } from '../../../src/client/channel.ts';
import { SendQueue } from './send-queue.ts';
import type { EndStatus } from './server-calls.ts';

/** What a call of a client does to the wire, once it has a connection. */
export interface ClientWire {
  message(bytes: Buffer): void;
  halfClose(): void;
  /** Closes this side where that was not done, and resets the stream behind it. */
  reset(alsoHalfClose: boolean): void;
  credit(bytes: number): void;
  /** The call needs nothing more. */
  release(): void;
}

/** A call that waits for its connection, or has one. */
export interface PendingCall {
  readonly path: string;
  /** undefined: a stream. */
  readonly request: Buffer | undefined;
  readonly timeoutMs: number | undefined;
  readonly isOver: boolean;
  attach(wire: ClientWire): void;
  receive(bytes: Buffer): void;
  credit(bytes: number): void;
  finish(ending: EndStatus): void;
}

export function unavailable(details: string): EndStatus {
  return { code: status.UNAVAILABLE, details, metadata: new Metadata() };
}

function serviceError(ending: EndStatus): ServiceError {
  return Object.assign(new Error(`${ending.code} ${status[ending.code]}: ${ending.details}`), ending);
}

const cancelledStatus: EndStatus = { code: status.CANCELLED, details: 'Cancelled on client', metadata: new Metadata() };

function lateStatus(timeoutMs: number): EndStatus {
  const details = `Deadline exceeded after ${(timeoutMs / 1_000).toFixed(3)}s`;
  return { code: status.DEADLINE_EXCEEDED, details, metadata: new Metadata() };
}

/** The client's side of a unary call. */
export class MemoryClientCall implements PendingCall, RunningCall {
  readonly path: string;
  readonly request: Buffer;
  readonly timeoutMs: number | undefined;
  readonly #callback: AnswerCallback;
  readonly #deadline: Timer | undefined;
  #wire: ClientWire | undefined;
  #answer: Buffer | undefined;
  #over = false;

  constructor(clock: Clock, path: string, request: Buffer, callback: AnswerCallback, timeoutMs?: number) {
    this.path = path;
    this.request = request;
    this.timeoutMs = timeoutMs;
    this.#callback = callback;
    if (timeoutMs !== undefined) this.#deadline = clock.setTimer(timeoutMs, () => this.#abandon(lateStatus(timeoutMs)));
  }

  get isOver(): boolean {
    return this.#over;
  }

  attach(wire: ClientWire): void {
    this.#wire = wire;
  }

  receive(bytes: Buffer): void {
    this.#answer = bytes;
  }

  credit(): void {
    // A request is one message.
  }

  finish(ending: EndStatus): void {
    if (this.#over) return;
    this.#end();
    // Never within the call that began it.
    queueMicrotask(() => {
      if (ending.code === status.OK) this.#callback(null, this.#answer);
      else this.#callback(serviceError(ending));
    });
  }

  cancel(): void {
    this.#abandon(cancelledStatus);
  }

  #abandon(ending: EndStatus): void {
    if (this.#over) return;
    // The request was followed by the end of this side.
    this.#wire?.reset(false);
    this.finish(ending);
  }

  #end(): void {
    this.#over = true;
    this.#deadline?.cancel();
    this.#wire?.release();
  }
}

/** The client's side of a bidirectional stream, with the events of grpc-js in its order. */
export class MemoryClientStream extends EventEmitter implements PendingCall, ByteStream {
  readonly path: string;
  readonly request = undefined;
  readonly timeoutMs: number | undefined;
  readonly #clock: Clock;
  readonly #pauseMs: (path: string) => number;
  readonly #queue: SendQueue;
  #wire: ClientWire | undefined;
  #early: Buffer[] = [];
  #inbound: Buffer[] = [];
  #status: EndStatus | undefined;
  #paused = false;
  #reading = false;
  #ending = false;
  #halfClosed = false;
  #over = false;

  /** @param pauseMs How long the reader takes over each message. */
  constructor(clock: Clock, path: string, timeoutMs?: number, pauseMs: (path: string) => number = () => 0) {
    super();
    this.path = path;
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#pauseMs = pauseMs;
    this.#queue = new SendQueue(clock, (bytes) => this.#wire?.message(bytes));
    if (timeoutMs !== undefined) clock.setTimer(timeoutMs, () => this.#abandon(lateStatus(timeoutMs)));
  }

  get isOver(): boolean {
    return this.#over;
  }

  write(message: Buffer): boolean {
    if (this.#over || this.#ending) return false;
    if (this.#wire === undefined) this.#early.push(message);
    else this.#queue.push(message, nothing);
    return !this.#queue.isFull;
  }

  end(): void {
    if (this.#over || this.#ending) return;
    this.#ending = true;
    if (this.#wire !== undefined) this.#halfCloseBehind();
  }

  cancel(): void {
    this.#abandon(cancelledStatus);
  }

  /** What comes is kept, and not more of it let in than the window holds. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#read();
  }

  attach(wire: ClientWire): void {
    this.#wire = wire;
    for (const message of this.#early) this.#queue.push(message, nothing);
    this.#early = [];
    if (this.#ending) this.#halfCloseBehind();
  }

  receive(bytes: Buffer): void {
    if (this.#over) return;
    this.#inbound.push(bytes);
    this.#read();
  }

  credit(bytes: number): void {
    this.#queue.credit(bytes);
  }

  finish(ending: EndStatus): void {
    if (this.#over || this.#status !== undefined) return;
    this.#status = ending;
    // Only a good end waits for what was not read.
    if (ending.code !== status.OK) this.#inbound = [];
    this.#read();
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    while (!this.#paused && !this.#over && this.#inbound.length > 0) {
      const bytes = this.#inbound.shift();
      if (bytes === undefined) break;
      this.#wire?.credit(bytes.length + 5);
      this.emit('data', bytes);
      const pauseMs = this.#pauseMs(this.path);
      if (pauseMs > 0) {
        this.pause();
        this.#clock.setTimer(pauseMs, () => this.resume());
      }
    }
    this.#reading = false;
    if (this.#status !== undefined && !this.#over && this.#inbound.length === 0) this.#finishWith(this.#status);
  }

  #halfCloseBehind(): void {
    this.#queue.whenEmpty(() => {
      this.#halfClosed = true;
      this.#wire?.halfClose();
    });
  }

  #abandon(ending: EndStatus): void {
    if (this.#over) return;
    // Node closes its side before it resets, unless what it sends is held up by the window.
    this.#wire?.reset(!this.#halfClosed && this.#queue.isEmpty);
    this.#inbound = [];
    this.#finishWith(ending);
  }

  #finishWith(ending: EndStatus): void {
    this.#over = true;
    this.#queue.close();
    this.#wire?.release();
    queueMicrotask(() => {
      this.emit('end');
      if (ending.code !== status.OK) this.emit('error', serviceError(ending));
      this.emit('status', ending);
    });
  }
}

function nothing(): void {}
