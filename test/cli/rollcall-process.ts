import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../client/fake-member.ts';

const main = join(import.meta.dirname, '../../src/cli/main.ts');

/** `rollcall` in a process of its own, as a user starts it. */
export class RollcallProcess {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<number>;

  constructor(args: readonly string[], environment: NodeJS.ProcessEnv = {}, input?: string) {
    this.process = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
      // A process group of its own, as from a shell with job control.
      detached: true,
    });
    this.process.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString('utf8')));
    this.process.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString('utf8')));
    this.process.stdin?.end(input);
    this.#ended = once(this.process, 'close').then(([code]) => code as number);
  }

  /** Its exit code, when all of its output is there. */
  get exitCode(): Promise<number> {
    return this.#ended;
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Waits until both outputs together have the text. */
  async says(text: string | RegExp): Promise<void> {
    const has = (): boolean => {
      const all = this.stdout + this.stderr;
      return typeof text === 'string' ? all.includes(text) : text.test(all);
    };
    await until(() => has() || !this.running, `${text}`, 10_000);
    if (!has()) throw new Error(`ended without saying ${text}:\n${this.stdout}${this.stderr}`);
  }

  /** Ends it, and what it runs: a second signal does that where a first one is not heeded. */
  async kill(): Promise<void> {
    if (this.running) this.process.kill('SIGTERM');
    const again = setTimeout(() => this.process.kill('SIGTERM'), 1_000);
    const last = setTimeout(() => this.process.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(again);
    clearTimeout(last);
  }
}

/** Among the lines of its log. */
export const devDocument = /^\{"schema":"rollcall\.dev\.v1".*\}\n/m;

/** `rollcall dev`, and where it serves. */
export async function startDev(port = 0): Promise<{ readonly process: RollcallProcess; readonly address: string }> {
  const dev = new RollcallProcess(['dev', '--port', String(port), '--output', 'json']);
  await dev.says(devDocument);
  const { server } = JSON.parse(devDocument.exec(dev.stdout)?.[0] ?? '') as { server: string };
  return { process: dev, address: server };
}

/** A directory for what commands write, and how to read it. */
export class Scratch {
  readonly path = mkdtempSync(join(tmpdir(), 'rollcall-cli-'));

  file(name: string): string {
    return join(this.path, name);
  }

  read(name: string): string {
    try {
      return readFileSync(this.file(name), 'utf8');
    } catch {
      return '';
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
