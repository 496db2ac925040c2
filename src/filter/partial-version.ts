import { isBuild, parsePrerelease } from './version.ts';

/** A version in a range: numbers from some point on may be open. */
export interface PartialVersion {
  /** Undefined: open, as are then all that follow. */
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly patch: number | undefined;
  /** Only with all three numbers. */
  readonly prerelease: readonly string[];
}

/** The version, or what is wrong with it: `1`, `1.2`, `1.x`, `1.2.*`, `1.2.3-rc.1+build`. */
export function parsePartial(text: string): PartialVersion | string {
  const wrong = (problem: string): string => `has ${JSON.stringify(text)}, ${problem}`;
  const plus = text.indexOf('+');
  if (plus !== -1 && !isBuild(text.slice(plus + 1))) return wrong('whose build metadata is none');
  const unbuilt = plus === -1 ? text : text.slice(0, plus);
  const hyphen = unbuilt.indexOf('-');
  const parts = (hyphen === -1 ? unbuilt : unbuilt.slice(0, hyphen)).split('.');
  if (parts.length > 3) return wrong('a version has three numbers');
  const numbers: (number | undefined)[] = [];
  for (const part of parts) {
    const number = parseNumber(part);
    if (typeof number === 'string') return wrong(number);
    if (number !== undefined && numbers.includes(undefined)) return wrong('a number cannot follow an x');
    numbers.push(number);
  }
  const [major, minor, patch] = numbers;
  if (hyphen === -1 && plus === -1) return { major, minor, patch, prerelease: [] };
  if (patch === undefined) return wrong('where a prerelease or build metadata follows something else than 3 numbers');
  if (hyphen === -1) return { major, minor, patch, prerelease: [] };
  const prerelease = parsePrerelease(unbuilt.slice(hyphen + 1));
  return prerelease === undefined ? wrong('whose prerelease is none') : { major, minor, patch, prerelease };
}

/** The number, undefined for an x, or what is wrong. */
function parseNumber(part: string): number | undefined | string {
  if (part === 'x' || part === 'X' || part === '*') return undefined;
  if (!/^[0-9]+$/.test(part)) return `where ${JSON.stringify(part)} is no number, x or *`;
  if (part.length > 1 && part.startsWith('0')) return `where ${part} has a leading zero`;
  const number = Number(part);
  return Number.isSafeInteger(number) ? number : `where ${part} is above 2^53-1`;
}
