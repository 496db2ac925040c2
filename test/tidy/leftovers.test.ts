import { describe, expect, it } from 'vitest';
import { deadFiles, entryFiles } from './dead-files.ts';
import { dependencyFaults, packageOf } from './dependencies.ts';
import { sourceFile } from './source-text.ts';
import { bannedWordsIn, lockfileHosts } from './words.ts';

describe('bannedWordsIn', () => {
  // Put together here, so that this file may stand in the repository that it guards.
  it.each([
    `// ${'TO'}DO: later`,
    `${'FIX'}ME`,
    `${'XX'}X`,
    `// @ts-${'ignore'}`,
    `// @ts-${'nocheck'}`,
    `/* eslint-${'disable'} */`,
    `// oxlint-${'disable'}-next-line no-empty`,
    `cd /${'work'}/main`,
    `see https://${'registry'}.example.org/pino`,
    `see http://${'npmjs'}.mirror.example/pino`,
  ])('refuses %j', (text) => {
    expect(bannedWordsIn('docs/a.md', `first line\n${text}`)).toEqual([expect.stringMatching(/^docs\/a\.md:2: /)]);
  });

  it.each([
    'a service registry, see https://example.org/rollcall',
    'lib/work/main.ts',
    `// oxlint-${'disable'}-next-line no-empty -- a client that is gone needs no answer`,
    '@ts-expect-error',
  ])('accepts %j', (text) => {
    expect(bannedWordsIn('docs/a.md', text)).toEqual([]);
  });
});

describe('lockfileHosts', () => {
  it('refuses an address in package-lock.json', () => {
    expect(lockfileHosts('{\n"version": "1.0.0",\n"resolved": "https://example.org/a.tgz"\n}')).toHaveLength(1);
    expect(lockfileHosts('{ "version": "1.0.0", "integrity": "sha512-a" }')).toEqual([]);
  });
});

describe('deadFiles', () => {
  const entry = sourceFile('src/cli/launcher.cts', "import('./main.ts');");
  const main = sourceFile('src/cli/main.ts', '');
  const entries = entryFiles('{ "bin": { "rollcall": "dist/cli/launcher.cjs" } }');

  it('knows the entries of package.json', () => {
    expect(entries).toEqual(['src/cli/launcher.cts']);
    expect(entryFiles('{ "exports": "./dist/client/client.js" }')).toEqual(['src/client/client.ts']);
  });

  it('names a file that nothing imports, or only itself or its own test', () => {
    const lonely = sourceFile('src/base/lonely.ts', "import './lonely.ts';");
    const test = sourceFile('test/base/lonely.test.ts', "import '../../src/base/lonely.ts';");
    const property = sourceFile('test/base/lonely.property.test.ts', "import '../../src/base/lonely.ts';");
    expect(deadFiles([entry, main, lonely, test, property], entries)).toEqual([
      'src/base/lonely.ts: nothing imports it',
    ]);
  });

  it('takes a file for alive that an entry, another file or another test imports', () => {
    const twin = sourceFile('src/storage/memory-log.ts', '');
    const test = sourceFile('test/replica/loop.test.ts', "import '../../src/storage/memory-log.ts';");
    expect(deadFiles([entry, main, twin, test], entries)).toEqual([]);
  });
});

describe('dependencyFaults', () => {
  const use = sourceFile('src/a/b.ts', "import { pino } from 'pino';\nimport fs from 'node:fs';");
  const testUse = sourceFile('test/a/b.test.ts', "import { it } from 'vitest';");
  const reasons = '| `pino` | logs |\n| `vitest` | tests |';
  const dependencies = { pino: '1.0.0' };
  const devDependencies = { vitest: '4.0.0' };

  it('accepts what is pinned, used and explained', () => {
    expect(dependencyFaults([use, testUse], { dependencies, devDependencies }, reasons)).toEqual([]);
  });

  it.each([
    ['a range', [use, testUse], { dependencies: { pino: '^1.0.0' }, devDependencies }, reasons, /one exact version/],
    ['no use', [testUse], { dependencies, devDependencies }, reasons, /nothing imports pino/],
    ['no reason', [use, testUse], { dependencies, devDependencies }, '| `vitest` | tests |', /no reason for pino/],
    ['no declaration', [use, testUse], { dependencies: {}, devDependencies }, reasons, /pino is no dependency/],
    [
      'a development package in src',
      [use, testUse, sourceFile('src/a/c.ts', "import { it } from 'vitest';")],
      { dependencies, devDependencies },
      reasons,
      /src\/a\/c\.ts:1: vitest is no dependency/,
    ],
  ])('refuses %s', (_name, files, manifest, architecture, complaint) => {
    expect(dependencyFaults(files, manifest, architecture)).toEqual([expect.stringMatching(complaint)]);
  });

  it('reads the package out of a path into it', () => {
    expect(['@grpc/grpc-js/build/x.js', 'fs', './a.ts', 'vitest/node'].map(packageOf)).toEqual([
      '@grpc/grpc-js',
      undefined,
      undefined,
      'vitest',
    ]);
  });
});
