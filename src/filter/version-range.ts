import { assert, unreachable } from '../base/assert.ts';
import type { PartialVersion } from './partial-version.ts';
import { parsePartial } from './partial-version.ts';
import type { Version } from './version.ts';
import { compareVersions } from './version.ts';

type Comparison = '=' | '>' | '>=' | '<' | '<=';
type Operator = Comparison | '^' | '~';

interface Comparator {
  readonly comparison: Comparison;
  readonly version: Version;
}

/** Which versions are meant: those that all comparators of one alternative take; one without any takes releases. */
export interface VersionRange {
  readonly alternatives: readonly (readonly Comparator[])[];
  /** The same text for ranges that come to the same comparators, whatever they were written like. */
  readonly canonical: string;
}

export type RangeOutcome =
  | { readonly kind: 'range'; readonly range: VersionRange }
  /** What is wrong, to follow the name of the field. */
  | { readonly kind: 'problem'; readonly problem: string };

/** One part of an alternative: an operator, or none, and a version that may end early or have an x. */
const term = /^(>=|<=|>|<|=|\^|~)? *([^ ]+)(?: +|$)/;
const hyphen = / +- +/;

/**
 * A range of versions as npm writes them: `>=1.4.0 <2.0.0`, `1.2 - 1.4`, `^1.2`, `~1.2.3`, `1.x`, `*`, alternatives
 * between `||`. A prerelease is meant only where a comparator of its alternative names a prerelease of the same three
 * numbers.
 */
export function parseVersionRange(text: string): RangeOutcome {
  const alternatives: Comparator[][] = [];
  for (const [i, alternative] of text.split('||').entries()) {
    const comparators = parseAlternative(trimmed(alternative));
    if (typeof comparators === 'string') {
      const where = text.includes('||') ? `, in alternative ${i + 1}` : '';
      return { kind: 'problem', problem: `${comparators}${where}` };
    }
    alternatives.push(comparators);
  }
  return { kind: 'range', range: { alternatives, canonical: canonicalOf(alternatives) } };
}

/** Whether `version` is in `range`. */
export function isInRange(version: Version, range: VersionRange): boolean {
  return range.alternatives.some((comparators) => {
    if (!comparators.every((comparator) => holds(comparator, version))) return false;
    return version.prerelease.length === 0 || comparators.some((comparator) => namesPrerelease(comparator, version));
  });
}

function holds(comparator: Comparator, version: Version): boolean {
  const order = compareVersions(version, comparator.version);
  switch (comparator.comparison) {
    case '=':
      return order === 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    default:
      return unreachable(comparator.comparison);
  }
}

function namesPrerelease({ version: named }: Comparator, version: Version): boolean {
  return (
    named.prerelease.length > 0 &&
    named.major === version.major &&
    named.minor === version.minor &&
    named.patch === version.patch
  );
}

/** The comparators, or what is wrong. */
function parseAlternative(text: string): Comparator[] | string {
  if (text === '') return 'has nothing where a version is expected; write * for any';
  if (hyphen.test(text)) return parseHyphen(text);
  const comparators: Comparator[] = [];
  for (let rest = text; rest !== ''; ) {
    const found = term.exec(rest);
    assert(found !== null, 'a term begins where there is no space');
    const partial = parsePartial(found[2] ?? '');
    if (typeof partial === 'string') return partial;
    comparators.push(...comparatorsOf((found[1] ?? '=') as Operator, partial));
    rest = rest.slice(found[0].length);
  }
  return comparators;
}

function parseHyphen(text: string): Comparator[] | string {
  const ends = text.split(hyphen);
  if (ends.length !== 2) return `has ${JSON.stringify(text)}, between two versions stands one hyphen`;
  const [from, to] = [parsePartial(ends[0] ?? ''), parsePartial(ends[1] ?? '')];
  if (typeof from === 'string') return from;
  if (typeof to === 'string') return to;
  return [...comparatorsOf('>=', from), ...comparatorsOf('<=', to)];
}

/** What an operator before a version comes to. Numbers that are left open are 0 below, and the next one above. */
function comparatorsOf(operator: Operator, partial: PartialVersion): Comparator[] {
  const { major, minor, patch, prerelease } = partial;
  if (major === undefined) return operator === '<' || operator === '>' ? [nothing] : [];
  const lowest = { major, minor: minor ?? 0, patch: patch ?? 0, prerelease };
  const whole = minor !== undefined && patch !== undefined;
  switch (operator) {
    case '^':
      return [{ comparison: '>=', version: lowest }, below(nextOfCaret(partial, major))];
    case '~':
      return [{ comparison: '>=', version: lowest }, below(nextOpen({ ...partial, patch: undefined }, major))];
    case '>':
      if (whole) return [{ comparison: '>', version: lowest }];
      return [{ comparison: '>=', version: { ...nextOpen(partial, major), prerelease: [] } }];
    case '>=':
      return [{ comparison: '>=', version: lowest }];
    case '<':
      return whole ? [{ comparison: '<', version: lowest }] : [below(lowest)];
    case '<=':
      return whole ? [{ comparison: '<=', version: lowest }] : [below(nextOpen(partial, major))];
    case '=':
      if (whole) return [{ comparison: '=', version: lowest }];
      return [{ comparison: '>=', version: lowest }, below(nextOpen(partial, major))];
    default:
      return unreachable(operator);
  }
}

interface Numbers {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** The first version behind all that the open numbers may stand for. */
function nextOpen(partial: PartialVersion, major: number): Numbers {
  const { minor } = partial;
  return minor === undefined ? { major: major + 1, minor: 0, patch: 0 } : { major, minor: minor + 1, patch: 0 };
}

/** The first version where the leftmost number that is not 0 is another: what `^` holds to be incompatible. */
function nextOfCaret({ minor, patch }: PartialVersion, major: number): Numbers {
  if (major > 0 || minor === undefined) return { major: major + 1, minor: 0, patch: 0 };
  if (minor > 0 || patch === undefined) return { major, minor: minor + 1, patch: 0 };
  return { major, minor, patch: patch + 1 };
}

/** Below the version and all its prereleases, of which `0` is the oldest. */
function below({ major, minor, patch }: Numbers): Comparator {
  return { comparison: '<', version: { major, minor, patch, prerelease: ['0'] } };
}

const nothing: Comparator = below({ major: 0, minor: 0, patch: 0 });

function trimmed(text: string): string {
  return text.replace(/^ +| +$/g, '');
}

function canonicalOf(alternatives: readonly (readonly Comparator[])[]): string {
  const written = alternatives.map((comparators) =>
    comparators.length === 0 ? '*' : [...new Set(comparators.map(comparatorText))].sort().join(' '),
  );
  return [...new Set(written)].sort().join(' || ');
}

function comparatorText({ comparison, version }: Comparator): string {
  const { major, minor, patch, prerelease } = version;
  const suffix = prerelease.length === 0 ? '' : `-${prerelease.join('.')}`;
  return `${comparison}${major}.${minor}.${patch}${suffix}`;
}
