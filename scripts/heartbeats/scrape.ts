/** One scrape of a member's /metrics: every series with its value. */
export type Scrape = ReadonlyMap<string, number>;

const scrapeTimeoutMs = 30_000;

export async function scrape(httpPort: number): Promise<Scrape> {
  const answer = await fetch(`http://127.0.0.1:${httpPort}/metrics`, { signal: AbortSignal.timeout(scrapeTimeoutMs) });
  const series = new Map<string, number>();
  for (const line of (await answer.text()).split('\n')) {
    const at = line.lastIndexOf(' ');
    if (at > 0 && !line.startsWith('#')) series.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return series;
}

/** How much a series rose between two scrapes; all series of that name together. */
export function rise(before: Scrape, after: Scrape, name: string): number {
  let sum = 0;
  for (const [series, value] of after) {
    if (series === name || series.startsWith(`${name}{`)) sum += value - (before.get(series) ?? 0);
  }
  return sum;
}

/** Quantiles of what a histogram of lateness took in between two scrapes, ms. */
export interface Lateness {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** The bound of the bucket that holds the greatest. */
  readonly maxMs: number;
}

export function lateness(before: Scrape, after: Scrape, kind: string): Lateness {
  const buckets: { readonly leMs: number; readonly count: number }[] = [];
  for (const [series, value] of after) {
    const match = /^rollcall_raft_lateness_seconds_bucket\{(.*)\}$/.exec(series);
    const labels = match?.[1];
    if (labels === undefined || !labels.includes(`kind="${kind}"`)) continue;
    const le = /le="([^"]+)"/.exec(labels)?.[1];
    const leMs = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le) * 1_000;
    buckets.push({ leMs, count: value - (before.get(series) ?? 0) });
  }
  buckets.sort((a, b) => a.leMs - b.leMs);
  const count = buckets.at(-1)?.count ?? 0;
  const maxMs = count === 0 ? 0 : (buckets.find((bucket) => bucket.count >= count)?.leMs ?? 0);
  const at = (share: number): number => quantile(buckets, count * share);
  return { count, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs };
}

/** As Prometheus reads a quantile off: evenly spread within its bucket. */
function quantile(buckets: readonly { readonly leMs: number; readonly count: number }[], rank: number): number {
  let fromMs = 0;
  let below = 0;
  for (const { leMs, count } of buckets) {
    if (count > 0 && count >= rank) {
      if (leMs === Number.POSITIVE_INFINITY) return leMs;
      return fromMs + ((leMs - fromMs) * (rank - below)) / Math.max(1, count - below);
    }
    fromMs = leMs;
    below = count;
  }
  return fromMs;
}
