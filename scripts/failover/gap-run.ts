import type { Random } from '../../src/base/random.ts';
import { waitFor } from '../cluster/process-cluster.ts';
import type { MeasuredCluster } from './peer.ts';
import { Writer } from './writer.ts';

/** What is done to the leader: SIGKILL; SIGSTOP for one and a half to three seconds; SIGTERM. */
export const eventKinds = ['kill', 'pause', 'term'] as const;
export type EventKind = (typeof eventKinds)[number];

export interface GapRunOptions {
  readonly cluster: MeasuredCluster;
  readonly random: Random;
  readonly rounds: ReadonlyMap<EventKind, number>;
  readonly clients: number;
  readonly lanes: number;
  readonly pauseMs: number;
  /** On the clock of performance.now(). */
  readonly untilMs: number;
  readonly onProgress: (line: string) => void;
}

export interface Gap {
  readonly kind: EventKind;
  readonly gapMs: number;
  /** Acknowledged writes a second before it. */
  readonly writesPerSecond: number;
  /** Writes that were not acknowledged within 15 s of attempts. */
  readonly failed: number;
}

export interface GapResult {
  readonly name: string;
  readonly gaps: readonly Gap[];
  readonly acknowledged: number;
  readonly lost: number;
  readonly isComplete: boolean;
}

/** Does one thing after another to whoever leads, under load, and measures how long no write was acknowledged. */
export class GapRun {
  readonly #options: GapRunOptions;
  readonly #writers: Writer[];
  #isInterrupted = false;
  #acknowledged = 0;
  #lastMs = 0;
  #gapMs = 0;

  constructor(options: GapRunOptions) {
    this.#options = options;
    const { clients, cluster, lanes, pauseMs } = options;
    this.#writers = Array.from({ length: clients }, (_, i) => {
      const client = cluster.client(`gap-${i}`);
      return new Writer({ client, first: i, lanes, pauseMs, onAcknowledged: (nowMs) => this.#noted(nowMs) });
    });
  }

  interrupt(): void {
    this.#isInterrupted = true;
  }

  close(): void {
    for (const writer of this.#writers) writer.close();
  }

  async run(): Promise<GapResult> {
    const { cluster, onProgress, rounds, untilMs } = this.#options;
    await cluster.startAll();
    const gaps: Gap[] = [];
    const plan = [...rounds].flatMap(([kind, count]) => Array.from({ length: count }, () => kind));
    for (const [i, kind] of plan.entries()) {
      if (this.#isInterrupted || performance.now() > untilMs) break;
      const gap = await this.#round(kind);
      gaps.push(gap);
      const told = `${gap.gapMs} ms, ${gap.writesPerSecond} writes/s before, ${gap.failed} failed`;
      onProgress(`${cluster.name} ${i + 1}/${plan.length} ${kind}: ${told}`);
    }
    await Promise.all(this.#writers.map((writer) => writer.pause()));
    let lost = 0;
    for (const writer of this.#writers) lost += await writer.lost();
    const isComplete = gaps.length === plan.length;
    return { name: cluster.name, gaps, acknowledged: this.#acknowledged, lost, isComplete };
  }

  async #round(kind: EventKind): Promise<Gap> {
    const { cluster, random } = this.#options;
    // All are there again, and caught up enough to be elected.
    await cluster.leader(30_000);
    for (const writer of this.#writers) writer.begin();
    await sleep(300 + random.below('warm', 200));
    const before = this.#acknowledged;
    const failedBefore = this.#failed;
    const startMs = performance.now();
    await sleep(500 + random.below('moment', 500));
    const writesPerSecond = Math.round(((this.#acknowledged - before) * 1_000) / (performance.now() - startMs));
    const leader = await cluster.leader(10_000);
    this.#gapMs = 0;
    await this.#strike(kind, leader);
    await this.#untilFlowing();
    const gapMs = Math.round(this.#gapMs);
    await Promise.all(this.#writers.map((writer) => writer.pause()));
    this.#lastMs = 0;
    return { kind, gapMs, writesPerSecond, failed: this.#failed - failedBefore };
  }

  async #strike(kind: EventKind, leader: string): Promise<void> {
    const { cluster, random } = this.#options;
    if (kind === 'pause') {
      cluster.signal(leader, 'SIGSTOP');
      await sleep(1_500 + random.below('pause', 1_500));
      cluster.signal(leader, 'SIGCONT');
      return;
    }
    await cluster.kill(leader, kind === 'kill' ? 'SIGKILL' : 'SIGTERM');
    await sleep(random.below('down', 300));
    cluster.start(leader);
  }

  /** Writes are acknowledged again for half a second: what still waits of before is seen as a gap too. */
  async #untilFlowing(): Promise<void> {
    const acknowledged = this.#acknowledged;
    await waitFor('acknowledged writes', 30_000, async () =>
      this.#acknowledged > acknowledged + 20 ? true : undefined,
    );
    await sleep(500);
  }

  get #failed(): number {
    return this.#writers.reduce((sum, writer) => sum + writer.failed, 0);
  }

  #noted(nowMs: number): void {
    this.#acknowledged++;
    if (this.#lastMs > 0) this.#gapMs = Math.max(this.#gapMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
