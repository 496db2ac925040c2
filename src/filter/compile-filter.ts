import { assert } from '../base/assert.ts';
import type { CompiledFilter } from './filter-matcher.ts';
import { FilterMatcher } from './filter-matcher.ts';
import { Needles } from './needles.ts';
import type { InstanceFilter, InstanceStatus, MetadataCondition, ViewMatcher } from './types.ts';
import type { VersionRange } from './version-range.ts';
import { parseVersionRange } from './version-range.ts';

/** Matches every instance. */
export const matchAll: ViewMatcher = { key: '', matches: () => true };

/** By the numbers of rollcall.v1.InstanceStatus. */
const statusNumbers = { STARTING: 1, UP: 2, DRAINING: 3, DOWN: 4 } as const satisfies Record<InstanceStatus, number>;
const statusCount = Object.keys(statusNumbers).length;

/**
 * Makes a filter ready. The lists may be in any order and hold repeats; a filter that asks for nothing is `matchAll`.
 *
 * @param filter Within its bounds, with a version range that `parseVersionRange` takes: anything else is a broken
 *   invariant.
 */
export function compileFilter(filter: InstanceFilter): ViewMatcher {
  const tags = sorted(filter.tags);
  const metadata = withoutRepeats(filter.metadata);
  const zones = sorted(filter.zones);
  const regions = sorted(filter.regions);
  const named = sorted(filter.statuses);
  // All of them is as good as none: every instance has one.
  const statuses = named.length === statusCount ? [] : named;
  const range = rangeOf(filter.versionRange);
  const parts = [tags, metadata.map(writtenOf), zones, regions, statuses];
  if (range === undefined && parts.every((part) => part.length === 0)) return matchAll;
  return new FilterMatcher({
    key: JSON.stringify([...parts, range?.canonical ?? '']),
    tags: new Needles(tags),
    metadata: metadata.map((condition) => (condition.values === undefined ? undefined : new Needles(condition.values))),
    ...keysOf(metadata),
    range,
    zones: new Needles(zones),
    regions: new Needles(regions),
    statuses: statuses.map((status) => statusNumbers[status]),
  });
}

function rangeOf(text: string): VersionRange | undefined {
  if (text === '') return undefined;
  const outcome = parseVersionRange(text);
  assert(outcome.kind === 'range', 'a filter with a version range that is none');
  return outcome.range;
}

interface Condition {
  readonly key: string;
  /** Undefined: whatever the value. */
  readonly values: readonly string[] | undefined;
}

/** In an order that depends on what they mean alone. */
function withoutRepeats(conditions: readonly MetadataCondition[]): readonly Condition[] {
  const byText = new Map<string, Condition>();
  for (const condition of conditions) {
    // To equal one value is to be in a list of one.
    const values = condition.operator === 'exists' ? undefined : sorted(condition.values);
    const plain = { key: condition.key, values };
    byText.set(JSON.stringify(writtenOf(plain)), plain);
  }
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, condition]) => condition);
}

function writtenOf({ key, values }: Condition): readonly (string | readonly string[])[] {
  return values === undefined ? [key] : [key, values];
}

/** The keys, and by the place of each the conditions on it. */
function keysOf(metadata: readonly Condition[]): Pick<CompiledFilter, 'keys' | 'conditionsOfKey'> {
  const keys = new Needles(sorted(metadata.map(({ key }) => key)));
  const conditionsOfKey: number[][] = Array.from({ length: keys.size }, () => []);
  for (const [i, { key }] of metadata.entries()) conditionsOfKey[keys.placeOfText(key)]?.push(i);
  return { keys, conditionsOfKey };
}

function sorted<Text extends string>(texts: readonly Text[]): readonly Text[] {
  return [...new Set(texts)].sort();
}
