import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Home, homeAt } from '../../../scripts/show/home.ts';
import { refusal } from '../../../scripts/show/refusal.ts';
import { isAlive, readRunRecord, removeRunRecord, writeRunRecord } from '../../../scripts/show/run-record.ts';

let directory: string;
let home: Home;
let child: ChildProcess | undefined;
let server: Server | undefined;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-refusal-'));
  home = await homeAt(directory);
});

afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

/** A process whose command line looks like a member's, until it is killed. */
async function startLookalike(): Promise<number> {
  const code = "process.stdout.write('here'); setInterval(() => undefined, 1_000)";
  child = spawn(process.execPath, ['-e', code, 'launcher.cjs'], { stdio: ['ignore', 'pipe', 'ignore'] });
  if (child.stdout !== null) await once(child.stdout, 'data');
  return child.pid ?? 0;
}

/** An id that was a process's and is nobody's. */
async function deadPid(): Promise<number> {
  const gone = spawn(process.execPath, ['-e', '']);
  await once(gone, 'exit');
  return gone.pid ?? 0;
}

describe('refusal', () => {
  it('has none where all is free', async () => {
    expect(await refusal(home)).toBeUndefined();
  });

  it('names each port that is taken, for whom, and what to do', async () => {
    const port = home.plans[1]?.peer ?? 0;
    server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    const lines = (await refusal(home)) ?? [];
    expect(lines[0]).toBe(`127.0.0.1:${port}, which member b needs for peers, is taken by another process.`);
    expect(lines.join('\n')).toMatch(new RegExp(`sport = :${port}[^]*npm start -- --directory DIR`));
  });

  it('names what an earlier run left behind, and how to end it', async () => {
    const pid = await startLookalike();
    const gone = await deadPid();
    const processes = [
      { name: 'member a', pid },
      { name: 'member b', pid: gone },
    ];
    writeRunRecord(home.recordFile, { pid: gone, processes });
    expect(await refusal(home)).toEqual([
      `An earlier npm start was killed and left behind: member a (pid ${pid}).`,
      `End them and start again: kill ${pid}`,
    ]);
  });

  it('says that an earlier run goes on', async () => {
    const pid = await startLookalike();
    writeRunRecord(home.recordFile, { pid, processes: [{ name: 'member a', pid }] });
    const lines = (await refusal(home)) ?? [];
    expect(lines[0]).toBe(`An earlier npm start is still running (pid ${pid}): member a (pid ${pid}).`);
    expect(lines[1]).toContain(`kill ${pid}`);
  });

  it('does not mind a record of processes that are gone, or are others by now', async (context) => {
    if (process.platform !== 'linux') context.skip('tells processes apart by /proc, which only Linux has');
    const gone = await deadPid();
    // Process 1 lives and is none of ours: the id was used again.
    writeRunRecord(home.recordFile, { pid: gone, processes: [{ name: 'member a', pid: 1 }] });
    expect(isAlive(gone)).toBe(false);
    expect(await refusal(home)).toBeUndefined();
  });
});

describe('the record of a run', () => {
  it('is read as written, and is none where it cannot be read', () => {
    const record = { pid: 1, processes: [{ name: 'member a', pid: 2 }] };
    writeRunRecord(home.recordFile, record);
    expect(readRunRecord(home.recordFile)).toEqual(record);
    for (const text of ['', '{', '[]', '{"pid":1}', '{"pid":1,"processes":[{"name":"a"}]}']) {
      writeFileSync(home.recordFile, text);
      expect(readRunRecord(home.recordFile)).toBeUndefined();
    }
    removeRunRecord(home.recordFile);
    expect(readRunRecord(home.recordFile)).toBeUndefined();
  });
});
