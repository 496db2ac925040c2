import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands, folder, helpOf, printedCommands, withPrinted } from './reference-pages.ts';

const all = commands();

describe('--help', () => {
  it('is there for every command', () => {
    expect(all.map(({ path }) => path)).toEqual([
      '',
      'dev',
      'serve',
      'run',
      'register',
      'deregister',
      'apply',
      'services',
      'discover',
      'watch',
      'cluster',
      'cluster status',
      'cluster members',
      'cluster add',
      'cluster promote',
      'cluster remove',
      'cluster transfer',
      'cluster replace',
      'top',
      'completion',
    ]);
  });

  it.each(all)('of "$path" has 80 columns, names its environment, and ends with examples', async (command) => {
    const help = await helpOf(command);
    expect(help.split('\n').filter((line) => line.length > 80)).toEqual([]);
    for (const name of ['SERVER', 'OUTPUT', 'TIMEOUT', 'NAMESPACE']) {
      expect(help.replace(/\s+/g, ' ')).toContain(`env: ROLLCALL_${name})`);
    }
    const [, examples = ''] = /\nExamples:\n((?: {2,}.+\n)+)$/.exec(help) ?? [];
    expect(examples).toContain(`rollcall ${command.path}`.trimEnd());
    const known = [...command.options, ...command.commands.flatMap(({ options }) => options)];
    const names = known.flatMap((option) => option.names);
    const own = examples
      .replaceAll(' \\\n', '')
      .split('\n')
      .map((line) => line.split(' -- ')[0] ?? '');
    // The program's own examples are of its commands.
    if (command.path === '') return;
    const used = own.flatMap((line) => line.match(/(?<= )--?[a-z][\w-]*/g) ?? []);
    expect(used.filter((option) => !names.includes(option) && !['-c', '-r'].includes(option))).toEqual([]);
  });
});

describe('docs/reference/cli.md', () => {
  // Written anew by: npx vitest run test/cli/help.test.ts -u
  it('ends with what --help prints', async () => {
    await expect(withPrinted('cli.md', await printedCommands())).toMatchFileSnapshot(join(folder, 'cli.md'));
  });
});
