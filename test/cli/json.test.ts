import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { commandReasons, exitCodes } from '../../src/cli/exit-codes.ts';
import type { JsonDocumentName } from '../../src/cli/json-documents.ts';
import { jsonDocuments } from '../../src/cli/json-documents.ts';
import { RollcallClient } from '../../src/client/client.ts';
import { ownReasons } from '../../src/client/client-error.ts';
import type { Session } from '../../src/client/session-types.ts';
import { deadAddress, until } from '../client/fake-member.ts';
import { ClusterDouble } from './cluster-double.ts';
import { folder, printedDocuments, withPrinted } from './reference-pages.ts';
import type { RollcallProcess } from './rollcall-process.ts';
import { devDocument, Scratch, startDev } from './rollcall-process.ts';
import { cli, cliWith, startCli } from './run-cli.ts';

describe('docs/reference/json.md', () => {
  // Written anew by: npx vitest run test/cli/json.test.ts -u
  it('names every field of every document', async () => {
    await expect(withPrinted('json.md', printedDocuments())).toMatchFileSnapshot(join(folder, 'json.md'));
  });
});

describe('the reasons of docs/reference/json.md', () => {
  it('are those of the client and of the command line, each once', () => {
    const page = readFileSync(join(folder, 'json.md'), 'utf8');
    const section = /^## Reasons\n(.*?)^<!--/ms.exec(page)?.[1] ?? '';
    const named = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
    expect(named).toEqual([...ownReasons, ...commandReasons]);
  });
});

