import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../tidy/project.ts';
import { expectSurvival } from './survival.ts';

const cwd = join(root, 'examples/go');
/** Compiling the generator for the first time takes a minute of two cores. */
const buildMs = 240_000;

/** What the tool prints where it fails, '' where it works. A test fetches nothing: the modules must be there. */
function go(...args: string[]): string {
  const env = { ...process.env, GOPROXY: 'off', GOTOOLCHAIN: 'local' };
  const run = spawnSync('go', args, { cwd, encoding: 'utf8', env, timeout: buildMs });
  if (run.error !== undefined) return run.error.message;
  return run.status === 0 ? '' : `go ${args.join(' ')} ended with ${run.status ?? run.signal}: ${run.stderr}`;
}

it(
  'the example in Go survives the loss of any member',
  async (context) => {
    const missing = go('mod', 'download');
    if (missing !== '') {
      context.skip(`needs Go 1.26 and \`go mod download\` in examples/go: ${missing.trim().split('\n').at(-1)}`);
    }
    const folder = mkdtempSync(join(tmpdir(), 'rollcall-example-go-'));
    try {
      const file = join(folder, 'example');
      expect(go('generate')).toBe('');
      expect(go('vet', './...')).toBe('');
      expect(go('build', '-o', file, '.')).toBe('');
      await expectSurvival({ file, args: [], cwd });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  120_000 + buildMs,
);
