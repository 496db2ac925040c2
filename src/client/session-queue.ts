import { assert, must } from '../base/assert.ts';
import { ClientError } from './client-error.ts';
import { clientLimits } from './limits.ts';
import type { Operation } from './session-operations.ts';

export interface QueueBounds {
  readonly operationsMax: number;
  readonly bytesMax: number;
  readonly writeOperationsMax: number;
  readonly writeBytesMax: number;
}

const defaultBounds: QueueBounds = {
  operationsMax: clientLimits.sessionQueuedMax,
  bytesMax: clientLimits.sessionQueuedBytesMax,
  writeOperationsMax: clientLimits.sessionWriteOperationsMax,
  writeBytesMax: clientLimits.sessionWriteBytesMax,
};

/** Tag and length of an operation within a write, at most. */
const frameBytes = 5;

/**
 * Operations of one session that wait to be sent, in the order of their calls for each instance. A write takes one of
 * each instance, since a member applies a write at one revision.
 */
export class SessionQueue {
  readonly #bounds: QueueBounds;
  /** By instance, in the order in which they get their turn; no list is empty. */
  #byKey = new Map<string, Operation[]>();
  /** Sums over #byKey. */
  #operations = 0;
  #bytes = 0;

  constructor(bounds: QueueBounds = defaultBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#operations;
  }

  /** The first operation that waits for an instance. */
  first(key: string): Operation | undefined {
    return this.#byKey.get(key)?.[0];
  }

  /** @throws ClientError TOO_MANY where there is no room for one more of `bytes`. */
  assertRoom(bytes: number, unanswered: number): void {
    const { operationsMax, bytesMax } = this.#bounds;
    if (this.#operations + unanswered >= operationsMax) throw tooMany(`${operationsMax} operations`, operationsMax);
    if (this.#bytes + bytes > bytesMax) throw tooMany(`${this.#bytes} bytes`, bytesMax);
  }

  push(operation: Operation): void {
    const waiting = this.#byKey.get(operation.key);
    if (waiting === undefined) this.#byKey.set(operation.key, [operation]);
    else waiting.push(operation);
    this.#count(operation, 1);
  }

  /** Puts them before all others, in their order; they are bounded by where they come from. */
  unshift(operations: readonly Operation[]): void {
    const behind = this.#byKey;
    this.#byKey = new Map();
    for (const operation of operations) {
      const before = this.#byKey.get(operation.key);
      if (before === undefined) this.#byKey.set(operation.key, [operation]);
      else before.push(operation);
      this.#count(operation, 1);
    }
    for (const [key, waiting] of behind) {
      const before = this.#byKey.get(key);
      if (before === undefined) this.#byKey.set(key, waiting);
      else for (const operation of waiting) before.push(operation);
    }
  }

  /** False where it does not wait here. */
  remove(operation: Operation): boolean {
    const waiting = this.#byKey.get(operation.key);
    const at = waiting?.indexOf(operation) ?? -1;
    if (waiting === undefined || at === -1) return false;
    waiting.splice(at, 1);
    if (waiting.length === 0) this.#byKey.delete(operation.key);
    this.#count(operation, -1);
    return true;
  }

  /** Takes what goes into one write, at most `countMax`; empty where nothing waits. */
  takeWrite(countMax: number = this.#bounds.writeOperationsMax): Operation[] {
    const { writeOperationsMax, writeBytesMax } = this.#bounds;
    const taken: Operation[] = [];
    let bytes = 0;
    for (const [, [operation]] of this.#byKey) {
      const next = must(operation, 'first operation of an instance');
      if (taken.length === Math.min(countMax, writeOperationsMax)) break;
      if (taken.length > 0 && bytes + next.bytes.length + frameBytes > writeBytesMax) break;
      bytes += next.bytes.length + frameBytes;
      taken.push(next);
    }
    for (const operation of taken) this.#takeFirst(operation);
    return taken;
  }

  /** Takes all of them. */
  clear(): Operation[] {
    const all = [...this.#byKey.values()].flat();
    this.#byKey = new Map();
    this.#operations = this.#bytes = 0;
    return all;
  }

  /** What waits behind it for the same instance gets its turn after all others. */
  #takeFirst(operation: Operation): void {
    const { key } = operation;
    const waiting = must(this.#byKey.get(key), 'operations of an instance');
    assert(waiting.shift() === operation, 'an operation taken out of its turn');
    this.#byKey.delete(key);
    if (waiting.length > 0) this.#byKey.set(key, waiting);
    this.#count(operation, -1);
  }

  #count({ bytes }: Operation, sign: 1 | -1): void {
    this.#operations += sign;
    this.#bytes += sign * bytes.length;
  }
}

function tooMany(what: string, max: number): ClientError {
  const message = `${what} of this session wait for their answers, allowed are at most ${max}`;
  return new ClientError('RESOURCE_EXHAUSTED', 'TOO_MANY', message);
}
