import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, memberConfigOf } from '../../src/server/config.ts';
import { ConfigError } from '../../src/server/config-load.ts';
import { configKeys } from '../../src/server/config-schema.ts';

const root = join(import.meta.dirname, '../..');
const samples = ['single.yaml', 'three-members/a.yaml', 'three-members/b.yaml', 'three-members/c.yaml'];

const minimal = `memberId: a
dataDirectory: data/a
initialMembers:
  - {id: a, peer: "127.0.0.1:7411", client: "127.0.0.1:7410"}
  - {id: b, peer: "127.0.0.1:7421", client: "127.0.0.1:7420"}
  - {id: c, peer: "127.0.0.1:7431", client: "127.0.0.1:7430"}
listen:
  client: 127.0.0.1:7410
  peer: 127.0.0.1:7411
  http: 127.0.0.1:7412
`;
/** Lines of `minimal` by what stands in them. */
const lineOf = (text: string): number => minimal.split('\n').findIndex((line) => line.includes(text)) + 1;
const nextLine = minimal.split('\n').length;

function problemsIn(text: string): readonly string[] {
  try {
    memberConfigOf(text, 'm.yaml', '/srv');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('a minimal configuration', () => {
  const config = memberConfigOf(minimal, 'm.yaml', '/srv');

  it('has the defaults for the rest', () => {
    expect(config).toMatchObject({
      insecure: false,
      stopGraceMs: 5_000,
      consensusThread: true,
      raft: { tickMs: 50, heartbeatTicks: 2, electionTicksMin: 10, electionTicksMax: 20 },
      limits: { callsInFlightMax: 2_048, connectionsMax: 5_000, streamsPerConnectionMax: 128 },
      log: { level: 'info', format: 'auto', slowMs: 500 },
      storage: {
        segmentBytes: 16 * 2 ** 20,
        logKeepBytes: 64 * 2 ** 20,
        flushIntervalMs: 100,
        unflushedBytesMax: 256 * 2 ** 20,
      },
      warnings: [],
    });
  });

  it('has the addresses parsed, and the directory relative to the working directory', () => {
    expect(config.dataDirectory).toBe('/srv/data/a');
    expect(config.listen.http).toEqual({ host: '127.0.0.1', port: 7_412 });
    expect(config.initialMembers[1]).toEqual({
      id: 'b',
      peerAddress: '127.0.0.1:7421',
      clientAddress: '127.0.0.1:7420',
    });
    expect([config.peerAddress, config.clientAddress]).toEqual(['127.0.0.1:7411', '127.0.0.1:7410']);
  });

  it('keeps an absolute directory', () => {
    const text = minimal.replace('data/a', '/var/lib/rollcall');
    expect(memberConfigOf(text, 'm.yaml', '/srv').dataDirectory).toBe('/var/lib/rollcall');
  });
});

describe('values', () => {
  it.each([
    ['64 MiB', 64 * 2 ** 20],
    ['2GiB', 2 ** 31],
    ['1048576', 2 ** 20],
    ['1024 KiB', 2 ** 20],
  ])('take %s as bytes', (text, bytes) => {
    const config = memberConfigOf(`${minimal}storage:\n  logKeepBytes: ${text}\n`, 'm.yaml', '/srv');
    expect(config.storage.logKeepBytes).toBe(bytes);
  });

  it.each(['"[::1]:7410"', 'localhost:7410', '127.8.9.1:7410'])('let a member listen on %s', (address) => {
    expect(problemsIn(minimal.replace('client: 127.0.0.1:7410\n', `client: ${address}\n`))).toEqual([]);
  });

  it('let a member listen where others reach it, when that is said to be insecure', () => {
    const open = minimal.replaceAll(/(client|peer|http): 127\.0\.0\.1:/g, '$1: 0.0.0.0:');
    expect(problemsIn(open)).toHaveLength(3);
    expect(problemsIn(`${open}insecure: true\n`)).toEqual([]);
  });
});

function memberLine(id: string, port: number): string {
  return `  - {id: ${id}, peer: "h:${port + 1}", client: "h:${port + 100}"}\n`;
}

/** A name, an edit of `minimal`, the line, and what the message must hold. */
const refusals: readonly (readonly [string, (text: string) => string, number, RegExp])[] = [
  ['no member id', (t) => t.replace('memberId: a\n', ''), 1, /^memberId: is missing; write 1 to 64 of/],
  ['an empty member id', (t) => t.replace('memberId: a', 'memberId:'), 1, /^memberId: is empty; write/],
  ['a bad member id', (t) => t.replace('memberId: a', 'memberId: A_1'), 1, /^memberId: is "A_1"; write/],
  ['a number as member id', (t) => t.replace('memberId: a', 'memberId: 1'), 1, /^memberId: is 1; write/],
  [
    'a member that is not in the list',
    (t) => t.replace('memberId: a', 'memberId: d'),
    1,
    /^memberId: is "d", which initialMembers does not hold; write one of a, b, c$/,
  ],
  ['no directory', (t) => t.replace('data/a', '""'), 2, /^dataDirectory: is ""; write the path/],
  [
    'an unknown key',
    (t) => `${t}dataDirectry: x\n`,
    nextLine,
    /^dataDirectry: is no key of the configuration; did you mean dataDirectory\?$/,
  ],
  [
    'an unknown key of a group',
    (t) => `${t}raft:\n  tickMs: 50\n  hartbeatTicks: 2\n`,
    nextLine + 2,
    /^raft\.hartbeatTicks: is no key .* did you mean heartbeatTicks\?$/,
  ],
  [
    'an unknown key like no other',
    (t) => `${t}log:\n  colour: red\n`,
    nextLine + 1,
    /^log\.colour: is no key of the configuration; write one of level, format, slowMs$/,
  ],
  [
    'an unknown key of a member',
    (t) => t.replace('{id: b,', '{id: b, adress: x,'),
    lineOf('id: b'),
    /^initialMembers\[1\]\.adress: is no key .*; write one of id, peer, client$/,
  ],
  ['a key named __proto__', (t) => `${t}__proto__: {}\n`, nextLine, /^__proto__: is no key/],
  ['a key named constructor', (t) => `${t}constructor: 1\n`, nextLine, /^constructor: is no key/],
  ['a key twice', (t) => `${t}memberId: b\n`, nextLine, /is no valid YAML: .*unique/],
  ['text that is no YAML', (t) => `${t}raft: {tickMs\n`, nextLine + 1, /is no valid YAML/],
  ['a tab', (t) => `${t}raft:\n\ttickMs: 50\n`, nextLine + 1, /is no valid YAML: .*[Tt]ab/],
  [
    'an id twice',
    (t) => t.replace('id: c', 'id: b'),
    lineOf('id: c'),
    /^initialMembers\[2\]\.id: is "b", as initialMembers\[1\]\.id is; write another id/,
  ],
  [
    'an address twice',
    (t) => t.replace('"127.0.0.1:7421"', '"127.0.0.1:7411"'),
    lineOf('id: b'),
    /^initialMembers\[1\]\.peer: is 127\.0\.0\.1:7411, as initialMembers\[0\]\.peer is; write another/,
  ],
  [
    "a client address that is another's peer address",
    (t) => t.replace('"127.0.0.1:7430"', '"127.0.0.1:7421"'),
    lineOf('id: c'),
    /^initialMembers\[2\]\.client: is .*, as initialMembers\[1\]\.peer is/,
  ],
  [
    'a member without a client address',
    (t) => t.replace(', client: "127.0.0.1:7420"', ''),
    lineOf('id: b'),
    /client: is missing/,
  ],
  [
    'a wildcard to be reached at',
    (t) => t.replace('"127.0.0.1:7421"', '"0.0.0.0:7421"'),
    lineOf('id: b'),
    /^initialMembers\[1\]\.peer: is "0\.0\.0\.0:7421"; nobody reaches a member there/,
  ],
  [
    'port 0 to be reached at',
    (t) => t.replace('"127.0.0.1:7421"', '"127.0.0.1:0"'),
    lineOf('id: b'),
    /port of 1 to 65535/,
  ],
  [
    'no members',
    (t) => t.replace(/initialMembers:\n(?: {2}- .*\n)+/, 'initialMembers: []\n'),
    3,
    /^initialMembers: is empty; write id/,
  ],
  [
    'ten members',
    (t) =>
      t.replace(
        /(initialMembers:\n)(?: {2}- .*\n)+/,
        `$1${Array.from({ length: 10 }, (_, i) => memberLine(i === 0 ? 'a' : `m${i}`, i)).join('')}`,
      ),
    3,
    /^initialMembers: holds more than 9 members/,
  ],
  [
    'a member that is a word',
    (t) => t.replace(/- \{id: b.*/, '- b'),
    lineOf('id: b'),
    /^initialMembers\[1\]: is not a group of keys; write id, peer, client below it$/,
  ],
  [
    'members that are no list',
    (t) => t.replace(/initialMembers:\n(?: {2}- .*\n)+/, 'initialMembers: a\n'),
    3,
    /^initialMembers: write a list/,
  ],
  [
    'a group that is a word',
    (t) => `${t}raft: fast\n`,
    nextLine,
    /^raft: is not a group of keys; write tickMs, heartbeatTicks/,
  ],
  [
    'no listen group',
    (t) => t.replace(/listen:\n(?: {2}.*\n)+/, ''),
    1,
    /^listen: is not a group of keys; write client, peer, http/,
  ],
  ...[
    'localhost',
    '127.0.0.1',
    ':7410',
    '"127.0.0.1:"',
    '127.0.0.1:x',
    '127.0.0.1:65536',
    '256.0.0.1:1',
    '1.2.3:1',
    'a_b:1',
    '-a:1',
    '"::1:7410"',
    '"[::g]:1"',
    'http://a:1',
  ].map((address): readonly [string, (text: string) => string, number, RegExp] => [
    `the address ${address}`,
    (t) => t.replace('client: 127.0.0.1:7410\n', `client: ${address}\n`),
    lineOf('  client: 127'),
    /^listen\.client: is .*; write host:port with a port of 0 to 65535, such as 127\.0\.0\.1:7400$/,
  ]),
  [
    'an IPv6 address without quotes',
    (t) => t.replace('client: 127.0.0.1:7410\n', 'client: [fe80]\n'),
    lineOf('  client: 127'),
    /^listen\.client: is a list; write an IPv6 address in quotes, such as "\[::1\]:7400"$/,
  ],
  [
    'two listeners on one port',
    (t) => t.replace('http: 127.0.0.1:7412', 'http: 127.0.0.1:7410'),
    lineOf('http:'),
    /^listen\.http: is 127\.0\.0\.1:7410, where listen\.client listens already; write another port$/,
  ],
  [
    'a listener that others reach',
    (t) => t.replace('http: 127.0.0.1:7412', 'http: 192.168.1.4:7412'),
    lineOf('http:'),
    /^listen\.http: is 192\.168\.1\.4:7412, which other machines may reach.*"insecure: true"/,
  ],
  ['a word for insecure', (t) => `${t}insecure: "yes"\n`, nextLine, /^insecure: is "yes"; write true or false$/],
  ...['fast', '4', '1001', '50.5', '-50', '"50"', '.inf', '.nan', '[50]', '{a: 1}', '1e400'].map(
    (value): readonly [string, (text: string) => string, number, RegExp] => [
      `the number ${value}`,
      (t) => `${t}raft:\n  tickMs: ${value}\n`,
      nextLine + 1,
      /^raft\.tickMs: is .*; write a whole number of 5 to 1000 \(ms\)$/,
    ],
  ),
  ['an empty number', (t) => `${t}raft:\n  tickMs:\n`, nextLine + 1, /^raft\.tickMs: is empty; write a whole number/],
  [
    'elections as fast as heartbeats',
    (t) => `${t}raft:\n  heartbeatTicks: 8\n`,
    nextLine,
    /^raft\.electionTicksMin: is 10, less than two heartbeats .* write at least 16, better 40$/,
  ],
  [
    'elections without a spread',
    (t) => `${t}raft:\n  electionTicksMin: 20\n`,
    nextLine,
    /^raft\.electionTicksMax: is 20, not above raft\.electionTicksMin \(20\).* write 40$/,
  ],
  [
    'an unknown level',
    (t) => `${t}log:\n  level: loud\n`,
    nextLine + 1,
    /^log\.level: is "loud"; write one of debug, info, warn, error$/,
  ],
  ...['64MB', '0', '63 KiB', '-1', '1.5 MiB', 'many'].map(
    (value): readonly [string, (text: string) => string, number, RegExp] => [
      `the byte count ${value}`,
      (t) => `${t}storage:\n  logKeepBytes: ${value}\n`,
      nextLine + 1,
      /^storage\.logKeepBytes: is .*; write 1 MiB to 64 GiB, as a number of bytes or as "64 MiB"$/,
    ],
  ),
  [
    'a segment that is not whole pages',
    (t) => `${t}storage:\n  segmentBytes: 1048577\n`,
    nextLine + 1,
    /^storage\.segmentBytes: is 1048577; write 4 MiB to 256 MiB, a multiple of 4096/,
  ],
  ['a second document', (t) => `${t}---\nmemberId: b\n`, nextLine, /is no valid YAML/],
  ['a list', () => '- memberId: a\n', 1, /^holds no keys; see cluster-configs\/single\.yaml/],
  ['nothing', () => '# only a comment\n', 1, /^holds no keys/],
];

describe('a configuration is refused for', () => {
  it.each(refusals)('%s', (_name, edit, line, message) => {
    const text = edit(minimal);
    expect(text).not.toBe(minimal);
    const problems = problemsIn(text);
    expect(problems).toHaveLength(1);
    const [, shownLine, told] = /^m\.yaml:(\d+): ([^]*)$/.exec(problems[0] ?? '') ?? [];
    expect(told).toMatch(message);
    expect(Number(shownLine)).toBe(line);
  });

  it('all that is wrong with it at once, in the order of its lines', () => {
    const text = `${minimal
      .replace('memberId: a', 'memberId: z')
      .replace('id: c', 'id: b')
      .replace('http: 127.0.0.1:7412', 'http: 0.0.0.0:7412')}raft:\n  tickMs: 1\n  tikMs: 1\nlog:\n  level: 3\n`;
    const problems = problemsIn(text);
    expect(problems.map((problem) => problem.split(': ')[1])).toEqual([
      'memberId',
      'initialMembers[2].id',
      'listen.http',
      'raft.tickMs',
      'raft.tikMs',
      'log.level',
    ]);
    expect(() => memberConfigOf(text, 'm.yaml', '/srv')).toThrow(problems.join('\n'));
  });
});

describe('an even number of members', () => {
  it('is warned of', () => {
    const text = minimal.replace(/ {2}- \{id: c.*\n/, '');
    const { warnings } = memberConfigOf(text, 'm.yaml', '/srv');
    expect(warnings).toEqual([expect.stringMatching(/^m\.yaml:3: initialMembers: holds 2 members, an even number/)]);
  });
});

describe('a member that joins', () => {
  const two = minimal.replace(/ {2}- \{id: c.*\n/, '');

  it('is not warned of a list that forms nothing', () => {
    expect(memberConfigOf(`${two}join: ["127.0.0.1:7420"]\n`, 'm.yaml', '/srv')).toMatchObject({
      join: ['127.0.0.1:7420'],
      learner: false,
      warnings: [],
    });
  });

  it.each([
    ['a word', 'a', /^join: write a list of addresses for clients/],
    ['an address alone', '127.0.0.1:7420', /^join: write a list of addresses for clients/],
    ['an address without a port', '[127.0.0.1]', /^join\[0\]: is "127\.0\.0\.1"; write host:port/],
    ['a wildcard', '["0.0.0.0:7420"]', /^join\[0\]: is "0\.0\.0\.0:7420"; nobody reaches a member there/],
    ['too many', JSON.stringify(Array.from({ length: 65 }, (_, i) => `h:${i + 1}`)), /^join: holds more than 64/],
  ])('is refused %s', (_name, value, message) => {
    const [problem = '', ...more] = problemsIn(`${minimal}join: ${value}\n`);
    expect([problem.replace(/^m\.yaml:\d+: /, ''), more]).toEqual([expect.stringMatching(message), []]);
    const most = JSON.stringify(Array.from({ length: 64 }, (_, i) => `h:${i + 1}`));
    expect(problemsIn(`${minimal}join: ${most}\n`)).toEqual([]);
  });
});

describe('a file', () => {
  it('that cannot be read is told by name, with what to do', async () => {
    await expect(loadConfig('no-such.yaml', root)).rejects.toThrow(/^no-such\.yaml: there is no such file; copy/);
    await expect(loadConfig('cluster-configs', root)).rejects.toThrow(/^cluster-configs: is a directory/);
  });

  it('that is no text or far too large is refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rollcall-config-'));
    try {
      await writeFile(join(folder, 'large.yaml'), Buffer.alloc(1024 * 1024 + 1, 0x23));
      await expect(loadConfig('large.yaml', folder)).rejects.toThrow(/a configuration has at most 1048576/);
      await writeFile(join(folder, 'binary.yaml'), Buffer.from([0, 1, 2, 0xff, 0xfe]));
      await expect(loadConfig('binary.yaml', folder)).rejects.toBeInstanceOf(ConfigError);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** The comment lines right above a key, and the key's value as the sample has it. */
function documented(text: string): Map<string, { readonly comment: string; readonly line: string }> {
  const found = new Map<string, { comment: string; line: string }>();
  const parents: string[] = [];
  let comment: string[] = [];
  for (const line of text.split('\n')) {
    const key = /^( *)(- )?([a-zA-Z]+):/.exec(line);
    if (/^ *#/.test(line)) comment.push(line.replace(/^ *# ?/, ''));
    else if (key !== null) {
      const [, indent = '', dash, name = ''] = key;
      const depth = (indent.length + (dash?.length ?? 0)) / 2;
      parents.length = Math.min(parents.length, depth);
      const inList = parents.at(-1) === 'initialMembers' || parents.at(-2) === 'initialMembers';
      const path = inList ? `initialMembers[].${name}` : [...parents.filter((part) => part !== ''), name].join('.');
      parents[depth] = name;
      for (let i = 0; i < depth; i++) parents[i] ??= '';
      if (!found.has(path)) found.set(path, { comment: comment.join(' '), line });
      comment = [];
    } else comment = [];
  }
  return found;
}

describe('cluster-configs/joining/d.yaml', () => {
  it('joins the three members, and says nothing else that differs from the defaults', async () => {
    const config = await loadConfig('cluster-configs/joining/d.yaml', root);
    const a = await loadConfig('cluster-configs/three-members/a.yaml', root);
    expect([a.join, a.learner]).toEqual([[], false]);
    expect(config).toEqual({
      ...a,
      memberId: 'd',
      dataDirectory: join(root, '.rollcall/d'),
      initialMembers: [{ id: 'd', peerAddress: '127.0.0.1:7441', clientAddress: '127.0.0.1:7440' }],
      peerAddress: '127.0.0.1:7441',
      clientAddress: '127.0.0.1:7440',
      join: a.initialMembers.map(({ clientAddress }) => clientAddress),
      listen: {
        client: { host: '127.0.0.1', port: 7_440 },
        peer: { host: '127.0.0.1', port: 7_441 },
        http: { host: '127.0.0.1', port: 7_442 },
      },
    });
  });
});

describe.each(samples)('cluster-configs/%s', (name) => {
  const path = join('cluster-configs', name);

  it('is accepted, without a warning', async () => {
    const config = await loadConfig(path, root);
    expect(config.warnings).toEqual([]);
    expect(config.dataDirectory).toBe(join(root, '.rollcall', config.memberId));
    const own = config.initialMembers.find(({ id }) => id === config.memberId);
    expect(own?.clientAddress).toBe(`127.0.0.1:${config.listen.client.port}`);
    expect(own?.peerAddress).toBe(`127.0.0.1:${config.listen.peer.port}`);
    expect(config.listen.peer.port).toBe(config.listen.client.port + 1);
    expect(config.listen.http.port).toBe(config.listen.client.port + 2);
  });

  it('documents every key with its real default', async () => {
    const text = await readFile(join(root, path), 'utf8');
    const keys = documented(text);
    const defaults: string[] = [];
    for (const key of configKeys()) {
      const comment = keys.get(key.path)?.comment ?? '';
      expect(`${key.path}: ${comment}`).toMatch(/: .+/);
      if (key.defaultValue === undefined) expect(`${key.path}: ${comment}`).toMatch(/Required\./);
      else {
        const shown = / Default: (.+)$/.exec(comment)?.[1] ?? '';
        defaults.push(`${key.path} = ${shown}`);
        expect([key.path, parsedAs(key.path, shown)]).toEqual([key.path, key.defaultValue]);
      }
    }
    expect(defaults).toHaveLength(22);
  });

  it('has each key at its default', async () => {
    const whole = parse(await readFile(join(root, path), 'utf8')) as Record<string, object>;
    const { memberId, dataDirectory, initialMembers, listen } = whole;
    const required = JSON.stringify({ memberId, dataDirectory, initialMembers, listen });
    expect(memberConfigOf(required, 'm.yaml', root)).toEqual(await loadConfig(path, root));
  });
});

/** What the schema makes of a value written at `path`. */
function parsedAs(path: string, shown: string): unknown {
  const [group, name] = path.split('.');
  const added = name === undefined ? `${path}: ${shown}\n` : `${group}:\n  ${name}: ${shown}\n`;
  const config = memberConfigOf(minimal + added, 'm.yaml', '/srv') as unknown as Record<string, unknown>;
  const value = config[group ?? ''];
  return name === undefined ? value : (value as Record<string, unknown>)[name];
}
