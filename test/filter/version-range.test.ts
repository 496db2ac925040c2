import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseVersion } from '../../src/filter/version.ts';
import type { VersionRange } from '../../src/filter/version-range.ts';
import { isInRange, parseVersionRange } from '../../src/filter/version-range.ts';
import type { SimpleAlternative, SimpleTerm, SimpleVersion } from './simple-range.ts';
import { isInSimpleRange, rangeText, versionText } from './simple-range.ts';

function rangeOf(text: string): VersionRange {
  const outcome = parseVersionRange(text);
  if (outcome.kind === 'problem') throw new Error(`${text}: ${outcome.problem}`);
  return outcome.range;
}

function isIn(version: string, text: string): boolean {
  const parsed = parseVersion(version);
  if (parsed === undefined) throw new Error(`no version: ${version}`);
  return isInRange(parsed, rangeOf(text));
}

/** What npm says of them. */
const cases: readonly (readonly [range: string, inside: readonly string[], outside: readonly string[]])[] = [
  ['1.2.3', ['1.2.3', '1.2.3+build'], ['1.2.4', '1.2.3-0', '1.2.2']],
  ['=1.2.3', ['1.2.3'], ['1.2.4']],
  ['= 1.2', ['1.2.0', '1.2.9'], ['1.3.0', '1.1.9']],
  ['>1.2.3', ['1.2.4', '2.0.0'], ['1.2.3', '1.2.4-0']],
  ['>=1.2.3', ['1.2.3'], ['1.2.2', '1.2.3-rc']],
  ['<1.2.3', ['1.2.2', '0.0.0'], ['1.2.3', '1.2.3-rc']],
  ['<=1.2.3', ['1.2.3'], ['1.2.4']],
  ['>1', ['2.0.0'], ['1.9.9', '2.0.0-0']],
  ['>1.2', ['1.3.0', '2.0.0'], ['1.2.9', '1.3.0-0']],
  ['>=1.2', ['1.2.0'], ['1.1.9']],
  ['<1', ['0.9.9'], ['1.0.0', '1.0.0-0']],
  ['<1.2', ['1.1.9'], ['1.2.0', '1.2.0-0']],
  ['<=1', ['1.9.9'], ['2.0.0', '2.0.0-0']],
  ['<=1.2', ['1.2.9'], ['1.3.0']],
  ['>=1.4.0 <2.0.0', ['1.4.0', '1.99.0'], ['1.3.9', '2.0.0', '2.0.0-rc.1']],
  ['>= 1.4.0   < 2.0.0', ['1.4.0'], ['2.0.0']],
  ['*', ['0.0.0', '9.9.9'], ['1.0.0-rc']],
  ['x', ['1.0.0'], ['1.0.0-rc']],
  ['1', ['1.0.0', '1.9.9'], ['2.0.0', '0.9.9']],
  ['1.x', ['1.0.0', '1.9.9'], ['2.0.0', '2.0.0-0']],
  ['1.*.*', ['1.0.0', '1.9.9'], ['2.0.0']],
  ['1.2.X', ['1.2.0', '1.2.9'], ['1.3.0']],
  ['~1.2.3', ['1.2.3', '1.2.9'], ['1.3.0', '1.2.2']],
  ['~1.2', ['1.2.0', '1.2.9'], ['1.3.0']],
  ['~1', ['1.0.0', '1.9.9'], ['2.0.0']],
  ['~0.2.3', ['0.2.3', '0.2.9'], ['0.3.0']],
  ['~1.2.3-beta.2', ['1.2.3-beta.2', '1.2.3-beta.4', '1.2.3', '1.2.9'], ['1.2.4-beta.2', '1.2.3-beta.1']],
  ['^1.2.3', ['1.2.3', '1.9.9'], ['2.0.0', '1.2.2', '2.0.0-0']],
  ['^1.2', ['1.2.0', '1.9.9'], ['2.0.0', '1.1.9']],
  ['^1', ['1.0.0'], ['2.0.0']],
  ['^0.2.3', ['0.2.3', '0.2.9'], ['0.3.0', '0.2.2']],
  ['^0.0.3', ['0.0.3'], ['0.0.4', '0.0.2']],
  ['^0.0', ['0.0.0', '0.0.9'], ['0.1.0']],
  ['^0.0.x', ['0.0.9'], ['0.1.0']],
  ['^0', ['0.0.0', '0.9.9'], ['1.0.0']],
  ['^0.x', ['0.9.9'], ['1.0.0']],
  ['^1.2.3-beta.2', ['1.2.3-beta.2', '1.2.3-rc', '1.2.3', '1.9.0'], ['1.2.4-beta.2', '2.0.0-beta.2']],
  ['^0.0.3-beta', ['0.0.3-beta', '0.0.3-pr.2', '0.0.3'], ['0.0.4', '0.0.3-alpha']],
  ['^*', ['0.0.1', '7.0.0'], []],
  ['1.2.3 - 2.3.4', ['1.2.3', '2.3.4'], ['2.3.5', '1.2.2']],
  ['1.2 - 2.3.4', ['1.2.0'], ['1.1.9', '2.3.5']],
  ['1.2.3 - 2.3', ['2.3.9'], ['2.4.0', '2.4.0-0']],
  ['1.2.3 - 2', ['2.9.9'], ['3.0.0']],
  ['1.2.3-rc.1 - 1.2.3', ['1.2.3-rc.2', '1.2.3'], ['1.2.2', '1.2.3-beta']],
  ['* - 2', ['0.0.0', '2.9.9'], ['3.0.0']],
  ['1.2.7 || >=1.2.9 <2.0.0', ['1.2.7', '1.2.9', '1.4.6'], ['1.2.8', '2.0.0']],
  ['~1.2.3||2.x', ['1.2.4', '2.7.0'], ['1.3.0', '3.0.0']],
  ['>1.2.3-alpha.3', ['1.2.3-alpha.7', '3.4.5', '1.2.3'], ['3.4.5-alpha.9', '1.2.3-alpha.3']],
  ['>1.2.3-alpha.3 <1.2.4', ['1.2.3'], ['1.2.4-alpha']],
  ['<*', [], ['0.0.0', '1.0.0', '0.0.0-0']],
  ['>*', [], ['0.0.0', '1.0.0']],
  ['>=*', ['0.0.0'], []],
  ['>=2.0.0 <1.0.0', [], ['1.5.0']],
  ['  1.2.3  ', ['1.2.3'], ['1.2.4']],
  ['^9007199254740991.0.0', ['9007199254740991.5.0'], ['9007199254740990.0.0']],
  ['1.2.3+sha.1', ['1.2.3', '1.2.3+other'], ['1.2.4']],
];

