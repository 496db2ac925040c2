import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../../scripts/cluster/process-cluster.ts';
import { isAlive, readRunRecord } from '../../scripts/show/run-record.ts';
import { steps } from '../../scripts/show/steps.ts';
import { root } from '../tidy/project.ts';

/** One run of scripts/show.ts and what it has printed so far. */
class ShowProcess {
  output = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  constructor(args: readonly string[]) {
    const { NO_COLOR: _unset, ...env } = process.env;
    const script = join(root, 'scripts/show.ts');
    this.#child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script, ...args], {
      cwd: root,
      env,
    });
    this.#ended = once(this.#child, 'exit').then(([code]) => code as number | null);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  /** Of all processes that it said it had started. */
  get pids(): number[] {
    return [...this.output.matchAll(/\bpid (\d+)/g)].map(([, pid]) => Number(pid));
  }

  exitCode(): Promise<number | null> {
    return this.#ended;
  }

  async printed(text: string, timeoutMs: number): Promise<void> {
    const look = (): Promise<true | undefined> => Promise.resolve(this.output.includes(text) ? true : undefined);
    try {
      await waitFor(`"${text}"`, timeoutMs, look);
    } catch (error) {
      throw new Error(`printed so far: ${this.output}`, { cause: error });
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends the run whatever state it is in. */
  async dispose(): Promise<void> {
    this.signal('SIGTERM');
    await this.#ended;
  }
}

describe('npm start', () => {
  let directory: string;
  const runs: ShowProcess[] = [];

  beforeAll(() => {
    if (existsSync(join(root, 'dist/cli/launcher.cjs'))) return;
    const built = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/build.ts'], { cwd: root });
    if (built.status !== 0) throw new Error(`scripts/build.ts: ${String(built.stderr)}`);
  }, 60_000);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rollcall-show-'));
  });

  afterEach(async () => {
    await Promise.all(runs.splice(0).map((run) => run.dispose()));
    rmSync(directory, { recursive: true, force: true });
  });

  function show(...args: string[]): ShowProcess {
    const run = new ShowProcess(['--directory', directory, ...args]);
    runs.push(run);
    return run;
  }

  function expectNobodyLeft(run: ShowProcess, processes: number): void {
    expect(run.output).toContain(`${processes} processes were started, none is left`);
    expect(run.pids.filter(isAlive)).toEqual([]);
    expect(existsSync(join(directory, 'show.json'))).toBe(false);
  }

  it('is interrupted, and then shows every step on the data of before, and leaves nothing running', async () => {
    const first = show();
    await first.printed('registered through', 30_000);
    const started = readRunRecord(join(directory, 'show.json'))?.processes ?? [];
    expect(started.map(({ pid }) => isAlive(pid))).toEqual(Array.from({ length: 9 }, () => true));
    first.signal('SIGTERM');
    expect(await first.exitCode()).toBe(143);
    expect(first.output).toContain('interrupted: SIGTERM');
    expectNobodyLeft(first, 9);
    expect(started.filter(({ pid }) => isAlive(pid))).toEqual([]);

    const second = show('--once');
    expect([await second.exitCode(), second.output]).toEqual([0, expect.any(String)]);
    expect(second.output).toContain('start 2 on this data');
    const summary = second.output.slice(second.output.indexOf('Summary'));
    for (const { title } of steps) expect(summary).toContain(title);
    expect(summary.match(/^ {2}✓/gm)).toHaveLength(steps.length);
    expect(summary).toMatch(/All 7 steps held, in/);
    // Three members, one of them twice, six of the fleet and a newcomer.
    expectNobodyLeft(second, 11);
    // Not a terminal: plain text.
    expect(second.output).not.toContain('\u001b');
  }, 60_000);

  it('names the step that failed, shows the logs, and leaves nothing running', async () => {
    const file = join(directory, 'b');
    writeFileSync(file, 'a file where a data directory should be');
    const run = show('--once');
    expect(await run.exitCode()).toBe(1);
    expect(run.output).toContain(
      '✗ FAILED: Three members agree on a leader: member b has ended by itself: exit code 1',
    );
    expect(run.output).toContain(`The end of ${join(directory, 'logs/b.log')}`);
    expect(run.output).toContain(`${file}: `);
    expectNobodyLeft(run, 3);
  }, 30_000);
});
