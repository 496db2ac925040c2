import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../tidy/project.ts';

// Stands in for the command line: uses the pool once, then says how many threads the process has.
const countThreads = `
import { stat } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
await stat('.');
const threads = readdirSync('/proc/self/task').length;
process.stdout.write(JSON.stringify({ size: process.env.UV_THREADPOOL_SIZE, threads }));
`;

describe('the launcher', () => {
  let folder: string;
  let launcher: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rollcall-launcher-'));
    copyFileSync(join(root, 'src/cli/launcher.cts'), join(folder, 'launcher.cts'));
    writeFileSync(join(folder, 'main.ts'), 'export {};\n');
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const options = ['--ignoreConfig', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
    const typeRoots = join(root, 'node_modules/@types');
    const paths = ['--rewriteRelativeImportExtensions', '--typeRoots', typeRoots, '--outDir', join(folder, 'dist')];
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
    execFileSync(process.execPath, [tsc, ...options, ...paths, join(folder, 'launcher.cts'), join(folder, 'main.ts')]);
    launcher = join(folder, 'dist/launcher.cjs');
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(main: string, env: NodeJS.ProcessEnv): { status: number | null; stdout: string; stderr: string } {
    writeFileSync(join(folder, 'dist/main.js'), main);
    return spawnSync(process.execPath, [launcher], { env, encoding: 'utf8' });
  }

  it('gives the process a pool of sixteen threads, unless the environment says otherwise', (context) => {
    if (process.platform !== 'linux') context.skip('counts threads in /proc, which only Linux has');
    expect(readdirSync('/proc/self/task').length).toBeGreaterThan(1);
    const { UV_THREADPOOL_SIZE: _set, ...env } = process.env;
    const counted = (extra: NodeJS.ProcessEnv): unknown => JSON.parse(run(countThreads, { ...env, ...extra }).stdout);
    const one = counted({ UV_THREADPOOL_SIZE: '1' });
    expect(one).toEqual({ size: '1', threads: expect.any(Number) });
    const base = (one as { threads: number }).threads - 1;
    expect(counted({})).toEqual({ size: '16', threads: base + 16 });
    expect(counted({ UV_THREADPOOL_SIZE: '7' })).toEqual({ size: '7', threads: base + 7 });
  });

  it('says why when the program cannot be loaded', () => {
    const result = run("throw new Error('no such luck');", process.env);
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/^rollcall could not start: Error: no such luck/);
  });

  it('refuses a Node.js that is too old', () => {
    const preload = join(folder, 'older.cjs');
    writeFileSync(preload, "Object.defineProperty(process.versions, 'node', { value: '20.18.3' });\n");
    const result = run('process.exitCode = 0;', { ...process.env, NODE_OPTIONS: `--require ${preload}` });
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/needs Node\.js 20\.19 or newer, this is 20\.18\.3/);
  });
});
