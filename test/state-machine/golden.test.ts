// The formats of the log's commands, of results and of the persisted state, as the first release wrote them. A failure
// means that members of two versions would not understand each other: add a format, never change one. `REWRITE=1`
// writes the files anew.
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { decodeBatch, decodeCommand, encodeBatch, encodeCommand } from '../../src/state-machine/command-codec.ts';
import { decodeResult, encodeResult } from '../../src/state-machine/result-codec.ts';
import type { Command, CommandResult } from '../../src/state-machine/types.ts';
import { command, Driver, nameOf, persistent, register, reload, specBytes } from './driver.ts';

const who = { actor: 'anonymous', origin: '127.0.0.1:50000', reason: 'scaled up', requestId: 'request-1' };
const name = nameOf('host-1:8080', 'web', 'default');
const commands: Readonly<Record<string, Command>> = {
  'register-ttl': command(register(name, { lifetime: { kind: 'ttl', ttlMs: 10_000 }, ifAbsent: true }), who),
  'register-lease': command(register(name, { lifetime: { kind: 'lease', leaseId: 300 }, ifIncarnation: 2 ** 40 }), who),
  'register-persistent': command(register(name)),
  update: command({ kind: 'update', name, spec: specBytes('new'), incarnation: Number.MAX_SAFE_INTEGER }, who),
  deregister: command({ kind: 'deregister', name, incarnation: 0 }, { reason: 'déjà vu' }),
  'grant-lease': command({ kind: 'grant-lease', ttlMs: 86_400_000 }),
  'revoke-lease': command({ kind: 'revoke-lease', leaseId: 1 }),
  'expire-lease': command({ kind: 'expire-lease', leaseId: 1, epoch: 2, term: 3 }, { actor: 'system', origin: 'a' }),
  'reap-lease': command({ kind: 'reap-lease', leaseId: 128 }, { actor: 'system', origin: 'a' }),
  'batch-register': command(
    {
      kind: 'batch-register',
      lifetime: persistent,
      items: [
        { name, spec: specBytes('one'), ifAbsent: true, ifIncarnation: 0, keepEqual: false },
        { name: nameOf('b'), spec: specBytes('two'), ifAbsent: false, ifIncarnation: 300, keepEqual: true },
      ],
    },
    who,
  ),
  'open-session': command({ kind: 'open-session', ttlMs: 10_000 }, who),
  'attach-session': command({ kind: 'attach-session', sessionId: 300, attachment: 2 }),
  'write-session': command({
    kind: 'write-session',
    sessionId: 300,
    attachment: 2,
    sequence: 1_000,
    operations: [
      { kind: 'register', name, spec: specBytes('one'), restore: true, ownIncarnation: 300 },
      { kind: 'update', name: nameOf('b'), spec: specBytes('two'), incarnation: 0 },
      { kind: 'deregister', name: nameOf('c'), incarnation: 7, reason: 'scaled down' },
    ],
  }),
  'close-session': command({ kind: 'close-session', sessionId: 300, attachment: 2 }),
};
const results: Readonly<Record<string, CommandResult>> = {
  registered: { kind: 'registered', revision: 7, incarnation: 7, leaseId: 300, ttlMs: 10_000, replaced: true },
  updated: { kind: 'updated', revision: 2 ** 40, changed: false },
  deregistered: { kind: 'deregistered', revision: 8, existed: true },
  'lease-granted': { kind: 'lease-granted', revision: 0, leaseId: 1, ttlMs: 1_000 },
  'lease-ended': { kind: 'lease-ended', revision: 9, existed: true, instances: 2_500, remaining: 1_500 },
  ...Object.fromEntries(
    (
      [
        'ALREADY_REGISTERED',
        'SUPERSEDED',
        'UNKNOWN_INSTANCE',
        'UNKNOWN_LEASE',
        'REQUEST_ID_REUSED',
        'OVERLOADED',
        'UNKNOWN_SESSION',
        'SESSION_TAKEN',
        'INVALID_FIELD',
      ] as const
    ).map((reason) => [
      `refused-${reason}`,
      { kind: 'refused', revision: 9, reason, message: 'why', field: 'incarnation' } as const,
    ]),
  ),
  'batch-registered': {
    kind: 'batch-registered',
    revision: 300,
    leaseId: 7,
    ttlMs: 1_000,
    items: [
      { status: 'registered', incarnation: 300 },
      { status: 'replaced', incarnation: 300 },
      { status: 'kept', incarnation: 1 },
    ],
  },
  'session-opened': {
    kind: 'session-opened',
    revision: 300,
    sessionId: 7,
    ttlMs: 1_000,
    attachment: 2,
    lastSequence: 130,
  },
  'session-written': {
    kind: 'session-written',
    revision: 300,
    sequence: 131,
    outcomes: [
      { status: 'registered', incarnation: 300, reason: '' },
      { status: 'replaced', incarnation: 300, reason: '' },
      { status: 'updated', incarnation: 299, reason: '' },
      { status: 'unchanged', incarnation: 1, reason: '' },
      { status: 'deregistered', incarnation: 0, reason: '' },
      { status: 'absent', incarnation: 0, reason: '' },
      { status: 'refused', incarnation: 298, reason: 'SUPERSEDED' },
      { status: 'refused', incarnation: 0, reason: 'UNKNOWN_INSTANCE' },
    ],
  },
};

