// A member ends as a whole, and says why, when its consensus thread cannot go on; with both sides on one thread, the
// same.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { type MemberPlan, planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { root } from '../tidy/project.ts';

describe.each([true, false])('a member with consensusThread: %s', (consensusThread) => {
  let directory: string;
  let plan: MemberPlan;
  let cluster: ProcessCluster;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rollcall-consensus-thread-'));
    plan = must((await planMembers(1))[0], 'a member');
    const extraConfiguration = `consensusThread: ${consensusThread}`;
    cluster = new ProcessCluster({ directory, members: [plan], extraConfiguration });
  });

  afterEach(async () => {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Runs the member, which is expected to end by itself. */
  function run(): { readonly code: number | null; readonly output: string } {
    const args = [join(root, 'dist/cli/launcher.cjs'), 'serve', '--config', join(directory, 'a.yaml')];
    const ended = spawnSync(process.execPath, args, { cwd: directory, encoding: 'utf8', timeout: 20_000 });
    return { code: ended.status, output: ended.stdout + ended.stderr };
  }

  it('says that another process listens where its peers would reach it', async () => {
    const other = createServer();
    other.listen(plan.peer, '127.0.0.1');
    await once(other, 'listening');
    const { code, output } = run();
    other.close();
    expect(code).toBe(1);
    expect(output).toMatch(/cannot listen: listen EADDRINUSE.*Is another member running here\?/);
  });

  it('ends by file, offset and both values where its log is older than its state', async () => {
    cluster.start('a');
    await cluster.leader(20_000);
    await cluster.kill('a', 'SIGTERM');
    const data = cluster.dataDirectoryOf('a');
    cpSync(join(data, 'log'), join(directory, 'log-before'), { recursive: true });
    // Each start appends the entry by which its term begins.
    cluster.start('a');
    await waitFor('a flush of the next term', 20_000, async () => {
      const status = await cluster.statusOf('a');
      return Number(status?.flushedIndex ?? 0) >= 2 ? true : undefined;
    });
    await cluster.kill('a', 'SIGTERM');
    rmSync(join(data, 'log'), { recursive: true });
    cpSync(join(directory, 'log-before'), join(data, 'log'), { recursive: true });
    const { code, output } = run();
    expect(code).toBe(1);
    expect(output).toMatch(/\.seg at byte \d+: .*the log ends with entry 1, but entries up to 2 were applied/);
  }, 60_000);
});

describe('a consensus thread that ends by itself', () => {
  it('is told as what the member cannot go on without', () => {
    // A module for another process: a thread runs compiled files only.
    const program = `
      const { startConsensusThread } = await import('./dist/server/consensus-thread.js');
      const { SystemClock } = await import('./dist/base/system-clock.js');
      const { replicaTimes } = await import('./dist/replica/times.js');
      const ticks = { tickMs: 50, heartbeatTicks: 2, electionTicksMin: 10, electionTicksMax: 20 };
      const where = { memberId: 'a', dataDirectory: '/dev/null/no', segmentBytes: 4194304, host: '127.0.0.1', port: 0 };
      const consensus = startConsensusThread({
        ...where,
        ...ticks,
        clock: new SystemClock(),
        times: replicaTimes(50, 2, 10, 20),
        onDiskWrite: () => undefined,
      });
      consensus.attach({ onFatal: (error) => process.stdout.write(\`told: \${error.message}\\n\`) });
      await consensus.listen().catch(() => undefined);
    `;
    const args = ['--input-type=module', '--eval', program];
    const ended = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 20_000 });
    expect(ended.stderr).not.toMatch(/Error/);
    expect(ended.stdout).toMatch(/^told: .*no.*\n$/);
  });
});
