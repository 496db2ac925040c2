import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { runCli } from '../../src/cli/program.ts';
import { deadAddress, FakeMember, v1 } from '../client/fake-member.ts';
import { commands } from './reference-pages.ts';
import { cli, testIo } from './run-cli.ts';

const main = join(import.meta.dirname, '../../src/cli/main.ts');

type Shell = 'bash' | 'zsh' | 'fish';

/** Asks a shell, which reads the script, what may stand at the end of each line. */
const programs: Readonly<Record<Shell, string>> = {
  bash: `source "$SCRIPT"
while IFS= read -r COMP_LINE; do
  COMP_POINT=\${#COMP_LINE}; _rollcall; printf '%s\\n' "\${COMPREPLY[@]}" '<end>'
done <<<"$LINES"`,
  // Stands in for the functions of the completion system that need a terminal.
  zsh: `compdef() { : }; compset() { : }
_describe() { print -l -- "\${(@)\${(@P)2}%%:*}" }
compadd() { shift; print -l -- "$@" }
_files() { print '<file>' }; _command_names() { print '<command>' }
source "$SCRIPT"
for line in "\${(@f)LINES_ASKED}"; do
  words=("\${(@)=\${line% }}"); [[ $line == *' ' ]] && words+=(''); CURRENT=\${#words}
  _rollcall; print '<end>'
done`,
  fish: 'source $SCRIPT; for line in (string split \\n -- $LINES); complete -C $line; echo "<end>"; end',
};

/** Puts a program of the PATH into a directory. */
function symlinkTo(into: string, program: string): void {
  const path = program === 'node' ? process.execPath : spawnSync('which', [program]).stdout.toString().trim();
  const link = join(into, program);
  if (!existsSync(link)) symlinkSync(path, link);
}

function isThere(shell: Shell): boolean {
  return spawnSync(shell, ['--version']).status === 0;
}

