import { assert } from '../base/assert.ts';

interface Inflight {
  readonly lastIndex: number;
  readonly bytes: number;
}

/**
 * The append messages that were sent to one peer and not yet acknowledged, oldest first: the window of pipelined
 * replication. It is full at `messagesMax` messages or `bytesMax` bytes, whichever comes first; the message that
 * crosses the byte bound is still taken, so that an entry larger than the window can be sent at all.
 */
export class Inflights {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  // Invariant: lastIndex rises strictly.
  #messages: Inflight[] = [];
  // Invariant: the sum of the bytes of #messages.
  #bytes = 0;

  constructor(messagesMax: number, bytesMax: number) {
    assert(messagesMax >= 1 && bytesMax >= 1, () => `window of ${messagesMax} messages and ${bytesMax} bytes`);
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#messages.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#messages.length >= this.#messagesMax || this.#bytes >= this.#bytesMax;
  }

  /** Notes a message whose last entry is `lastIndex`; only while not full. */
  add(lastIndex: number, bytes: number): void {
    assert(!this.full, () => `window is full with ${this.#messages.length} messages of ${this.#bytes} bytes`);
    const newest = this.#messages.at(-1);
    assert(newest === undefined || newest.lastIndex < lastIndex, () => `${lastIndex} follows ${newest?.lastIndex}`);
    this.#messages.push({ lastIndex, bytes });
    this.#bytes += bytes;
  }

  /** Frees every message whose entries all lie at or below `index`. */
  freeTo(index: number): void {
    let freed = 0;
    for (const message of this.#messages) {
      if (message.lastIndex > index) break;
      this.#bytes -= message.bytes;
      freed += 1;
    }
    if (freed > 0) this.#messages = this.#messages.slice(freed);
    assert(this.#bytes >= 0 && (this.#messages.length > 0 || this.#bytes === 0), () => `${this.#bytes} bytes are left`);
  }

  clear(): void {
    this.#messages = [];
    this.#bytes = 0;
  }
}