const problems: readonly (readonly [range: string, problem: string])[] = [
  ['', 'has nothing where a version is expected; write * for any'],
  ['   ', 'has nothing where a version is expected; write * for any'],
  ['1.2 ||', 'has nothing where a version is expected; write * for any, in alternative 2'],
  ['|| 1', 'has nothing where a version is expected; write * for any, in alternative 1'],
  ['latest', 'has "latest", where "latest" is no number, x or *'],
  ['v1.2.3', 'has "v1.2.3", where "v1" is no number, x or *'],
  ['>=', 'has "=", where "=" is no number, x or *'],
  ['^^1', 'has "^1", where "^1" is no number, x or *'],
  ['>=1 | <2', 'has "|", where "|" is no number, x or *'],
  ['>=1,<2', 'has "1,<2", where "1,<2" is no number, x or *'],
  ['>=1\t<2', 'has "1\\t<2", where "1\\t<2" is no number, x or *'],
  ['1.2.3.4', 'has "1.2.3.4", a version has three numbers'],
  ['1..2', 'has "1..2", where "" is no number, x or *'],
  ['01.2', 'has "01.2", where 01 has a leading zero'],
  ['1.x.3', 'has "1.x.3", a number cannot follow an x'],
  ['9007199254740992', 'has "9007199254740992", where 9007199254740992 is above 2^53-1'],
  ['1.2-rc', 'has "1.2-rc", where a prerelease or build metadata follows something else than 3 numbers'],
  ['1.x+b', 'has "1.x+b", where a prerelease or build metadata follows something else than 3 numbers'],
  ['1.2.3-01', 'has "1.2.3-01", whose prerelease is none'],
  ['1.2.3-', 'has "1.2.3-", whose prerelease is none'],
  ['1.2.3+', 'has "1.2.3+", whose build metadata is none'],
  ['1 - 2 - 3', 'has "1 - 2 - 3", between two versions stands one hyphen'],
  ['>1 - 2', 'has ">1", where ">1" is no number, x or *'],
  ['1 - <2', 'has "<2", where "<2" is no number, x or *'],
];

