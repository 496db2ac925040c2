import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../tidy/project.ts';

function run(script: string, ...options: readonly string[]) {
  const args = ['--import', 'tsx', join(root, 'scripts', script), ...options];
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 60_000 });
}

/** An option that is misread would be a run that looks at nothing, and finds nothing. */
describe('what makes no sense is refused in a line', () => {
  it.each([
    ['simulate.ts', '--workers 0', /^error: option '--workers <count>' argument '0' is invalid\. Expected a whole/],
    ['simulate.ts', '--seed 7 --without-faults 5-3', /argument '5-3' is invalid/],
    ['simulate.ts', '--seed 7 --minutes 3', /^error: option '--seed <number>' cannot be used with option '--minutes/],
    ['simulate.ts', '--shrink', /^error: option '--shrink' says nothing without '--seed'/],
    ['simulate.ts', '--report /nowhere/report.json', /ENOENT/],
    ['mutants.ts', '--only nobody', /^error: no planted bug is called nobody$/m],
    ['explore.ts', '--walks --steps many', /^error: --steps is "many", expected a whole number from 1 on$/m],
    ['explore.ts', '--replay nothing', /^error: nothing is neither a file nor a path that a breach has printed$/m],
    ['mutate-raft.ts', '--lots', /^error: Unknown option '--lots'/],
  ])('%s %s', (script, options, complaint) => {
    const { status, stdout, stderr } = run(script, ...options.split(' '));
    expect(stderr).toMatch(complaint);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  });
});

describe('many seeds', () => {
  it('end with their workers when they are told to', async () => {
    const args = ['--import', 'tsx', join(root, 'scripts/simulate.ts'), '--minutes', '5', '--workers', '2'];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
    const exited = once(child, 'exit');
    const said: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text));
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    // It ends behind its workers: see the pool.
    expect(await exited).toEqual([143, null]);
    expect(said.join('')).toMatch(/^interrupted by SIGTERM$/m);
  }, 60_000);
});
