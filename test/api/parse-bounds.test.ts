// Every bound at its edge: the limit is taken, one more is refused by the field's name.
import { describe, expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { parseDiscover, parseListServices, parseStatus, parseWatch } from '../../src/api/parse-reads.ts';
import { checkSpec } from '../../src/api/parse-spec.ts';
import {
  parseDeregister,
  parseGrantLease,
  parseKeepAlive,
  parseRegister,
  parseRevokeLease,
  parseUpdate,
} from '../../src/api/parse-writes.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { fieldOf, plainEndpoint, plainSpec, refusalOf, registerBytes, specBytes } from './requests.ts';

const { v1 } = rollcall;
type Spec = rollcall.v1.IInstanceSpec;

/** Values without a name. */
const status = (value: number): rollcall.v1.InstanceStatus => value as rollcall.v1.InstanceStatus;
const consistency = (value: number): rollcall.v1.Consistency => value as rollcall.v1.Consistency;

const a = (count: number): string => 'a'.repeat(count);
const endpoints = (count: number): Spec => ({
  endpoints: Array.from({ length: count }, (_, i) => ({ ...plainEndpoint, name: `e${i}` })),
});
const endpoint = (changes: Partial<typeof plainEndpoint>): Spec => ({ endpoints: [{ ...plainEndpoint, ...changes }] });
const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `t${i}`);
const pairs = (count: number, bytes = 1): Record<string, string> =>
  Object.fromEntries(numbered(count).map((key) => [key, a(bytes)]));
const host = (length: number): string => [a(63), a(63), a(63), a(length - 192)].join('.');

const specEdges: readonly [field: string, ok: Spec, refused: Spec][] = [
  ['namespace', { namespace: a(128) }, { namespace: a(129) }],
  ['namespace', { namespace: 'a-z.09' }, { namespace: 'A' }],
  ['service', { service: a(128) }, { service: a(129) }],
  ['service', { service: '-.a0' }, { service: 'a_b' }],
  ['service', { service: 'a' }, { service: '' }],
  ['id', { id: a(256) }, { id: a(257) }],
  ['id', { id: "!#$%&'()*+,-.09:;<=>?@AZ[\\]^_`az{|}~" }, { id: 'a/b' }],
  ['id', { id: 'a' }, { id: 'a b' }],
  ['id', { id: 'a' }, { id: 'a"b' }],
  ['id', { id: 'a' }, { id: 'ä' }],
  ['id', { id: 'a' }, { id: 'a\u007f' }],
  ['id', { id: 'a' }, { id: '' }],
  ['endpoints', endpoints(1), { endpoints: [] }],
  ['endpoints', endpoints(16), endpoints(17)],
  ['endpoints[0].name', endpoint({ name: a(64) }), endpoint({ name: a(65) })],
  ['endpoints[0].name', endpoint({ name: 'a' }), endpoint({ name: '' })],
  ['endpoints[0].name', endpoint({ name: 'a-b.c' }), endpoint({ name: 'a+b' })],
  ['endpoints[1].name', endpoints(2), { endpoints: [plainEndpoint, plainEndpoint] }],
  ['endpoints[0].protocol', endpoint({ protocol: a(32) }), endpoint({ protocol: a(33) })],
  ['endpoints[0].protocol', endpoint({ protocol: 'h2+tls-1.3' }), endpoint({ protocol: 'HTTP' })],
  ['endpoints[0].protocol', endpoint({ protocol: 'x' }), endpoint({ protocol: '' })],
  ['endpoints[0].port', endpoint({ port: 1 }), endpoint({ port: 0 })],
  ['endpoints[0].port', endpoint({ port: 65_535 }), endpoint({ port: 65_536 })],
  ['endpoints[0].address', endpoint({ address: host(253) }), endpoint({ address: host(254) })],
  ['endpoints[0].address', endpoint({ address: a(63) }), endpoint({ address: a(64) })],
  ['version', { version: a(128) }, { version: a(129) }],
  ['version', { version: 'é'.repeat(64) }, { version: 'é'.repeat(65) }],
  ['weight', { weight: 1_000_000 }, { weight: 1_000_001 }],
  ['tags', { tags: numbered(64) }, { tags: numbered(65) }],
  ['tags[0]', { tags: [a(128)] }, { tags: [a(129)] }],
  ['tags[1]', { tags: ['x', 'y'] }, { tags: ['x', ''] }],
  ['tags[2]', { tags: ['x', 'y', 'z'] }, { tags: ['x', 'y', 'x'] }],
  ['metadata', { metadata: pairs(64) }, { metadata: pairs(65) }],
  ['metadata', { metadata: { k: a(8_191) } }, { metadata: { k: a(8_192) } }],
  ['metadata[0].key', { metadata: { [a(128)]: '' } }, { metadata: { [a(129)]: '' } }],
  ['metadata[0].key', { metadata: { k: '' } }, { metadata: { '': 'x' } }],
  ['locality.region', { locality: { region: a(64) } }, { locality: { region: a(65) } }],
  ['locality.zone', { locality: { zone: a(64) } }, { locality: { zone: a(65) } }],
  ['status', { status: 4 }, { status: status(5) }],
];

