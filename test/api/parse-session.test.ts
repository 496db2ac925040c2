import { describe, expect, it } from 'vitest';
import { parseSession } from '../../src/api/parse-session.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { operations, session, write } from './parse-requests.ts';
import { fieldOf, plainSpec, refusalOf } from './requests.ts';

const { v1 } = rollcall;
const a = (count: number): string => 'a'.repeat(count);
const key = { namespace: 'shop', service: 'cart', id: 'cart-1' };
type Operation = rollcall.v1.SessionOperation.$Properties;

const open = (changes: rollcall.v1.SessionOpen.$Properties) => () => session({ open: changes });
const second = (operation: Operation) => () => write({ operations: [...operations(1), operation] });
const mode = (value: number): rollcall.v1.SessionRegisterMode => value as rollcall.v1.SessionRegisterMode;

const edges: readonly (readonly [field: string, ok: () => unknown, refused: () => unknown])[] = [
  ['request', open({ ttlMs: 1_000 }), () => parseSession(new Uint8Array(0))],
  ['request', () => session({ ping: {} }), () => session({ ping: {}, open: { ttlMs: 1_000 } })],
  ['open.ttl_ms', open({ ttlMs: 1_000 }), open({ ttlMs: 999 })],
  ['open.ttl_ms', open({ ttlMs: 86_400_000 }), open({ ttlMs: 86_400_001 })],
  ['open.ttl_ms', open({ sessionId: 7, attachment: 2 }), open({ sessionId: 7, attachment: 2, ttlMs: 1_000 })],
  ['open.attachment', open({ sessionId: 7, attachment: 2 }), open({ sessionId: 7, attachment: 1 })],
  ['open.attachment', open({ ttlMs: 1_000 }), open({ ttlMs: 1_000, attachment: 2 })],
  ['open.request_id', open({ ttlMs: 1_000, requestId: a(64) }), open({ ttlMs: 1_000, requestId: a(65) })],
  ['open.request_id', open({ sessionId: 7, attachment: 2 }), open({ sessionId: 7, attachment: 2, requestId: 'r' })],
  ['write.sequence', () => write({ sequence: 1 }), () => write({ sequence: 0 })],
  ['write.operations', () => write({ operations: operations(1) }), () => write({ operations: [] })],
  ['write.operations', () => write({ operations: operations(1_000) }), () => write({ operations: operations(1_001) })],
  ['write.operations[1].operation', second({ deregister: { key } }), second({})],
  [
    'write.operations[1].operation',
    second({ update: { instance: plainSpec } }),
    second({ update: { instance: plainSpec }, deregister: { key } }),
  ],
  ['write.operations[1].register.instance', second({ register: { instance: plainSpec } }), second({ register: {} })],
  [
    'write.operations[1].register.instance.id',
    second({ register: { instance: plainSpec } }),
    second({ register: { instance: { ...plainSpec, id: 'a b' } } }),
  ],
  [
    'write.operations[1].register.mode',
    second({ register: { instance: plainSpec, mode: 1 } }),
    second({ register: { instance: plainSpec, mode: mode(2) } }),
  ],
  [
    'write.operations[1].register.own_incarnation',
    second({ register: { instance: plainSpec, mode: 1, ownIncarnation: 3 } }),
    second({ register: { instance: plainSpec, ownIncarnation: 3 } }),
  ],
  ['write.operations[1].update.instance', second({ update: { instance: plainSpec } }), second({ update: {} })],
  ['write.operations[1].deregister.key', second({ deregister: { key } }), second({ deregister: {} })],
  [
    'write.operations[1].deregister.key.service',
    second({ deregister: { key } }),
    second({ deregister: { key: { ...key, service: '' } } }),
  ],
  [
    'write.operations[1].deregister.reason',
    second({ deregister: { key, reason: a(256) } }),
    second({ deregister: { key, reason: a(257) } }),
  ],
];

describe('a message of a session', () => {
  it.each(edges)('is refused by %s', (field, ok, refused) => {
    expect(fieldOf(ok)).toBe('');
    expect(fieldOf(refused)).toBe(field);
  });

  it('opens a session, or goes on with one', () => {
    expect(session({ open: { ttlMs: 5_000, requestId: 'r1' } })).toEqual({
      kind: 'open',
      request: { sessionId: 0, ttlMs: 5_000, requestId: 'r1', attachment: 0 },
    });
    expect(session({ open: { sessionId: 2 ** 41, attachment: 3 } })).toEqual({
      kind: 'open',
      request: { sessionId: 2 ** 41, ttlMs: 0, requestId: '', attachment: 3 },
    });
  });

  it('is a sign of life, with whatever id', () => {
    expect(session({ ping: { pingId: 0 } })).toEqual({ kind: 'ping', pingId: 0 });
    expect(session({ ping: { pingId: Number.MAX_SAFE_INTEGER } })).toMatchObject({ pingId: Number.MAX_SAFE_INTEGER });
  });

  it('writes operations in their order, each with the bytes of its spec', () => {
    const spec = (id: string): Uint8Array => new Uint8Array(v1.InstanceSpec.encode({ ...plainSpec, id }).finish());
    const name = (id: string): typeof key => ({ ...key, id });
    const message = session({
      write: {
        sequence: 9,
        operations: [
          { register: { instance: { ...plainSpec, id: 'a' } } },
          { register: { instance: { ...plainSpec, id: 'b' }, mode: 1, ownIncarnation: 4 } },
          { update: { instance: { ...plainSpec, id: 'c' }, incarnation: 5 } },
          { deregister: { key: { ...key, id: 'd' }, reason: 'bye' } },
        ],
      },
    });
    expect(message).toEqual({
      kind: 'write',
      sequence: 9,
      operations: [
        {
          kind: 'register',
          spec: { name: name('a'), bytes: spec('a'), unknownFields: 0 },
          restore: false,
          ownIncarnation: 0,
        },
        {
          kind: 'register',
          spec: { name: name('b'), bytes: spec('b'), unknownFields: 0 },
          restore: true,
          ownIncarnation: 4,
        },
        { kind: 'update', spec: { name: name('c'), bytes: spec('c'), unknownFields: 0 }, incarnation: 5 },
        { kind: 'deregister', name: name('d'), incarnation: 0, reason: 'bye' },
      ],
    });
  });

  it('names each instance once, whatever is done to it', () => {
    const twice = (operation: Operation): string =>
      refusalOf(() => write({ operations: [...operations(5), operation, ...operations(7).slice(6)] }));
    const problem = 'write.operations[5]: names "shop/cart/i2" again, instances must differ';
    expect(twice({ register: { instance: { ...plainSpec, id: 'i2' } } })).toBe(problem);
    expect(twice({ update: { instance: { ...plainSpec, id: 'i2' } } })).toBe(problem);
    expect(twice({ deregister: { key: { ...key, id: 'i2' } } })).toBe(problem);
    // No namespace is the namespace `default`.
    const bare = { register: { instance: { ...plainSpec, namespace: '', id: 'x' } } };
    const named = { deregister: { key: { namespace: 'default', service: 'cart', id: 'x' } } };
    expect(fieldOf(() => write({ operations: [bare, named] }))).toBe('write.operations[1]');
  });
});
