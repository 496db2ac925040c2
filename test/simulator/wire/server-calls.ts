import { EventEmitter } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../../src/base/clock.ts';
import { SendQueue } from './send-queue.ts';

/** How a call ends, as its trailers say. */
export interface EndStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Messages that a stream which is paused still takes in, as one of Node in object mode does. */
const readAheadMax = 16;

/** What every call of a member can say of its caller. */
export interface CallOrigin {
  readonly peer: string;
  readonly clock: Clock;
  /** Until the caller's deadline as it was told, ms; undefined where there is none. */
  readonly timeoutMs: number | undefined;
}

/** What the handlers of a member ask of a grpc-js call, for both kinds. */
class MemoryServerCall extends EventEmitter {
  readonly metadata = new Metadata();
  cancelled = false;
  readonly #peer: string;
  readonly #deadlineMs: number;

  constructor({ peer, clock, timeoutMs }: CallOrigin) {
    super();
    this.#peer = peer;
    this.#deadlineMs = timeoutMs === undefined ? Infinity : clock.wallMs() + timeoutMs;
  }

  getPeer(): string {
    return this.#peer;
  }

  getDeadline(): number {
    return this.#deadlineMs;
  }
}

/** A unary call as its handler sees it. */
export class MemoryUnaryCall extends MemoryServerCall {
  readonly request: Buffer;

  constructor(origin: CallOrigin, request: Buffer) {
    super(origin);
    this.request = request;
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.emit('cancelled', 'cancelled');
  }
}

/** What a stream of a member does to the wire. */
export interface ServerStreamWire {
  message(bytes: Buffer): void;
  end(status: EndStatus): void;
  /** So much was read. */
  credit(bytes: number): void;
  /** What the client lets in on one stream before it has read anything, bytes. */
  readonly windowBytes: number;
}

/**
 * The member's side of a bidirectional stream, as grpc-js shows it to a handler: messages come while it flows, a write
 * tells when it was taken, `end` or an `error` ends it behind what was written, and `cancelled` is told at every end.
 */
export class MemoryServerStream extends MemoryServerCall {
  readonly #wire: ServerStreamWire;
  readonly #queue: SendQueue;
  /** undefined: the client has closed its side. */
  #inbound: (Buffer | undefined)[] = [];
  #credited = 0;
  #flowing = false;
  #reading = false;
  #inputEnded = false;
  #ending = false;
  #over = false;
  #status: EndStatus = { code: status.OK, details: 'OK', metadata: new Metadata() };
  #deadline: Timer | undefined;

  constructor(origin: CallOrigin, wire: ServerStreamWire) {
    super(origin);
    this.#wire = wire;
    this.#queue = new SendQueue(origin.clock, (bytes) => wire.message(bytes), wire.windowBytes);
    this.on('error', (error: Partial<EndStatus> & { readonly message?: string }) => {
      this.#status = {
        code: error.code ?? status.UNKNOWN,
        details: error.details ?? error.message ?? 'Unknown Error',
        metadata: error.metadata ?? new Metadata(),
      };
      this.end();
    });
    if (origin.timeoutMs !== undefined) {
      this.#deadline = origin.clock.setTimer(Math.max(0, origin.timeoutMs), () => this.#endLate());
    }
  }

  override on(event: string, listener: (...args: never[]) => void): this {
    super.on(event, listener as (...args: unknown[]) => void);
    if (event === 'data') this.resume();
    return this;
  }

  get writableNeedDrain(): boolean {
    return this.#queue.isFull;
  }

  write(bytes: Buffer, callback: () => void = nothing): boolean {
    if (this.#over || this.#ending) return false;
    this.#queue.push(bytes, callback);
    return !this.#queue.isFull;
  }

  end(): void {
    if (this.#over || this.#ending) return;
    this.#ending = true;
    this.#queue.whenEmpty(() => this.#sendStatus(this.#status));
  }

  pause(): void {
    this.#flowing = false;
  }

  resume(): void {
    this.#flowing = true;
    // As streams of Node do: not within the caller.
    queueMicrotask(() => this.#read());
  }

  // What follows is for the wire.

  /** A message came in, or the end of the client's side. */
  receive(bytes: Buffer | undefined): void {
    if (this.#over) return;
    this.#inbound.push(bytes);
    this.#takeIn();
    this.#read();
  }

  credit(bytes: number): void {
    this.#queue.credit(bytes);
  }

  /** The client reset the stream, or is gone. */
  reset(): void {
    this.#close();
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    while (this.#flowing && !this.#over && this.#inbound.length > 0) {
      const bytes = this.#inbound.shift();
      if (this.#credited > 0) this.#credited -= 1;
      this.#takeIn();
      if (bytes !== undefined) {
        this.emit('data', bytes);
      } else if (!this.#inputEnded) {
        this.#inputEnded = true;
        this.emit('end');
      }
    }
    this.#reading = false;
  }

  /** Gives back the room of messages that are in memory here. */
  #takeIn(): void {
    while (this.#credited < Math.min(readAheadMax, this.#inbound.length)) {
      const bytes = this.#inbound[this.#credited];
      this.#credited += 1;
      if (bytes !== undefined) this.#wire.credit(bytes.length + 5);
    }
  }

  #sendStatus(ending: EndStatus): void {
    if (this.#over) return;
    this.#wire.end(ending);
    this.#close();
  }

  #endLate(): void {
    this.#sendStatus({ code: status.DEADLINE_EXCEEDED, details: 'Deadline exceeded', metadata: new Metadata() });
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadline?.cancel();
    this.#inbound = [];
    // Not within the handler that ended it.
    queueMicrotask(() => {
      this.cancelled = true;
      this.emit('cancelled', 'cancelled');
      this.#queue.close();
    });
  }
}

function nothing(): void {}
