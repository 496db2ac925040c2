// One row for each bound of the api: what is exactly at it passes, one more is refused by the field's name. A bound
// without a row does not compile, and one whose row names another test fails where that test does not know it.
import { describe, expect, it } from 'vitest';
import { apiBounds } from '../../src/api/bounds.ts';
import { parseAddMember, parseRemoveMember } from '../../src/api/parse-cluster.ts';
import { parseDiscover, parseListServices, parseStatus, parseWatch } from '../../src/api/parse-reads.ts';
import { parseSession } from '../../src/api/parse-session.ts';
import { checkSpec } from '../../src/api/parse-spec.ts';
import {
  parseBatchRegister,
  parseDeregister,
  parseGrantLease,
  parseKeepAlive,
  parseRegister,
  parseRevokeLease,
  parseUpdate,
} from '../../src/api/parse-writes.ts';
import { varintLength, WireWriter } from '../../src/base/wire-writer.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { readText } from '../tidy/project.ts';
import {
  batch,
  batchBytes,
  discoverWith,
  items,
  operations,
  session,
  texts,
  watchWith,
  write,
} from './parse-requests.ts';
import { fieldOf, plainEndpoint, registerBytes, specBytes } from './requests.ts';

const { v1 } = rollcall;
type Spec = rollcall.v1.InstanceSpec.$Properties;

/** `at` makes a request with so much of what is bounded; the field is what one more is refused by. */
interface Edge {
  readonly field: string;
  /** Where one less is refused in place of one more. */
  readonly least?: true;
  readonly at: (amount: number) => unknown;
}
/** What is no field of a request: the test that shows it, where the bound is named. */
interface Elsewhere {
  readonly test: string;
}

const a = (count: number): string => 'a'.repeat(count);
const spec = (field: string, make: (amount: number) => Spec): Edge => ({
  field: `instance.${field}`,
  at: (amount) => checkSpec(specBytes(make(amount))),
});
const filter = (field: string, make: (amount: number) => rollcall.v1.InstanceFilter.$Properties): Edge => ({
  field: `filter.${field}`,
  at: (amount) => discoverWith(make(amount)),
});
/** A message of exactly so many bytes: what is known of it, and one unknown field. */
function padded(known: Uint8Array, bytes: number): Uint8Array {
  for (const lengthBytes of [1, 2, 3]) {
    const left = bytes - known.length - 2 - lengthBytes;
    if (varintLength(left) === lengthBytes) {
      return new WireWriter().raw(known).bytesPresent(100, new Uint8Array(left)).finish();
    }
  }
  throw new Error(`no message of ${bytes} bytes`);
}
const endpoint = (changes: Partial<typeof plainEndpoint>): Spec => ({ endpoints: [{ ...plainEndpoint, ...changes }] });

