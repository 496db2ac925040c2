// The commands that operators copy from docs/operating are those that the program has.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../cli/reference-pages.ts';
import { readText } from '../tidy/project.ts';

const root = join(import.meta.dirname, '../..');
const page = readText('docs/operating/membership.md');
const blocks = [...page.matchAll(/^```\n(.*?)^```$/gms)].map(([, block = '']) => block.trimEnd().split('\n'));
const lines = blocks.flat();
const known = new Map(commands().map((command) => [command.path, command]));

describe('docs/operating/membership.md', () => {
  it.each(lines.filter((line) => line.startsWith('npx rollcall ')))('`%s` can be typed', (line) => {
    const words = line.split(' ').slice(2);
    const path = words[0] === 'cluster' ? words.slice(0, 2).join(' ') : (words[0] ?? '');
    const command = known.get(path);
    expect(command?.path).toBe(path);
    const names = command?.options.flatMap((option) => option.names) ?? [];
    expect(words.filter((word) => word.startsWith('-') && !names.includes(word))).toEqual([]);
  });

  it('names configurations that are there, or that it makes', () => {
    const made = lines.flatMap((line) => /^sed .* > (\w+\.yaml)$/.exec(line)?.[1] ?? []);
    const named = lines.flatMap((line) => /--config (\S+)/.exec(line)?.[1] ?? []);
    expect([made.length > 0, named.length > 0]).toEqual([true, true]);
    expect(named.filter((file) => !made.includes(file) && !existsSync(join(root, file)))).toEqual([]);
  });

  it('uses no other program but the shell', () => {
    expect(lines.filter((line) => !/^(?:npx rollcall |export ROLLCALL_SERVER=|sed ')/.test(line))).toEqual([]);
  });
});
