import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What one member holds at one moment. */
export interface Vitals {
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  readonly files: number;
  readonly sockets: number;
  readonly connections: number;
  readonly streams: number;
  readonly watches: number;
  readonly callsInFlight: number;
  readonly cpuSeconds: number;
}

/** Reads a member's memory and open files from Linux, and the rest from its metrics. */
export async function vitalsOf(pid: number, httpPort: number): Promise<Vitals> {
  const response = await fetch(`http://127.0.0.1:${httpPort}/metrics`, { signal: AbortSignal.timeout(20_000) });
  const text = await response.text();
  return {
    residentBytes: residentBytes(pid),
    heapUsedBytes: sumOf(text, 'nodejs_heap_size_used_bytes'),
    externalBytes: sumOf(text, 'nodejs_external_memory_bytes'),
    ...openFiles(pid),
    connections: sumOf(text, 'rollcall_grpc_connections'),
    streams: sumOf(text, 'rollcall_grpc_open_streams'),
    watches: sumOf(text, 'rollcall_watches'),
    callsInFlight: sumOf(text, 'rollcall_api_calls_in_flight'),
    cpuSeconds: sumOf(text, 'process_cpu_seconds_total'),
  };
}

/** All, and those of them that are sockets: the store's own files come and go with what it holds. */
function openFiles(pid: number): { readonly files: number; readonly sockets: number } {
  const folder = `/proc/${pid}/fd`;
  const names = readdirSync(folder).map((one) => linkOf(`${folder}/${one}`));
  return { files: names.length, sockets: names.filter((name) => name.startsWith('socket:')).length };
}

/** Empty where it was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (line === null) throw new Error(`process ${pid} says nothing of its memory`);
  return Number(line[1]) * 1_024;
}

/** Of all label sets of one metric. */
export function sumOf(metrics: string, name: string): number {
  let sum = 0;
  for (const [, value] of metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))) sum += Number(value);
  return sum;
}

/** The least of each figure over some samples: what stays when the garbage is collected. */
export class LowWater {
  #least: Vitals | undefined;

  add(vitals: Vitals): void {
    const least = this.#least;
    this.#least =
      least === undefined
        ? vitals
        : (Object.fromEntries(
            (Object.keys(vitals) as (keyof Vitals)[]).map((key) => [key, Math.min(vitals[key], least[key])]),
          ) as unknown as Vitals);
  }

  get value(): Vitals | undefined {
    return this.#least;
  }
}
