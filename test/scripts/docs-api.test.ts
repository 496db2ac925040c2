// The page docs/reference/api.md itself is checked by `npm run docs:api:check`; here, what its generator refuses, and
// that a reader who follows a link arrives.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Interface, readInterface } from '../../scripts/docs-api/interface.ts';
import { renderPage } from '../../scripts/docs-api/render.ts';
import { readText, root } from '../tidy/project.ts';

const files = ['registry', 'cluster', 'instance'].map((name) => `proto/rollcall/v1/${name}.proto`);

describe('the reference of the interface', () => {
  const all = readInterface(root, files);
  const page = renderPage(all);

  it('has a heading for each link within the page, and each heading once', () => {
    const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title.toLowerCase().replaceAll('.', '').replaceAll(' ', '-'),
    );
    const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
    expect(links.length).toBeGreaterThan(100);
    expect(links.filter((anchor) => !anchors.includes(anchor ?? ''))).toEqual([]);
    expect(new Set(anchors).size).toBe(anchors.length);
  });

  it('links each reason to its row', () => {
    const rows = [...readText('docs/reference/errors.md').matchAll(/<a id="([a-z_]+)">/g)].map(([, anchor]) => anchor);
    const links = [...page.matchAll(/\]\(errors\.md#([^)]+)\)/g)].map(([, anchor]) => anchor);
    expect(links.length).toBeGreaterThan(50);
    expect(links.filter((anchor) => !rows.includes(anchor))).toEqual([]);
  });

  it('shows every message, enum, field and value once', () => {
    const shown = [...page.matchAll(/^#+ (\w+)$/gm)].map(([, title]) => title);
    expect(shown).toEqual(expect.arrayContaining(all.types.map((type) => type.name)));
    const rows = page.match(/^\| \d+ \| `/gm) ?? [];
    const entries = all.types.flatMap((type): readonly unknown[] => (type.kind === 'enum' ? type.values : type.fields));
    expect(rows).toHaveLength(entries.length);
  });

  it('refuses a method without errors, errors without a method, and a type that no method needs', () => {
    const renamed: Interface = {
      ...all,
      services: all.services.map((service) => ({
        ...service,
        methods: service.methods.map((method) =>
          method.name === 'Registry.Discover' ? { ...method, name: 'Registry.Look' } : method,
        ),
      })),
    };
    expect(() => renderPage(renamed)).toThrow('no such method: Registry.Discover');
    const more: Interface = {
      ...all,
      services: [...all.services, { name: 'Other', comment: '', methods: [methodNamed('Other.Look')] }],
    };
    expect(() => renderPage(more)).toThrow('says nothing of Other.Look');
    const lonely = { kind: 'enum', name: 'Lonely', comment: '', values: [] } as const;
    expect(() => renderPage({ ...all, types: [...all.types, lonely] })).toThrow('no method needs Lonely');
  });

  function methodNamed(name: string): Interface['services'][number]['methods'][number] {
    const request = 'DiscoverRequest';
    return { name, path: '', comment: '', request, requestStream: false, response: request, responseStream: false };
  }
});

describe('a proto file as it is read', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rollcall-docs-api-'));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('gives comments, labels, oneofs and streams', () => {
    writeFileSync(
      join(folder, 'a.proto'),
      `syntax = "proto3";
package test.v1;
// Answers.
service Oracle {
  // Over two
  // lines.
  rpc Ask(stream Question) returns (Answer);
}
message Question {
  // How far.
  optional uint32 depth = 1;
  map<string, Kind> kinds = 3;
  // Either.
  oneof choice {
    string left = 4;
    uint64 right_side = 5;
  }
}
message Answer { repeated string words = 1; }
enum Kind {
  KIND_A = 0;
  // The other.
  KIND_B = 1;
}
`,
    );
    const { services, types } = readInterface(folder, ['a.proto']);
    expect(services[0]?.methods[0]).toMatchObject({
      name: 'Oracle.Ask',
      path: '/test.v1.Oracle/Ask',
      comment: 'Over two lines.',
      requestStream: true,
      responseStream: false,
    });
    const question = types.find((type) => type.name === 'Question');
    expect(question).toMatchObject({
      choices: [{ name: 'choice', comment: 'Either.', fields: ['left', 'right_side'] }],
      fields: [
        { name: 'depth', number: 1, type: 'uint32', label: 'optional', choice: '', comment: 'How far.' },
        { name: 'kinds', number: 3, type: 'Kind', label: 'map', keyType: 'string' },
        { name: 'left', number: 4, choice: 'choice' },
        { name: 'right_side', number: 5, choice: 'choice' },
      ],
    });
    expect(types.find((type) => type.name === 'Answer')).toMatchObject({ fields: [{ label: 'repeated' }] });
    expect(types.find((type) => type.name === 'Kind')).toMatchObject({
      values: [{ comment: '' }, { comment: 'The other.' }],
    });
  });
});
