import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { must } from '../../src/base/assert.ts';
import { LoadClient } from '../../scripts/cluster/load-client.ts';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { root } from '../tidy/project.ts';

const launcher = join(root, 'dist/cli/launcher.cjs');

/** Runs a member that is expected to refuse to start, to its end. */
function refused(configuration: string, cwd: string): { code: number | null; output: string } {
  const run = spawnSync(process.execPath, [launcher, 'serve', '--config', configuration], {
    cwd,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { code: run.status, output: run.stdout + run.stderr };
}

describe('member processes', () => {
  let directory: string;
  let cluster: ProcessCluster;
  let clients: LoadClient[];
  let breaches: string[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rollcall-processes-'));
    clients = [];
    breaches = [];
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function startCluster(count: number, extraConfiguration: string = ''): Promise<void> {
    cluster = new ProcessCluster({ directory, members: await planMembers(count), extraConfiguration });
    cluster.startAll();
    await cluster.leader(20_000);
  }

  async function write(count: number): Promise<LoadClient> {
    const client = new LoadClient({
      name: `c${clients.length}`,
      addresses: cluster.clientAddresses,
      first: 0,
      namespace: 'test',
      keptMax: 1_000,
      lanes: 4,
      pauseMs: 0,
      onAcknowledged: () => undefined,
      onBreach: (text) => breaches.push(text),
    });
    clients.push(client);
    client.start();
    await waitFor('acknowledged writes', 20_000, async () => (client.counts.acknowledged >= count ? true : undefined));
    await client.pause();
    expect(breaches).toEqual([]);
    return client;
  }

  async function page(path: string): Promise<{ status: number; text: string }> {
    const { http } = must(cluster.members[0], 'first member');
    const response = await fetch(`http://127.0.0.1:${http}${path}`);
    return { status: response.status, text: await response.text() };
  }

  it('serve, say so over HTTP, log elections as JSON lines, and keep what clients wrote out of both', async () => {
    await startCluster(1);
    await write(20);
    const health = await page('/healthz');
    expect(health.status).toBe(200);
    expect(JSON.parse(health.text)).toMatchObject({ status: 'serving', role: 'leader' });
    const metrics = await page('/metrics');
    expect(metrics.text).toMatch(/^rollcall_instances \d+$/m);
    expect(metrics.text).toMatch(/rollcall_grpc_calls_total\{method="Register",code="OK"\} \d+/);
    expect(metrics.text).not.toMatch(/load-\d|c0-\d/);
    expect(await cluster.kill('a', 'SIGTERM')).toBe(0);
    const log = readFileSync(cluster.logFileOf('a'), 'utf8');
    const lines = log
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: string; msg: string; event?: string });
    expect(lines.some(({ event }) => event === 'leading')).toBe(true);
    expect(lines.at(-1)?.msg).toBe('stopped');
    expect(lines.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
    expect(log).not.toMatch(/load-\d|c0-\d/);
  });

  it('end by SIGTERM at any moment of their start, with nothing left running', async () => {
    cluster = new ProcessCluster({ directory, members: await planMembers(1) });
    const codes: (number | null)[] = [];
    for (const delayMs of [150, 250, 350, 450, 600, 900]) {
      cluster.start('a');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      codes.push(await cluster.kill('a', 'SIGTERM'));
    }
    // Before the program has taken over the signal, the system's default ends it: no exit code.
    expect(codes.filter((code) => code !== 0 && code !== null)).toEqual([]);
    cluster.start('a');
    await cluster.leader(20_000);
    expect(await cluster.kill('a', 'SIGTERM')).toBe(0);
  });

  it('refuse a directory that another process uses, and leave it as it is', async () => {
    await startCluster(1);
    const second = refused(join(directory, 'a.yaml'), directory);
    expect(second.code).toBe(1);
    expect(second.output).toMatch(/in use by another process/);
    await write(5);
  });

  it('refuse the directory of another member by name', async () => {
    await startCluster(1);
    await cluster.kill('a', 'SIGTERM');
    const file = join(directory, 'a.yaml');
    const other = join(directory, 'b.yaml');
    const text = readFileSync(file, 'utf8').replace('memberId: a', 'memberId: b').replace('- id: a', '- id: b');
    writeWhole(other, text);
    const run = refused(other, directory);
    expect(run.code).toBe(1);
    expect(run.output).toMatch(/member a's|belongs to member a/);
  });

  it('name file and offset of a damaged log, and stop', async () => {
    await startCluster(1);
    await write(50);
    await cluster.kill('a', 'SIGTERM');
    const logDirectory = join(cluster.dataDirectoryOf('a'), 'log');
    const segment = must(
      readdirSync(logDirectory).find((name) => name.endsWith('.seg')),
      'a segment',
    );
    flipByte(join(logDirectory, segment), 2 * 4_096 + 100);
    const run = refused(join(directory, 'a.yaml'), directory);
    expect(run.code).toBe(1);
    expect(run.output).toMatch(/\.seg at byte \d+/);
  });

  it.each([
    ['a thread of its own', 'consensusThread: true'],
    ['the thread of the calls', 'consensusThread: false'],
  ])(
    'keep what was acknowledged over a restart of all, and agree, with consensus on %s',
    async (_name, lines) => {
      await startCluster(3, lines);
      const client = await write(200);
      await Promise.all(['a', 'b', 'c'].map((id) => cluster.kill(id, 'SIGKILL')));
      cluster.startAll();
      await cluster.leader(20_000);
      const statuses = await cluster.converged(20_000);
      const present = [...client.known.values()].filter(({ state }) => state === 'present').length;
      expect([...statuses.values()].map(({ instances }) => Number(instances))).toEqual([present, present, present]);
      expect([...statuses.values()].every(({ boot }) => Number(boot) === 2)).toBe(true);
    },
    60_000,
  );
});

function flipByte(file: string, offset: number): void {
  const handle = openSync(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    readSync(handle, byte, 0, 1, offset);
    byte[0] = (byte[0] ?? 0) ^ 0xff;
    writeSync(handle, byte, 0, 1, offset);
  } finally {
    closeSync(handle);
  }
}

function writeWhole(file: string, text: string): void {
  const handle = openSync(file, 'w');
  try {
    writeSync(handle, text);
  } finally {
    closeSync(handle);
  }
}
