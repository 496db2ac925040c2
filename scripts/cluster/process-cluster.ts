import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Status, StatusAsker } from './cluster-status.ts';

/** One member as the scripts run it: ports on 127.0.0.1, a directory, a log file. */
export interface MemberPlan {
  readonly id: string;
  readonly client: number;
  readonly peer: number;
  readonly http: number;
  /** A configuration file that is there already; without it one is written into the cluster's directory. */
  readonly configuration?: string;
}

export interface ProcessClusterOptions {
  /** Holds configurations, logs and, below it, the data of each member. */
  readonly directory: string;
  readonly members: readonly MemberPlan[];
  /** Further lines of each configuration, e.g. `raft:\n  tickMs: 20`. */
  readonly extraConfiguration?: string;
  /** Default: the cluster's directory. */
  readonly logDirectory?: string;
  /**
   * Where the members run, and so where relative paths of their configurations begin. Default: the cluster's
   * directory.
   */
  readonly workingDirectory?: string;
  /**
   * Members get process groups of their own: Ctrl-C on the terminal then reaches only who started them. Default:
   * false.
   */
  readonly detached?: boolean;
  /** Told of each member that has ended, for whatever reason. */
  readonly onExit?: (id: string, code: number | null, signal: NodeJS.Signals | null) => void;
}

const launcher = join(import.meta.dirname, '../../dist/cli/launcher.cjs');

/** Real members as processes of their own, started from `dist/`. Whoever makes one calls `stop`, also on failure. */
export class ProcessCluster {
  readonly members: readonly MemberPlan[];
  readonly #options: ProcessClusterOptions;
  readonly #directory: string;
  readonly #processes = new Map<string, ChildProcess>();
  readonly #status = new StatusAsker();

