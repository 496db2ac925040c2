import { describe, expect, it } from 'vitest';
import { applyDiff, parseDiff } from './unified-diff.ts';

const source = ['a', 'b', 'c', 'd', 'e', ''].join('\n');

function diffOf(...hunks: readonly string[]): string {
  return `prose\n--- a/src/x.ts\n+++ b/src/x.ts\n${hunks.join('')}`;
}

function applied(text: string, sources: Readonly<Record<string, string>>): string | undefined {
  return applyDiff('bug', parseDiff('bug', text), (path) => sources[path]).get('src/x.ts');
}

const replaceC = '@@ -2,3 +2,3 @@\n b\n-c\n+C\n d\n';

describe('applyDiff', () => {
  it('replaces, adds and removes lines', () => {
    expect(applied(diffOf(replaceC), { 'src/x.ts': source })).toBe('a\nb\nC\nd\ne\n');
    expect(applied(diffOf('@@ -1,2 +1,3 @@\n a\n+x\n b\n', '@@ -4,2 +5,1 @@\n d\n-e\n'), { 'src/x.ts': source })).toBe(
      'a\nx\nb\nc\nd\n',
    );
  });

  it('follows lines that were moved', () => {
    expect(applied(diffOf(replaceC), { 'src/x.ts': `new\nnewer\n${source}` })).toBe('new\nnewer\na\nb\nC\nd\ne\n');
  });

  it.each([
    ['lines that are gone', { 'src/x.ts': 'a\nb\nd\n' }, 'bug: the hunk of src/x.ts line 2 no longer applies'],
    ['a line that differs in a space', { 'src/x.ts': source.replace('c', 'c ') }, /no longer applies/],
    ['lines that stand in two places', { 'src/x.ts': source + source }, /fits at lines 2, 7; give it more context/],
    ['a file that is gone', {}, 'bug: there is no src/x.ts'],
  ])('refuses %s', (_what, sources, complaint) => {
    expect(() => applied(diffOf(replaceC), sources)).toThrow(complaint);
  });

  it('refuses hunks that have changed places', () => {
    const moved = { 'src/x.ts': 'd\ne\na\nb\n' };
    expect(() => applied(diffOf('@@ -1,2 +1,2 @@\n a\n-b\n+B\n', '@@ -4,2 +4,2 @@\n d\n-e\n+E\n'), moved)).toThrow(
      /lies above the hunk before it/,
    );
  });
});

describe('parseDiff', () => {
  it('keeps the head and counts lines', () => {
    const { head, linesAdded, linesRemoved, files } = parseDiff('bug', diffOf(replaceC));
    expect({ head, linesAdded, linesRemoved }).toEqual({ head: 'prose', linesAdded: 1, linesRemoved: 1 });
    expect(files.map(({ path }) => path)).toEqual(['src/x.ts']);
  });

  it.each([
    ['no file', 'prose\n', /no file is named/],
    ['a new file', '--- /dev/null\n+++ b/src/x.ts\n@@ -0,0 +1 @@\n+a\n', /is not the head of an existing file/],
    ['two names', '--- a/src/x.ts\n+++ b/src/y.ts\n', /is not the head of an existing file/],
    ['a file without a hunk', diffOf(), /has no hunk/],
    ['a hunk that is cut short', diffOf('@@ -2,3 +2,3 @@\n b\n-c\n'), /is cut short/],
    ['a line of no kind', diffOf('@@ -2,3 +2,3 @@\n b\nc\n d\n'), /is not of a hunk/],
    ['more lines than said', diffOf('@@ -2,1 +2,1 @@\n b\n-c\n'), /is not the head of an existing file/],
    ['another balance than said', diffOf('@@ -2,1 +2,2 @@\n b\n-c\n+C\n'), /does not hold as many lines/],
  ])('refuses %s', (_what, text, complaint) => {
    expect(() => parseDiff('bug', text)).toThrow(complaint);
  });
});