describe('completion', () => {
  let directory = '';
  let member: FakeMember;
  let environment: NodeJS.ProcessEnv = {};

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rollcall-completion-'));
    const tsx = import.meta.resolve('tsx');
    const program = join(directory, 'rollcall');
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' --import '${tsx}' '${main}' "$@"\n`);
    chmodSync(program, 0o755);
    for (const shell of ['bash', 'zsh', 'fish'] as const) {
      const { stdout } = await cli('completion', shell);
      writeFileSync(join(directory, shell), stdout);
    }
    member = await FakeMember.start({
      unary: (_, request) => {
        const { prefix, namespace } = v1.ListServicesRequest.decode(request);
        const names = namespace === 'default' ? ['web', 'web-admin', 'worker', 'w$(touch expanded)'] : ['other'];
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

  /** What each of the lines may go on with. */
  async function completeAll(shell: Shell, lines: readonly string[], extra: NodeJS.ProcessEnv = {}) {
    const args = shell === 'bash' ? ['--norc', '-c'] : shell === 'zsh' ? ['-f', '-c'] : ['--no-config', '-c'];
    // LINES is the height of the terminal to zsh.
    const asked = { [shell === 'zsh' ? 'LINES_ASKED' : 'LINES']: lines.join('\n') };
    const env = { ...environment, SCRIPT: join(directory, shell), ...asked, ...extra };
    const child = spawn(shell, [...args, programs[shell]], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    await once(child, 'close');
    if (err !== '') throw new Error(`${shell} says: ${err}`);
    const answers = out.split('<end>\n').slice(0, -1);
    expect(answers).toHaveLength(lines.length);
    // fish has the description behind a tab.
    return answers.map((answer) => answer.split('\n').flatMap((each) => (each === '' ? [] : [each.split('\t')[0]])));
  }

  async function complete(shell: Shell, line: string, extra: NodeJS.ProcessEnv = {}): Promise<unknown> {
    const [answer] = await completeAll(shell, [line], extra);
    return answer;
  }

  const shells: readonly Shell[] = ['bash', 'zsh', 'fish'];
  const all = commands();

  describe.each(shells)('of %s', (shell) => {
    const there = isThere(shell);
    const skipReason = `${shell} is not installed here`;

    it('knows every command and every option', async (context) => {
      if (!there) context.skip(skipReason);
      const wanted = all.flatMap(({ path, commands: below, options }) => {
        const line = path === '' ? 'rollcall ' : `rollcall ${path} `;
        return [
          { line, names: below.map((each) => each.path.split(' ').at(-1) ?? '') },
          { line: `${line}--`, names: options.map((option) => option.names[0] ?? '') },
        ].filter(({ names }) => names.length > 0);
      });
      const found = await completeAll(
        shell,
        wanted.map(({ line }) => line),
      );
      const missing = wanted.flatMap(({ line, names }, i) =>
        names.filter((name) => found[i]?.includes(name) !== true).map((name) => line + name),
      );
      expect(missing).toEqual([]);
    });

    it('offers the words of an argument, and help', async (context) => {
      if (!there) context.skip(skipReason);
      const lines = ['rollcall ', 'rollcall completion ', 'rollcall help ', 'rollcall completion bash '];
      const [top, which, help, behind] = await completeAll(shell, lines);
      expect(top).toContain('help');
      expect(which).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
      expect(help).toEqual(expect.arrayContaining(['discover', 'cluster']));
      expect(help).not.toContain('help');
      expect(behind).toEqual([]);
    });

    it('defines the command where the shell finds none, and asks through it', async (context) => {
      if (!there) context.skip(skipReason);
      const stdout = new PassThrough();
      const bare = join(directory, 'bare');
      mkdirSync(bare, { recursive: true });
      for (const program of [shell, 'node', 'cut', 'grep']) symlinkTo(bare, program);
      const launcher = join(directory, "it's a launcher.cjs");
      const args = JSON.stringify(['--import', import.meta.resolve('tsx'), main]);
      const start = `spawnSync(process.execPath, [...${args}, ...process.argv.slice(2)], { stdio: 'inherit' })`;
      writeFileSync(launcher, `const { spawnSync } = require('node:child_process'); ${start};`);
      await runCli(['completion', shell], testIo({ stdout, launcherPath: launcher }));
      const script = join(directory, `${shell}-bare`);
      writeFileSync(script, String(stdout.read()));
      const found = await complete(shell, 'rollcall discover w', { PATH: bare, SCRIPT: script });
      expect(found).toEqual(['web', 'web-admin', 'worker']);
    });

    it('asks the registry that the line names for services', async (context) => {
      if (!there) context.skip(skipReason);
      const dead = { ROLLCALL_SERVER: await deadAddress() };
      const line = `rollcall run --server ${member.address} w`;
      expect(await complete(shell, line, dead)).toEqual(['web', 'web-admin', 'worker']);
    });
  });

  // Whether what is offered begins so is judged by zsh itself.
  it.for(['bash', 'fish'] as const)('completes what was begun, in %s', async (shell, { skip }) => {
    if (!isThere(shell)) skip(`${shell} is not installed here`);
    expect(await complete(shell, 'rollcall disc')).toEqual(['discover']);
    expect(await complete(shell, 'rollcall --server 127.0.0.1:7400 cluster st')).toEqual(['status']);
    expect(await complete(shell, 'rollcall discover web --stal')).toEqual(['--stale']);
    expect(await complete(shell, 'rollcall discover --output js')).toEqual(['json']);
  });

  it('asks for services of the namespace, once, and silently where the registry is away', async () => {
    expect(await complete('bash', 'rollcall watch --namespace else o')).toEqual(['other']);
    expect(await complete('bash', 'rollcall discover web ')).toEqual([]);
    expect(existsSync('expanded')).toBe(false);
    expect(await complete('bash', 'rollcall discover w', { ROLLCALL_SERVER: await deadAddress() })).toEqual([]);
  });

  it('completes files and commands where those stand', async () => {
    writeFileSync(join(directory, 'instances.yaml'), '');
    const file = join(directory, 'instances.yaml');
    expect(await complete('bash', `rollcall apply -f ${file.slice(0, -3)}`)).toEqual([file]);
    expect(await complete('bash', 'rollcall run web -- rollc')).toEqual(['rollcall']);
  });

  it('cuts descriptions behind a word, and none of them at a stop within', async () => {
    const { stdout } = await cli('completion', 'zsh');
    const told = [...stdout.matchAll(/'(--[\w-]+:(?:[^']|'\\'')*)'/g)].map(([, each = '']) => each);
    expect(told.length).toBeGreaterThan(100);
    expect(told).toContain('--min-revision:wait until the asked member has this revision');
    expect(told).toContain('--stale:what the asked member has, also without a leader; says how old it may be');
    expect(told.filter((each) => each.split(':').slice(1).join(':').length > 83 + each.split("'").length)).toEqual([]);
  });

  it('refuses another shell', async () => {
    const { exitCode, stderr } = await cli('completion', 'tcsh');
    expect([exitCode, stderr]).toEqual([exitCodes.usage, expect.stringContaining('bash, zsh, fish')]);
  });
});