  constructor(options: ProcessClusterOptions) {
    this.members = options.members;
    this.#options = options;
    this.#directory = options.directory;
    mkdirSync(this.#directory, { recursive: true });
    mkdirSync(this.#logDirectory, { recursive: true });
    for (const member of this.members) {
      if (member.configuration !== undefined) continue;
      writeFileSync(this.#configurationOf(member), this.#configuration(member));
    }
  }

  get clientAddresses(): string[] {
    return this.members.map(({ client }) => `127.0.0.1:${client}`);
  }

  logFileOf(id: string): string {
    return join(this.#logDirectory, `${id}.log`);
  }

  dataDirectoryOf(id: string): string {
    return join(this.#directory, id);
  }

  pidOf(id: string): number | undefined {
    return this.#processes.get(id)?.pid;
  }

  isRunning(id: string): boolean {
    return this.#processes.has(id);
  }

  /** Starts a member; resolves as soon as the process is there, before it serves. */
  start(id: string): void {
    if (this.#processes.has(id)) throw new Error(`member ${id} runs already`);
    const log = openSync(this.logFileOf(id), 'a');
    const args = [launcher, 'serve', '--config', this.#configurationOf(this.#plan(id))];
    const cwd = this.#options.workingDirectory ?? this.#directory;
    const detached = this.#options.detached ?? false;
    const child = spawn(process.execPath, args, { stdio: ['ignore', log, log], cwd, detached });
    closeSync(log);
    this.#processes.set(id, child);
    child.once('exit', (code, signal) => {
      if (this.#processes.get(id) === child) this.#processes.delete(id);
      this.#options.onExit?.(id, code, signal);
    });
  }

  startAll(): void {
    for (const { id } of this.members) if (!this.isRunning(id)) this.start(id);
  }

  /** Ends a member by a signal; resolves with its exit code once it is gone. */
  async kill(id: string, signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#processes.get(id);
    if (child === undefined) return null;
    const gone = once(child, 'exit');
    child.kill(signal);
    const [code] = (await gone) as [number | null];
    return code;
  }

  /** Sends a signal that does not end the process, such as SIGSTOP. */
  signal(id: string, signal: NodeJS.Signals): void {
    this.#processes.get(id)?.kill(signal);
  }

  /** What a member says of itself; undefined where it does not answer. */
  statusOf(id: string, timeoutMs?: number): Promise<Status | undefined> {
    return this.#status.ask(`127.0.0.1:${this.#plan(id).client}`, timeoutMs);
  }

  async statuses(): Promise<Map<string, Status>> {
    const all = await Promise.all(this.members.map(async ({ id }) => [id, await this.statusOf(id)] as const));
    return new Map(all.filter((pair): pair is readonly [string, Status] => pair[1] !== undefined));
  }

  /** Resolves with the leader's id once every running member knows the same one, and that one runs. */
  leader(timeoutMs: number): Promise<string> {
    return waitFor(`a leader that all running members know`, timeoutMs, async () => {
      const statuses = await this.statuses();
      const running = this.members.filter(({ id }) => this.isRunning(id));
      const named = new Set(running.map(({ id }) => statuses.get(id)?.leaderId ?? ''));
      const [leader] = named;
      return named.size === 1 && leader !== undefined && this.isRunning(leader) ? leader : undefined;
    });
  }

  /**
   * Resolves once all running members have applied the same index with the same state hash; with the three statuses of
   * that moment. Only sensible while nothing is written.
   */
  converged(timeoutMs: number): Promise<Map<string, Status>> {
    return waitFor('equal applied index and state hash on all members', timeoutMs, async () => {
      const statuses = await this.statuses();
      const states = [...statuses.values()].map((status) => `${status.appliedIndex}/${status.stateHash}`);
      const all = statuses.size === this.members.filter(({ id }) => this.isRunning(id)).length;
      return all && new Set(states).size === 1 ? statuses : undefined;
    });
  }

  /** The last lines of a member's log, for an error message. */
  logTail(id: string, lines: number = 20): string {
    return readFileSync(this.logFileOf(id), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** Ends all members: SIGTERM first, SIGKILL for those that are there after `graceMs`. */
  async stop(graceMs: number = 10_000): Promise<void> {
    this.#status.close();
    await Promise.all(
      [...this.#processes].map(async ([id, child]) => {
        const gone = once(child, 'exit');
        child.kill('SIGCONT');
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
        await gone;
        clearTimeout(timer);
        this.#processes.delete(id);
      }),
    );
  }

  get #logDirectory(): string {
    return this.#options.logDirectory ?? this.#directory;
  }

  #plan(id: string): MemberPlan {
    const plan = this.members.find((member) => member.id === id);
    if (plan === undefined) throw new Error(`no member ${id} in this cluster`);
    return plan;
  }

  #configurationOf(member: MemberPlan): string {
    return member.configuration ?? join(this.#directory, `${member.id}.yaml`);
  }

  #configuration(own: MemberPlan): string {
    const members = this.members.map(
      ({ id, client, peer }) => `  - id: ${id}\n    peer: 127.0.0.1:${peer}\n    client: 127.0.0.1:${client}\n`,
    );
    return [
      `memberId: ${own.id}`,
      `dataDirectory: ${this.dataDirectoryOf(own.id)}`,
      `initialMembers:\n${members.join('')}`,
      'listen:',
      `  client: 127.0.0.1:${own.client}`,
      `  peer: 127.0.0.1:${own.peer}`,
      `  http: 127.0.0.1:${own.http}`,
      this.#options.extraConfiguration ?? '',
    ].join('\n');
  }
}

/** Polls until `look` gives something; throws naming what was waited for. */
export async function waitFor<T>(what: string, timeoutMs: number, look: () => Promise<T | undefined>): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadlineMs) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Plans members a, b, c, ... on ports that are free now. */
export async function planMembers(count: number): Promise<MemberPlan[]> {
  const ports = await freePorts(count * 3);
  return Array.from({ length: count }, (_, i) => {
    const [client = 0, peer = 0, http = 0] = ports.slice(i * 3, i * 3 + 3);
    return { id: String.fromCharCode(97 + i), client, peer, http };
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : 0;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
