import { describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import { WireError } from '../../src/base/wire-reader.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type ForwardAnswer,
  type ForwardRequest,
} from '../../src/replica/forward-codec.ts';

const requests: ForwardRequest[] = [
  {
    kind: 'execute',
    commands: [
      { command: new Uint8Array([1, 2, 3]), remainingMs: Number.POSITIVE_INFINITY },
      { command: new Uint8Array(), remainingMs: 0 },
      { command: new Uint8Array([4]), remainingMs: 1_500 },
    ],
  },
  { kind: 'renew', leaseIds: [1, 2 ** 40, 3] },
  { kind: 'hash-query', index: 12 },
  {
    kind: 'hash-verdict',
    index: 12,
    hashes: new Map([
      ['a', '00'],
      ['b', '11'],
    ]),
  },
];

const answers: ForwardAnswer[] = [
  {
    kind: 'executed',
    outcomes: [
      { ok: true, result: new Uint8Array([9]) },
      { ok: false, error: new RollcallError('NOT_PROPOSED', 'this member does not lead', { retryAfterMs: 50 }) },
    ],
  },
  {
    kind: 'renewed',
    results: [
      { leaseId: 5, status: 'renewed', ttlMs: 1_000 },
      { leaseId: 6, status: 'unknown', ttlMs: 0 },
      { leaseId: 7, status: 'unavailable', ttlMs: 0 },
    ],
  },
  { kind: 'hash', hash: 'abc' },
  { kind: 'hash', hash: '' },
];

describe('forwarded calls', () => {
  it.each(requests)('brings a request of kind $kind over as it was', (request) => {
    expect(decodeRequest(encodeRequest(request))).toEqual(request);
  });

  it.each(answers)('brings an answer of kind $kind over as it was', (answer) => {
    expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
  });

  it('keeps reason, text and hint of a refusal', () => {
    const decoded = decodeAnswer(encodeAnswer(answers[0] as ForwardAnswer));
    const outcome = decoded.kind === 'executed' ? decoded.outcomes[1] : undefined;
    expect(outcome?.ok === false && [outcome.error.reason, outcome.error.message, outcome.error.retryAfterMs]).toEqual([
      'NOT_PROPOSED',
      'this member does not lead',
      50,
    ]);
  });

  it('refuses every truncation and any flipped bit that it does not read as another call', () => {
    for (const bytes of [...requests.map(encodeRequest), ...answers.map(encodeAnswer)]) {
      for (let length = 0; length < bytes.length; length++) expectTypedRefusal(bytes.subarray(0, length), true);
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Uint8Array.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expectTypedRefusal(flipped, false);
      }
    }
  });
});

function expectTypedRefusal(bytes: Uint8Array, must: boolean): void {
  for (const decode of [decodeRequest, decodeAnswer]) {
    let error: unknown;
    try {
      decode(bytes);
    } catch (caught) {
      error = caught;
    }
    if (error !== undefined || must) expect(error).toBeInstanceOf(WireError);
  }
}
