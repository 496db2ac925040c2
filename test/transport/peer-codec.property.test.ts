import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WireError } from '../../src/base/wire-reader.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import {
  decodeBatchIdentity,
  decodeBatchItems,
  decodeForm,
  decodeIdentity,
  decodeSnapshotAnswer,
  decodeSnapshotBody,
  decodeSnapshotHead,
  encodeBatchHead,
  encodeForm,
  encodeIdentity,
  encodeItems,
  encodeSnapshotAnswer,
  encodeSnapshotBody,
  encodeSnapshotHead,
  type PeerIdentity,
} from '../../src/transport/peer-codec.ts';
import type { Forwarded } from '../../src/transport/types.ts';
import type { Message } from '../../src/raft/types.ts';
import { forwardedCalls, formStates, identities, messages } from './messages.ts';

const batches = fc.record({
  identity: identities,
  messages: fc.array(messages, { maxLength: 5 }),
  forwarded: fc.array(forwardedCalls, { maxLength: 3 }),
});

function encoded(batch: { identity: PeerIdentity; messages: Message[]; forwarded: Forwarded[] }): Buffer {
  const items = encodeItems(batch.messages, batch.forwarded);
  for (const item of items) expect(item.bytes).toBe(item.parts.reduce((sum, part) => sum + part.length, 0));
  return Buffer.concat([encodeBatchHead(batch.identity), ...items.flatMap((item) => item.parts)]);
}

function decodeAll(bytes: Uint8Array): unknown {
  const identity = decodeBatchIdentity(bytes);
  return { identity, ...decodeBatchItems(bytes, identity) };
}

/** Buffers and Uint8Arrays alike, and the messages of the generated code as plain objects. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, field: unknown) =>
      field instanceof Uint8Array ? Buffer.from(field).toString('hex') : field,
    ),
  );
}

/** A decoder takes the bytes or says by WireError why not; anything else would end the process. */
function onlyWireError(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): 'taken' | 'refused' {
  try {
    decode(bytes);
    return 'taken';
  } catch (error) {
    if (error instanceof WireError) return 'refused';
    throw error;
  }
}

describe('a batch', () => {
  it('comes back as it was sent, whatever it holds', () => {
    fc.assert(
      fc.property(batches, (batch) => {
        expect(plain(decodeAll(encoded(batch)))).toEqual(plain(batch));
      }),
      { numRuns: 400 },
    );
  });

  it('is what the proto file says: the generated code reads the same from it', () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const bytes = encoded(batch);
        const generated = rollcall.raft.v1.PeerBatch.decode(bytes);
        expect(generated.messages).toHaveLength(batch.messages.length);
        expect(generated.forwarded).toHaveLength(batch.forwarded.length);
        // Nothing in it is unknown to the generated code, so it writes the same values again.
        const again = rollcall.raft.v1.PeerBatch.encode(generated).finish();
        expect(plain(decodeAll(again))).toEqual(plain(batch));
      }),
      { numRuns: 200 },
    );
  });

  it('cut short at any byte is taken or refused by name, never anything else', () => {
    fc.assert(
      fc.property(batches, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (batch, share) => {
        const bytes = encoded(batch);
        onlyWireError(decodeAll, bytes.subarray(0, Math.floor(bytes.length * share)));
      }),
      { numRuns: 400 },
    );
  });

  it('with any bit flipped is taken or refused by name, never anything else', () => {
    let refused = 0;
    fc.assert(
      fc.property(batches, fc.nat(), fc.nat({ max: 7 }), (batch, where, bit) => {
        const bytes = encoded(batch);
        const at = where % Math.min(bytes.length, 400);
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        if (onlyWireError(decodeAll, bytes) === 'refused') refused += 1;
      }),
      { numRuns: 1000 },
    );
    expect(refused).toBeGreaterThan(50);
  });
});

describe('every decoder', () => {
  const decoders = {
    decodeBatchIdentity,
    decodeIdentity,
    decodeSnapshotHead,
    decodeSnapshotBody,
    decodeSnapshotAnswer,
    decodeForm,
  };
  it.each(Object.entries(decoders))('%s takes random bytes or refuses them by name', (_name, decode) => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void onlyWireError(decode, bytes)));
  });
});

describe('the other messages', () => {
  it('identity', () => {
    fc.assert(
      fc.property(identities, (identity) => {
        expect(decodeIdentity(encodeIdentity(identity))).toEqual(identity);
      }),
    );
  });

  it('form state, also through the generated code', () => {
    fc.assert(
      fc.property(formStates, (state) => {
        expect(decodeForm(encodeForm(state))).toEqual(state);
        const generated = rollcall.raft.v1.FormRequest.decode(encodeForm(state));
        expect(decodeForm(rollcall.raft.v1.FormRequest.encode(generated).finish())).toEqual(state);
      }),
    );
  });

  it('snapshot chunks and answer, also through the generated code', () => {
    fc.assert(
      fc.property(identities, fc.integer({ min: 1 }), fc.uint8Array({ minLength: 1 }), (identity, index, body) => {
        const head = { identity, term: 9, snapshot: { index, term: 8, hash: '0123456789abcdef' } };
        expect(decodeSnapshotHead(encodeSnapshotHead(head))).toEqual(head);
        const generated = rollcall.raft.v1.SnapshotChunk.decode(encodeSnapshotHead(head));
        expect(decodeSnapshotHead(rollcall.raft.v1.SnapshotChunk.encode(generated).finish())).toEqual(head);
        expect(decodeSnapshotBody(encodeSnapshotBody(body))).toEqual(body);
        expect(decodeSnapshotBody(encodeSnapshotBody(new Uint8Array(0)))).toBeUndefined();
        expect(decodeSnapshotAnswer(encodeSnapshotAnswer(index))).toBe(index);
      }),
    );
  });
});
