import { describe, expect, it } from 'vitest';
import { applyBounds } from '../../src/cli/apply-bounds.ts';
import { batchesOf } from '../../src/cli/apply-command.ts';
import { checkUnique, parseDeclared } from '../../src/cli/apply-file.ts';
import { CliError } from '../../src/cli/exit-codes.ts';
import { cli } from './run-cli.ts';

const one = 'service: db\nid: a\nendpoints: [sql=postgres://10.0.0.9:5432]\n';

function problemsOf(text: string): string[] {
  try {
    checkUnique(parseDeclared(text, 'f.yaml', 'default'));
  } catch (error) {
    if (error instanceof CliError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('files of instances', () => {
  it('reads one instance, many documents, lists, and JSON', () => {
    const item = `- ${one.trim().replaceAll('\n', '\n  ')}\n  namespace: other\n`;
    const list = `---\n# nothing but a comment\n---\ninstances:\n${item}`;
    const json = JSON.stringify({
      service: 'q',
      id: 'b',
      endpoints: [{ name: 'm', protocol: 'p', address: 'h', port: 1 }],
    });
    const declared = parseDeclared(`${one}${list}---\n${json}`, 'f.yaml', 'default');
    expect(declared.map(({ instance, line, path }) => [instance.namespace, instance.service, line, path])).toEqual([
      ['default', 'db', 1, ''],
      ['other', 'db', 8, 'instances[0]'],
      ['default', 'q', 13, ''],
    ]);
    expect(declared[0]?.instance).toEqual({
      namespace: 'default',
      service: 'db',
      id: 'a',
      endpoints: [{ name: 'sql', protocol: 'postgres', address: '10.0.0.9', port: 5432 }],
    });
  });

  it.each([
    ['', /^f\.yaml: declares no instance$/],
    ['a: [', /^f\.yaml:1: is no valid YAML: /],
    ['service: a\nservice: b', /^f\.yaml:2: is no valid YAML: .*unique/],
    ['- 1', /^f\.yaml:1: write an instance, or a list/],
    [`${one}prot: 1`, /^f\.yaml:4: prot: is no field of an instance$/],
    [one.replace('id: a', 'id: 7'), /^f\.yaml:2: id: write a text/],
    [one.replace('id: a', 'id: a/b'), /^f\.yaml:2: id: is "a\/b", allowed are/],
    [one.replace('id: a\n', ''), /^f\.yaml:1: id: is missing; write a text/],
    [one.replace('service: db', 'service: Db'), /^f\.yaml:1: service: write 1 to 128 of/],
    [one.replace(':5432', ''), /^f\.yaml:3: endpoints\[0\]: "sql=postgres:\/\/10\.0\.0\.9" is no endpoint; write/],
    [
      'service: a\nid: a\nendpoints:\n- name: m\n  protocol: p\n  address: h\n  port: 70000',
      /^f\.yaml:7: endpoints\[0\]\.port: write a whole number, 1 to 65535$/,
    ],
    ['service: a\nid: a\nendpoints: []', /^f\.yaml:3: endpoints: is empty/],
    [`${one}metadata: { a: 1 }`, /^f\.yaml:4: metadata\.a: write a text, in quotes/],
    [`${one}weight: 1.5`, /^f\.yaml:4: weight: write a whole number/],
    [`${one}status: gone`, /^f\.yaml:4: status: write starting, up,/],
    [`${one}---\n${one}`, /^f\.yaml:5: default\/db\/a is declared at f\.yaml:1 already$/],
    [`instances: [1]\nmore: 1`, /^f\.yaml:2: more: is no key beside `instances`$/],
    ['instances: 1', /^f\.yaml:1: instances: write a list$/],
  ])('refuses %j with file, line and field', (text, problem) => {
    expect(problemsOf(text).filter((line) => problem.test(line))).toHaveLength(1);
  });

  it('takes the example of the help', async () => {
    const { stdout } = await cli('apply', '--help');
    const [example = ''] = /^ {2}instances:\n(?: {4,}.+\n)+/m.exec(stdout) ?? [];
    const declared = parseDeclared(example, 'help', 'default').map(({ instance }) => instance);
    expect(declared).toMatchObject([
      { id: 'db-1', metadata: { role: 'primary' } },
      { id: 'db-2', version: '16.4.0' },
    ]);
  });

  it('names all that is wrong, up to a bound', () => {
    const wrong = Array.from(
      { length: applyBounds.problemsShown + 5 },
      () => '- { service: a, id: a/b, endpoints: [x=y://h:1] }',
    );
    const problems = problemsOf(`instances:\n${wrong.join('\n')}`);
    expect(problems).toHaveLength(applyBounds.problemsShown + 1);
    expect(problems.at(-1)).toBe('and 5 more');
  });

  it('sends at most 1,000 at once, and less where they are large', () => {
    const declared = (count: number, tag: string) =>
      Array.from({ length: count }, (_, i) => ({
        instance: { namespace: 'default', service: 'a', id: `${i}`, endpoints: [], tags: [tag] },
        file: 'f',
        line: 1,
        path: '',
      }));
    const sizes = (count: number, tag: string): number[] => batchesOf(declared(count, tag)).map(({ length }) => length);
    expect(sizes(0, '')).toEqual([]);
    expect(sizes(applyBounds.batchInstancesMax, '')).toEqual([1_000]);
    expect(sizes(applyBounds.batchInstancesMax + 1, '')).toEqual([1_000, 1]);
    const large = batchesOf(declared(40, 'x'.repeat(60_000)));
    expect(large.flat()).toHaveLength(40);
    for (const batch of large) {
      const bytes = batch.reduce((sum, { instance }) => sum + JSON.stringify(instance).length, 0);
      expect(bytes).toBeLessThanOrEqual(applyBounds.batchBytesMax);
    }
    expect(large.length).toBe(3);
  });

  it('refuses more instances than it takes at once', () => {
    const declared = Array.from({ length: applyBounds.instancesMax + 1 }, (_, i) => ({
      instance: { namespace: 'n', service: 's', id: `${i}`, endpoints: [] },
      file: 'f',
      line: 1,
      path: '',
    }));
    expect(() => checkUnique(declared)).toThrow(/100001 instances are declared, allowed are at most 100000/);
    expect(() => checkUnique(declared.slice(1))).not.toThrow();
  });
});
