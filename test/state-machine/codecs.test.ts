import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import {
  commandBounds,
  decodeBatch,
  decodeCommand,
  encodeBatch,
  encodeCommand,
} from '../../src/state-machine/command-codec.ts';
import { decodeResult, encodeResult } from '../../src/state-machine/result-codec.ts';
import type { BatchItem, Command, CommandBody, CommandResult } from '../../src/state-machine/types.ts';
import { commands, numbers, results } from './arbitraries.ts';

const name = { namespace: 'default', service: 'web', id: 'a' };
const command = (body: CommandBody, rest: Partial<Command> = {}): Command => ({
  actor: 'anonymous',
  origin: '127.0.0.1:1',
  reason: '',
  requestId: '',
  body,
  ...rest,
});
const grant = (rest: Partial<Command> = {}): Command => command({ kind: 'grant-lease', ttlMs: 10_000 }, rest);

const operation = (i: number) => ({
  kind: 'deregister' as const,
  name: { ...name, id: `i${i}` },
  incarnation: 0,
  reason: '',
});
function batchOf(count: number, rest: Partial<BatchItem> = {}): Command {
  const item = { spec: new Uint8Array(1), ifAbsent: false, ifIncarnation: 0, keepEqual: false };
  const items = Array.from({ length: count }, (_, i) => ({ ...item, name: { ...name, id: `i${i}` }, ...rest }));
  return command({ kind: 'batch-register', lifetime: { kind: 'persistent' }, items });
}
function writeOf(count: number, rest: Partial<ReturnType<typeof operation>> = {}): Command {
  const operations = Array.from({ length: count }, (_, i) => ({ ...operation(i), ...rest }));
  return command({ kind: 'write-session', sessionId: 1, attachment: 1, sequence: 1, operations });
}

/** Each single-bit change of `bytes`. */
function* flips(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield flipped;
  }
}

/** Decodes to the only value with these bytes, or throws InvariantError. */
function canonicalOrHalt<T>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => T,
  encode: (value: T) => Uint8Array,
): void {
  let value: T;
  try {
    value = decode(bytes);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(InvariantError);
    return;
  }
  expect(Buffer.from(encode(value)).equals(bytes)).toBe(true);
}