describe('a range of versions', () => {
  it.each(cases)('%s', (text, inside, outside) => {
    expect(inside.filter((version) => !isIn(version, text))).toEqual([]);
    expect(outside.filter((version) => isIn(version, text))).toEqual([]);
  });

  it.each(problems)('names what is wrong with %j', (text, problem) => {
    expect(parseVersionRange(text)).toEqual({ kind: 'problem', problem });
  });

  it.each([
    ['^1.2', '>=1.2.0 <2.0.0-0'],
    ['1.x || 3', '3.* || ~1'],
    ['>=1 <3', '<3.x   >= 1.0 >=1'],
    ['*', 'x.x.x'],
    ['1.2.3', '=1.2.3+build'],
  ])('%s and %s have one canonical text', (a, b) => {
    expect(rangeOf(a).canonical).toBe(rangeOf(b).canonical);
  });

  it('has another canonical text where it means something else', () => {
    const texts = ['^1.2', '^1.3', '~1.2', '*', '>*', '1.2.3-a', '1.2.3', '^1.2 || 3', '1.2 - 1.4'];
    expect(new Set(texts.map((text) => rangeOf(text).canonical)).size).toBe(texts.length);
  });
});

const number = fc.integer({ min: 0, max: 3 });
const identifier = fc.constantFrom('0', '1', '10', 'a', 'b', 'A', '-', 'a1', '1a');
const prerelease = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(identifier, { minLength: 1, maxLength: 2 }) },
);
const version: fc.Arbitrary<SimpleVersion> = fc.record({
  numbers: fc.tuple(number, number, number),
  prerelease,
});
const written: fc.Arbitrary<SimpleVersion> = fc.oneof(
  version,
  fc.record({ numbers: fc.array(number, { maxLength: 2 }), prerelease: fc.constant([]) }),
);
const term: fc.Arbitrary<SimpleTerm> = fc.record({
  operator: fc.constantFrom('', '=', '>', '>=', '<', '<=', '^', '~'),
  version: written,
});
const alternative: fc.Arbitrary<SimpleAlternative> = fc.oneof(
  fc.record({ kind: fc.constant('terms'), terms: fc.array(term, { minLength: 1, maxLength: 3 }) }),
  fc.record({ kind: fc.constant('hyphen'), from: written, to: written }),
);

describe('against a simple second version', () => {
  it('every version is in the same ranges', () => {
    const ranges = fc.array(alternative, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(
        ranges,
        fc.array(version, { minLength: 8, maxLength: 8 }),
        fc.nat(),
        (alternatives, versions, style) => {
          const text = rangeText(alternatives, style);
          for (const one of versions) {
            expect([text, versionText(one), isIn(versionText(one), text)]).toEqual([
              text,
              versionText(one),
              isInSimpleRange(one, alternatives),
            ]);
          }
        },
      ),
      { numRuns: 3_000, seed: 20_261_121 },
    );
  });

  it('whatever the text, it is a range or has a problem', () => {
    const text = fc.array(fc.constantFrom(...Array.from('0123456789.-+xX*^~<>=| ab\té')), { maxLength: 20 });
    fc.assert(
      fc.property(text, (units) => {
        const outcome = parseVersionRange(units.join(''));
        if (outcome.kind === 'problem') expect(outcome.problem).not.toBe('');
        else expect(rangeOf(outcome.range.canonical).canonical).toBe(outcome.range.canonical);
      }),
      { numRuns: 5_000, seed: 20_261_121 },
    );
  });

  it('takes the longest text in no time', () => {
    for (const unit of ['1||', ' ', '1 ', '>', '1.', '-1', '1 - ', 'x.x.x || ']) {
      const text = unit.repeat(100_000 / unit.length);
      const started = performance.now();
      parseVersionRange(text);
      expect([unit, performance.now() - started < 2_000]).toEqual([unit, true]);
    }
  });
});
