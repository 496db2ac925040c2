import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/base/assert.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { compileFilter, matchAll } from '../../src/filter/compile-filter.ts';
import type { InstanceFilter, InstanceStatus, MetadataCondition } from '../../src/filter/types.ts';
import { parseVersion } from '../../src/filter/version.ts';
import { isInRange, parseVersionRange } from '../../src/filter/version-range.ts';
import { rollcall } from '../../src/gen/rollcall.js';

const { v1 } = rollcall;
const statusNames: readonly InstanceStatus[] = ['STARTING', 'UP', 'DRAINING', 'DOWN'];
const any: InstanceFilter = { tags: [], metadata: [], versionRange: '', zones: [], regions: [], statuses: [] };

interface Spec {
  readonly version?: string;
  readonly tags?: string[];
  readonly metadata?: Record<string, string>;
  readonly locality?: { readonly region?: string; readonly zone?: string };
  readonly status?: number;
}

function viewOf(spec: Spec): Uint8Array {
  const encoded = v1.InstanceSpec.encode({
    namespace: 'default',
    service: 'cart',
    id: 'cart-1',
    endpoints: [{ name: 'main', protocol: 'grpc', address: '10.0.0.1', port: 7400 }],
    weight: 100,
    ...spec,
  }).finish();
  return new WireWriter()
    .bytesPresent(1, encoded)
    .beginMessage(2)
    .uint(1, 7)
    .uint(2, 7)
    .uint(3, 9)
    .endMessage()
    .finish();
}

function matches(filter: Partial<InstanceFilter>, spec: Spec): boolean {
  return compileFilter({ ...any, ...filter }).matches(viewOf(spec));
}

/** The same, said on the decoded instance. */
function simplyMatches(filter: InstanceFilter, spec: Spec): boolean {
  const metadata = spec.metadata ?? {};
  const version = parseVersion(spec.version ?? '');
  const range = filter.versionRange === '' ? undefined : parseVersionRange(filter.versionRange);
  return (
    filter.tags.every((tag) => spec.tags?.includes(tag) === true) &&
    filter.metadata.every((condition) => {
      const value = metadata[condition.key];
      if (value === undefined) return false;
      return condition.operator === 'exists' || condition.values.includes(value);
    }) &&
    (range === undefined || (range.kind === 'range' && version !== undefined && isInRange(version, range.range))) &&
    (filter.zones.length === 0 || filter.zones.includes(spec.locality?.zone ?? '')) &&
    (filter.regions.length === 0 || filter.regions.includes(spec.locality?.region ?? '')) &&
    (filter.statuses.length === 0 || filter.statuses.includes(statusNames[(spec.status || 2) - 1] ?? 'UP'))
  );
}

const word = fc.constantFrom('a', 'b', 'c', 'aa', 'ab', 'ä', 'x'.repeat(127), 'x'.repeat(128), 'y'.repeat(127));
const key = fc.constantFrom('k', 'l', 'kk', 'ü');
const value = fc.constantFrom('', 'a', 'b', 'z'.repeat(200));
const spec: fc.Arbitrary<Spec> = fc.record(
  {
    version: fc.constantFrom('', '1.0.0', '1.2.3', '2.0.0-rc.1', '2.0.0', 'v1', 'latest'),
    tags: fc.uniqueArray(word, { maxLength: 4 }),
    metadata: fc.dictionary(key, value, { noNullPrototype: true }),
    locality: fc.record({ region: word, zone: word }, { requiredKeys: [] }),
    status: fc.integer({ min: 0, max: 4 }),
  },
  { requiredKeys: [] },
);
const condition: fc.Arbitrary<MetadataCondition> = fc.oneof(
  fc.record({ key, operator: fc.constant('equals'), values: fc.tuple(value) }),
  fc.record({ key, operator: fc.constant('in'), values: fc.array(value, { minLength: 1, maxLength: 3 }) }),
  fc.record({ key, operator: fc.constant('exists') }),
);
/** Mostly nothing, or hardly an instance would match. */
function rarely<T>(nothing: T, something: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 3, arbitrary: fc.constant(nothing) }, { weight: 1, arbitrary: something });
}
const filter: fc.Arbitrary<InstanceFilter> = fc.record({
  tags: rarely<string[]>([], fc.array(word, { minLength: 1, maxLength: 2 })),
  metadata: rarely<MetadataCondition[]>([], fc.array(condition, { minLength: 1, maxLength: 2 })),
  versionRange: rarely('', fc.constantFrom('*', '^1.0.0', '>=2.0.0-0', '1.2.3 || 2.x')),
  zones: rarely<string[]>([], fc.array(word, { minLength: 1, maxLength: 5 })),
  regions: rarely<string[]>([], fc.array(word, { minLength: 1, maxLength: 5 })),
  statuses: rarely<InstanceStatus[]>([], fc.array(fc.constantFrom(...statusNames), { minLength: 1, maxLength: 4 })),
});

