import type { Random } from '../../src/base/random.ts';
import { readAll } from './discover-all.ts';
import { LoadClient } from './load-client.ts';
import { type ProcessCluster, waitFor } from './process-cluster.ts';
import { WatchChecker } from './watch-checker.ts';

/**
 * What is done in a round: SIGKILL to a member at random, to the leader, to all; SIGSTOP to the leader for one and a
 * half to three seconds; SIGTERM to the leader, which hands over.
 */
export const roundKinds = ['random', 'leader', 'all', 'pause', 'term'] as const;
export type RoundKind = (typeof roundKinds)[number];

export interface KillRunOptions {
  readonly cluster: ProcessCluster;
  readonly random: Random;
  /** Of each kind. */
  readonly rounds: number;
  /** See `roundKinds`. */
  readonly kinds: readonly RoundKind[];
  readonly clients: number;
  readonly watchers: number;
  readonly pauseMs: number;
  /** On the clock of performance.now(). */
  readonly untilMs: number;
  readonly onProgress: (line: string) => void;
}

export interface RoundResult {
  readonly kind: RoundKind;
  readonly killed: readonly string[];
  /** Acknowledged writes a second before the kill. */
  readonly writesPerSecond: number;
  /** Longest time without an acknowledged write around the kill, ms. */
  readonly gapMs: number;
  /** From the restart until all members hold the same state, ms. */
  readonly convergedMs: number;
  readonly checkedIds: number;
}

export interface KillResult {
  readonly rounds: readonly RoundResult[];
  readonly breaches: readonly string[];
  readonly complete: boolean;
  readonly acknowledged: number;
  readonly retries: number;
  readonly unknown: number;
  readonly watch: {
    batches: number;
    events: number;
    snapshots: number;
    resets: number;
    resumes: number;
    coalesced: number;
  };
  readonly seconds: number;
}

const namespace = 'load';

/** The rounds of the kill loop. `run` once, `close` always. */
export class KillRun {
  readonly #options: KillRunOptions;
  readonly #clients: LoadClient[] = [];
  readonly #watchers: WatchChecker[] = [];
  readonly #breaches: string[] = [];
  #acknowledged = 0;
  #lastAcknowledgedMs = 0;
  #gapMs = 0;
  #interrupted = false;

  constructor(options: KillRunOptions) {
    this.#options = options;
  }

  interrupt(): void {
    this.#interrupted = true;
  }

