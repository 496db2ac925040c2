// What the documents say of the repository: the list of errors is the code's, and what they name is there.
import { describe, expect, it } from 'vitest';
import { reasonCodes } from '../../src/base/errors.ts';
import { readText, repositoryPaths } from '../tidy/project.ts';

describe('docs/reference/errors.md', () => {
  const row = /^\| `([A-Z_]+)` \| `([A-Z_]+)` \| (yes|no) \| (.+) \| (.+) \|$/gm;
  const rows = [...readText('docs/reference/errors.md').matchAll(row)].map(([, reason, code, retry, when]) => {
    return { reason: reason ?? '', code, retry, when: when ?? '' };
  });
  /** What clients meet: not what members tell each other, and not the errors of the client library itself. */
  const sources = repositoryPaths().filter((path) => /^src\/(?:api|grpc|watch|replica)\/.*\.ts$/.test(path));
  const betweenMembers = ['src/replica/snapshot-exchange.ts', 'src/replica/peer-requests.ts'];
  const given = sources
    .filter((path) => !betweenMembers.includes(path))
    .flatMap((path) => constructionsIn(readText(path)).map((construction) => ({ path, ...construction })));
  /** Refusals of the state machine come out as errors of the same reason. */
  const refusals = [...readText('src/state-machine/types.ts').matchAll(/^ {2}\| '([A-Z_]+)';?$/gm)].map(
    ([, name]) => name,
  );

  it('explains each reason of the closed list with its code, and no other', () => {
    expect(rows.map(({ reason, code }) => [reason, code])).toEqual(Object.entries(reasonCodes));
  });

  it('says of each whether it has a hint to retry, as the code gives it', () => {
    const retried = new Map(rows.map(({ reason, retry }) => [reason, retry]));
    expect(given.length).toBeGreaterThan(10);
    for (const { path, reason, hint } of given) {
      expect([path, reason, hint ? 'yes' : 'no']).toEqual([path, reason, retried.get(reason)]);
    }
  });

  it('says which ones no member gives, or gRPC alone', () => {
    const names = [...given.map(({ reason }) => reason), ...refusals, 'INVALID_FIELD'];
    const neverGiven = Object.keys(reasonCodes).filter((reason) => !names.includes(reason));
    const said = rows.filter(({ when }) => /^Reserved: |gRPC says so by itself, without details(?:[.:]|$)/.test(when));
    // A write that the replica gave up takes its reason from the place where it did.
    const byVariable = ['NO_LEADER', 'NOT_PROPOSED', 'OUTCOME_UNKNOWN'];
    expect(neverGiven.filter((reason) => !byVariable.includes(reason))).toEqual(
      said.map(({ reason }) => reason).filter((reason) => reason !== 'DEADLINE'),
    );
  });
});

/** Every `new RollcallError('REASON', ...)`, and whether it has a hint to retry. */
function constructionsIn(text: string): { readonly reason: string; readonly hint: boolean }[] {
  const found: { readonly reason: string; readonly hint: boolean }[] = [];
  for (const match of text.matchAll(/new RollcallError\(\s*'([A-Z_]+)'/g)) {
    let end = match.index + match[0].length;
    for (let open = 1; open > 0 && end < text.length; end++) {
      if (text[end] === '(') open++;
      if (text[end] === ')') open--;
    }
    found.push({ reason: match[1] ?? '', hint: text.slice(match.index, end).includes('retryAfterMs') });
  }
  return found;
}

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