describe('a filter', () => {
  it('judges as a simple second version does on the decoded instance', () => {
    let matched = 0;
    fc.assert(
      fc.property(filter, spec, (one, instance) => {
        const expected = simplyMatches(one, instance);
        if (expected) matched++;
        expect(compileFilter(one).matches(viewOf(instance))).toBe(expected);
      }),
      { numRuns: 8_000, seed: 20_261_121 },
    );
    // Neither answer is rare: the property is about both.
    expect(matched).toBeGreaterThan(1_000);
    expect(matched).toBeLessThan(7_000);
  });

  it('matches every instance where it asks for nothing', () => {
    const filters = [any, { ...any, statuses: statusNames }, { ...any, statuses: [...statusNames, 'UP' as const] }];
    for (const one of filters) expect(compileFilter(one)).toBe(matchAll);
    expect(matchAll.key).toBe('');
    expect(matchAll.matches(viewOf({}))).toBe(true);
  });

  it('takes an instance that says nothing of itself as UP', () => {
    expect([0, 1, 2, 3, 4].map((status) => matches({ statuses: ['UP'] }, { status }))).toEqual([
      true,
      false,
      true,
      false,
      false,
    ]);
    expect(matches({ statuses: ['UP'] }, {})).toBe(true);
    expect(matches({ statuses: ['DOWN', 'STARTING'] }, {})).toBe(false);
    expect(matches({ statuses: ['DOWN', 'STARTING'] }, { status: 4 })).toBe(true);
  });

  it('asks for each tag, and for the whole of it', () => {
    expect(matches({ tags: ['a', 'b'] }, { tags: ['b', 'x', 'a'] })).toBe(true);
    expect(matches({ tags: ['a', 'b'] }, { tags: ['a', 'x'] })).toBe(false);
    expect(matches({ tags: ['ab'] }, { tags: ['a', 'abc', 'b'] })).toBe(false);
    const sixteen = Array.from({ length: 16 }, (_, i) => `tag-${i}`);
    const all = Array.from({ length: 64 }, (_, i) => `tag-${i}`);
    expect(matches({ tags: sixteen }, { tags: all })).toBe(true);
    expect(matches({ tags: sixteen }, { tags: all.filter((tag) => tag !== 'tag-15') })).toBe(false);
  });

  it('asks for each condition on the metadata, also for several of one key', () => {
    const metadata = { team: 'core', canary: '', tier: '1' };
    const equals = (name: string, text: string): MetadataCondition => ({
      key: name,
      operator: 'equals',
      values: [text],
    });
    expect(matches({ metadata: [equals('team', 'core'), equals('tier', '1')] }, { metadata })).toBe(true);
    expect(matches({ metadata: [equals('team', 'core'), equals('team', 'edge')] }, { metadata })).toBe(false);
    expect(matches({ metadata: [{ key: 'canary', operator: 'exists' }] }, { metadata })).toBe(true);
    expect(matches({ metadata: [equals('canary', '')] }, { metadata })).toBe(true);
    expect(matches({ metadata: [equals('canary', '1')] }, { metadata })).toBe(false);
    expect(matches({ metadata: [equals('absent', '')] }, { metadata })).toBe(false);
    expect(matches({ metadata: [{ key: 'tier', operator: 'in', values: ['2', '1'] }] }, { metadata })).toBe(true);
    expect(matches({ metadata: [{ key: 'core', operator: 'exists' }] }, { metadata })).toBe(false);
  });

  it('reads a pair of metadata whatever the order of its parts, and what a later version may add', () => {
    const pair = new WireWriter().string(2, 'core').uint(3, 9).string(1, 'team').finish();
    const encoded = new WireWriter().bytesPresent(8, pair).uint(99, 5).bytesPresent(100, new Uint8Array(300)).finish();
    const view = new WireWriter().bytesPresent(1, encoded).finish();
    const one = compileFilter({ ...any, metadata: [{ key: 'team', operator: 'equals', values: ['core'] }] });
    expect(one.matches(view)).toBe(true);
  });

  it('asks for zone and region', () => {
    const locality = { region: 'eu', zone: 'eu-1' };
    expect(matches({ zones: ['eu-2', 'eu-1'] }, { locality })).toBe(true);
    expect(matches({ zones: ['eu'] }, { locality })).toBe(false);
    expect(matches({ regions: ['eu'], zones: ['eu-1'] }, { locality })).toBe(true);
    expect(matches({ regions: ['us'], zones: ['eu-1'] }, { locality })).toBe(false);
    expect(matches({ zones: ['eu-1'] }, {})).toBe(false);
    expect(matches({ zones: ['eu-1'] }, { locality: { region: 'eu' } })).toBe(false);
  });

  it('judges the same version alike however many others come between', () => {
    const one = compileFilter({ ...any, versionRange: '1.x' });
    for (let i = 0; i < 200; i++) {
      expect(one.matches(viewOf({ version: `1.0.${i}` }))).toBe(true);
      expect(one.matches(viewOf({ version: `2.0.${i}` }))).toBe(false);
      expect(one.matches(viewOf({ version: '1.5.0' }))).toBe(true);
      expect(one.matches(viewOf({ version: 'unknown' }))).toBe(false);
    }
  });

  it('is never made of a range that is none', () => {
    expect(() => compileFilter({ ...any, versionRange: 'latest' })).toThrow(InvariantError);
  });
});