/** Lines of a name and its bytes. */
function golden(file: string, produced: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  const url = new URL(`../golden/${file}`, import.meta.url);
  const lines = [...produced].map(([key, bytes]) => `${key} ${Buffer.from(bytes).toString('hex')}\n`);
  if (process.env['REWRITE'] === '1') writeFileSync(url, lines.join(''));
  const text = readFileSync(url, 'utf8');
  expect(lines.join('')).toBe(text);
  const pairs = text.trimEnd().split('\n');
  return new Map(
    pairs.map((line) => {
      const [key = '', hex = ''] = line.split(' ');
      return [key, Uint8Array.from(Buffer.from(hex, 'hex'))];
    }),
  );
}

function encoded<T>(samples: Readonly<Record<string, T>>, encode: (sample: T) => Uint8Array): Map<string, Uint8Array> {
  return new Map(Object.entries(samples).map(([key, sample]) => [key, encode(sample)]));
}

/** A session that wrote, lost one instance to another process and one to an operator, and closed no stream. */
function openedSession(driver: Driver): void {
  const ids = ['s-1', 's-2', 's-3'];
  const { result } = driver.apply({ kind: 'open-session', ttlMs: 10_000 });
  const sessionId = result.kind === 'session-opened' ? result.sessionId : 0;
  driver.apply({
    kind: 'write-session',
    sessionId,
    attachment: 1,
    sequence: 1,
    operations: ids.map((id) => ({
      kind: 'register',
      name: nameOf(id),
      spec: specBytes(id),
      restore: false,
      ownIncarnation: 0,
    })),
  });
  driver.apply(register(nameOf('s-1')));
  driver.apply({ kind: 'deregister', name: nameOf('s-2'), incarnation: 0 });
  driver.apply({ kind: 'attach-session', sessionId, attachment: 2 });
}

describe('golden files', () => {
  it('of commands and a batch', () => {
    const kept = golden('command-v1.hex', encoded(commands, encodeCommand));
    for (const [key, bytes] of kept) expect(decodeCommand(bytes)).toEqual(commands[key]);
    const two = { wallMs: 1_790_000_000_000, elapsedMs: 12, commands: [...kept.values()].slice(5, 7) };
    const batch = golden('batch-v1.hex', new Map([['batch', encodeBatch(two)]]));
    const decoded = decodeBatch(must(batch.get('batch'), 'batch'));
    expect(decoded).toMatchObject({ wallMs: two.wallMs, elapsedMs: two.elapsedMs });
    expect(decoded.commands.map((one) => one.command)).toEqual([commands['grant-lease'], commands['revoke-lease']]);
  });

  it('of results', () => {
    const kept = golden('result-v1.hex', encoded(results, encodeResult));
    for (const [key, bytes] of kept) expect(decodeResult(bytes)).toEqual(results[key]);
  });

  it('of the state, which loads with the hash it was written with', () => {
    const driver = new Driver({ eventsPerRevisionMax: 3 });
    driver.apply({ kind: 'grant-lease', ttlMs: 20_000 }, { requestId: 'grant' }, { wallMs: 1_790_000_000_000 });
    driver.apply(register(name, { lifetime: { kind: 'ttl', ttlMs: 10_000 } }), who, { elapsedMs: 300 });
    driver.apply(
      { kind: 'update', name, spec: specBytes('updated'), incarnation: 1 },
      {},
      { wallMs: 1_790_000_000_300 },
    );
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      driver.apply(register(nameOf(id), { lifetime: { kind: 'lease', leaseId: 1 } }));
    }
    driver.apply({ kind: 'revoke-lease', leaseId: 1 }, { reason: 'maintenance' });
    driver.apply({ kind: 'grant-lease', ttlMs: 1_000 });
    driver.apply(register(nameOf('x', 'api', 'other')));
    openedSession(driver);
    const frozen = driver.state.freeze();
    const records = new Map<string, Uint8Array>();
    for (const { key, value } of frozen.changes()) if (value !== undefined) records.set(key, value);
    const sorted = new Map([...records].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const hash = new Map([['hash', Uint8Array.from(Buffer.from(frozen.stateHash, 'hex'))]]);
    const kept = golden('state-v1.hex', new Map([...sorted, ...hash]));
    const hashKept = must(kept.get('hash'), 'hash');
    kept.delete('hash');
    expect(new Set([...kept.keys()].map((key) => key[0]))).toEqual(new Set(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']));
    expect(reload(kept, frozen.position).stateHash).toBe(Buffer.from(hashKept).toString('hex'));
  });
});
