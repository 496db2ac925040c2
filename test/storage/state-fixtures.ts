import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Timer, TimerOptions } from '../../src/base/clock.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { votersOnly } from '../../src/raft/membership.ts';
import type { MembershipRecord } from '../../src/storage/entry-log.ts';
import type { StateSink } from '../../src/storage/state-loader.ts';
import type { StateChange, StateMark } from '../../src/storage/state-store.ts';

/** A content, keyed by the text of the key. */
export type Content = ReadonlyMap<string, Buffer>;

export const membership: MembershipRecord = votersOnly(
  ['a', 'b', 'c'].map((id, place) => ({
    id,
    directoryId: String(place).repeat(32),
    peerAddress: `127.0.0.1:${7401 + place}`,
  })),
);

/** Adds up hashes of the pairs, as a state machine does: order and number of flushes do not matter. */
export class HashingSink implements StateSink {
  readonly content = new Map<string, Buffer>();
  mark: StateMark | undefined;
  #sum = 0n;

  begin(mark: StateMark): void {
    this.mark = mark;
  }

  add(key: string, value: Uint8Array): void {
    this.content.set(key, Buffer.from(value));
    const hash = createHash('sha256').update(`${key.length}:${key}`).update(value).digest('hex').slice(0, 32);
    this.#sum = BigInt.asUintN(128, this.#sum + BigInt(`0x${hash}`));
  }

  finish(): { readonly stateHash: string } {
    return { stateHash: this.#sum.toString(16).padStart(32, '0') };
  }
}

/** A mark that fits `content`. */
export function markOf(index: number, content: Content, term = 1): StateMark {
  const sink = new HashingSink();
  for (const [key, value] of content) sink.add(key, value);
  const prefixHash = index.toString(16).padStart(16, '0');
  return { index, term, prefixHash, revision: index, ...sink.finish() };
}

/** `count` pairs of about `valueBytes` bytes. */
export function someContent(count: number, valueBytes: number, salt = 'x'): Map<string, Buffer> {
  const content = new Map<string, Buffer>();
  for (let n = 0; n < count; n++) {
    const seed = createHash('sha512').update(`${salt}/${n}`).digest();
    content.set(`i/default/service-${n % 7}/instance-${n}`, Buffer.alloc(valueBytes, seed));
  }
  return content;
}

export function changesOf(content: Content): StateChange[] {
  return [...content].map(([key, value]) => ({ key, value }));
}

/** In byte order of keys. */
export function sortedChanges(content: Content): StateChange[] {
  return changesOf(content).toSorted((one, other) => Buffer.compare(Buffer.from(one.key), Buffer.from(other.key)));
}

/** Quicker by far than toEqual for thousands of values. */
export function sameContent(one: Content, other: Content): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key)?.equals(value) === true);
}

export async function contentOf(batches: AsyncIterable<readonly StateChange[]>): Promise<Map<string, Buffer>> {
  const content = new Map<string, Buffer>();
  for await (const batch of batches) {
    for (const { key, value } of batch) if (value !== undefined) content.set(key, Buffer.from(value));
  }
  return content;
}

export async function withDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'rollcall-state-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The real clock, counting how often somebody let the loop go on. */
export class CountingClock implements Clock {
  turns = 0;
  readonly #clock = new SystemClock();

  wallMs(): number {
    return this.#clock.wallMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  setTimer(ms: number, callback: () => void, options?: TimerOptions): Timer {
    return this.#clock.setTimer(ms, callback, options);
  }

  nextTurn(callback: () => void): Timer {
    this.turns += 1;
    return this.#clock.nextTurn(callback);
  }
}
