import { describe, expect, it } from 'vitest';
import { RollcallError } from '../../src/base/errors.ts';
import { matchAll } from '../../src/filter/compile-filter.ts';
import { parseDiscover } from '../../src/api/parse-reads.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import { discoverWith, texts, watchWith } from './parse-requests.ts';
import { fieldOf, refusalOf } from './requests.ts';

const { v1 } = rollcall;
type Filter = rollcall.v1.InstanceFilter.$Properties;

const a = (count: number): string => 'a'.repeat(count);
const status = (value: number): rollcall.v1.InstanceStatus => value as rollcall.v1.InstanceStatus;
const operator = (value: number): rollcall.v1.MetadataOperator => value as rollcall.v1.MetadataOperator;
const condition = (changes: rollcall.v1.MetadataCondition.$Properties): Filter => {
  return {
    metadata: [
      { key: 'k', operator: 3 },
      { key: 'k', operator: 2, values: ['v'], ...changes },
    ],
  };
};

const edges: readonly (readonly [field: string, ok: Filter, refused: Filter])[] = [
  ['tags', { tags: texts(16) }, { tags: texts(17) }],
  ['tags[1]', { tags: ['x', a(128)] }, { tags: ['x', a(129)] }],
  ['tags[0]', { tags: ['x'] }, { tags: [''] }],
  [
    'metadata',
    { metadata: texts(16).map((key) => ({ key, operator: 3 })) },
    { metadata: texts(17).map((key) => ({ key, operator: 3 })) },
  ],
  ['metadata[1].key', condition({ key: a(128) }), condition({ key: a(129) })],
  ['metadata[1].key', condition({ key: 'x' }), condition({ key: '' })],
  ['metadata[1].operator', condition({}), condition({ operator: 0 })],
  ['metadata[1].operator', condition({}), condition({ operator: operator(4) })],
  ['metadata[1].values', condition({ values: texts(16) }), condition({ values: texts(17) })],
  ['metadata[1].values', condition({ values: [''] }), condition({ values: [] })],
  ['metadata[1].values', condition({ operator: 1 }), condition({ operator: 1, values: ['v', 'w'] })],
  ['metadata[1].values', condition({ operator: 1 }), condition({ operator: 1, values: [] })],
  ['metadata[1].values', condition({ operator: 3, values: [] }), condition({ operator: 3, values: ['v'] })],
  ['metadata[1].values[1]', condition({ values: ['', a(8_192)] }), condition({ values: ['', a(8_193)] })],
  ['version_range', { versionRange: `>=1.0.0${' '.repeat(249)}` }, { versionRange: `>=1.0.0${' '.repeat(250)}` }],
  ['version_range', { versionRange: '^1.2 || 2.x' }, { versionRange: 'latest' }],
  ['version_range', { versionRange: '' }, { versionRange: ' ' }],
  ['zones', { zones: texts(16) }, { zones: texts(17) }],
  ['zones[0]', { zones: [a(64)] }, { zones: [a(65)] }],
  ['zones[1]', { zones: ['x', 'y'] }, { zones: ['x', ''] }],
  ['regions', { regions: texts(16) }, { regions: texts(17) }],
  ['regions[0]', { regions: [a(64)] }, { regions: [a(65)] }],
  ['regions[0]', { regions: ['x'] }, { regions: [''] }],
  ['statuses', { statuses: [1, 2, 3, 4] }, { statuses: [1, 2, 3, 4, 1] }],
  ['statuses[1]', { statuses: [1, 4] }, { statuses: [1, 0] }],
  ['statuses[1]', { statuses: [1, 4] }, { statuses: [1, status(5)] }],
];

describe('a filter', () => {
  it.each(edges)('is refused by %s', (field, ok, refused) => {
    expect(fieldOf(() => discoverWith(ok))).toBe('');
    expect(fieldOf(() => watchWith({ filter: ok }))).toBe('');
    expect(fieldOf(() => discoverWith(refused))).toBe(`filter.${field}`);
    expect(fieldOf(() => watchWith({ filter: refused }))).toBe(`create.filter.${field}`);
  });

  it('has at most 16 KiB in all', () => {
    const sized = (bytes: number): Filter => condition({ values: [a(8_000), a(bytes)] });
    const room = 16 * 1024 - v1.InstanceFilter.encode(sized(8_000)).finish().length;
    expect(fieldOf(() => discoverWith(sized(8_000 + room)))).toBe('filter.metadata[1].values[1]');
    const three = (bytes: number): Filter => condition({ values: [a(8_000), a(8_000), a(bytes)] });
    const left = 16 * 1024 - v1.InstanceFilter.encode(three(200)).finish().length;
    expect(fieldOf(() => discoverWith(three(200 + left)))).toBe('');
    expect(fieldOf(() => discoverWith(three(201 + left)))).toBe('filter');
  });

  it('is not taken with conditions that this version does not know', () => {
    // A later version's condition passed over would let through what its sender does not want.
    const filter = Buffer.from([0x0a, 1, 0x78, 0x58, 1]);
    const request = Buffer.concat([Buffer.from([0x12, 1, 0x61, 0x3a, filter.length]), filter]);
    expect(refusalOf(() => parseDiscover(request))).toBe('filter: has conditions that this version does not know');
  });

  it('says what is wrong with a range of versions', () => {
    expect(refusalOf(() => discoverWith({ versionRange: '1.2.3.4' }))).toBe(
      'filter.version_range: has "1.2.3.4", a version has three numbers',
    );
  });

  it('matches all where it is absent or asks for nothing', () => {
    expect(discoverWith({})).toBe(matchAll);
    expect(parseDiscover(v1.DiscoverRequest.encode({ service: 'cart' }).finish()).matcher).toBe(matchAll);
    const created = watchWith({});
    expect(created.kind === 'create' && created.request.matcher).toBe(matchAll);
  });

  it('takes statuses packed or one by one', () => {
    const packed = Buffer.from([0x12, 1, 0x61, 0x3a, 4, 0x32, 2, 2, 4]);
    const single = Buffer.from([0x12, 1, 0x61, 0x3a, 4, 0x30, 4, 0x30, 2]);
    expect(parseDiscover(packed).matcher.key).toBe(parseDiscover(single).matcher.key);
    expect(parseDiscover(packed).matcher.key).toBe(discoverWith({ statuses: [2, 4] }).key);
    expect(() => parseDiscover(Buffer.from([0x12, 1, 0x61, 0x3a, 4, 0x32, 2, 2, 0x80]))).toThrow(RollcallError);
  });
});

describe('a watch', () => {
  it('is of one service, of those with a prefix, or of all', () => {
    const created = watchWith({ servicePrefix: 'ca', filter: { tags: ['x'] } });
    expect(created).toMatchObject({ kind: 'create', request: { service: '', servicePrefix: 'ca' } });
    expect(watchWith({})).toMatchObject({ kind: 'create', request: { service: '', servicePrefix: '' } });
    expect(fieldOf(() => watchWith({ service: 'cart', servicePrefix: 'ca' }))).toBe('create.service_prefix');
    expect(fieldOf(() => watchWith({ servicePrefix: a(128) }))).toBe('');
    expect(fieldOf(() => watchWith({ servicePrefix: a(129) }))).toBe('create.service_prefix');
    expect(fieldOf(() => watchWith({ servicePrefix: 'Ca' }))).toBe('create.service_prefix');
  });
});
