import type { Clock } from '../../../src/base/clock.ts';

/** What HTTP/2 lets through on one stream until its receiver has read some of it; the default of Node. */
export const windowBytes = 65_535;
/** Messages not taken beyond which a stream of Node in object mode asks its writer to wait. */
const untakenMax = 16;

interface Message {
  readonly bytes: Buffer;
  readonly onTaken: () => void;
}

/**
 * What one side of a stream has still to send: a message leaves while there is room in the window, and counts as taken
 * once all of it has fitted in.
 */
export class SendQueue {
  readonly #clock: Clock;
  readonly #transmit: (bytes: Buffer) => void;
  #room: number;
  #waiting: Message[] = [];
  /** Left, but not wholly fitted into the window. */
  #last: Message | undefined;
  #taken: (() => void)[] = [];
  #untaken = 0;
  #onEmpty: (() => void) | undefined;
  #closed = false;

  /** @param room What the receiver lets in before it has read anything, bytes. */
  constructor(clock: Clock, transmit: (bytes: Buffer) => void, room: number = windowBytes) {
    this.#clock = clock;
    this.#transmit = transmit;
    this.#room = room;
  }

  /** The writer should wait. */
  get isFull(): boolean {
    return this.#untaken >= untakenMax;
  }

  /** All that was pushed has fitted into the window. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#last === undefined;
  }

  push(bytes: Buffer, onTaken: () => void): void {
    if (this.#closed) return;
    this.#untaken += 1;
    this.#waiting.push({ bytes, onTaken });
    this.#pump();
  }

  /** Called once everything has been sent, and told to be taken. */
  whenEmpty(callback: () => void): void {
    if (this.#closed) return;
    this.#onEmpty = callback;
    this.#pump();
  }

  /** The receiver has read so much. */
  credit(bytes: number): void {
    if (this.#closed) return;
    this.#room += bytes;
    this.#pump();
  }

  /** Nothing more is sent, and nothing told. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#taken = [];
    this.#last = undefined;
  }

  #pump(): void {
    if (this.#last !== undefined) {
      if (this.#room < 0) return;
      this.#take(this.#last);
      this.#last = undefined;
    }
    while (this.#room > 0) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      // Five bytes of gRPC before each.
      this.#room -= message.bytes.length + 5;
      this.#transmit(message.bytes);
      if (this.#room < 0) this.#last = message;
      else this.#take(message);
      if (this.#last !== undefined) return;
    }
    if (this.#untaken > 0 || this.#onEmpty === undefined) return;
    const onEmpty = this.#onEmpty;
    this.#onEmpty = undefined;
    onEmpty();
  }

  /** Told behind the turn: never within the call that wrote. */
  #take({ onTaken }: Message): void {
    this.#taken.push(onTaken);
    if (this.#taken.length > 1) return;
    this.#clock.nextTurn(() => {
      const taken = this.#taken;
      this.#taken = [];
      for (const tell of taken) {
        if (this.#closed) return;
        this.#untaken -= 1;
        tell();
      }
      this.#pump();
    });
  }
}
