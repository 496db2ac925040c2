import { describe, expect, it } from 'vitest';
import { rollcall } from '../../src/gen/rollcall.js';
import { batch, items } from './parse-requests.ts';
import { fieldOf, plainSpec, refusalOf } from './requests.ts';

const { v1 } = rollcall;
type Batch = rollcall.v1.BatchRegisterRequest.$Properties;
type Item = rollcall.v1.BatchRegisterItem.$Properties;

const a = (count: number): string => 'a'.repeat(count);
const second = (item: Item): Batch => ({ persistent: true, items: [...items(1), { instance: plainSpec, ...item }] });

const edges: readonly (readonly [field: string, ok: Batch, refused: Batch])[] = [
  ['items', { persistent: true, items: items(1) }, { persistent: true, items: [] }],
  ['items', { persistent: true, items: items(1_000) }, { persistent: true, items: items(1_001) }],
  ['items[1]', second({}), { persistent: true, items: [...items(1), ...items(1)] }],
  ['items[1].instance', second({}), { persistent: true, items: [...items(1), {}] }],
  ['items[1].instance.service', second({}), second({ instance: { ...plainSpec, service: '' } })],
  ['items[1].if_incarnation', second({ ifIncarnation: 3 }), second({ ifIncarnation: 3, ifAbsent: true })],
  [
    'items[1].keep_equal',
    second({ keepEqual: true }),
    { ttlMs: 1_000, items: [...items(1), { instance: plainSpec, keepEqual: true }] },
  ],
  ['lifetime', { ttlMs: 1_000 }, {}],
  ['lifetime', { leaseId: 7 }, { leaseId: 7, ttlMs: 1_000 }],
  ['ttl_ms', { ttlMs: 1_000 }, { ttlMs: 999 }],
  ['ttl_ms', { ttlMs: 86_400_000 }, { ttlMs: 86_400_001 }],
  ['lease_id', { leaseId: 1 }, { leaseId: 0 }],
  ['persistent', { persistent: true }, { persistent: false }],
  ['request_id', { persistent: true, requestId: a(64) }, { persistent: true, requestId: a(65) }],
];

describe('a batch', () => {
  it.each(edges)('is refused by %s', (field, ok, refused) => {
    expect(fieldOf(() => batch(ok))).toBe('');
    expect(fieldOf(() => batch(refused))).toBe(field);
  });

  it('holds its items in their order, each with the bytes of its spec', () => {
    const parsed = batch({
      leaseId: 7,
      requestId: 'r1',
      items: [...items(1), { instance: plainSpec, ifIncarnation: 4 }],
    });
    expect(parsed).toMatchObject({ lifetime: { kind: 'lease', leaseId: 7 }, requestId: 'r1' });
    expect(parsed.items.map(({ spec }) => spec.name.id)).toEqual(['i0', 'cart-1']);
    expect(parsed.items[1]).toMatchObject({ ifAbsent: false, ifIncarnation: 4, keepEqual: false });
    expect(parsed.items[1]?.spec.bytes).toEqual(new Uint8Array(v1.InstanceSpec.encode(plainSpec).finish()));
  });

  it('says which lifetimes there are', () => {
    expect(refusalOf(() => batch({}))).toBe('lifetime: is missing, required is one of ttl_ms, lease_id and persistent');
  });
});
