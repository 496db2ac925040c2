// Both ends of one snapshot on its way between members.
import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { RollcallError } from '../base/errors.ts';
import { WireError } from '../base/wire-reader.ts';
import type { TransportLimits } from './limits.ts';
import {
  decodeSnapshotAnswer,
  decodeSnapshotBody,
  encodeSnapshotBody,
  encodeSnapshotHead,
  type SnapshotHead,
  snapshotEnd,
} from './peer-codec.ts';
import type { OutgoingSnapshot } from './peer-wire.ts';
import { PeerRefusal } from './refusal.ts';

const retryAfterMs = 500;

/** UNAVAILABLE, as the transport tells it to its owner. */
export function unavailable(message: string, cause?: unknown): RollcallError {
  return new RollcallError('NOT_SERVING', message, cause === undefined ? { retryAfterMs } : { retryAfterMs, cause });
}

/**
 * Sends one snapshot and resolves with the index that the receiver then stands at. Rejects with RollcallError
 * UNAVAILABLE where the peer or the way to it is at fault; what `body` throws comes back as it is.
 */
export async function sendSnapshot(
  stream: OutgoingSnapshot,
  head: SnapshotHead,
  body: AsyncIterable<Uint8Array>,
  clock: Clock,
  limits: TransportLimits,
): Promise<number> {
  const watch = new StallWatch(clock, (reason) => stream.abort(reason));
  // Told through whoever waits on the stream at that moment; without a waiter it is told by the next write.
  stream.failed.catch(() => {});
  const iterator = body[Symbol.asyncIterator]();
  try {
    watch.expect('snapshot stalled', limits.snapshotStallMsMax);
    await stream.write(encodeSnapshotHead(head));
    for (;;) {
      const piece = await Promise.race([nextPiece(iterator), stream.failed]);
      if (piece.done === true) break;
      for (let at = 0; at < piece.value.length; at += limits.snapshotChunkBytesMax) {
        await stream.write(encodeSnapshotBody(piece.value.subarray(at, at + limits.snapshotChunkBytesMax)));
        watch.expect('snapshot stalled', limits.snapshotStallMsMax);
      }
    }
    await stream.write(snapshotEnd);
    watch.expect('no answer to the snapshot', limits.snapshotAnswerMsMax);
    return decodeSnapshotAnswer(await stream.finish());
  } catch (error) {
    stream.abort('given up by the sender');
    if (error instanceof SourceFailure) throw error.cause;
    throw unavailable(`snapshot not installed: ${messageOf(error)}`, error);
  } finally {
    watch.end();
    // Where it was left in the middle its source may hold an iterator of the database open.
    iterator.return?.().catch(() => {});
  }
}

/** What the owner's own body threw, kept apart from what the peer and the way to it did. */
class SourceFailure extends Error {
  override readonly name = 'SourceFailure';
}

async function nextPiece(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  try {
    return await iterator.next();
  } catch (cause) {
    throw new SourceFailure('body of a snapshot', { cause });
  }
}

/**
 * The chunks of an incoming snapshot, one after the other, each within its time. Ends (throws) also where the sender
 * falls silent: a waiting receiver would keep the place of the next one.
 */
export class SnapshotChunks {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  #whole = false;

  constructor(chunks: AsyncIterable<Uint8Array>, clock: Clock, limits: TransportLimits) {
    this.#iterator = chunks[Symbol.asyncIterator]();
    this.#clock = clock;
    this.#limits = limits;
  }

  /** The bare bytes of the next chunk; throws PeerRefusal or what the stream throws. */
  async next(withinMs: number): Promise<Uint8Array> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = this.#clock.setTimer(withinMs, () => {
        reject(new PeerRefusal('no-first-batch', `no chunk of the snapshot within ${withinMs} ms`));
      });
    });
    try {
      const chunk = await Promise.race([this.#iterator.next(), late]);
      if (chunk.done === true) throw unavailable('snapshot ended before it was complete');
      return chunk.value;
    } finally {
      timer?.cancel();
    }
  }

  /** The bodies after the head, for the owner. */
  async *bodies(): AsyncGenerator<Uint8Array, void, undefined> {
    assert(!this.#whole, 'body of a snapshot read twice');
    for (;;) {
      const body = await this.#nextBody();
      if (body === undefined) break;
      yield body;
    }
    this.#whole = true;
  }

  async #nextBody(): Promise<Uint8Array | undefined> {
    try {
      return decodeSnapshotBody(await this.next(this.#limits.snapshotStallMsMax));
    } catch (error) {
      if (error instanceof RollcallError) throw error;
      if (error instanceof WireError) throw new PeerRefusal('malformed', error.message);
      throw unavailable(`snapshot broke off: ${messageOf(error)}`, error);
    }
  }
}

/** One timer that is set anew at each step. */
class StallWatch {
  readonly #clock: Clock;
  readonly #onStall: (reason: string) => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, onStall: (reason: string) => void) {
    this.#clock = clock;
    this.#onStall = onStall;
  }

  expect(what: string, withinMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(withinMs, () => this.#onStall(`${what}: nothing for ${withinMs} ms`));
  }

  end(): void {
    this.#timer?.cancel();
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
