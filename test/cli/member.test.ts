import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { until } from '../client/fake-member.ts';
import { cli, startCli } from './run-cli.ts';

const main = join(import.meta.dirname, '../../src/cli/main.ts');

/** `rollcall` in a process of its own. */
function rollcall(...args: readonly string[]): ChildProcess & { text: string } {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const shown = Object.assign(child, { text: '' });
  const take = (chunk: Buffer): void => {
    shown.text += chunk.toString('utf8');
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  return shown;
}

const web = ['register', 'web', '--endpoint', 'main=http://10.0.0.7:80', '--id'] as const;

describe('the command line and a real member', () => {
  let dev: ChildProcess & { text: string };
  let directory = '';

  beforeAll(async () => {
    dev = rollcall('dev', '--port', '0');
    await until(() => dev.text.includes('Ctrl-C') || dev.exitCode !== null, 'the member serves', 15_000);
    const address = /clients \(gRPC\) +(\S+)/.exec(dev.text)?.[1];
    if (address === undefined) throw new Error(`the member does not serve: ${dev.text}`);
    vi.stubEnv('ROLLCALL_SERVER', address);
    directory = /data +(\S+)/.exec(dev.text)?.[1] ?? '';
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    if (dev.exitCode === null && dev.signalCode === null) {
      dev.kill('SIGKILL');
      await once(dev, 'exit');
    }
  });

  it('registers, discovers, lists and deregisters', async () => {
    const first = await cli(
      ...web,
      'web-1',
      '--persistent',
      '--version-label',
      '1.2.3',
      '--zone',
      'z',
      '--weight',
      '0',
    );
    expect(first.stdout).toMatch(/^registered web\/web-1: incarnation \d+, revision \d+\n$/);
    const again = await cli(...web, 'web-1', '--persistent', '--if-absent');
    expect(again.exitCode).toBe(exitCodes.conflict);
    const found = JSON.parse((await cli('discover', 'web', '--output', 'json')).stdout) as object;
    expect(found).toMatchObject({
      schema: 'rollcall.discover.v1',
      known: true,
      exact: true,
      consistency: 'linearizable',
      instances: [{ id: 'web-1', version: '1.2.3', weight: 0, zone: 'z', leaseId: 0, status: 'up' }],
    });
    expect((await cli('services', '--prefix', 'we')).stdout).toMatch(/\nweb +1 +\d+\n$/);
    expect((await cli('deregister', 'web', '--id', 'web-1', '--incarnation', '999')).exitCode).toBe(exitCodes.conflict);
    expect((await cli('deregister', 'web', '--id', 'web-1')).stdout).toMatch(/^deregistered web\/web-1/);
    const absent = await cli('deregister', 'web', '--id', 'web-1');
    expect([absent.exitCode, absent.stdout]).toEqual([exitCodes.ok, '']);
    expect(absent.stderr).toContain('was not registered');
  });

  it('does not know what was never registered, and says what the member refuses', async () => {
    expect((await cli('discover', 'nobody')).exitCode).toBe(exitCodes.notFound);
    const short = await cli(...web, 'short', '--ttl', '999ms');
    expect([short.exitCode, short.stderr]).toEqual([exitCodes.usage, expect.stringContaining('ttl_ms')]);
    expect((await cli(...web, 'x', '--lease', '424242')).exitCode).toBe(exitCodes.notFound);
  });

  it('keeps an instance alive beyond its TTL and deregisters it in the end, as a watch sees', async () => {
    const watch = startCli('watch', 'web');
    await until(() => watch.stdout().includes('there at revision'), 'the snapshot');
    const keeper = startCli(...web, 'kept', '--ttl', '1s', '--keep-alive');
    await until(() => watch.stdout().includes('+ web/kept'), 'it is registered', 15_000);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    keeper.interrupt();
    expect(await keeper.exitCode).toBe(exitCodes.ok);
    await until(() => watch.stdout().includes('- web/kept  deregistered'), 'it is deregistered');
    expect(watch.stdout()).not.toContain('expired');
    watch.interrupt();
    expect(await watch.exitCode).toBe(exitCodes.ok);
  });

  it('tells with --since and --once what happened, then ends', async () => {
    const { stdout } = await cli(...web, 'since-1', '--persistent', '--output', 'json');
    const { revision } = JSON.parse(stdout) as { revision: number };
    await cli('deregister', 'web', '--id', 'since-1', '--reason', 'to see it');
    const told = await cli('watch', 'web', '--since', String(revision), '--once');
    expect(told.stdout).toMatch(/^- web\/since-1 {2}deregistered: to see it {2}\(revision \d+\)\n$/);
  });

  it('shows the member as leader', async () => {
    const { stdout, exitCode } = await cli('cluster', 'status');
    expect(exitCode).toBe(exitCodes.ok);
    expect(stdout.split('\n')[1]).toMatch(/^dev +leader +1 /);
  });

  it('ends quietly when nobody reads its output', async () => {
    const watch = rollcall('watch', 'web', '--output', 'json');
    watch.stdout?.once('data', () => watch.stdout?.destroy());
    await until(() => watch.text !== '', 'the snapshot', 15_000);
    await cli(...web, 'unread', '--persistent');
    const [exitCode] = (await once(watch, 'exit')) as [number];
    expect([exitCode, watch.text.split('\n').length]).toEqual([0, 2]);
  });

  it('ends at Ctrl-C and takes its temporary directory along', async () => {
    const ended = once(dev, 'exit');
    dev.kill('SIGINT');
    const printed = dev.text.length;
    await ended;
    expect([dev.exitCode, existsSync(directory), dev.text.slice(printed)]).toEqual([0, false, '']);
  });
});