describe('command codec', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 5 }), numbers, numbers, (list, wallMs, elapsedMs) => {
        const bytes = encodeBatch({ wallMs, elapsedMs, commands: list.map(encodeCommand) });
        const batch = decodeBatch(bytes);
        expect({ wallMs: batch.wallMs, elapsedMs: batch.elapsedMs }).toEqual({ wallMs, elapsedMs });
        expect(batch.commands.map((decoded) => decoded.command)).toEqual(list);
      }),
      { numRuns: 300 },
    );
  });

  it('has one identity for all repeats of a request, another for any other request', () => {
    const identity = (encoded: Command): string => {
      const batch = decodeBatch(encodeBatch({ wallMs: 1, elapsedMs: 1, commands: [encodeCommand(encoded)] }));
      return Buffer.from(batch.commands[0]?.identity ?? new Uint8Array()).toString('hex');
    };
    expect(identity(grant({ requestId: 'x', origin: 'a', reason: 'r' }))).toBe(identity(grant({ requestId: 'y' })));
    expect(identity(grant({ actor: 'other' }))).not.toBe(identity(grant()));
    expect(identity(command({ kind: 'grant-lease', ttlMs: 10_001 }))).not.toBe(identity(grant()));
  });

  it('halts on every truncation, on bytes left over, and takes no second encoding of anything', () => {
    fc.assert(
      fc.property(fc.array(commands, { minLength: 1, maxLength: 3 }), (list) => {
        const bytes = encodeBatch({ wallMs: 1, elapsedMs: 2, commands: list.map(encodeCommand) });
        for (let length = 0; length < bytes.length; length += 1) {
          expect(() => decodeBatch(bytes.subarray(0, length))).toThrow(InvariantError);
        }
        expect(() => decodeBatch(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(InvariantError);
        for (const flipped of flips(bytes)) {
          canonicalOrHalt(flipped, decodeBatch, (batch) =>
            encodeBatch({ ...batch, commands: batch.commands.map((decoded) => encodeCommand(decoded.command)) }),
          );
        }
      }),
      { numRuns: 20 },
    );
  });

  it('halts on another version and on an unknown kind, lifetime or flag', () => {
    const persistent = command({
      kind: 'register',
      name,
      spec: new Uint8Array(0),
      lifetime: { kind: 'persistent' },
      ifAbsent: false,
      ifIncarnation: 0,
    });
    const bytes = encodeCommand(persistent);
    const kindAt = bytes.indexOf(0, bytes.indexOf('s'.charCodeAt(0)));
    const changed = (at: number, value: number): Uint8Array => Uint8Array.from(bytes).fill(value, at, at + 1);
    expect(decodeCommand(bytes)).toEqual(persistent);
    expect(() => decodeCommand(changed(0, 2))).toThrow('format 2, this version knows 1');
    expect(() => decodeCommand(changed(kindAt, 12))).toThrow('unknown command kind 12');
    expect(() => decodeCommand(changed(bytes.length - 3, 3))).toThrow('unknown lifetime 3');
    expect(() => decodeCommand(changed(bytes.length - 2, 2))).toThrow('flag of 2');
    const batch = encodeBatch({ wallMs: 1, elapsedMs: 1, commands: [bytes] });
    expect(() => decodeBatch(Uint8Array.from(batch).fill(9, 0, 1))).toThrow('format 9');
  });

  it('keeps its bounds at the edge, before write and after read', () => {
    const fits: Command[] = [
      grant({ reason: 'r'.repeat(256), actor: 'é'.repeat(128), origin: 'o'.repeat(256), requestId: 'x'.repeat(64) }),
      command({ kind: 'grant-lease', ttlMs: commandBounds.ttlMsMax }),
      command({ kind: 'update', name, spec: new Uint8Array(commandBounds.specBytesMax), incarnation: 1 }),
      command({ kind: 'deregister', name: { ...name, id: '~'.repeat(256) }, incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, service: 'a'.repeat(128) }, incarnation: 0 }),
      batchOf(1_000),
      writeOf(1_000),
      writeOf(1, { reason: 'r'.repeat(256) }),
    ];
    for (const fitting of fits) {
      const bytes = encodeCommand(fitting);
      expect(Buffer.from(encodeCommand(decodeCommand(bytes))).equals(bytes)).toBe(true);
    }
    const breaks: Command[] = [
      grant({ reason: 'r'.repeat(257) }),
      grant({ actor: `é${'é'.repeat(128)}` }),
      grant({ origin: 'o'.repeat(257) }),
      grant({ requestId: 'x'.repeat(65) }),
      grant({ requestId: 'a b' }),
      command({ kind: 'grant-lease', ttlMs: commandBounds.ttlMsMax + 1 }),
      command({ kind: 'grant-lease', ttlMs: 0 }),
      command({ kind: 'revoke-lease', leaseId: 0 }),
      command({ kind: 'update', name, spec: new Uint8Array(commandBounds.specBytesMax + 1), incarnation: 1 }),
      command({ kind: 'update', name, spec: new Uint8Array(1), incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, id: '~'.repeat(257) }, incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, id: 'a/b' }, incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, id: 'a b' }, incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, id: 'é' }, incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, id: '' }, incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, service: 'A' }, incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, service: 'a'.repeat(129) }, incarnation: 0 }),
      command({ kind: 'deregister', name: { ...name, namespace: '' }, incarnation: 0 }),
      batchOf(1_001),
      batchOf(0),
      batchOf(2, { name }),
      batchOf(1, { spec: new Uint8Array(commandBounds.specBytesMax + 1) }),
      writeOf(1_001),
      writeOf(0),
      writeOf(2, { name }),
      writeOf(1, { reason: 'r'.repeat(257) }),
      writeOf(1, { name: { ...name, id: 'a/b' } }),
      command({ kind: 'write-session', sessionId: 1, attachment: 1, sequence: 0, operations: [operation(0)] }),
      command({ kind: 'write-session', sessionId: 1, attachment: 0, sequence: 1, operations: [operation(0)] }),
      command({ kind: 'attach-session', sessionId: 0, attachment: 1 }),
      command({ kind: 'close-session', sessionId: 1, attachment: 0 }),
      command({ kind: 'open-session', ttlMs: 0 }),
    ];
    for (const broken of breaks) expect(() => encodeCommand(broken)).toThrow(InvariantError);
    expect(encodeCommand(grant()).length).toBeLessThan(40);
  });
});

describe('result codec', () => {
  it('holds as many items as a revision has events, and no incarnation above its revision', () => {
    const outcome = { status: 'registered', incarnation: 5, reason: '' } as const;
    const written = (count: number, revision: number): CommandResult => {
      return { kind: 'session-written', revision, sequence: 1, outcomes: Array.from({ length: count }, () => outcome) };
    };
    const full = encodeResult(written(1_000, 5));
    expect(decodeResult(full)).toEqual(written(1_000, 5));
    // A session keeps its last result: two bytes an operation.
    expect(full.length).toBeLessThan(2_010);
    expect(() => decodeResult(encodeResult(written(1_001, 5)))).toThrow(InvariantError);
    expect(() => encodeResult(written(1, 4))).toThrow(InvariantError);
  });

  it('gives back what was encoded, halts on truncations, and takes no second encoding', () => {
    fc.assert(
      fc.property(results, (result) => {
        const bytes = encodeResult(result);
        expect(decodeResult(bytes)).toEqual(result);
        for (let length = 0; length < bytes.length; length += 1) {
          expect(() => decodeResult(bytes.subarray(0, length))).toThrow(InvariantError);
        }
        for (const flipped of flips(bytes)) canonicalOrHalt(flipped, decodeResult, encodeResult);
      }),
      { numRuns: 100 },
    );
  });
});
