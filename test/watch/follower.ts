import { rollcall } from '../../src/gen/rollcall.js';
import type { WatchSink } from '../../src/watch/types.ts';

type Response = rollcall.v1.WatchResponse;

export const kinds = ['', 'snapshot', 'delta', 'reset', 'progress', 'ended'] as const;

/** A sink that takes as much as it is told to, and keeps what it was sent. */
export class TestSink implements WatchSink {
  /** Responses that it still takes; Infinity: a fast reader. */
  credit = Infinity;
  readonly sent: Uint8Array[] = [];
  onSend: (response: Uint8Array) => void = () => {};

  send(response: Uint8Array): boolean {
    this.sent.push(response);
    this.onSend(response);
    this.credit--;
    return this.credit > 0;
  }

  responses(): Response[] {
    return this.sent.map((bytes) => rollcall.v1.WatchResponse.decode(bytes));
  }
}
