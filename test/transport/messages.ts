// Messages for the tests of the transport: arbitrary ones, and small makers.
import fc from 'fast-check';
import type { Entry, Heartbeat, Message } from '../../src/raft/types.ts';
import type { PeerIdentity } from '../../src/transport/peer-codec.ts';
import type { Forwarded, FormState } from '../../src/transport/types.ts';

export const envelope = { from: 'a', to: 'b', fromBoot: 7 } as const;

const numbers = fc.oneof(
  fc.nat({ max: 300 }),
  fc.maxSafeNat(),
  fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const positive = numbers.map((value) => Math.max(1, value));
const hashes = fc
  .array(fc.constantFrom(...Array.from('0123456789abcdef')), { minLength: 16, maxLength: 16 })
  .map((digits) => digits.join(''));
// Unit 'binary' gives any text but lone surrogates.
const ids = fc.string({ minLength: 1, maxLength: 20, unit: 'binary' });
/** Around the size from which data travels as a part of its own. */
const data = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.constantFrom(4095, 4096, 4097, 20_000).map((length) => new Uint8Array(length).fill(0xa5)),
);
const entries: fc.Arbitrary<Entry> = fc.record({ index: positive, term: numbers, hash: hashes, data });
const contexts = fc.array(fc.record({ member: ids, boot: positive, counter: numbers }), { maxLength: 5 });
const head = {
  from: fc.constant(envelope.from),
  to: fc.constant(envelope.to),
  fromBoot: fc.constant(envelope.fromBoot),
  toBoot: numbers,
  term: numbers,
};

function kind<const K extends string>(name: K): fc.Arbitrary<K> {
  return fc.constant(name);
}

/** Every kind that travels in a batch. */
export const messages: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: kind('vote-request'),
    ...head,
    preVote: fc.boolean(),
    lastIndex: numbers,
    lastTerm: numbers,
  }),
  fc.record({
    kind: kind('vote-request'),
    ...head,
    preVote: fc.constant(false),
    lastIndex: numbers,
    lastTerm: numbers,
    transfer: fc.constant(true as const),
  }),
  fc.record({ kind: kind('timeout-now'), ...head }),
  fc.record({ kind: kind('vote-reply'), ...head, preVote: fc.boolean(), granted: fc.boolean() }),
  fc.record({
    kind: kind('append'),
    ...head,
    prevIndex: numbers,
    prevTerm: numbers,
    prevHash: hashes,
    entries: fc.array(entries, { maxLength: 6 }),
    commit: numbers,
  }),
  fc.record({
    kind: kind('append-reply'),
    ...head,
    accepted: fc.boolean(),
    matchIndex: numbers,
    rejectedIndex: numbers,
    hintIndex: numbers,
    hintTerm: numbers,
  }),
  fc.record({ kind: kind('heartbeat'), ...head, commit: numbers, round: numbers }),
  fc.record({ kind: kind('heartbeat-reply'), ...head, round: numbers }),
  fc.record({ kind: kind('read-index'), ...head, contexts }),
  fc.record({ kind: kind('read-index-reply'), ...head, contexts, index: numbers }),
);

export const forwardedCalls: fc.Arbitrary<Forwarded> = fc.record({ id: numbers, answer: fc.boolean(), body: data });

const addressee = fc.oneof(
  fc.record({ toBoot: positive, toStartId: positive }),
  fc.constant({ toBoot: 0, toStartId: 0 }),
);

export const identities: fc.Arbitrary<PeerIdentity> = fc
  .record({
    clusterId: ids,
    memberId: fc.constant(envelope.from),
    directoryId: ids,
    boot: fc.constant(envelope.fromBoot),
    startId: positive,
    clientAddress: fc.string({ maxLength: 30 }),
    toMemberId: fc.constant(envelope.to),
    startIndex: numbers,
    to: addressee,
  })
  .map(({ to, ...identity }) => ({ ...identity, ...to }));

export const formStates: fc.Arbitrary<FormState> = fc.record({
  memberId: ids,
  directoryId: ids,
  phase: fc.constantFrom('empty', 'forming', 'formed', 'joining'),
  clusterId: fc.string({ maxLength: 20 }),
  initialMembers: fc.array(fc.record({ id: ids, peerAddress: ids }), { maxLength: 5 }),
  members: fc.array(fc.record({ id: ids, directoryId: ids, peerAddress: ids }), { maxLength: 5 }),
});

/** A small message that carries a number through. */
export function heartbeat(from: string, to: string, fromBoot: number, round: number): Heartbeat {
  return { kind: 'heartbeat', from, to, fromBoot, toBoot: 0, term: 1, commit: 0, round };
}
