import type { SeededRandom } from '../../src/base/random.ts';
import { RollcallClient } from '../../src/client/client.ts';
import { quantile } from '../million/member-figures.ts';
import { type ProcessCluster, waitFor } from '../cluster/process-cluster.ts';
import { Keeper, type KeptLease } from './keeper.ts';
import { RemovalWatch } from './removal-watch.ts';

export interface LeaseRunOptions {
  readonly cluster: ProcessCluster;
  readonly random: SeededRandom;
  readonly leases: number;
  readonly rounds: number;
  /** Leases that are left to end in each round. */
  readonly leftPerRound: number;
  readonly ttlMs: number;
  readonly electionTimeoutMs: number;
  readonly untilMs: number;
  readonly onProgress: (line: string) => void;
}

export interface LeaseRunResult {
  readonly rounds: readonly string[];
  readonly breaches: readonly string[];
  readonly ended: number;
  /** How long after the earliest moment allowed the ends were seen, ms: p50, p99, most. */
  readonly lateMs: readonly number[];
  readonly complete: boolean;
}

const leasesPerKeeper = 1_000;
const registering = 64;
/** What a pause of the leader must pass for another to be elected for certain. */
const pauseMs = 3_000;

/**
 * Leases over changes of the leader: some are left alone at set moments and must end in time, never before; the others
 * are kept and must not end at all.
 */
export class LeaseRun {
  readonly #options: LeaseRunOptions;
  readonly #leases: KeptLease[] = [];
  readonly #byInstance = new Map<string, KeptLease>();
  readonly #keepers: Keeper[] = [];
  readonly #breaches: string[] = [];
  readonly #lateMs: number[] = [];
  readonly #changesMs: number[] = [];
  readonly #watch: RemovalWatch;
  #ended = 0;

