import { assert, assertSafeInteger } from '../base/assert.ts';
import { emptyPrefixHash } from '../base/hash.ts';
import type { StateMark } from './state-store.ts';
import { isCount, isHex, parsedJson, recordOf } from './strict-json.ts';

/** Mark of a state to which nothing was applied: the hash is that of no pair at all, the sum of nothing. */
export const emptyStateMark: StateMark = {
  index: 0,
  term: 0,
  prefixHash: emptyPrefixHash,
  revision: 0,
  stateHash: '0'.repeat(32),
};

const fields = ['index', 'term', 'prefixHash', 'revision', 'stateHash'] as const;

/** Throws InvariantError unless every field is in its range; called before a mark is written or sent. */
export function assertStateMark(mark: StateMark): void {
  for (const name of ['index', 'term', 'revision'] as const) {
    assertSafeInteger(mark[name], `state mark: ${name}`);
    assert(mark[name] >= 0, () => `state mark: ${name} is ${mark[name]}`);
  }
  assert(isHex(mark.prefixHash, 16), () => `state mark: prefix hash is ${JSON.stringify(mark.prefixHash)}`);
  assert(isHex(mark.stateHash, 32), () => `state mark: state hash is ${JSON.stringify(mark.stateHash)}`);
}

/** A mark may only follow one of the same or an earlier index, term and revision. */
export function assertFollows(next: StateMark, previous: StateMark): void {
  assertStateMark(next);
  for (const name of ['index', 'term', 'revision'] as const) {
    assert(next[name] >= previous[name], () => `state mark: ${name} falls from ${previous[name]} to ${next[name]}`);
  }
  assert(
    next.index > previous.index || sameMark(next, previous),
    () => `two state marks at index ${next.index}: ${JSON.stringify(previous)} and ${JSON.stringify(next)}`,
  );
}

export function sameMark(one: StateMark, other: StateMark): boolean {
  return fields.every((name) => one[name] === other[name]);
}

/** The mark in a fixed order of fields. */
export function encodeStateMark(mark: StateMark): Buffer {
  return Buffer.from(JSON.stringify(Object.fromEntries(fields.map((name) => [name, mark[name]]))));
}

/** The reverse of `encodeStateMark`; undefined for anything else, also for an unknown or missing field. */
export function decodeStateMark(bytes: Uint8Array): StateMark | undefined {
  return stateMarkOf(parsedJson(bytes));
}

/** `value`, parsed JSON, as a mark; undefined where a field is missing, unknown or out of range. */
export function stateMarkOf(value: unknown): StateMark | undefined {
  const record = recordOf(value, fields);
  if (record === undefined) return undefined;
  const { index, term, prefixHash, revision, stateHash } = record;
  if (!isCount(index) || !isCount(term) || !isCount(revision)) return undefined;
  if (!isHex(prefixHash, 16) || !isHex(stateHash, 32)) return undefined;
  return { index, term, prefixHash, revision, stateHash };
}