const edges: Readonly<Record<keyof typeof apiBounds, Edge | Elsewhere>> = {
  requestBytesMax: { field: 'request', at: (bytes) => parseStatus(padded(new Uint8Array(0), bytes)) },
  pageBytesMax: { test: 'test/api/registry-api.test.ts' },
  specBytesMax: { field: 'instance', at: (bytes) => checkSpec(padded(specBytes(), bytes)) },

  namespaceBytesMax: spec('namespace', (bytes) => ({ namespace: a(bytes) })),
  serviceBytesMax: spec('service', (bytes) => ({ service: a(bytes) })),
  idBytesMax: spec('id', (bytes) => ({ id: a(bytes) })),
  endpointsMax: spec('endpoints', (count) => ({ endpoints: texts(count).map((name) => ({ ...plainEndpoint, name })) })),
  endpointNameBytesMax: spec('endpoints[0].name', (bytes) => endpoint({ name: a(bytes) })),
  protocolBytesMax: spec('endpoints[0].protocol', (bytes) => endpoint({ protocol: a(bytes) })),
  hostNameBytesMax: spec('endpoints[0].address', (bytes) =>
    endpoint({ address: [a(63), a(63), a(63), a(bytes - 192)].join('.') }),
  ),
  hostLabelBytesMax: spec('endpoints[0].address', (bytes) => endpoint({ address: a(bytes) })),
  portMax: spec('endpoints[0].port', (port) => endpoint({ port })),
  versionBytesMax: spec('version', (bytes) => ({ version: a(bytes) })),
  weightMax: spec('weight', (weight) => ({ weight })),
  tagsMax: spec('tags', (count) => ({ tags: texts(count) })),
  tagBytesMax: spec('tags[0]', (bytes) => ({ tags: [a(bytes)] })),
  metadataPairsMax: spec('metadata', (count) => ({
    metadata: Object.fromEntries(texts(count).map((key) => [key, ''])),
  })),
  metadataKeyBytesMax: spec('metadata[0].key', (bytes) => ({ metadata: { [a(bytes)]: '' } })),
  metadataBytesMax: spec('metadata', (bytes) => ({ metadata: { k: a(bytes - 1) } })),
  localityBytesMax: spec('locality.zone', (bytes) => ({ locality: { zone: a(bytes) } })),

  ttlMsMin: { field: 'ttl_ms', least: true, at: (ttlMs) => parseRegister(registerBytes({}, { ttlMs })) },
  ttlMsMax: { field: 'open.ttl_ms', at: (ttlMs) => session({ open: { ttlMs } }) },
  requestIdBytesMax: { field: 'request_id', at: (bytes) => batch({ persistent: true, requestId: a(bytes) }) },
  reasonBytesMax: {
    field: 'reason',
    at: (bytes) => parseRevokeLease(v1.RevokeLeaseRequest.encode({ leaseId: 1, reason: a(bytes) }).finish()),
  },
  leaseIdsMax: {
    field: 'lease_ids',
    at: (count) => parseKeepAlive(v1.KeepAliveRequest.encode({ leaseIds: texts(count).map((_, i) => i + 1) }).finish()),
  },
  listPageSizeMax: {
    field: 'page_size',
    at: (pageSize) => parseListServices(v1.ListServicesRequest.encode({ pageSize }).finish()),
  },
  pageTokenBytesMax: {
    field: 'page_token',
    at: (bytes) => parseDiscover(v1.DiscoverRequest.encode({ service: 's', pageToken: a(bytes) }).finish()),
  },
  progressIntervalMsMin: {
    field: 'create.progress_interval_ms',
    least: true,
    at: (progressIntervalMs) => watchWith({ progressIntervalMs }),
  },
  memberIdBytesMax: {
    field: 'member_id',
    at: (bytes) => parseRemoveMember(v1.RemoveMemberRequest.encode({ memberId: a(bytes) }).finish()),
  },
  memberAddressBytesMax: {
    field: 'peer_address',
    // The longest name of a host, and as many digits of a port as it takes.
    at: (bytes) => {
      const peerAddress = `${[a(63), a(63), a(63), a(61)].join('.')}:${'7401'.slice(0, bytes - 254)}`;
      return parseAddMember(v1.AddMemberRequest.encode({ peerAddress }).finish());
    },
  },
  batchItemsMax: { field: 'items', at: (count) => batch({ persistent: true, items: items(count) }) },
  sessionOperationsMax: { field: 'write.operations', at: (count) => write({ operations: operations(count) }) },

  filterTagsMax: filter('tags', (count) => ({ tags: texts(count) })),
  filterMetadataMax: filter('metadata', (count) => ({ metadata: texts(count).map((key) => ({ key, operator: 3 })) })),
  filterValuesMax: filter('metadata[0].values', (count) => ({
    metadata: [{ key: 'k', operator: 2, values: texts(count) }],
  })),
  filterZonesMax: filter('zones', (count) => ({ zones: texts(count) })),
  filterRegionsMax: filter('regions', (count) => ({ regions: texts(count) })),
  filterStatusesMax: filter('statuses', (count) => ({ statuses: Array.from({ length: count }, () => 2) })),
  versionRangeBytesMax: filter('version_range', (bytes) => ({ versionRange: '1'.padEnd(bytes, ' ') })),
  filterBytesMax: {
    field: 'filter',
    at: (bytes) => {
      // Two values of 8,000 bytes, and one that fills up the rest.
      const values = [a(8_000), a(8_000), a(bytes - 16_017)];
      return discoverWith({ metadata: [{ key: 'k', operator: 2, values }] });
    },
  },
  discoverScanViewsMax: { test: 'test/api/discover-page.test.ts' },

  callsInFlightMax: { test: 'test/api/registry-api.test.ts' },
  overloadedRetryAfterMs: { test: 'test/api/registry-api.test.ts' },
  sessionStreamsMax: { test: 'test/api/session-bounds.test.ts' },
  sessionWritesQueuedMax: { test: 'test/api/session-hub.test.ts' },
  sessionPingsQueuedMax: { test: 'test/api/session-hub.test.ts' },
  sessionWritesInFlightMax: { test: 'test/api/session-bounds.test.ts' },
  sessionBytesQueuedMax: { test: 'test/api/session-bounds.test.ts' },
  sessionRenewalsMax: { test: 'test/api/session-bounds.test.ts' },
};