describe('an instance spec', () => {
  for (const [field, ok, refused] of specEdges) {
    it(`${field}: ${JSON.stringify(refused).slice(0, 60)}`, () => {
      expect(fieldOf(() => checkSpec(specBytes(ok)))).toBe('');
      expect(fieldOf(() => checkSpec(specBytes(refused)))).toBe(`instance.${field}`);
      expect(fieldOf(() => parseRegister(registerBytes(refused)))).toBe(`instance.${field}`);
    });
  }

  it('has a size, also where the fields are unknown ones', () => {
    const known = specBytes();
    const unknown = (bytes: number): Uint8Array => {
      const head = [0xa2, 0x06, (bytes & 0x7f) | 0x80, ((bytes >> 7) & 0x7f) | 0x80, bytes >> 14];
      return Buffer.concat([known, Buffer.from(head), Buffer.alloc(bytes)]);
    };
    const room = apiBounds.specBytesMax - known.length - 5;
    expect(checkSpec(unknown(room))).toMatchObject({ unknownFields: 1 });
    expect(fieldOf(() => checkSpec(unknown(room + 1)))).toBe('instance');
  });

  it('takes everything at its bound at once', () => {
    const fullEndpoint = { name: a(62), protocol: a(32), address: host(253), port: 65_535 };
    const full: Spec = {
      namespace: a(128),
      service: a(128),
      id: a(256),
      endpoints: Array.from({ length: 16 }, (_, i) => ({ ...fullEndpoint, name: `${fullEndpoint.name}${i}` })),
      version: a(128),
      weight: 1_000_000,
      tags: numbered(64).map((tag) => tag.padEnd(128, 'x')),
      metadata: Object.fromEntries(numbered(64).map((key) => [key.padEnd(64, 'k'), a(64)])),
      locality: { region: a(64), zone: a(64) },
      status: 2,
    };
    const bytes = specBytes(full);
    expect(bytes.length).toBeLessThan(apiBounds.specBytesMax / 2);
    expect(checkSpec(bytes).bytes).toEqual(new Uint8Array(bytes));
  });
});

describe('an address', () => {
  const taken = [
    '127.0.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '::',
    '::1',
    '1:2:3:4:5:6:7:8',
    '2001:DB8::1',
    '::ffff:1.2.3.4',
  ].concat(['localhost', 'a', 'Cart-1.example.COM', '1a.b2', '3com.com']);
  const refused = [
    '256.0.0.1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.04',
    '0x7f.1',
    '127.1',
    '1234',
    'a.1',
    '[::1]',
    'fe80::1%eth0',
  ].concat([
    '::1::',
    '1:2:3',
    ':::',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    '-a',
    'a-',
    'a..b',
    '.a',
    'a.',
    'a_b',
    'ä.de',
    'a b',
    'a:80',
    '',
  ]);
  for (const address of taken) {
    it(`takes ${address}`, () => expect(refusalOf(() => checkSpec(specBytes(endpoint({ address }))))).toBe(''));
  }
  for (const address of refused) {
    it(`refuses ${JSON.stringify(address)}`, () => {
      expect(fieldOf(() => checkSpec(specBytes(endpoint({ address }))))).toBe('instance.endpoints[0].address');
    });
  }
});

