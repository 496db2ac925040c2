// What the documents say of the repository: the list of errors is the code's, and what they name is there.
import { describe, expect, it } from 'vitest';
import { reasonCodes } from '../../src/base/errors.ts';
import { readText, repositoryPaths } from '../tidy/project.ts';

describe('docs/reference/errors.md', () => {
  it('explains each reason of the closed list with its code, and no other', () => {
    const rows = readText('docs/reference/errors.md').matchAll(/^\| `([A-Z_]+)` \| `([A-Z_]+)` \| (.+) \| (.+) \|$/gm);
    const explained = [...rows].map(([, reason, code]) => [reason, code]);
    expect(explained).toEqual(Object.entries(reasonCodes));
  });
});

describe('documents', () => {
  const files = repositoryPaths();
  const documents = files.filter((path) => /^(?:docs\/.*|[^/]+)\.md$/.test(path));
  /** Files, and the folders that they are in. */
  const places = new Set(
    files.flatMap((path) => path.split('/').map((_, i, parts) => parts.slice(0, i + 1).join('/'))),
  );
  /** A path below one of these folders between back quotes. */
  const named = /`((?:src|test|scripts|docs|proto|cluster-configs)\/[\w./*{},-]+)`/g;

  /** `a/*.ts` and `a/{b,c}.ts` as in a shell. */
  function isThere(path: string): boolean {
    const pattern = path
      .replace(/\/$/, '')
      .replace(/\./g, '\\.')
      .replace(/\*/g, '[^/]*')
      .replace(/\{([^}]*)\}/g, (_, choices: string) => `(?:${choices.replaceAll(',', '|')})`);
    return [...places].some((place) => new RegExp(`^${pattern}$`).test(place));
  }

  it.each(documents)('%s names only what is there', (document) => {
    const paths = [...readText(document).matchAll(named)].map(([, path]) => path ?? '');
    expect(paths.filter((path) => !isThere(path))).toEqual([]);
  });

  it('are looked at, and a wrong name is seen', () => {
    expect(documents).toContain('docs/GUARANTEES.md');
    expect(
      ['src/raft', 'test/raft/raft-paper-*.test.ts', 'src/{raft,api}', 'README.md'].filter((path) => !isThere(path)),
    ).toEqual([]);
    expect(['src/rafts', 'test/raft/*.md', 'src/{x,y}'].filter(isThere)).toEqual([]);
  });
});