describe('every bound of the api has a test at its edge', () => {
  it.each(Object.entries(edges))('%s', (name, edge) => {
    if ('test' in edge) {
      expect([edge.test, readText(edge.test).includes(name)]).toEqual([edge.test, true]);
      return;
    }
    const bound = apiBounds[name as keyof typeof apiBounds];
    const beyond = edge.least === true ? bound - 1 : bound + 1;
    expect(fieldOf(() => edge.at(bound))).toBe('');
    expect(fieldOf(() => edge.at(beyond))).toBe(edge.field);
  });

  it('and every parser refuses a request that is too large', () => {
    const parsers = [parseRegister, parseUpdate, parseDeregister, parseGrantLease, parseRevokeLease, parseKeepAlive];
    for (const parse of [...parsers, parseBatchRegister, parseSession, parseDiscover, parseListServices, parseWatch]) {
      expect(fieldOf(() => parse(padded(new Uint8Array(0), apiBounds.requestBytesMax + 1)))).toBe('request');
    }
  });
});

describe('a request of 1 MiB', () => {
  const bytesMax = apiBounds.requestBytesMax;
  const tiny = (tag: number, count: number): Uint8Array => Buffer.alloc(count * 2, Buffer.from([tag, 0]));
  /** `outer` is the tag of a message that holds so many bytes of `inner`. */
  const nested = (outer: number, inner: Uint8Array): Uint8Array => {
    const length = inner.length;
    const head = [outer, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
    return Buffer.concat([Buffer.from(head), inner]);
  };
  const half = bytesMax / 2 - 16;
  const floods: Readonly<Record<string, readonly [field: string, parse: () => unknown]>> = {
    'empty items': ['items', () => parseBatchRegister(tiny(0x0a, bytesMax / 2))],
    'empty operations': ['write.operations', () => parseSession(nested(0x12, tiny(0x12, half)))],
    'empty tags of a filter': ['filter.tags', () => parseDiscover(nested(0x3a, tiny(0x0a, half)))],
    'empty conditions': ['filter.metadata', () => parseDiscover(nested(0x3a, tiny(0x12, half)))],
    'empty values': ['filter.metadata[0].values', () => parseDiscover(nested(0x3a, nested(0x12, tiny(0x1a, half))))],
    statuses: ['filter.statuses', () => parseDiscover(nested(0x3a, tiny(0x30, half)))],
    'packed statuses': ['filter.statuses', () => parseDiscover(nested(0x3a, nested(0x32, Buffer.alloc(half))))],
    'unknown fields of a filter': [
      'filter',
      () => parseDiscover(Buffer.concat([Buffer.from([0x12, 1, 0x61]), nested(0x3a, tiny(0x78, half))])),
    ],
  };
  it.each(Object.entries(floods))('of %s is refused by its field', (_name, [field, parse]) => {
    expect(fieldOf(parse)).toBe(field);
  });

  it('of everything that may be in a batch is taken', () => {
    const text = { k: a(700) };
    const full = items(1_000).map(({ instance }) => ({ instance: { ...instance, metadata: text } }));
    const bytes = batchBytes({ items: full });
    expect(bytes.length).toBeGreaterThan(bytesMax * 0.7);
    expect(parseBatchRegister(bytes).items.length).toBe(1_000);
  });
});
