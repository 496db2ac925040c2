import { connect } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { SharedLookups } from './shared-lookups.ts';
import type { ProbeResult } from './types.ts';

/** This machine has not even tried: it has no address or way of that sort (IPv6, mostly). */
const untried: readonly string[] = ['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'];

const resets: readonly string[] = ['ECONNRESET', 'EPIPE'];

/**
 * Makes connections to see who is there. A peer's server speaks first (HTTP/2 begins with its settings), so a byte is
 * the word of a live process; the kernel takes connections for a process that stands still, too.
 */
export class Prober {
  readonly #clock: Clock;
  readonly #lookups = new SharedLookups();
  /** Ends what is under way. */
  readonly #open = new Set<() => void>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Never rejects; 'silent' where it says nothing within `withinMs`, once closed, and for what is no address. */
  probe(address: string, withinMs: number): Promise<ProbeResult> {
    const target = hostAndPort(address);
    if (this.#closed || target === undefined) return Promise.resolve('silent');
    return new Promise((resolve) => {
      let connected = false;
      const socket = connect({ ...target, lookup: this.#lookups.lookup });
      const settle = (result: ProbeResult): void => {
        timer.cancel();
        this.#open.delete(abandon);
        // Without effect after the first time.
        socket.destroy();
        resolve(result);
      };
      const abandon = (): void => settle('silent');
      const timer = this.#clock.setTimer(withinMs, abandon);
      this.#open.add(abandon);
      socket.on('connect', () => (connected = true));
      socket.on('data', () => settle('open'));
      socket.on('end', () => settle('reset'));
      socket.on('error', (error) => settle(connected ? whileOpen(error) : whileDialed(error)));
      socket.on('close', abandon);
    });
  }

  /** Ends what is under way; every socket is closed. */
  close(): void {
    this.#closed = true;
    for (const abandon of this.#open) abandon();
  }
}

/** The connection was taken. */
function whileOpen(error: Error): ProbeResult {
  return resets.includes(codeOf(error)) ? 'reset' : 'silent';
}

/**
 * A name may stand for several addresses: it is refused where all that could be tried have refused. A connection that
 * is taken and reset before this process has looked was reset, too. A host that is not reached (EHOSTUNREACH), or a
 * name that is not found, may be back the next moment with the same process.
 */
function whileDialed(error: Error): ProbeResult {
  const each = error instanceof AggregateError ? (error.errors as readonly unknown[]) : [error];
  const tried = each.map(codeOf).filter((code) => !untried.includes(code));
  if (tried.length === 0 || !tried.every((code) => code === 'ECONNREFUSED' || resets.includes(code))) return 'silent';
  return tried.some((code) => resets.includes(code)) ? 'reset' : 'refused';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** host:port, where the host may be an IPv6 address in brackets; undefined where it is not of that form. */
function hostAndPort(address: string): { readonly host: string; readonly port: number } | undefined {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const host = found?.[1] ?? found?.[2] ?? '';
  const port = Number(found?.[3]);
  return host !== '' && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
