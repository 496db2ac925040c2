import { describe, expect, it } from 'vitest';
import { compareVersions, parseVersion } from '../../src/filter/version.ts';

/** From the oldest to the newest, as semver.org orders them and a little beyond. */
const ascending = [
  '0.0.0-0',
  '0.0.0-1',
  '0.0.0-9007199254740993',
  '0.0.0-18446744073709551616',
  '0.0.0--',
  '0.0.0-A',
  '0.0.0-a',
  '0.0.0',
  '0.0.1',
  '0.1.0',
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.1.0',
  '1.0.0-alpha.beta',
  '1.0.0-beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '1.2.9',
  '1.2.10',
  '1.10.0',
  '2.0.0',
  '10.0.0',
  '9007199254740991.0.0',
];

const none = [
  '',
  '1',
  '1.2',
  '1.2.3.4',
  'v1.2.3',
  '=1.2.3',
  ' 1.2.3',
  '1.2.3 ',
  '01.2.3',
  '1.02.3',
  '1.2.03',
  '1.2.-3',
  '-1.2.3',
  '1.2.3-',
  '1.2.3-01',
  '1.2.3-a..b',
  '1.2.3-a.',
  '1.2.3-é',
  '1.2.3-a_b',
  '1.2.3+',
  '1.2.3+a+b',
  '1.2.3+a..b',
  '1.2.x',
  '1e3.0.0',
  '1.2.٣',
  '9007199254740992.0.0',
  'latest',
];

describe('a version', () => {
  it('is of its precedence', () => {
    const versions = ascending.map((text) => ({ text, version: parseVersion(text) }));
    for (const [i, a] of versions.entries()) {
      for (const [j, b] of versions.entries()) {
        if (a.version === undefined || b.version === undefined) throw new Error(`${a.text} or ${b.text} is none`);
        expect([a.text, b.text, Math.sign(compareVersions(a.version, b.version))]).toEqual([
          a.text,
          b.text,
          Math.sign(i - j),
        ]);
      }
    }
  });

  it.each(none.map((text) => [text]))('is not %j', (text) => {
    expect(parseVersion(text)).toBeUndefined();
  });

  it('is the same whatever its build metadata', () => {
    expect(parseVersion('1.2.3-rc.1+001.sha-5')).toEqual(parseVersion('1.2.3-rc.1'));
    expect(parseVersion('1.2.3+a-b')).toEqual({ major: 1, minor: 2, patch: 3, prerelease: [] });
  });
});
