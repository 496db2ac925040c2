import { assert } from '../base/assert.ts';
import { sha256Head, sha256HeadWords } from '../base/sha256.ts';
import { WireWriter } from '../base/wire-writer.ts';
import { requestKey } from './keys.ts';
import type { PersistedRecords } from './persisted-records.ts';
import { RecordQueue } from './record-queue.ts';
import { decodeResult, encodeResult } from './result-codec.ts';
import { decodeStrictly, expectFormat } from '../base/strict-decode.ts';
import type { CommandResult } from './types.ts';

const requestFormat = 1;
const shardCount = 64;
const writer = new WireWriter();

/** At most so many are forgotten with one entry, so that a long silence before it does not hold up the loop. */
export const requestIdsTrimmedMin = 1_000;

export interface RequestBounds {
  readonly requestIdTtlMs: number;
  readonly requestIdsMax: number;
}

interface RequestRecord {
  readonly timeMs: number;
  readonly requestId: string;
  readonly fingerprint: Uint32Array;
  readonly result: Uint8Array;
}

/**
 * Results of writes that carried a request id, kept at least `requestIdTtlMs` of replicated time. They are forgotten in
 * the order in which they came; a full table refuses new ones rather than forget early.
 */
export class RequestTable {
  readonly #bounds: RequestBounds;
  readonly #records: PersistedRecords;
  #queue = new RecordQueue(0);
  /** Request id to sequence in the queue, in shards: growing one map of a million takes tens of milliseconds. */
  readonly #shards = Array.from({ length: shardCount }, () => new Map<string, number>());
  readonly #fingerprint = new Uint32Array(sha256HeadWords);

  constructor(bounds: RequestBounds, records: PersistedRecords) {
    this.#bounds = bounds;
    this.#records = records;
  }

  get nextSequence(): number {
    return this.#queue.next;
  }

  get count(): number {
    return this.#queue.count;
  }

  get isFull(): boolean {
    return this.#queue.count >= this.#bounds.requestIdsMax;
  }

  /**
   * The result of the first request with this id: 'new' where there was none, 'reused' where it was another request.
   *
   * @param identity The bytes that a repeat has in common with the first (DecodedCommand.identity).
   */
  find(requestId: string, identity: Uint8Array): CommandResult | 'new' | 'reused' {
    const sequence = this.#shard(requestId).get(requestId);
    if (sequence === undefined) return 'new';
    const record = decodeRecord(this.#queue.get(sequence));
    assert(record.requestId === requestId, 'result of another request');
    sha256Head(identity, this.#fingerprint);
    if (record.fingerprint.some((word, i) => word !== this.#fingerprint[i])) return 'reused';
    return decodeResult(record.result);
  }

  remember(requestId: string, identity: Uint8Array, result: CommandResult, timeMs: number): void {
    assert(!this.isFull && !this.#shard(requestId).has(requestId), 'request remembered twice or beyond the bound');
    sha256Head(identity, this.#fingerprint);
    const encoded = encodeResult(result);
    writer.reset();
    writer.byte(requestFormat).varint(timeMs).sizedString(requestId);
    for (const word of this.#fingerprint) writer.varint(word);
    writer.sized(encoded);
    const sequence = this.#queue.next;
    const value = this.#queue.push(writer.peek());
    this.#shard(requestId).set(requestId, sequence);
    this.#records.changed(requestKey(sequence), undefined, value);
  }

  /** Forgets, in order, what is old enough. */
  trim(nowMs: number, countMax: number): void {
    for (let count = 0; count < countMax && this.#queue.count > 0; count += 1) {
      const sequence = this.#queue.first;
      const value = this.#queue.get(sequence);
      const record = decodeRecord(value);
      if (nowMs - record.timeMs < this.#bounds.requestIdTtlMs) return;
      this.#records.forgotten(requestKey(sequence), value);
      this.#shard(record.requestId).delete(record.requestId);
      this.#queue.shift();
    }
  }

  /** A record from the store, in order. */
  load(sequence: number, value: Uint8Array, nowMs: number): void {
    if (this.#queue.count === 0) this.#queue = new RecordQueue(sequence);
    assert(sequence === this.#queue.next, () => `request ${sequence} loaded, ${this.#queue.next} expected`);
    const record = decodeRecord(value);
    assert(record.timeMs <= nowMs, 'request from the future');
    assert(!this.#shard(record.requestId).has(record.requestId), 'request loaded twice');
    decodeResult(record.result);
    this.#queue.push(value);
    this.#shard(record.requestId).set(record.requestId, sequence);
  }

  /** After a load: the next sequence, which an empty table cannot know by itself. */
  finishLoad(nextSequence: number): void {
    if (this.#queue.count === 0) this.#queue = new RecordQueue(nextSequence);
    assert(this.#queue.next === nextSequence, () => `requests end at ${this.#queue.next}, not ${nextSequence}`);
  }

  #shard(requestId: string): Map<string, number> {
    // The ends differ most: counters stand there, and random ids are random anywhere.
    const last = requestId.charCodeAt(requestId.length - 1);
    const other = requestId.length > 1 ? requestId.charCodeAt(requestId.length - 2) : 0;
    return this.#shards[(last + other * 5) % shardCount] as Map<string, number>;
  }
}

function decodeRecord(value: Uint8Array): RequestRecord {
  return decodeStrictly('request record', value, (reader) => {
    expectFormat(reader, requestFormat);
    const timeMs = reader.varint();
    const requestId = reader.sizedString();
    const fingerprint = new Uint32Array(sha256HeadWords);
    for (let word = 0; word < sha256HeadWords; word += 1) {
      const value32 = reader.varint();
      assert(value32 <= 0xffffffff, 'request record: fingerprint word above 32 bits');
      fingerprint[word] = value32;
    }
    return { timeMs, requestId, fingerprint, result: reader.sized() };
  });
}
