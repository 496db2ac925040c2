import { assert } from '../base/assert.ts';
import type { RollcallError } from '../base/errors.ts';

/** A stream that a member can end by itself. */
export interface EndableStream {
  endWith(error: RollcallError): void;
}

/** The open streams of one method, so that they can be counted, and ended when the member stops. */
export class OpenStreams {
  readonly #open = new Set<EndableStream>();
  readonly #onChanged: (open: number) => void;

  constructor(onChanged: (open: number) => void) {
    this.#onChanged = onChanged;
  }

  get size(): number {
    return this.#open.size;
  }

  add(stream: EndableStream): void {
    assert(!this.#open.has(stream), 'a stream is opened once');
    this.#open.add(stream);
    this.#onChanged(this.#open.size);
  }

  remove(stream: EndableStream): void {
    if (this.#open.delete(stream)) this.#onChanged(this.#open.size);
  }

  endAll(error: RollcallError): void {
    for (const stream of this.#open) stream.endWith(error);
  }
}
