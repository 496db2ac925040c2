/** A semantic version (semver.org, 2.0.0); its build metadata is not kept, since it has no part in any comparison. */
export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** The identifiers behind the hyphen; none: a release. */
  readonly prerelease: readonly string[];
}

const core = /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$/;
const identifierCharacters = /^[0-9A-Za-z-]+$/;
const digits = /^[0-9]+$/;

/**
 * A version as semver.org writes it, without a leading `v`.
 *
 * @returns undefined for what is none: also where a number is no safe integer.
 */
export function parseVersion(text: string): Version | undefined {
  const plus = text.indexOf('+');
  if (plus !== -1 && !isBuild(text.slice(plus + 1))) return undefined;
  const unbuilt = plus === -1 ? text : text.slice(0, plus);
  const hyphen = unbuilt.indexOf('-');
  const numbers = core.exec(hyphen === -1 ? unbuilt : unbuilt.slice(0, hyphen));
  if (numbers === null) return undefined;
  const [major, minor, patch] = [Number(numbers[1]), Number(numbers[2]), Number(numbers[3])];
  if (!Number.isSafeInteger(major) || !Number.isSafeInteger(minor) || !Number.isSafeInteger(patch)) return undefined;
  if (hyphen === -1) return { major, minor, patch, prerelease: [] };
  const prerelease = parsePrerelease(unbuilt.slice(hyphen + 1));
  return prerelease === undefined ? undefined : { major, minor, patch, prerelease };
}

/** Identifiers between dots; undefined where one is empty, has another character, or is a number with leading zeros. */
export function parsePrerelease(text: string): readonly string[] | undefined {
  const identifiers = text.split('.');
  const valid = identifiers.every(
    (identifier) => identifierCharacters.test(identifier) && !(isNumber(identifier) && hasLeadingZero(identifier)),
  );
  return valid ? identifiers : undefined;
}

/** What may stand behind a plus: identifiers, where leading zeros matter to nobody. */
export function isBuild(text: string): boolean {
  return text.split('.').every((identifier) => identifierCharacters.test(identifier));
}

/** Below, equal or above 0 as `a` is older than, of the same precedence as, or newer than `b`. */
export function compareVersions(a: Version, b: Version): number {
  if (a.major !== b.major) return a.major < b.major ? -1 : 1;
  if (a.minor !== b.minor) return a.minor < b.minor ? -1 : 1;
  if (a.patch !== b.patch) return a.patch < b.patch ? -1 : 1;
  return comparePrereleases(a.prerelease, b.prerelease);
}

function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  // A release is newer than every prerelease of it.
  if (a.length === 0 || b.length === 0) return a.length === b.length ? 0 : a.length === 0 ? 1 : -1;
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const order = compareIdentifiers(a[i] ?? '', b[i] ?? '');
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Numbers by value and before all others, which go by code unit. */
function compareIdentifiers(a: string, b: string): number {
  if (a === b) return 0;
  const [aIsNumber, bIsNumber] = [isNumber(a), isNumber(b)];
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  // Without leading zeros the longer number is the larger, however many digits it has.
  if (aIsNumber && a.length !== b.length) return a.length < b.length ? -1 : 1;
  return a < b ? -1 : 1;
}

function isNumber(identifier: string): boolean {
  return digits.test(identifier);
}

function hasLeadingZero(identifier: string): boolean {
  return identifier.length > 1 && identifier.startsWith('0');
}
