import type { SeedReport } from './run-seed.ts';

const dayMs = 86_400_000;

/** What many runs came to. */
export class Summary {
  readonly breaches: SeedReport[] = [];
  readonly situations = new Map<string, number>();
  readonly faults = new Map<string, number>();
  seeds = 0;
  virtualMs = 0;
  wallMs = 0;
  events = 0;
  watchSteps = 0;
  readonly operations = { ok: 0, refused: 0, failed: 0, unknown: 0 };
  /** Runs that were made twice, and of those the seeds whose traces differ. */
  twice = 0;
  readonly different: number[] = [];
  /** Seeds of whose history the search for an order was given up. */
  readonly undecided: number[] = [];

  add(report: SeedReport): void {
    this.seeds++;
    this.virtualMs += report.virtualMs;
    this.wallMs += report.wallMs;
    this.events += report.events;
    this.watchSteps += report.watchSteps;
    for (const kind of Object.keys(this.operations) as (keyof typeof this.operations)[]) {
      this.operations[kind] += report.operations[kind];
    }
    for (const [name, count] of report.faults) this.faults.set(name, (this.faults.get(name) ?? 0) + count);
    for (const name of report.situations) this.situations.set(name, (this.situations.get(name) ?? 0) + 1);
    if (report.breach !== undefined) this.breaches.push(report);
    if (report.undecided !== '') this.undecided.push(report.seed);
  }

  get days(): number {
    return this.virtualMs / dayMs;
  }

  get calls(): number {
    const { ok, refused, failed, unknown } = this.operations;
    return ok + refused + failed + unknown;
  }

  get faultCount(): number {
    return [...this.faults.values()].reduce((sum, count) => sum + count, 0);
  }

  /** One line while it runs. */
  progress(elapsedMs: number): string {
    const perMinute = (this.seeds / elapsedMs) * 60_000;
    const parts = [
      `${this.seeds} seeds (${perMinute.toFixed(0)} a minute)`,
      `${this.days.toFixed(2)} cluster-days`,
      `${this.calls} calls`,
      `${this.faultCount} faults`,
      `${this.breaches.length} breaches`,
    ];
    return parts.join(', ');
  }

  text(elapsedMs: number): string {
    const { ok, refused, failed, unknown } = this.operations;
    const calls = `${ok} ok, ${refused} refused, ${failed} without effect, ${unknown} of unknown outcome`;
    const lines = [
      this.progress(elapsedMs),
      `calls: ${calls}; ${this.watchSteps} batches of watches`,
      `faults: ${sorted(this.faults)}`,
      `${this.situations.size} situations seen`,
      `${this.twice} seeds ran twice, ${this.different.length} of them differ${listed(this.different)}`,
      `${this.undecided.length} seeds without a verdict on the order of a key${listed(this.undecided)}`,
    ];
    return lines.join('\n');
  }
}

function listed(seeds: readonly number[]): string {
  return seeds.length === 0 ? '' : `: ${seeds.join(', ')}`;
}

function sorted(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
