// Ranges of versions, said in the simplest way: numbers that are written are compared, those left open are not. No
// range is taken apart into bounds.

export interface SimpleVersion {
  /** Three; in a range also fewer: the others are open. */
  readonly numbers: readonly number[];
  readonly prerelease: readonly string[];
}

export interface SimpleTerm {
  readonly operator: '' | '=' | '>' | '>=' | '<' | '<=' | '^' | '~';
  readonly version: SimpleVersion;
}

export type SimpleAlternative =
  | { readonly kind: 'terms'; readonly terms: readonly SimpleTerm[] }
  | { readonly kind: 'hyphen'; readonly from: SimpleVersion; readonly to: SimpleVersion };

export function isInSimpleRange(version: SimpleVersion, alternatives: readonly SimpleAlternative[]): boolean {
  return alternatives.some((alternative) => {
    const terms = termsOf(alternative);
    if (!terms.every((term) => holds(version, term))) return false;
    return (
      version.prerelease.length === 0 ||
      terms.some((term) => term.version.prerelease.length > 0 && same(term.version.numbers, version.numbers))
    );
  });
}

function termsOf(alternative: SimpleAlternative): readonly SimpleTerm[] {
  if (alternative.kind === 'terms') return alternative.terms;
  return [
    { operator: '>=', version: alternative.from },
    { operator: '<=', version: alternative.to },
  ];
}

function holds(version: SimpleVersion, { operator, version: named }: SimpleTerm): boolean {
  const open = named.numbers.length < 3;
  const order = open
    ? orderOfNumbers(version.numbers.slice(0, named.numbers.length), named.numbers)
    : ordered(version, named);
  switch (operator) {
    case '':
    case '=':
      return order === 0 && !(open && isBeforeFirst(version, named.numbers));
    case '>':
      return order > 0 && !(open && isBeforeFirst(version, next(named.numbers)));
    case '>=':
      return order >= 0 && !(open && isBeforeFirst(version, named.numbers));
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '~':
      return isFrom(version, named) && startsAlike(version, named, Math.min(2, named.numbers.length));
    case '^':
      return isFrom(version, named) && startsAlike(version, named, significant(named.numbers));
  }
}

function isFrom(version: SimpleVersion, named: SimpleVersion): boolean {
  return holds(version, { operator: '>=', version: named });
}

/** How many numbers `^` holds fast: up to the first that is not 0, or all that are written. */
function significant(numbers: readonly number[]): number {
  const first = numbers.findIndex((number) => number > 0);
  return first === -1 ? numbers.length : first + 1;
}

function startsAlike(version: SimpleVersion, named: SimpleVersion, count: number): boolean {
  return same(version.numbers.slice(0, count), named.numbers.slice(0, count));
}

/** A prerelease of the very first version that the open numbers mean comes before it. */
function isBeforeFirst(version: SimpleVersion, numbers: readonly number[]): boolean {
  if (numbers.length === 0) return false;
  return version.prerelease.length > 0 && same(version.numbers, [...numbers, 0, 0].slice(0, 3));
}

function next(numbers: readonly number[]): readonly number[] {
  return numbers.map((number, i) => (i === numbers.length - 1 ? number + 1 : number));
}

function ordered(a: SimpleVersion, b: SimpleVersion): number {
  const order = orderOfNumbers(a.numbers, b.numbers);
  if (order !== 0) return order;
  // What comes first in this order: numbers, other texts; a list that ends first; at last the release.
  const key = ({ prerelease }: SimpleVersion): string =>
    prerelease.length === 0
      ? '~'
      : prerelease.map((text) => (/^\d+$/.test(text) ? `#${text.padStart(9, '0')}` : `$${text}`)).join('!');
  return key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
}

function orderOfNumbers(a: readonly number[], b: readonly number[]): number {
  for (const [i, number] of a.entries()) {
    const difference = number - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((number, i) => number === b[i]);
}

export function versionText({ numbers, prerelease }: SimpleVersion): string {
  return numbers.join('.') + (prerelease.length === 0 ? '' : `-${prerelease.join('.')}`);
}

/** @param style Any number: chooses among the ways to write the same. */
export function rangeText(alternatives: readonly SimpleAlternative[], style: number): string {
  const space = ' '.repeat(style % 3);
  return alternatives
    .map((alternative) =>
      alternative.kind === 'hyphen'
        ? `${writtenText(alternative.from, style)} - ${space}${writtenText(alternative.to, style + 1)}`
        : alternative.terms
            .map(({ operator, version }) => `${operator}${operator === '' ? '' : space}${writtenText(version, style)}`)
            .join(` ${space}`),
    )
    .join(`${space}||${space}`);
}

function writtenText(version: SimpleVersion, style: number): string {
  if (version.numbers.length === 3) return `${versionText(version)}${['', '+b', ''][style % 3]}`;
  const open = ['x', '*', 'X'][style % 3] ?? 'x';
  const count = version.numbers.length === 0 ? 1 : version.numbers.length + (style % 2);
  return [...version.numbers.map(String), open, open].slice(0, count).join('.');
}
