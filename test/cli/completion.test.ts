import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { deadAddress, FakeMember, v1 } from '../client/fake-member.ts';
import { commands } from './reference-pages.ts';
import { cli } from './run-cli.ts';

type Shell = 'bash' | 'zsh' | 'fish';

/** Asks a shell, which reads the script, what may stand at the end of the line. */
const programs: Readonly<Record<Shell, string>> = {
  bash: `source "$SCRIPT"; COMP_LINE=$LINE; COMP_POINT=\${#LINE}; _rollcall; printf '%s\\n' "\${COMPREPLY[@]}"`,
  // Stands in for the functions of the completion system that need a terminal.
  zsh: `compdef() { : }; compset() { : }
_describe() { print -l -- "\${(@)\${(@P)2}%%:*}" }
compadd() { shift; print -l -- "$@" }
_files() { print '<file>' }; _command_names() { print '<command>' }
source "$SCRIPT"
words=("\${(@)=LINE}"); [[ $LINE == *' ' ]] && words+=(''); CURRENT=\${#words}
_rollcall`,
  fish: 'source $SCRIPT; complete -C "$LINE"',
};

describe('completion', () => {
  let directory = '';
  let member: FakeMember;
  let environment: NodeJS.ProcessEnv = {};

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rollcall-completion-'));
    const main = join(import.meta.dirname, '../../src/cli/main.ts');
    const tsx = import.meta.resolve('tsx');
    const program = join(directory, 'rollcall');
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' --import '${tsx}' '${main}' "$@"\n`);
    chmodSync(program, 0o755);
    for (const shell of ['bash', 'zsh', 'fish'] as const) {
      const { stdout, exitCode } = await cli('completion', shell);
      expect(exitCode).toBe(exitCodes.ok);
      writeFileSync(join(directory, shell), stdout);
    }
    member = await FakeMember.start({
      unary: (_, request) => {
        const { prefix, namespace } = v1.ListServicesRequest.decode(request);
        const names = namespace === 'default' ? ['web', 'web-admin', 'worker'] : ['other'];
        const services = names.filter((name) => name.startsWith(prefix)).map((service) => ({ service }));
        return v1.ListServicesResponse.encode({ header: { revision: 1, member: 'a' }, services });
      },
    });
    environment = {
      ...process.env,
      PATH: `${directory}${delimiter}${process.env['PATH']}`,
      HOME: directory,
      ROLLCALL_SERVER: member.address,
    };
  });

  afterAll(() => {
    member.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  function complete(shell: Shell, line: string, extra: NodeJS.ProcessEnv = {}): Promise<string[]> {
    const args = shell === 'bash' ? ['--norc', '-c'] : shell === 'zsh' ? ['-f', '-c'] : ['--no-config', '-c'];
    const env = { ...environment, SCRIPT: join(directory, shell), LINE: line, ...extra };
    return new Promise((resolve, reject) => {
      const child = spawn(shell, [...args, programs[shell]], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      let out = '';
      let err = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
      child.once('error', reject);
      child.once('close', () => {
        if (err !== '') reject(new Error(`${shell} says: ${err}`));
        // fish has the description behind a tab.
        else
          resolve(
            out
              .split('\n')
              .filter((each) => each !== '')
              .map((each) => each.split('\t')[0] ?? ''),
          );
      });
    });
  }

  const shells: readonly Shell[] = ['bash', 'zsh', 'fish'];
  const all = commands();

  describe.each(shells)('of %s', (shell) => {
    const there = spawnSync(shell, ['--version']).status === 0;
    const test = (name: string, run: () => Promise<void>): void =>
      it(name, async (context) => {
        if (!there) context.skip(`${shell} is not installed here`);
        await run();
      });

    test('knows every command and every option', async () => {
      const missing: string[] = [];
      for (const { path, commands: below, options } of all) {
        const line = path === '' ? 'rollcall ' : `rollcall ${path} `;
        if (below.length > 0) {
          const found = await complete(shell, line);
          const names = below.map((each) => each.path.split(' ').at(-1) ?? '');
          missing.push(...names.filter((name) => !found.includes(name)).map((name) => line + name));
        }
        const found = await complete(shell, `${line}--`);
        const names = options.map((option) => option.names[0] ?? '');
        missing.push(...names.filter((name) => !found.includes(name)).map((name) => line + name));
      }
      expect(missing).toEqual([]);
    });

    // Whether what is offered begins so is judged by zsh itself.
    if (shell !== 'zsh') {
      test('completes what was begun', async () => {
        expect(await complete(shell, 'rollcall disc')).toEqual(['discover']);
        expect(await complete(shell, 'rollcall --server 127.0.0.1:7400 cluster st')).toEqual(['status']);
        expect(await complete(shell, 'rollcall discover web --stal')).toEqual(['--stale']);
        expect(await complete(shell, 'rollcall discover --output js')).toEqual(['json']);
      });
    }

    test('asks the registry that the line names for services', async () => {
      const dead = { ROLLCALL_SERVER: await deadAddress() };
      const line = `rollcall run --server ${member.address} w`;
      expect(await complete(shell, line, dead)).toEqual(['web', 'web-admin', 'worker']);
    });
  });

  it('asks for services of the namespace, once, and silently where the registry is away', async () => {
    expect(await complete('bash', 'rollcall watch --namespace else o')).toEqual(['other']);
    expect(await complete('bash', 'rollcall discover web ')).toEqual([]);
    expect(await complete('bash', 'rollcall discover w', { ROLLCALL_SERVER: await deadAddress() })).toEqual([]);
  });

  it('completes files and commands where those stand', async () => {
    writeFileSync(join(directory, 'instances.yaml'), '');
    const file = join(directory, 'instances.yaml');
    expect(await complete('bash', `rollcall apply -f ${file.slice(0, -3)}`)).toEqual([file]);
    expect(await complete('bash', 'rollcall run web -- rollc')).toEqual(['rollcall']);
  });

  it('refuses another shell', async () => {
    const { exitCode, stderr } = await cli('completion', 'tcsh');
    expect([exitCode, stderr]).toEqual([exitCodes.usage, expect.stringContaining('bash, zsh, fish')]);
  });
});
