import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** What a process of the fleet tells on its standard output, one JSON object a line. */
export type FleetReport =
  | { readonly event: 'serving'; readonly address: string }
  | {
      readonly event: 'registered';
      /** The member that answered. */
      readonly member: string;
      readonly incarnation: number;
      readonly durationMs: number;
    }
  /** A renewal was acknowledged. */
  | { readonly event: 'renewed' }
  | { readonly event: 'failed'; readonly message: string };

export interface FleetProcessOptions {
  readonly service: string;
  readonly id: string;
  /** host:port of the members, for its client. */
  readonly servers: readonly string[];
  readonly ttlMs: number;
  readonly onExit: (code: number | null, signal: NodeJS.Signals | null) => void;
}

const program = join(import.meta.dirname, 'fleet-service.ts');

/** A gRPC server of the fleet as a process of its own, as its starter sees it. */
export class FleetProcess {
  readonly service: string;
  readonly id: string;
  /** `host:port` of its gRPC server; empty before it serves. */
  address = '';
  /** 0 before it is registered. */
  incarnation = 0;
  /** The member that took its registration; empty before. */
  member = '';
  registerMs = 0;
  /** When its last acknowledged renewal was heard of, by performance.now(). */
  renewedAtMs = 0;
  /** What it said went wrong; empty while nothing did. */
  failure = '';
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #running = true;
  #errors = '';

  constructor(options: FleetProcessOptions) {
    this.service = options.service;
    this.id = options.id;
    const args = ['--import', import.meta.resolve('tsx'), program, options.service, options.id, `${options.ttlMs}`];
    // A process group of its own: Ctrl-C reaches who started it, who then ends it in order. Should that one be gone
    // without a word, the closed standard input tells.
    this.#child = spawn(process.execPath, [...args, ...options.servers], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child.stdin.on('error', () => undefined);
    this.#child.once('exit', (code, signal) => {
      this.#running = false;
      options.onExit(code, signal);
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#heard(line));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-errorCharsMax);
    });
  }

  get name(): string {
    return `${this.service}/${this.id}`;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#running;
  }

  /** The end of what it wrote to its standard error. */
  get errors(): string {
    return this.#errors;
  }

  /** Sends a signal and resolves once the process is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.#running) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
  }

  /** SIGTERM, and SIGKILL where that has not ended it after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    await this.end('SIGTERM');
    clearTimeout(timer);
  }

  #heard(line: string): void {
    const report = JSON.parse(line) as FleetReport;
    switch (report.event) {
      case 'serving':
        this.address = report.address;
        return;
      case 'registered':
        this.incarnation = report.incarnation;
        this.member = report.member;
        this.registerMs = report.durationMs;
        return;
      case 'renewed':
        this.renewedAtMs = performance.now();
        return;
      case 'failed':
        this.failure = report.message;
        return;
      default:
        throw new Error(`${this.name} reported ${line}`);
    }
  }
}

const errorCharsMax = 4_000;