  constructor(options: LeaseRunOptions) {
    this.#options = options;
    this.#watch = new RemovalWatch({
      addresses: options.cluster.clientAddresses,
      namespace: 'leases',
      onRemoved: (instance, nowMs) => this.#removed(instance, nowMs),
      onBreach: (text) => this.#breaches.push(text),
    });
  }

  async run(): Promise<LeaseRunResult> {
    const { cluster, onProgress } = this.#options;
    cluster.startAll();
    await cluster.leader(60_000);
    this.#watch.start();
    await this.#register();
    await this.#keep();
    const rounds: string[] = [];
    for (let round = 1; round <= this.#options.rounds; round++) {
      if (performance.now() > this.#options.untilMs) break;
      const line = await this.#round(round);
      rounds.push(line);
      onProgress(line);
      if (this.#breaches.length > 0) break;
    }
    if (this.#breaches.length === 0) await this.#compare();
    const lateMs = [quantile(this.#lateMs, 0.5), quantile(this.#lateMs, 0.99), quantile(this.#lateMs, 1)];
    const complete = rounds.length === this.#options.rounds;
    return { rounds, breaches: this.#breaches, ended: this.#ended, lateMs, complete };
  }

  close(): void {
    for (const keeper of this.#keepers) keeper.stop();
    this.#watch.stop();
  }

  async #register(): Promise<void> {
    const { cluster, leases, ttlMs, onProgress } = this.#options;
    const clients = cluster.clientAddresses.map((servers) => new RollcallClient({ servers }));
    let next = 0;
    const lane = async (at: number): Promise<void> => {
      const client = clients[at % clients.length];
      while (next < leases && client !== undefined) {
        const id = `i${next++}`;
        const sentMs = performance.now();
        const { leaseId } = await client.register({
          instance: {
            namespace: 'leases',
            service: `s${next % 100}`,
            id,
            endpoints: [{ name: 'main', protocol: 'grpc', address: '127.0.0.1', port: 1 }],
          },
          lifetime: { ttlMs },
        });
        const lease = { leaseId, instance: id, sentMs, acknowledgedMs: performance.now(), leftMs: Infinity };
        this.#leases.push(lease);
        this.#byInstance.set(id, lease);
        // The first would end before the last is registered.
        if (this.#leases.length % leasesPerKeeper === 0) this.#keeper(this.#leases.slice(-leasesPerKeeper));
        if (this.#leases.length % 10_000 === 0) onProgress(`${this.#leases.length} leases`);
      }
    };
    await Promise.all(Array.from({ length: registering }, (_, at) => lane(at)));
    for (const client of clients) client.close();
  }

  #keeper(leases: readonly KeptLease[]): void {
    const keeper = new Keeper({
      addresses: this.#options.cluster.clientAddresses,
      first: this.#keepers.length,
      everyMs: this.#options.ttlMs / 5,
      leases,
      onGone: (lease) => {
        if (lease.leftMs === Infinity) this.#breach(lease, 'is said to be unknown');
      },
    });
    this.#keepers.push(keeper);
    keeper.start();
  }

  /** Resolves once every lease that is kept was renewed since now. */
  async #keep(): Promise<void> {
    const sinceMs = performance.now();
    await waitFor('a renewal of every lease', 4 * this.#options.ttlMs, async () => {
      const late = this.#leases.find(({ leftMs, sentMs }) => leftMs === Infinity && sentMs < sinceMs);
      return late === undefined || this.#breaches.length > 0 ? true : undefined;
    });
  }

  async #round(round: number): Promise<string> {
    const { cluster, random, leftPerRound, ttlMs } = this.#options;
    const leader = await cluster.leader(30_000);
    const endedBefore = this.#ended;
    const kept = this.#leases.filter(({ leftMs }) => leftMs === Infinity);
    const left: KeptLease[] = [];
    // At moments all over the change: before it, during it, after it.
    const leaving = setInterval(() => {
      for (let i = 0; i < leftPerRound / 20 && left.length < leftPerRound; i++) {
        const lease = kept[random.below('left', kept.length)];
        if (lease === undefined || lease.leftMs !== Infinity) continue;
        lease.leftMs = performance.now();
        left.push(lease);
      }
    }, 100);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const kill = round % 2 === 1;
    this.#changesMs.push(performance.now());
    if (kill) await this.#kill(leader);
    else await this.#pause(leader);
    await waitFor('all leases to be left', 10_000, async () => (left.length >= leftPerRound ? true : undefined));
    clearInterval(leaving);
    const limitMs = 3 * ttlMs + this.#options.electionTimeoutMs + 2_000;
    await waitFor(`the ends of ${left.length} leases`, limitMs, async () =>
      left.every(({ instance }) => !this.#byInstance.has(instance)) || this.#breaches.length > 0 ? true : undefined,
    );
    await this.#keep();
    const late = quantile(this.#lateMs.slice(-(this.#ended - endedBefore)), 1).toFixed(0);
    const how = kill ? 'killed' : 'paused';
    const ended = this.#ended - endedBefore;
    return `round ${round}: leader ${leader} ${how}; ${ended} leases ended, the last ${late} ms after its time`;
  }

  async #kill(leader: string): Promise<void> {
    await this.#options.cluster.kill(leader, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    this.#options.cluster.start(leader);
  }

  /** It wakes in the belief that it leads. */
  async #pause(leader: string): Promise<void> {
    const pid = this.#options.cluster.pidOf(leader);
    if (pid === undefined) throw new Error(`leader ${leader} is not there`);
    process.kill(pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    process.kill(pid, 'SIGCONT');
    await waitFor('another leader', 10_000, async () => {
      const statuses = await this.#options.cluster.statuses();
      const named = new Set([...statuses.values()].map(({ leaderId }) => leaderId));
      const [now] = named;
      return named.size === 1 && now !== '' && now !== leader ? true : undefined;
    });
  }

  #removed(instance: string, nowMs: number): void {
    const lease = this.#byInstance.get(instance);
    if (lease === undefined) return;
    this.#byInstance.delete(instance);
    if (lease.leftMs === Infinity) {
      this.#breach(lease, 'ended though it is kept');
      return;
    }
    this.#ended++;
    const { ttlMs, electionTimeoutMs } = this.#options;
    const earlyMs = lease.sentMs + ttlMs - nowMs;
    if (earlyMs > 0) this.#breach(lease, `ended ${earlyMs.toFixed(0)} ms early`);
    this.#lateMs.push(-earlyMs);
    // A sign of life that was sent and not acknowledged may have been taken; each change of leader starts it anew.
    const changes = this.#changesMs.filter((ms) => ms > lease.sentMs && ms < nowMs).length;
    const latestMs = lease.leftMs + ttlMs * (1 + changes) + electionTimeoutMs + 2_000;
    if (nowMs > latestMs) this.#breach(lease, `ended ${(nowMs - latestMs).toFixed(0)} ms too late`);
  }

  async #compare(): Promise<void> {
    const statuses = await this.#options.cluster.converged(30_000);
    for (const [id, { instances }] of statuses) {
      if (Number(instances) !== this.#byInstance.size) {
        this.#breaches.push(`member ${id} holds ${instances} instances, ${this.#byInstance.size} are kept`);
      }
    }
  }

  #breach(lease: KeptLease, problem: string): void {
    const sinceMs = (performance.now() - lease.sentMs).toFixed(0);
    this.#breaches.push(`lease ${lease.leaseId} of ${lease.instance}, last renewed ${sinceMs} ms ago, ${problem}`);
  }
}
