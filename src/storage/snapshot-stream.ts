import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { SnapshotDecoder } from './snapshot-decoder.ts';
import type { SnapshotHead } from './snapshot-format.ts';
import {
  chunkBytesMax,
  encodeHead,
  recordFixedBytes,
  recordTag,
  trailerFixedBytes,
  trailerTag,
} from './snapshot-format.ts';
import { encodeStateKey, stateValueBytesMax } from './state-envelope.ts';
import type { MembershipRecord } from './entry-log.ts';
import type { StagedState, StateDirectory, StateSnapshot } from './state-store.ts';

/** Pairs read ahead of what was sent. */
const readBatchMax = 1_000;

/**
 * The snapshot as chunks of at most chunkBytesMax, each in a buffer of its own. Reads no further than the consumer
 * asks. The caller closes the snapshot afterwards, also when it stops early.
 *
 * @param membership In force at the snapshot's index.
 * @throws StorageError where the state cannot be read or is damaged; the receiver then sees no trailer.
 */
export async function* encodeSnapshot(
  snapshot: StateSnapshot,
  membership: MembershipRecord,
): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new ChunkWriter();
  writer.add(encodeHead({ mark: snapshot.mark, membership }));
  let records = 0;
  for await (const batch of snapshot.read(readBatchMax)) {
    for (const { key, value } of batch) {
      assert(value !== undefined, 'a snapshot holds a removed key');
      assert(value.length <= stateValueBytesMax, () => `value of ${value.length} bytes in a snapshot`);
      const keyBytes = encodeStateKey(key);
      const fixed = Buffer.allocUnsafe(recordFixedBytes);
      fixed.writeUInt8(recordTag, 0);
      fixed.writeUInt16BE(keyBytes.length, 1);
      fixed.writeUInt32BE(value.length, 3);
      writer.add(fixed);
      writer.add(keyBytes);
      writer.add(value);
      records += 1;
      for (let chunk = writer.take(); chunk !== undefined; chunk = writer.take()) yield chunk;
    }
  }
  const trailer = Buffer.allocUnsafe(trailerFixedBytes);
  trailer.writeUInt8(trailerTag, 0);
  trailer.writeBigUInt64BE(BigInt(records), 1);
  writer.add(trailer);
  writer.end();
  for (let chunk = writer.take(); chunk !== undefined; chunk = writer.take()) yield chunk;
}

/** A whole snapshot, sealed and ready to be activated. */
export interface ReceivedSnapshot extends SnapshotHead {
  readonly staged: StagedState;
  readonly records: number;
}

/**
 * Fills a new staged state from the chunks of a snapshot and seals it. Takes a chunk only after the one before it was
 * stored. On any failure the staged state is discarded before the error is thrown on.
 *
 * @param accept Called with the head before anything is stored; what it throws refuses the snapshot.
 * @throws SnapshotStreamError where the stream is broken; StorageError where the own disk is; what `chunks` throws.
 */
export async function receiveSnapshot(
  chunks: AsyncIterable<Uint8Array>,
  directory: StateDirectory,
  accept: (head: SnapshotHead) => void = () => undefined,
): Promise<ReceivedSnapshot> {
  const decoder = new SnapshotDecoder();
  let staged: StagedState | undefined;
  try {
    for await (const chunk of chunks) {
      const pairs = decoder.push(chunk);
      if (staged === undefined && decoder.head !== undefined) {
        accept(decoder.head);
        staged = await directory.stage();
      }
      if (pairs.length > 0) await staged?.add(pairs);
    }
    const { head, records } = decoder.finish();
    assert(staged !== undefined, 'a finished snapshot without a staged state');
    await staged.seal(head.mark, head.membership);
    return { ...head, staged, records };
  } catch (error) {
    await staged?.discard();
    throw error;
  }
}

/** Gathers bytes into chunks and hashes them. */
class ChunkWriter {
  readonly #hash = createHash('sha256');
  #chunk = Buffer.allocUnsafeSlow(chunkBytesMax);
  #used = 0;
  /** Full chunks, oldest first. */
  readonly #full: Buffer[] = [];

  /** Copies `bytes`. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const taken = Math.min(bytes.length - at, chunkBytesMax - this.#used);
      this.#chunk.set(bytes.subarray(at, at + taken), this.#used);
      at += taken;
      this.#used += taken;
      if (this.#used === chunkBytesMax) this.#cut();
    }
  }

  /** Adds the hash of everything added before and closes the last chunk. */
  end(): void {
    const hash = this.#hash.update(this.#chunk.subarray(0, this.#used)).digest();
    const tail = Buffer.concat([this.#chunk.subarray(0, this.#used), hash]);
    for (let at = 0; at < tail.length; at += chunkBytesMax) this.#full.push(tail.subarray(at, at + chunkBytesMax));
    this.#used = 0;
  }

  /** The oldest chunk that is complete. */
  take(): Buffer | undefined {
    return this.#full.shift();
  }

  #cut(): void {
    this.#hash.update(this.#chunk);
    this.#full.push(this.#chunk);
    this.#chunk = Buffer.allocUnsafeSlow(chunkBytesMax);
    this.#used = 0;
  }
}