  close(): void {
    for (const client of this.#clients) client.close();
    for (const watcher of this.#watchers) watcher.stop();
  }

  async run(): Promise<KillResult> {
    const { cluster, kinds, rounds } = this.#options;
    const startMs = performance.now();
    cluster.startAll();
    await cluster.leader(30_000);
    this.#connect();
    const results: RoundResult[] = [];
    const plan = kinds.flatMap((kind) => Array.from({ length: rounds }, () => kind));
    for (const [i, kind] of plan.entries()) {
      if (this.#interrupted || performance.now() > this.#options.untilMs || this.#breaches.length > 0) break;
      const result = await this.#round(kind);
      results.push(result);
      this.#options.onProgress(
        `${i + 1}/${plan.length} ${kind} killed ${result.killed.join(',')}: ` +
          `${result.writesPerSecond} writes/s before, gap ${result.gapMs} ms, ` +
          `equal after ${result.convergedMs} ms, ${result.checkedIds} ids checked` +
          (this.#breaches.length === 0 ? '' : ` BREACHES: ${this.#breaches.join('; ')}`),
      );
    }
    const sum = (pick: (client: LoadClient) => number): number =>
      this.#clients.reduce((total, client) => total + pick(client), 0);
    const watch = { batches: 0, events: 0, snapshots: 0, resets: 0, resumes: 0, coalesced: 0 };
    for (const { counts } of this.#watchers) {
      for (const key of Object.keys(watch) as (keyof typeof watch)[]) watch[key] += counts[key];
    }
    return {
      rounds: results,
      breaches: this.#breaches,
      complete: results.length === plan.length,
      acknowledged: sum((client) => client.counts.acknowledged),
      retries: sum((client) => client.counts.retries),
      unknown: sum((client) => client.counts.unknown),
      watch,
      seconds: (performance.now() - startMs) / 1_000,
    };
  }

  #connect(): void {
    const { clients, watchers, cluster, pauseMs } = this.#options;
    const onBreach = (text: string): void => void this.#breaches.push(text);
    const addresses = cluster.clientAddresses;
    for (let i = 0; i < watchers; i++) {
      const watcher = new WatchChecker({ name: `w${i}`, addresses, namespace, first: i, onBreach });
      this.#watchers.push(watcher);
      watcher.start();
    }
    for (let i = 0; i < clients; i++) {
      const options = { name: `c${i}`, addresses, first: i, namespace, keptMax: 150, lanes: 3, pauseMs, onBreach };
      this.#clients.push(new LoadClient({ ...options, onAcknowledged: (nowMs) => this.#onAcknowledged(nowMs) }));
    }
  }

  #onAcknowledged(nowMs: number): void {
    this.#acknowledged++;
    if (this.#lastAcknowledgedMs > 0) this.#gapMs = Math.max(this.#gapMs, nowMs - this.#lastAcknowledgedMs);
    this.#lastAcknowledgedMs = nowMs;
  }

  async #round(kind: RoundKind): Promise<RoundResult> {
    const { cluster, random } = this.#options;
    for (const client of this.#clients) client.start();
    const before = this.#acknowledged;
    const startMs = performance.now();
    await sleep(500 + random.below('moment', 1_000));
    const writesPerSecond = Math.round(((this.#acknowledged - before) * 1_000) / (performance.now() - startMs));
    const killed = await this.#chooseVictims(kind);
    this.#gapMs = 0;
    if (kind === 'pause') await this.#pause(killed);
    else {
      await Promise.all(killed.map((id) => cluster.kill(id, kind === 'term' ? 'SIGTERM' : 'SIGKILL')));
      await sleep(random.below('down', 500));
    }
    const restartMs = performance.now();
    if (kind !== 'pause') for (const id of killed) cluster.start(id);
    const acknowledged = this.#acknowledged;
    await waitFor('an acknowledged write after the kill', 30_000, async () =>
      this.#acknowledged > acknowledged + 100 ? true : undefined,
    );
    await Promise.all(this.#clients.map((client) => client.pause()));
    this.#lastAcknowledgedMs = 0;
    const gapMs = Math.round(this.#gapMs);
    const statuses = await cluster.converged(30_000);
    const convergedMs = Math.round(performance.now() - restartMs);
    const revision = Math.max(...[...statuses.values()].map((status) => Number(status.revision)));
    const checkedIds = await this.#check(revision);
    return { kind, killed, writesPerSecond, gapMs, convergedMs, checkedIds };
  }

  async #pause(ids: readonly string[]): Promise<void> {
    const { cluster, random } = this.#options;
    for (const id of ids) cluster.signal(id, 'SIGSTOP');
    await sleep(1_500 + random.below('pause', 1_500));
    for (const id of ids) cluster.signal(id, 'SIGCONT');
  }

  async #chooseVictims(kind: RoundKind): Promise<string[]> {
    const { cluster, random } = this.#options;
    const ids = cluster.members.map(({ id }) => id);
    if (kind === 'all') return ids;
    if (kind === 'leader' || kind === 'pause' || kind === 'term') return [await cluster.leader(10_000)];
    return [ids[random.below('victim', ids.length)] ?? 'a'];
  }

  /** What each member answers, stale and linearizable, and what each watcher holds, against what was acknowledged. */
  async #check(revision: number): Promise<number> {
    const known = new Map(this.#clients.flatMap((client) => [...client.known]));
    for (const [i, address] of this.#options.cluster.clientAddresses.entries()) {
      const found = await readAll(address, namespace, i === 0 ? 'linearizable' : 'stale');
      this.#compare(`member ${this.#options.cluster.members[i]?.id ?? ''}`, known, found);
    }
    for (const [i, watcher] of this.#watchers.entries()) {
      await waitFor(`watcher w${i} to reach revision ${revision} (is at ${watcher.revision})`, 30_000, async () =>
        watcher.revision >= revision ? true : undefined,
      ).catch((error: Error) => this.#breaches.push(error.message));
      this.#compare(`watcher w${i}`, known, watcher.instances);
    }
    // What is settled for good need not be looked at in every later round.
    for (const client of this.#clients) {
      for (const [name, state] of client.known) if (state.state === 'absent') client.known.delete(name);
    }
    return known.size;
  }

  #compare(
    who: string,
    known: ReadonlyMap<string, { state: string; incarnation?: number }>,
    found: ReadonlyMap<string, number>,
  ): void {
    for (const [name, expected] of known) {
      const incarnation = found.get(name);
      if (expected.state === 'present' && incarnation !== expected.incarnation) {
        this.#breaches.push(`${who}: ${name} is ${incarnation ?? 'missing'}, acknowledged was ${expected.incarnation}`);
      }
      if (expected.state === 'absent' && incarnation !== undefined) {
        this.#breaches.push(`${who}: ${name} is there, its removal was acknowledged`);
      }
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