describe('the key of a filter', () => {
  it('is the same for filters that mean the same', () => {
    const shuffled = filter.chain((one) =>
      fc
        .tuple(
          fc.shuffledSubarray([...one.tags, ...one.tags], { minLength: 2 * one.tags.length }),
          fc.shuffledSubarray([...one.metadata], { minLength: one.metadata.length }),
          fc.shuffledSubarray([...one.zones], { minLength: one.zones.length }),
          fc.shuffledSubarray([...one.regions, ...one.regions], { minLength: 2 * one.regions.length }),
          fc.shuffledSubarray([...one.statuses], { minLength: one.statuses.length }),
        )
        .map(([tags, metadata, zones, regions, statuses]) => [
          one,
          { ...one, tags, metadata, zones, regions, statuses },
        ]),
    );
    fc.assert(
      fc.property(shuffled, ([a, b]) => {
        expect(compileFilter(a ?? any).key).toBe(compileFilter(b ?? any).key);
      }),
      { numRuns: 2_000, seed: 20_261_121 },
    );
    const equals = compileFilter({ ...any, metadata: [{ key: 'k', operator: 'equals', values: ['v'] }] });
    const inOne = compileFilter({ ...any, metadata: [{ key: 'k', operator: 'in', values: ['v', 'v'] }] });
    expect(equals.key).toBe(inOne.key);
    expect(compileFilter({ ...any, versionRange: '^1.2' }).key).toBe(
      compileFilter({ ...any, versionRange: '>=1.2.0 <2.0.0-0' }).key,
    );
  });

  it('differs wherever the answer may', () => {
    fc.assert(
      fc.property(filter, filter, fc.array(spec, { minLength: 5, maxLength: 5 }), (a, b, specs) => {
        const [one, other] = [compileFilter(a), compileFilter(b)];
        if (one.key !== other.key) return;
        for (const each of specs) expect(one.matches(viewOf(each))).toBe(other.matches(viewOf(each)));
      }),
      { numRuns: 2_000, seed: 20_261_121 },
    );
    const texts: readonly Partial<InstanceFilter>[] = [
      { tags: ['a'] },
      { zones: ['a'] },
      { regions: ['a'] },
      { tags: ['a', 'b'] },
      { tags: ['a,b'] },
      { tags: ['a","b'] },
      { metadata: [{ key: 'a', operator: 'exists' }] },
      { metadata: [{ key: 'a', operator: 'equals', values: [''] }] },
      { metadata: [{ key: 'a', operator: 'in', values: ['', 'b'] }] },
      { statuses: ['UP'] },
      { versionRange: '*' },
      {},
    ];
    expect(new Set(texts.map((one) => compileFilter({ ...any, ...one }).key)).size).toBe(texts.length);
  });
});
