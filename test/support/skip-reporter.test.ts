import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../tidy/project.ts';

const skipping = `
it('runs', () => expect(1).toBe(1));
it('needs more', (context) => context.skip('needs a second machine'));
it.skip('is switched off', () => {});
it.todo('is not written');
`;

describe('SkipReporter', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rollcall-skips-'));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(test: string, ci: string): { status: number | null; stderr: string } {
    writeFileSync(join(folder, 'a.test.ts'), test);
    const reporter = join(root, 'test/support/skip-reporter.ts');
    const options = ['--root', folder, '--globals', `--reporter=${reporter}`];
    const { VITEST: _vitest, VITEST_POOL_ID: _pool, VITEST_WORKER_ID: _worker, ...env } = process.env;
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    return spawnSync(process.execPath, [vitest, 'run', ...options], {
      cwd: root,
      encoding: 'utf8',
      env: { ...env, CI: ci },
    });
  }

  it('counts skipped tests and says why', () => {
    const { status, stderr } = run(skipping, '');
    expect(stderr).toMatch(/SKIPPED: 3 test\(s\) did not run/);
    expect(stderr).toMatch(/a\.test\.ts > needs more: needs a second machine/);
    expect(stderr).toMatch(/is switched off: no reason given/);
    expect(stderr).toMatch(/is not written: not written yet/);
    expect(status).toBe(0);
  });

  it('fails the run for them under continuous integration', () => {
    const { status, stderr } = run(skipping, 'true');
    expect(stderr).toMatch(/a skipped test fails the run/);
    expect(status).toBe(1);
  });

  it('says nothing when all tests ran', () => {
    const { status, stderr } = run("it('runs', () => expect(1).toBe(1));", 'true');
    expect(stderr).not.toMatch(/SKIPPED/);
    expect(status).toBe(0);
  });
});
