import { describe, expect, it } from 'vitest';
import { floorBreaches, isBelowTheEdge, readFloors } from './floors.ts';
import { readText } from './project.ts';
import { sourceFile } from './source-text.ts';

const floors = readFloors(readText('docs/ARCHITECTURE.md'));

function breaches(path: string, specifier: string): string[] {
  return floorBreaches([sourceFile(path, `import { x } from '${specifier}';`)], floors);
}

describe('readFloors', () => {
  it('reads the table of docs/ARCHITECTURE.md', () => {
    expect(floors.floorOf.get('base')).toBe(0);
    expect(floors.floorOf.get('server')).toBe(6);
    expect(floors.floorOf.get('cli')).toBe('side');
    expect(floors.named.get('api')).toEqual(new Set(['auth', 'health']));
  });

  it('refuses a text without the table, and a floor that is no number', () => {
    expect(() => readFloors('# Nothing')).toThrow(/no table/);
    expect(() => readFloors('| floor | folder | may import |\n|---|---|---|\n| x | `a` | |\n')).toThrow(/floor of a/);
  });
});

describe('floorBreaches', () => {
  it.each([
    ['src/replica/loop.ts', '../raft/core.ts'],
    ['src/api/discover.ts', '../auth/rules.ts'],
    ['src/raft/core.ts', './log.ts'],
    ['src/client/client.ts', '../gen/rollcall.js'],
    ['src/cli/commands/serve.ts', '../../server/member.ts'],
    ['src/server/member.ts', '../telemetry/log.ts'],
    ['src/server/member.ts', 'pino'],
  ])('lets %s import %s', (path, specifier) => {
    expect(breaches(path, specifier)).toEqual([]);
  });

  it.each([
    ['src/raft/core.ts', '../storage/disk.ts', /raft may not import storage/],
    ['src/raft/core.ts', '../state-machine/catalog.ts', /raft may not import state-machine/],
    ['src/base/bytes.ts', '../gen/rollcall.js', /base may not import gen/],
    ['src/auth/rules.ts', '../api/discover.ts', /auth may not import api/],
    ['src/client/client.ts', '../api/types.ts', /client may not import api/],
    ['src/cli/main.ts', '../replica/replica.ts', /cli may not import replica/],
    ['src/server/member.ts', '../cli/main.ts', /server may not import cli/],
    ['src/server/member.ts', '../../test/support/cluster.ts', /outside src/],
    ['src/misc/a.ts', './b.ts', /no row in the table/],
  ])('refuses %s importing %s', (path, specifier, complaint) => {
    expect(breaches(path, specifier)).toEqual([expect.stringMatching(complaint)]);
  });

  it('leaves tests and scripts alone', () => {
    expect(breaches('test/raft/core.test.ts', '../../src/storage/disk.ts')).toEqual([]);
  });
});

describe('isBelowTheEdge', () => {
  it('holds for floors 0 to 4 and the client', () => {
    const folders = ['base', 'raft', 'api', 'client', 'grpc', 'server', 'cli'];
    expect(folders.filter((folder) => isBelowTheEdge(floors, folder))).toEqual(['base', 'raft', 'api', 'client']);
  });
});
