// A disk that takes no more: the member ends with a message that names the file, nothing is acknowledged after it, and
// with room again it goes on with everything that was.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planMembers, ProcessCluster, waitFor } from '../../scripts/cluster/process-cluster.ts';
import { must } from '../../src/base/assert.ts';
import { instanceOf, reasonOf, RegistryCaller } from './registry-caller.ts';

/** What a file may have once the disk is full: some dozens of frames. */
const fileBytesMax = 256 * 1024;
const lanes = 4;

let directory: string;
let cluster: ProcessCluster;
let caller: RegistryCaller;
let exits: (number | null)[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rollcall-full-disk-'));
  exits = [];
  const members = await planMembers(1);
  cluster = new ProcessCluster({ directory, members, onExit: (_id, code) => exits.push(code) });
  cluster.startAll();
  await cluster.leader(20_000);
  caller = new RegistryCaller(must(cluster.clientAddresses[0], 'address'));
});

afterEach(async () => {
  caller.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** From now on the kernel lets the member write no byte of any file beyond this offset, and cuts a write across it. */
function limitFiles(bytes: number): void {
  const pid = must(cluster.pidOf('a'), 'process');
  const run = spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:${bytes}`], { encoding: 'utf8' });
  expect([run.status, run.stderr]).toEqual([0, '']);
}

/** Registers until a call fails; the ids that were acknowledged, and those of which nobody knows. */
async function registerUntilRefused(prefix: string): Promise<{ acknowledged: string[]; failed: string[] }> {
  const acknowledged: string[] = [];
  const failed: string[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (failed.length === 0) {
      const id = `${prefix}-${next++}`;
      const reason = await reasonOf(caller.register({ instance: instanceOf('full', id), persistent: true })).catch(
        () => '',
      );
      if (reason === 'no error') acknowledged.push(id);
      else failed.push(id);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { acknowledged, failed };
}

function fatalLines(): { readonly file?: string; readonly msg: string }[] {
  const lines = readFileSync(cluster.logFileOf('a'), 'utf8').trimEnd().split('\n');
  const parsed = lines.map((line) => JSON.parse(line) as { level: string; file?: string; msg: string });
  return parsed.filter(({ level }) => level === 'fatal' || level === 'error');
}

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

describe('a member whose disk takes no more', { timeout: 40_000 }, () => {
  it('ends at a frame that does not fit, and loses nothing acknowledged', async (context) => {
    if (!hasPrlimit) context.skip('needs the command prlimit of util-linux, which limits the files of a process');
    const room = await registerUntilCount(20);
    limitFiles(fileBytesMax);
    const { acknowledged, failed } = await registerUntilRefused('last');
    await waitFor('the end of the member', 10_000, async () => (exits.length === 1 ? true : undefined));
    expect(exits).toEqual([1]);
    const [fatal, ...others] = fatalLines();
    expect(others).toEqual([]);
    expect(fatal?.file).toMatch(/log\/\d+\.seg$/);
    expect(fatal?.msg).toMatch(/could not write: (?:short write|EFBIG)/);
    // A frame each, 4 KiB at least: the limit was reached by the log.
    expect(acknowledged.length).toBeGreaterThan(20);
    cluster.start('a');
    await cluster.leader(20_000);
    const present = new Set(await foundIds());
    expect([...room, ...acknowledged].filter((id) => !present.has(id))).toEqual([]);
    const known = new Set([...room, ...acknowledged, ...failed]);
    expect([...present].filter((id) => !known.has(id))).toEqual([]);
    await caller.register({ instance: instanceOf('full', 'after'), persistent: true });
    expect(await foundIds()).toContain('after');
  });

  it('ends when it cannot make the next file of its log, and starts once it can', async (context) => {
    if (!hasPrlimit) context.skip('needs the command prlimit of util-linux, which limits the files of a process');
    const before = await registerUntilCount(5);
    await cluster.kill('a', 'SIGKILL');
    // A start makes the spare file anew: 16 MiB, of which the disk takes a part.
    cluster.start('a');
    limitFiles(fileBytesMax);
    await waitFor('the end of the member', 10_000, async () => (exits.length === 2 ? true : undefined));
    expect(exits[1]).toBe(1);
    expect(fatalLines().at(-1)?.msg).toMatch(/\.seg: could not write: (?:short write|EFBIG)/);
    cluster.start('a');
    await cluster.leader(20_000);
    expect(await foundIds()).toEqual(before);
  });
});

async function registerUntilCount(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, i) => `first-${String(i).padStart(3, '0')}`);
  for (const id of ids) await caller.register({ instance: instanceOf('full', id), persistent: true });
  return ids;
}

async function foundIds(): Promise<string[]> {
  // The connection of before may not be back yet.
  const answer = await waitFor('an answer', 10_000, () => caller.discover({ service: 'full' }).catch(() => undefined));
  return answer.instances.map(({ spec }) => spec?.id ?? '');
}
