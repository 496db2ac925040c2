// What the parsers let through must fit into a command: the state machine asserts its own bounds, and a broken
// assertion ends the member. Both sides are asked about the same texts, so that neither can move alone.
import { describe, expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { toOperations } from '../../src/api/session-operations.ts';
import { parseSession } from '../../src/api/parse-session.ts';
import {
  parseBatchRegister,
  parseDeregister,
  parseGrantLease,
  parseRegister,
  parseRevokeLease,
  parseUpdate,
} from '../../src/api/parse-writes.ts';
import { RollcallError } from '../../src/base/errors.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { commandBounds, decodeCommand, encodeCommand } from '../../src/state-machine/command-codec.ts';
import type { Command, CommandBody } from '../../src/state-machine/types.ts';
import { plainEndpoint } from './requests.ts';

const { v1 } = rollcall;
const maxSafe = Number.MAX_SAFE_INTEGER;

function command(body: CommandBody, requestId = '', reason = ''): Command {
  return { actor: 'anonymous', origin: '127.0.0.1:1', reason, requestId, body };
}

function registerCommand(bytes: Uint8Array): Command {
  const { spec, lifetime, ifAbsent, ifIncarnation, requestId } = parseRegister(bytes);
  return command({ kind: 'register', name: spec.name, spec: spec.bytes, lifetime, ifAbsent, ifIncarnation }, requestId);
}

function deregisterCommand(bytes: Uint8Array): Command {
  const { name, incarnation, requestId, reason } = parseDeregister(bytes);
  return command({ kind: 'deregister', name, incarnation }, requestId, reason);
}

function batchCommand(bytes: Uint8Array): Command {
  const { items, lifetime, requestId } = parseBatchRegister(bytes);
  const batch = items.map(({ spec, ...rest }) => ({ name: spec.name, spec: spec.bytes, ...rest }));
  return command({ kind: 'batch-register', lifetime, items: batch }, requestId);
}

function sessionCommand(request: rollcall.v1.SessionRequest.$Properties): Command {
  const parsed = parseSession(v1.SessionRequest.encode(request).finish());
  switch (parsed.kind) {
    case 'open': {
      const { sessionId, ttlMs, requestId, attachment } = parsed.request;
      return sessionId === 0
        ? command({ kind: 'open-session', ttlMs }, requestId)
        : command({ kind: 'attach-session', sessionId, attachment });
    }
    case 'write': {
      const { sequence, operations } = parsed;
      const body = { kind: 'write-session', sessionId: 7, attachment: 2, sequence } as const;
      return command({ ...body, operations: toOperations(operations) });
    }
    case 'ping':
      throw new Error('a sign of life is no command');
  }
}

/** 'refused' by the parser, or 'taken' by it and by the state machine. Anything that only one of them takes throws. */
function outcome(make: () => Command): 'refused' | 'taken' {
  let made: Command;
  try {
    made = make();
  } catch (error) {
    if (error instanceof RollcallError) return 'refused';
    throw error;
  }
  expect(decodeCommand(encodeCommand(made))).toEqual(made);
  return 'taken';
}

/** The same where the parser is left out: what it refuses the state machine is to refuse as well. */
function stateTakes(make: Command): boolean {
  try {
    encodeCommand(make);
    return true;
  } catch {
    return false;
  }
}

const key = { namespace: 'n', service: 's', id: 'i' };
const deregister = (changes: rollcall.v1.IDeregisterRequest): Uint8Array =>
  v1.DeregisterRequest.encode({ key, ...changes }).finish();

/** Every code point below U+3000, and some beyond the basic plane; surrogates have no UTF-8. */
const characters = [
  ...Array.from({ length: 0x3000 }, (_, code) => String.fromCodePoint(code)),
  '\u{fffd}',
  '\u{feff}',
  '\u{ffff}',
  '\u{1f600}',
  '\u{10ffff}',
];

describe('every character that the parsers let through is one that the state machine takes', () => {
  const fields: readonly (readonly [
    name: string,
    bytes: (text: string) => Uint8Array,
    make: (text: string) => Command,
  ])[] = [
    [
      'namespace',
      (text) => deregister({ key: { ...key, namespace: text } }),
      (text) => command({ kind: 'deregister', name: { ...key, namespace: text }, incarnation: 0 }),
    ],
    [
      'service',
      (text) => deregister({ key: { ...key, service: text } }),
      (text) => command({ kind: 'deregister', name: { ...key, service: text }, incarnation: 0 }),
    ],
    [
      'id',
      (text) => deregister({ key: { ...key, id: text } }),
      (text) => command({ kind: 'deregister', name: { ...key, id: text }, incarnation: 0 }),
    ],
    [
      'request_id',
      (text) => deregister({ requestId: text }),
      (text) => command({ kind: 'deregister', name: key, incarnation: 0 }, text),
    ],
    [
      'reason',
      (text) => deregister({ reason: text }),
      (text) => command({ kind: 'deregister', name: key, incarnation: 0 }, '', text),
    ],
  ];

  it.each(fields)('%s', (_name, bytes, make) => {
    const apart = characters.filter(
      (text) => (outcome(() => deregisterCommand(bytes(text))) === 'taken') !== stateTakes(make(text)),
    );
    expect(apart.map((text) => text.codePointAt(0)?.toString(16))).toEqual([]);
  });

  it.each(fields)('%s, as long as it may be', (name, bytes, make) => {
    const longest = { namespace: 128, service: 128, id: 256, request_id: 64, reason: 256 }[name] ?? 0;
    for (const [length, expected] of [
      [longest, 'taken'],
      [longest + 1, 'refused'],
    ] as const) {
      const text = 'a'.repeat(length);
      expect([length, outcome(() => deregisterCommand(bytes(text)))]).toEqual([length, expected]);
      expect([length, stateTakes(make(text))]).toEqual([length, expected === 'taken']);
    }
  });
});

describe('every number that the parsers let through is one that the state machine takes', () => {
  const instance = { ...key, endpoints: [plainEndpoint] };
  const numbers = [0, 1, 999, 1_000, 86_400_000, 86_400_001, 2 ** 31, 2 ** 32, maxSafe];
  const makers: Readonly<Record<string, (value: number) => Command>> = {
    'Register.ttl_ms': (ttlMs) => registerCommand(v1.RegisterRequest.encode({ instance, ttlMs }).finish()),
    'Register.lease_id': (leaseId) => registerCommand(v1.RegisterRequest.encode({ instance, leaseId }).finish()),
    'Register.if_incarnation': (ifIncarnation) =>
      registerCommand(v1.RegisterRequest.encode({ instance, persistent: true, ifIncarnation }).finish()),
    'Update.incarnation': (value) => {
      const { spec, incarnation } = parseUpdate(v1.UpdateRequest.encode({ instance, incarnation: value }).finish());
      return command({ kind: 'update', name: spec.name, spec: spec.bytes, incarnation });
    },
    'Deregister.incarnation': (incarnation) => deregisterCommand(deregister({ incarnation })),
    'GrantLease.ttl_ms': (value) => {
      const { ttlMs } = parseGrantLease(v1.GrantLeaseRequest.encode({ ttlMs: value }).finish());
      return command({ kind: 'grant-lease', ttlMs });
    },
    'RevokeLease.lease_id': (value) => {
      const { leaseId } = parseRevokeLease(v1.RevokeLeaseRequest.encode({ leaseId: value }).finish());
      return command({ kind: 'revoke-lease', leaseId });
    },
  };
  const write = (operation: rollcall.v1.SessionOperation.$Properties, sequence = 1): Command =>
    sessionCommand({ write: { sequence, operations: [operation] } });
  Object.assign(makers, {
    'BatchRegister.ttl_ms': (ttlMs: number) =>
      batchCommand(v1.BatchRegisterRequest.encode({ items: [{ instance }], ttlMs }).finish()),
    'BatchRegister.lease_id': (leaseId: number) =>
      batchCommand(v1.BatchRegisterRequest.encode({ items: [{ instance }], leaseId }).finish()),
    'BatchRegister.items.if_incarnation': (ifIncarnation: number) => {
      const items = [{ instance, ifIncarnation, keepEqual: true }];
      return batchCommand(v1.BatchRegisterRequest.encode({ items, persistent: true }).finish());
    },
    'Session.open.ttl_ms': (ttlMs: number) => sessionCommand({ open: { ttlMs } }),
    'Session.open.session_id': (sessionId: number) => sessionCommand({ open: { sessionId, attachment: 2 } }),
    'Session.open.attachment': (attachment: number) => sessionCommand({ open: { sessionId: 7, attachment } }),
    'Session.write.sequence': (sequence: number) => write({ register: { instance } }, sequence),
    'Session.write.own_incarnation': (ownIncarnation: number) =>
      write({ register: { instance, mode: 1, ownIncarnation } }),
    'Session.write.update.incarnation': (incarnation: number) => write({ update: { instance, incarnation } }),
    'Session.write.deregister.incarnation': (incarnation: number) => write({ deregister: { key, incarnation } }),
  });
  it.each(Object.entries(makers))('%s', (_name, make) => {
    const taken = numbers.filter((value) => outcome(() => make(value)) === 'taken');
    expect(taken.length).toBeGreaterThan(0);
  });

  it('and the largest spec fits', () => {
    expect(apiBounds.specBytesMax).toBeLessThanOrEqual(commandBounds.specBytesMax);
    const plain = v1.InstanceSpec.encode(instance).finish();
    const filler = new WireWriter()
      .bytesPresent(100, new Uint8Array(apiBounds.specBytesMax - plain.length - 5))
      .finish();
    const spec = Buffer.concat([plain, filler]);
    expect(spec.length).toBe(apiBounds.specBytesMax);
    const request = new WireWriter().bytesPresent(1, spec).boolPresent(4, true).finish();
    expect(outcome(() => registerCommand(request))).toBe('taken');
  });
});

describe('the largest writes that the parsers let through', () => {
  const instances = Array.from({ length: 1_000 }, (_, i) => ({ ...key, id: `i${i}`, endpoints: [plainEndpoint] }));

  it('a batch', () => {
    const items = instances.map((instance) => ({ instance }));
    const bytes = v1.BatchRegisterRequest.encode({ items, ttlMs: 5_000 }).finish();
    expect(outcome(() => batchCommand(bytes))).toBe('taken');
  });

  it('a write of a session', () => {
    const reason = 'r'.repeat(256);
    const operations = instances.map((instance, i) =>
      i % 2 === 0 ? { register: { instance } } : { deregister: { key: { ...key, id: instance.id }, reason } },
    );
    expect(outcome(() => sessionCommand({ write: { sequence: 1, operations } }))).toBe('taken');
  });
});

describe('who calls, as the front end names it', () => {
  it.each([
    '255.255.255.255:65535',
    '[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535',
    `[fe80::1%${'e'.repeat(15)}]:65535`,
    // The longest path of a Unix socket on Linux, and what grpc-js says of a socket that is gone.
    `unix:${'p'.repeat(107)}`,
    'unknown',
  ])('%s fits into a command', (origin) => {
    const made = { ...command({ kind: 'revoke-lease', leaseId: 1 }), origin };
    expect(decodeCommand(encodeCommand(made))).toEqual(made);
  });
});
