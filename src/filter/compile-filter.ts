import { assert } from '../base/assert.ts';
import type { CompiledCondition } from './filter-matcher.ts';
import { FilterMatcher } from './filter-matcher.ts';
import { needleOf } from './needles.ts';
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
  const conditions = conditionsOf(filter.metadata);
  const zones = sorted(filter.zones);
  const regions = sorted(filter.regions);
  const named = sorted(filter.statuses);
  // All of them is as good as none: every instance has one.
  const statuses = named.length === statusCount ? [] : named;
  const range = rangeOf(filter.versionRange);
  const parts = [tags, conditions.map(({ written }) => written), zones, regions, statuses];
  if (range === undefined && parts.every((part) => part.length === 0)) return matchAll;
  return new FilterMatcher({
    key: JSON.stringify([...parts, range?.canonical ?? '']),
    tags: tags.map(needleOf),
    metadata: conditions.map(({ compiled }) => compiled),
    range,
    zones: zones.map(needleOf),
    regions: regions.map(needleOf),
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
  /** Equal for conditions that mean the same. */
  readonly written: readonly (string | readonly string[])[];
  readonly compiled: CompiledCondition;
}

/** In an order that depends on what they mean alone, without repeats. */
function conditionsOf(conditions: readonly MetadataCondition[]): readonly Condition[] {
  const byText = new Map<string, Condition>();
  for (const condition of conditions) {
    const { key } = condition;
    // To equal one value is to be in a list of one.
    const values = condition.operator === 'exists' ? undefined : sorted(condition.values);
    const written = values === undefined ? [key] : [key, values];
    const compiled = { key: needleOf(key), values: values?.map(needleOf) };
    byText.set(JSON.stringify(written), { written, compiled });
  }
  return [...byText.keys()].sort().map((text) => byText.get(text) as Condition);
}

function sorted<Text extends string>(texts: readonly Text[]): readonly Text[] {
  return [...new Set(texts)].sort();
}
