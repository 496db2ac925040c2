import { describe, expect, it } from 'vitest';
import { readText, repositoryPaths } from '../tidy/project.ts';

describe('the problems of a change in docs/reference/errors.md', () => {
  it('are those that members give, each once', () => {
    const replica = repositoryPaths().filter((path) => /^src\/replica\/.*\.ts$/.test(path));
    const given = replica.map(readText).flatMap((text) => [
      ...[...text.matchAll(/\bmembershipRefused\(\s*'([\w-]+)'/g)].map(([, problem]) => problem),
      // By the name that the core has for it.
      ...[...text.matchAll(/\bcase '([\w-]+)':\s+return membershipRefused\(\s*reason\b/g)].map(
        ([, problem]) => problem,
      ),
    ]);
    const section = /^## Problems of a change\n(.*?)^Below all this/ms.exec(readText('docs/reference/errors.md'))?.[1];
    const named = [...(section ?? '').matchAll(/^\| (`.+?) \|/gm)].flatMap(
      ([, cell = '']) => cell.match(/[\w-]+/g) ?? [],
    );
    expect(given.length).toBeGreaterThan(10);
    expect(new Set(named)).toEqual(new Set(given));
    expect(named).toHaveLength(new Set(named).size);
  });
});
