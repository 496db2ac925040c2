import { describe, expect, it } from 'vitest';
import { repositoryRoot } from './repository-copy.ts';
import { mutated, mutationsOf } from './mutate-source.ts';
import { drawnRaftMutations, mutationKey } from './raft-mutants.ts';

/** Every text that one mutation makes of this one. */
function variants(text: string): string[] {
  return mutationsOf('src/raft/x.ts', text).map((mutation) => mutated(text, mutation));
}

describe('mutationsOf', () => {
  it.each([
    ['const a = b < c;', ['const a = b <= c;', 'const a = b >= c;']],
    ['const a = b === c;', ['const a = b !== c;']],
    ['const a = b && c;', ['const a = b || c;']],
    ['const a = b - c;', ['const a = b + c;']],
    ['const a = true;', ['const a = false;']],
    ['const a = 65_536;', ['const a = 65537;', 'const a = 65535;']],
    ['const a = 0;', ['const a = 1;']],
    ['const a = !b;', ['const a = b;']],
    ['const a = Math.max(b, c);', ['const a = Math.min(b, c);']],
    ['const a = b.every(c);', ['const a = b.some(c);']],
    ['const a = b ?? c;', ['const a = b && c;']],
  ])('changes %s', (text, expected) => {
    expect(variants(text)).toEqual(expected);
  });

  it('changes conditions and leaves statements out', () => {
    const text = 'function f(a: A): void {\n  if (a.b) return;\n  a.c();\n  a.d = a;\n}\n';
    const line = (changed: string, by: string): string => text.replace(changed, by);
    expect(new Set(variants(text))).toEqual(
      new Set([
        line('(a.b)', '(!(a.b))'),
        line('(a.b)', '(true)'),
        line('(a.b)', '(false)'),
        line('return;', ';'),
        line('a.c();', ';'),
        line('a.d = a;', ';'),
      ]),
    );
  });

  it.each([
    '// a < b && true\n',
    "const a = 'b < c && 1';",
    'const a = `b < c && ${d}`;',
    'const a = /b < 1/;',
    "import { a } from './1.ts';",
    'interface A {\n  readonly b: true | false;\n}',
    "type A = { readonly b: true; readonly c: 'd' } | 0;",
    'const a = new Map<B, C>();',
    'class A {\n  b: B;\n  readonly c = d;\n}',
    'function a(): void {\n  assert(b, () => `${c - 1} of ${d && e}`);\n}',
  ])('finds nothing in %j', (text) => {
    expect(variants(text)).toEqual([]);
  });

  it('changes the condition of an assertion, which it never leaves out', () => {
    expect(variants('function a(): void {\n  assert(b < c, () => `${c - 1}`);\n}')).toEqual([
      'function a(): void {\n  assert(b <= c, () => `${c - 1}`);\n}',
      'function a(): void {\n  assert(b >= c, () => `${c - 1}`);\n}',
    ]);
  });

  it('names the line', () => {
    expect(mutationsOf('src/raft/x.ts', '\n\nconst a = b < c;\n').map(({ line }) => line)).toEqual([3, 3]);
  });
});

describe('drawnRaftMutations', () => {
  const first = drawnRaftMutations(repositoryRoot, 1);

  it('finds many, each once', () => {
    expect(first.length).toBeGreaterThan(1_000);
    expect(new Set(first.map(mutationKey)).size).toBe(first.length);
    expect(new Set(first.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(8);
  });

  it('draws the same for the same seed, and others for another', () => {
    expect(drawnRaftMutations(repositoryRoot, 1)).toEqual(first);
    const second = drawnRaftMutations(repositoryRoot, 2);
    expect(second.map(mutationKey).toSorted()).toEqual(first.map(mutationKey).toSorted());
    expect(second.slice(0, 10)).not.toEqual(first.slice(0, 10));
  });
});
