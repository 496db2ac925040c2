import { type MemberPlan, ProcessCluster } from '../cluster/process-cluster.ts';
import { FleetProcess } from './fleet-process.ts';
import type { Home } from './home.ts';
import { isAlive, type RunProcess, removeRunRecord, writeRunRecord } from './run-record.ts';

export interface StageOptions {
  readonly home: Home;
  readonly ttlMs: number;
  /** A process has ended that nobody ended here. `how`: its exit code or signal. */
  readonly onLost: (name: string, how: string) => void;
}

const fleetGraceMs = 5_000;
const memberGraceMs = 10_000;

/** All processes of a run: whoever they are, they end here, and none is started once the end has begun. */
export class Stage {
  readonly cluster: ProcessCluster;
  readonly #options: StageOptions;
  readonly #fleet = new Map<string, FleetProcess>();
  /** Every process that was ever started, to be checked at the end. */
  readonly #started: RunProcess[] = [];
  /** Names of those that are being ended on purpose. */
  readonly #condemned = new Set<string>();
  #closing = false;

  constructor(options: StageOptions) {
    const { home } = options;
    this.#options = options;
    this.cluster = new ProcessCluster({
      directory: home.directory,
      logDirectory: home.logDirectory,
      workingDirectory: home.workingDirectory,
      members: home.plans,
      detached: true,
      onExit: (id, code, signal) => this.#ended(`member ${id}`, code, signal),
    });
  }

  get plans(): readonly MemberPlan[] {
    return this.cluster.members;
  }

  get fleet(): readonly FleetProcess[] {
    return [...this.#fleet.values()].filter(({ isRunning }) => isRunning);
  }

  get startedCount(): number {
    return this.#started.length;
  }

  addressOf(memberId: string): string {
    const plan = this.plans.find(({ id }) => id === memberId);
    if (plan === undefined) throw new Error(`no member ${memberId} in this cluster`);
    return `127.0.0.1:${plan.client}`;
  }

  /** Starts a member; resolves with its process id, before it serves. */
  startMember(id: string): number {
    this.#assertOpen();
    this.#condemned.delete(`member ${id}`);
    this.cluster.start(id);
    return this.#note(`member ${id}`, this.cluster.pidOf(id));
  }

  /** Ends a member by SIGKILL; resolves once it is gone. */
  async killMember(id: string): Promise<void> {
    this.#condemned.add(`member ${id}`);
    await this.cluster.kill(id, 'SIGKILL');
  }

  startService(service: string, id: string, servers: readonly string[]): FleetProcess {
    this.#assertOpen();
    const { ttlMs } = this.#options;
    const started: FleetProcess = new FleetProcess({
      service,
      id,
      servers,
      ttlMs,
      onExit: (code, signal) => this.#ended(started.name, code, signal),
    });
    this.#fleet.set(started.name, started);
    this.#note(started.name, started.pid);
    return started;
  }

  async killService(service: FleetProcess): Promise<void> {
    this.#condemned.add(service.name);
    await service.end('SIGKILL');
  }

  /** Ends the fleet, which deregisters itself. From now on nothing is started any more. */
  async stopFleet(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.fleet.map((service) => service.stop(fleetGraceMs)));
  }

  /** Ends the members. Resolves with whatever of all that was ever started is still there. */
  async stopMembers(): Promise<readonly RunProcess[]> {
    this.#closing = true;
    await this.cluster.stop(memberGraceMs);
    const left = this.#started.filter(({ pid }) => isAlive(pid));
    if (left.length === 0) removeRunRecord(this.#options.home.recordFile);
    return left;
  }

  /** The last resort of a process that ends now: no waiting, no deregistering. */
  killAll(): void {
    this.#closing = true;
    const members = this.plans.map(({ id }) => this.cluster.pidOf(id));
    const services = this.fleet.map(({ pid }) => pid);
    for (const pid of [...members, ...services]) if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL');
  }

  #assertOpen(): void {
    if (this.#closing) throw new Error('everything is being ended');
  }

  #note(name: string, pid: number | undefined): number {
    if (pid === undefined) throw new Error(`${name} could not be started`);
    this.#started.push({ name, pid });
    const processes = this.#started.filter((each) => isAlive(each.pid));
    writeRunRecord(this.#options.home.recordFile, { pid: process.pid, processes });
    return pid;
  }

  #ended(name: string, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#closing || this.#condemned.has(name)) return;
    this.#options.onLost(name, signal === null ? `exit code ${code ?? 'unknown'}` : signal);
  }
}
