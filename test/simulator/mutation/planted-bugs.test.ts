import { describe, expect, it } from 'vitest';
import { brokenSources, canaryName, plantedBug, plantedBugs } from './planted-bugs.ts';

const bugs = plantedBugs();

describe('the planted bugs', () => {
  it('are as many as were promised, and the canary is among them', () => {
    expect(bugs.length).toBeGreaterThanOrEqual(44);
    expect(bugs.map(({ name }) => name)).toContain(canaryName);
  });

  it.each(bugs.map((bug) => [bug.name, bug] as const))('%s applies to these sources and changes them', (_name, bug) => {
    const broken = brokenSources(bug);
    expect([...broken.keys()]).toEqual(bug.diff.files.map(({ path }) => path));
    for (const text of broken.values()) expect(text).toContain('\n');
  });

  it('differ from each other', () => {
    const seen = new Map<string, string>();
    for (const bug of bugs) {
      const result = JSON.stringify([...brokenSources(bug)]);
      expect([bug.name, seen.get(result)]).toEqual([bug.name, undefined]);
      seen.set(result, bug.name);
    }
    expect(new Set(bugs.map(({ title }) => title)).size).toBe(bugs.length);
  });
});

const head = 'Title: It breaks\nBreaks: R1, and\nwhat follows.\nSeen by: a read.\n\n';
const diff = '--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1,1 +1,1 @@\n-one\n+two\n';

describe('plantedBug', () => {
  it('reads the head, over several lines', () => {
    const { title, breaks, seenBy } = plantedBug('bug', head + diff);
    expect({ title, breaks, seenBy }).toEqual({
      title: 'It breaks',
      breaks: 'R1, and what follows.',
      seenBy: 'a read.',
    });
  });

  it.each([
    ['a head without all its parts', `Title: It breaks\n\n${diff}`, /^bug: its head has no line "Breaks/],
    ['a change of a test', head + diff.replaceAll('src/a.ts', 'test/a.ts'), /^bug: test\/a\.ts is no source/],
    ['a change of too many lines', head + manyLines(15), /^bug: 15 changed lines, at most 14/],
  ])('refuses %s', (_what, text, complaint) => {
    expect(() => plantedBug('bug', text)).toThrow(complaint);
  });

  it('takes a change of as many lines as are allowed', () => {
    expect(plantedBug('bug', head + manyLines(14)).diff.linesAdded).toBe(14);
  });
});

function manyLines(count: number): string {
  const added = Array.from({ length: count }, (_, i) => `+line ${i}\n`).join('');
  return `--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1,1 +1,${count} @@\n-one\n${added}`;
}
