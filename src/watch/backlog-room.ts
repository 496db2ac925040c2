import { assert } from '../base/assert.ts';
import type { DeltaBatch } from './delta-batch.ts';

/** What a place in a queue takes, about. */
const placeBytes = 16;

/** Memory of all batches that wait for sinks. A batch that waits in many queues is there once. */
export class BacklogRoom {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether `batch` may wait in one more queue. */
  hasRoom(batch: DeltaBatch): boolean {
    const bytes = batch.waiting === 0 ? batch.bytes + placeBytes : placeBytes;
    return this.#bytes + bytes <= this.#bytesMax;
  }

  take(batch: DeltaBatch): void {
    if (batch.waiting === 0) this.#bytes += batch.bytes;
    batch.waiting++;
    this.#bytes += placeBytes;
  }

  giveBack(batch: DeltaBatch): void {
    assert(batch.waiting > 0, 'a batch leaves a queue that it is not in');
    batch.waiting--;
    this.#bytes -= placeBytes;
    if (batch.waiting === 0) this.#bytes -= batch.bytes;
  }
}
