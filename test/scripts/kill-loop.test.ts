import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../tidy/project.ts';

const script = ['--import', 'tsx', join(root, 'scripts/kill-loop.ts')];

it('kills a member, the leader and all members under load, and finds everything acknowledged', () => {
  const options = ['--rounds', '1', '--seed', '7', '--minutes', '2'];
  const run = spawnSync(process.execPath, [...script, ...options], { cwd: root, encoding: 'utf8', timeout: 120_000 });
  expect(run.stdout).toMatch(/\| result \| no breach \|/);
  expect(run.stdout).toMatch(/^3\/3 all killed a,b,c/m);
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
}, 130_000);