describe('JSON of the commands', () => {
  const scratch = new Scratch();
  const seen = new Set<string>();
  const clients: RollcallClient[] = [];
  let dev: RollcallProcess;

  beforeAll(async () => {
    const { process: started, address } = await startDev();
    dev = started;
    vi.stubEnv('ROLLCALL_SERVER', address);
    vi.stubEnv('ROLLCALL_OUTPUT', 'json');
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    for (const client of clients) client.close();
    await dev.kill();
    scratch.remove();
  });

  /** One with an instance, so that it is there when this is done. */
  async function openSession(): Promise<Session> {
    const client = new RollcallClient({ servers: process.env['ROLLCALL_SERVER'] ?? '' });
    clients.push(client);
    const session = client.openSession();
    const endpoints = [{ name: 'main', protocol: 'http', address: '10.0.0.9', port: 80 }];
    await session.register({ service: 'session', id: 'a', endpoints });
    return session;
  }

  /** Every line of the text, each of which must be a document, and strictly as it is described. */
  function documents(text: string, name: JsonDocumentName): readonly Readonly<Record<string, unknown>>[] {
    expect(text).toMatch(/\n$/);
    return text
      .trimEnd()
      .split('\n')
      .map((line) => {
        expect(line.startsWith(`{"schema":"${name}"`)).toBe(true);
        seen.add(name);
        return jsonDocuments[name].parse(JSON.parse(line));
      });
  }

  async function printed(name: JsonDocumentName, ...args: readonly string[]) {
    const { exitCode, stdout } = await cli(...args);
    expect([args.join(' '), exitCode]).toEqual([args.join(' '), exitCodes.ok]);
    const [document, ...more] = documents(stdout, name);
    expect(more).toEqual([]);
    return document;
  }

  it('is as described, for each that writes', async () => {
    const web = ['register', 'web', '--id', 'a', '--endpoint', 'main=http://10.0.0.7:80'];
    const all = [
      '--tag',
      't',
      '--meta',
      'k=v',
      '--version-label',
      '1.2.3',
      '--zone',
      'z',
      '--region',
      'r',
      '--weight',
      '7',
    ];
    await printed('rollcall.register-request.v1', ...web, ...all, '--ttl', '10s', '--dry-run');
    await printed('rollcall.register-request.v1', ...web, '--persistent', '--dry-run');
    expect(await printed('rollcall.register.v1', ...web, ...all, '--ttl', '60s')).toMatchObject({ replaced: false });
    expect(await printed('rollcall.register.v1', ...web, '--persistent')).toMatchObject({ replaced: true, ttlMs: 0 });
    await printed('rollcall.deregister-request.v1', 'deregister', 'web', '--id', 'b', '--dry-run');
    expect(await printed('rollcall.deregister.v1', 'deregister', 'web', '--id', 'b')).toMatchObject({ existed: false });
    const file = scratch.file('instances.yaml');
    const endpoints = 'endpoints: [main=http://10.0.0.8:80]';
    writeFileSync(file, `instances:\n- { service: db, id: a, ${endpoints} }\n- { service: db, id: b, ${endpoints} }\n`);
    await printed('rollcall.apply-request.v1', 'apply', '-f', file, '--dry-run');
    expect(await printed('rollcall.apply.v1', 'apply', '-f', file)).toMatchObject({ registered: 2, unchanged: 0 });
    writeFileSync(
      file,
      `instances:\n- { service: db, id: a, ${endpoints} }\n- { service: db, id: b, ${endpoints}, zone: z }\n`,
    );
    expect(await printed('rollcall.apply.v1', 'apply', '-f', file)).toMatchObject({
      registered: 0,
      replaced: 1,
      unchanged: 1,
      instances: [
        { file, id: 'a', outcome: 'unchanged' },
        { file, id: 'b', outcome: 'replaced' },
      ],
    });
  });

  it('is as described, for each that reads', async () => {
    await cli('register', 'read', '--id', 'a', '--endpoint', 'main=http://10.0.0.7:80', '--persistent', '--tag', 't');
    expect(await printed('rollcall.services.v1', 'services', '--prefix', 're')).toMatchObject({
      services: [{ service: 'read', instances: 1 }],
    });
    await printed('rollcall.discover.v1', 'discover', 'read');
    await printed('rollcall.discover.v1', 'discover', 'read', '--stale');
    const session = await openSession();
    expect(await printed('rollcall.cluster-status.v1', 'cluster', 'status')).toMatchObject({
      members: [{ sessions: 1, sessionStreams: 1 }],
    });
    await session.close();
    const watch = startCli('watch', 'read', '--tag', 't');
    await until(() => watch.stdout().includes('"snapshot"'), 'the snapshot');
    await cli('register', 'read', '--id', 'b', '--endpoint', 'main=http://10.0.0.7:81', '--persistent', '--tag', 't');
    await cli('register', 'read', '--id', 'b', '--endpoint', 'main=http://10.0.0.7:81', '--persistent');
    await cli('deregister', 'read', '--id', 'a', '--reason', 'to see it');
    await until(() => watch.stdout().includes('to see it'), 'all changes');
    watch.interrupt();
    await watch.exitCode;
    const events = documents(watch.stdout(), 'rollcall.watch.v1').flatMap((batch) => batch['events']);
    expect(events).toMatchObject([
      { kind: 'put', instance: { id: 'a' } },
      { kind: 'put', instance: { id: 'b' } },
      { kind: 'leaves', key: { service: 'read', id: 'b' } },
      { kind: 'delete', key: { id: 'a' }, cause: 'deregistered', reason: 'to see it' },
    ]);
    documents(devDocument.exec(dev.stdout)?.[0] ?? '', 'rollcall.dev.v1');
  });

  it('is as described for the members of a cluster', async () => {
    const double = await ClusterDouble.start();
    try {
      const print = (name: JsonDocumentName, ...args: readonly string[]) =>
        printed(name, 'cluster', ...args, '--server', double.address);
      expect(await print('rollcall.cluster-members.v1', 'members')).toMatchObject({ removedIds: [] });
      expect(await print('rollcall.cluster-members.v1', 'remove', 'c')).toMatchObject({ removedIds: ['c'] });
      expect(await print('rollcall.cluster-transfer.v1', 'transfer', 'b')).toMatchObject({ leader: 'b' });
      const top = await printed('rollcall.top.v1', 'top', '--interval', '20ms', '--server', double.address);
      expect(top).toMatchObject({ leader: 'a', writesPerSecond: 0, members: [{ appliedPerSecond: 0 }, {}, {}] });
      expect(await print('rollcall.cluster-status.v1', 'status')).toMatchObject({
        leader: 'a',
        members: [{ memberId: 'a' }, { memberId: 'b', kind: 'voter' }, { memberId: 'c', kind: 'unknown' }],
      });
    } finally {
      await double.stop();
    }
  });

  it('is as described for what a command is given at changes', async () => {
    const file = scratch.file('given');
    const copy = `require('node:fs').writeFileSync(${JSON.stringify(file)}, require('node:fs').readFileSync(0))`;
    const { exitCode } = await cli('watch', '--prefix', 're', '--once', '--', process.execPath, '-e', copy);
    expect(exitCode).toBe(exitCodes.ok);
    documents(scratch.read('given'), 'rollcall.present.v1');
  });

  it.each([
    [
      'what the member refuses',
      ['register', 'x', '--id', 'a', '--endpoint', 'm=p://h:1', '--ttl', '999ms'],
      exitCodes.usage,
      { reason: 'INVALID_FIELD', code: 'INVALID_ARGUMENT', field: 'ttl_ms' },
    ],
    [
      'a conflict',
      ['deregister', 'db', '--id', 'a', '--incarnation', '999999'],
      exitCodes.conflict,
      { reason: 'SUPERSEDED' },
    ],
    ['what is not there', ['discover', 'nobody'], exitCodes.notFound, { reason: 'UNKNOWN_SERVICE', code: 'NOT_FOUND' }],
    ['an option that is none', ['discover', 'x', '--nope'], exitCodes.usage, { reason: 'USAGE', field: 'nope' }],
    ['an option that is missing', ['deregister', 'x'], exitCodes.usage, { reason: 'USAGE', field: 'id' }],
    ['an argument that is missing', ['discover'], exitCodes.usage, { reason: 'USAGE', field: 'service' }],
    [
      'a value that is none',
      ['discover', 'x', '--timeout', '1'],
      exitCodes.usage,
      { reason: 'USAGE', field: 'timeout' },
    ],
    [
      'a range that is none',
      ['discover', 'x', '--version-range', '^^'],
      exitCodes.usage,
      { reason: 'INVALID_FIELD', field: 'filter.version_range' },
    ],
    ['no command', [], exitCodes.usage, { reason: 'USAGE' }],
    ['a file that is wrong', ['apply', '-f', '-'], exitCodes.usage, { reason: 'INVALID_FIELD', field: 'prot' }],
    ['a command behind -- where none is taken', ['services', '--', 'x'], exitCodes.usage, { reason: 'USAGE' }],
  ] as const)('is on standard error for %s', async (_, args, exitCode, facts) => {
    const result = await cliWith('service: a\nid: a\nendpoints: [m=p://h:1]\nprot: 1\n', ...args);
    expect(result.exitCode).toBe(exitCode);
    const [document] = documents(result.stderr, 'rollcall.error.v1');
    expect(document).toMatchObject({ exitCode, ...facts });
    expect([String(document?.['message']).length > 5, String(document?.['hint']).length > 10]).toEqual([true, true]);
  });

  it('tells as an error that nobody listens', async () => {
    const { exitCode, stderr } = await cli('services', '--server', await deadAddress());
    expect(exitCode).toBe(exitCodes.unavailable);
    expect(documents(stderr, 'rollcall.error.v1')).toMatchObject([{ reason: 'UNREACHABLE', code: 'UNAVAILABLE' }]);
  });

  it('was seen of every document', () => {
    expect([...seen].sort()).toEqual(Object.keys(jsonDocuments).sort());
  });
});
