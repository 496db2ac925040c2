import { describe, expect, it } from 'vitest';
import { importsOf } from './project.ts';
import { lineOf, sourceFile } from './source-text.ts';

function code(text: string): string {
  return sourceFile('src/base/a.ts', text).code;
}

describe('sourceFile', () => {
  it.each([
    ['a; // setTimeout()\nb;', 'a;                \nb;'],
    ['a; /* x\ny */ b;', 'a;     \n     b;'],
    [`f('it''s', "\\"q");`, `f('  '' ', "   ");`],
    ['`a${b({ c: `d${e}f` })}g`;', '`   b({ c: `   e ` }) `;'],
    ['x = /[/"]\\/`/g.test(y) / 2; z', 'x = /      /g.test(y) / 2; z'],
    ['return /"/; a / b / c', 'return / /; a / b / c'],
    ["'http://x' // y", "'        '     "],
  ])('blanks what is no code in %j', (text, expected) => {
    const blanked = code(text);
    expect(blanked).toHaveLength(text.length);
    expect(blanked.replace(/\s+/g, ' ')).toBe(expected.replace(/\s+/g, ' '));
  });

  it('keeps strings, but not comments, where import paths are read', () => {
    expect(sourceFile('a.ts', "f('x'); // 'y'").codeWithStrings).toBe("f('x');       ");
  });
});

describe('importsOf', () => {
  it('finds every way to name another file', () => {
    const file = sourceFile(
      'src/raft/core.ts',
      [
        "import { a } from './log.ts';",
        "import type { B } from '../base/b.ts';",
        'import {',
        '  c,',
        "} from '../storage/c.ts';",
        "export { d } from './d.ts';",
        "import './e.ts';",
        "const f = await import('./f.ts');",
        "new Worker(new URL('./g.ts', import.meta.url));",
        "import fs from 'node:fs';",
      ].join('\n'),
    );
    expect(importsOf(file)).toEqual([
      { specifier: './log.ts', target: 'src/raft/log.ts', line: 1 },
      { specifier: '../base/b.ts', target: 'src/base/b.ts', line: 2 },
      { specifier: '../storage/c.ts', target: 'src/storage/c.ts', line: 3 },
      { specifier: './d.ts', target: 'src/raft/d.ts', line: 6 },
      { specifier: './e.ts', target: 'src/raft/e.ts', line: 7 },
      { specifier: './f.ts', target: 'src/raft/f.ts', line: 8 },
      { specifier: './g.ts', target: 'src/raft/g.ts', line: 9 },
      { specifier: 'node:fs', target: undefined, line: 10 },
    ]);
  });

  it('does not take a comment or a string for an import', () => {
    const file = sourceFile('src/raft/core.ts', `// import a from './a.ts';\nf("import b from './b.ts'");`);
    expect(importsOf(file)).toEqual([]);
  });
});

describe('lineOf', () => {
  it('counts from one', () => {
    expect([0, 1, 2, 3].map((offset) => lineOf('a\nb\n', offset))).toEqual([1, 1, 2, 2]);
  });
});