describe('requests', () => {
  const key = { namespace: '', service: 'cart', id: 'c' };
  type Edge = readonly [field: string, ok: () => unknown, refused: () => unknown];
  const register = (rest: rollcall.v1.IRegisterRequest) => () => parseRegister(registerBytes({}, rest));
  const update = (rest: rollcall.v1.IUpdateRequest) => () =>
    parseUpdate(v1.UpdateRequest.encode({ instance: plainSpec, incarnation: 1, ...rest }).finish());
  const deregister = (rest: rollcall.v1.IDeregisterRequest) => () =>
    parseDeregister(v1.DeregisterRequest.encode({ key, ...rest }).finish());
  const grant = (rest: rollcall.v1.IGrantLeaseRequest) => () =>
    parseGrantLease(v1.GrantLeaseRequest.encode({ ttlMs: 1_000, ...rest }).finish());
  const revoke = (rest: rollcall.v1.IRevokeLeaseRequest) => () =>
    parseRevokeLease(v1.RevokeLeaseRequest.encode({ leaseId: 1, ...rest }).finish());
  const renew = (leaseIds: number[]) => () => parseKeepAlive(v1.KeepAliveRequest.encode({ leaseIds }).finish());
  const discover = (rest: rollcall.v1.IDiscoverRequest) => () =>
    parseDiscover(v1.DiscoverRequest.encode({ service: 'cart', ...rest }).finish());
  const list = (rest: rollcall.v1.IListServicesRequest) => () =>
    parseListServices(v1.ListServicesRequest.encode(rest).finish());
  const create = (rest: rollcall.v1.IWatchCreate) => () =>
    parseWatch(v1.WatchRequest.encode({ create: { watchId: 1, ...rest } }).finish());
  const cancel = (watchId: number) => () => parseWatch(v1.WatchRequest.encode({ cancel: { watchId } }).finish());

  const edges: readonly Edge[] = [
    ['ttl_ms', register({ ttlMs: 1_000 }), register({ ttlMs: 999 })],
    ['ttl_ms', register({ ttlMs: 86_400_000 }), register({ ttlMs: 86_400_001 })],
    ['lease_id', register({ leaseId: 1 }), register({ leaseId: 0 })],
    ['persistent', register({ persistent: true }), register({ persistent: false })],
    ['lifetime', register({ persistent: true }), register({})],
    [
      'if_incarnation',
      register({ persistent: true, ifIncarnation: 3 }),
      register({ persistent: true, ifIncarnation: 3, ifAbsent: true }),
    ],
    ['request_id', register({ ttlMs: 1_000, requestId: a(64) }), register({ ttlMs: 1_000, requestId: a(65) })],
    ['request_id', register({ ttlMs: 1_000, requestId: '!~' }), register({ ttlMs: 1_000, requestId: 'a b' })],
    ['request_id', register({ ttlMs: 1_000, requestId: '' }), register({ ttlMs: 1_000, requestId: 'é' })],
    ['incarnation', update({ incarnation: 1 }), update({ incarnation: 0 })],
    ['request_id', update({ requestId: a(64) }), update({ requestId: a(65) })],
    ['instance', update({}), update({ instance: null })],
    ['key', deregister({}), deregister({ key: null })],
    [
      'key.namespace',
      deregister({ key: { ...key, namespace: a(128) } }),
      deregister({ key: { ...key, namespace: a(129) } }),
    ],
    ['key.service', deregister({ key: { ...key, service: a(128) } }), deregister({ key: { ...key, service: a(129) } })],
    ['key.id', deregister({ key: { ...key, id: a(256) } }), deregister({ key: { ...key, id: a(257) } })],
    ['request_id', deregister({ requestId: a(64) }), deregister({ requestId: a(65) })],
    ['reason', deregister({ reason: a(256) }), deregister({ reason: a(257) })],
    ['reason', deregister({ reason: 'é'.repeat(128) }), deregister({ reason: 'é'.repeat(129) })],
    ['ttl_ms', grant({ ttlMs: 1_000 }), grant({ ttlMs: 999 })],
    ['ttl_ms', grant({ ttlMs: 86_400_000 }), grant({ ttlMs: 86_400_001 })],
    ['request_id', grant({ requestId: a(64) }), grant({ requestId: a(65) })],
    ['lease_id', revoke({}), revoke({ leaseId: 0 })],
    ['reason', revoke({ reason: a(256) }), revoke({ reason: a(257) })],
    ['request_id', revoke({ requestId: a(64) }), revoke({ requestId: a(65) })],
    ['lease_ids', renew([1]), renew([])],
    ['lease_ids', renew(Array.from({ length: 1_000 }, (_, i) => i + 1)), renew(Array.from({ length: 1_001 }, () => 7))],
    ['lease_ids[1]', renew([3, 3]), renew([3, 0])],
    ['namespace', discover({ namespace: a(128) }), discover({ namespace: a(129) })],
    ['service', discover({ service: a(128) }), discover({ service: a(129) })],
    ['service', discover({}), discover({ service: '' })],
    ['consistency', discover({ consistency: 1 }), discover({ consistency: consistency(2) })],
    ['page_token', discover({ pageToken: a(1_024) }), discover({ pageToken: a(1_025) })],
    ['namespace', list({ namespace: a(128) }), list({ namespace: a(129) })],
    ['prefix', list({ prefix: a(128) }), list({ prefix: a(129) })],
    ['prefix', list({ prefix: '' }), list({ prefix: 'A' })],
    ['consistency', list({ consistency: 1 }), list({ consistency: consistency(2) })],
    ['page_size', list({ pageSize: 1_000 }), list({ pageSize: 1_001 })],
    ['page_token', list({ pageToken: a(1_024) }), list({ pageToken: a(1_025) })],
    ['create.watch_id', create({}), create({ watchId: 0 })],
    ['create.namespace', create({ namespace: a(128) }), create({ namespace: a(129) })],
    ['create.service', create({ service: '' }), create({ service: a(129) })],
    ['create.consistency', create({ consistency: 1 }), create({ consistency: consistency(2) })],
    ['create.progress_interval_ms', create({ progressIntervalMs: 0 }), create({ progressIntervalMs: 1 })],
    ['create.progress_interval_ms', create({ progressIntervalMs: 100 }), create({ progressIntervalMs: 99 })],
    ['cancel.watch_id', cancel(1), cancel(0)],
    ['request', cancel(1), () => parseWatch(new Uint8Array(0))],
  ];
  for (const [i, [field, ok, refused]] of edges.entries()) {
    it(`${i + 1}. ${field}`, () => {
      expect(fieldOf(ok)).toBe('');
      expect(fieldOf(refused)).toBe(field);
    });
  }

  it('have at most 1 MiB', () => {
    const parsers = [parseRegister, parseUpdate, parseDeregister, parseGrantLease, parseRevokeLease, parseKeepAlive];
    for (const parse of [...parsers, parseDiscover, parseListServices, parseWatch, parseStatus]) {
      expect(fieldOf(() => parse(Buffer.alloc(apiBounds.requestBytesMax + 1)))).toBe('request');
    }
    // Exactly 1 MiB: one unknown field.
    const head = [0xa2, 0x06, 0xfb, 0xff, 0x3f];
    const filled = Buffer.concat([Buffer.from(head), Buffer.alloc(apiBounds.requestBytesMax - head.length)]);
    expect(refusalOf(() => parseStatus(filled))).toBe('');
  });

  it('say what was found and what is allowed', () => {
    expect(refusalOf(() => checkSpec(specBytes(endpoint({ port: 70_000 }))))).toBe(
      'instance.endpoints[0].port: is 70000, allowed is 1 to 65535',
    );
    expect(refusalOf(() => checkSpec(specBytes({ status: status(9) })))).toMatch(
      /is 9, allowed is 0 \(INSTANCE_STATUS_UNSPECIFIED\), 1 /,
    );
    expect(refusalOf(register({}))).toBe('lifetime: is missing, required is one of ttl_ms, lease_id and persistent');
  });
});
