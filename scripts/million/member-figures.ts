import { readFileSync } from 'node:fs';

/** Ticks of the kernel's clock in a second, as /proc counts them on Linux. */
const clockTicks = 100;
const mib = 1024 * 1024;

export interface Usage {
  readonly cpuMs: number;
  readonly rssMib: number;
}

/** What a process has used of a processor, and holds of memory, as Linux says. */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name may hold spaces and brackets: fields count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const cpuMs = ((Number(fields[11]) + Number(fields[12])) * 1_000) / clockTicks;
  const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuMs, rssMib: (Number(rss) * 1024) / mib };
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
