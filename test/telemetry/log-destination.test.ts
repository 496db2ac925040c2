import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const script = join(import.meta.dirname, 'stuck-reader.ts');

function run(stderr: 'pipe' | number): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['ignore', 'pipe', stderr] });
}

async function resultOf(child: ChildProcess): Promise<{ code: number | null; lateMs: number; dropped: number }> {
  let told = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (told += chunk));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, ...(JSON.parse(told) as { lateMs: number; dropped: number }) };
}

/** Exit rather than 'close': a pipe that nobody reads never closes. */
async function resultOfStuck(child: ChildProcess): Promise<{ code: number | null; lateMs: number; dropped: number }> {
  let told = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (told += chunk));
  const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
  child.stderr?.destroy();
  return { code, ...(JSON.parse(told) as { lateMs: number; dropped: number }) };
}

describe('a log', () => {
  it('whose reader has stopped drops lines, counts them, and holds up neither the loop nor the exit', async () => {
    const child = run('pipe');
    child.stderr?.pause();
    const { code, lateMs, dropped } = await resultOfStuck(child);
    expect(code).toBe(0);
    expect(dropped).toBeGreaterThan(1_000);
    expect(dropped).toBeLessThan(20_000);
    expect(lateMs).toBeLessThan(2_000);
  });

  it('whose reader reads gets what fits, and the reader gone is no failure', async () => {
    const reading = run('pipe');
    let bytes = 0;
    reading.stderr?.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const read = await resultOf(reading);
    expect(read.code).toBe(0);
    expect(bytes).toBeGreaterThan(1_000_000);
    const gone = run('pipe');
    gone.stderr?.destroy();
    expect((await resultOf(gone)).code).toBe(0);
  });

  it('into a file holds whole lines', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rollcall-log-'));
    try {
      const path = join(folder, 'log');
      const result = await resultOf(run(openSync(path, 'w')));
      expect(result.code).toBe(0);
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
      expect(lines.length).toBeGreaterThan(1_000);
      expect(lines.length + result.dropped).toBe(20_000);
      for (const line of lines.slice(0, 100)) expect(JSON.parse(line)).toMatchObject({ level: 'info', msg: 'a line' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
