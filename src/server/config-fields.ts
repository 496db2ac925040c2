import { isIPv4, isIPv6 } from 'node:net';
import * as z from 'zod';

/** A host and a port, as `host:port` in the file; an IPv6 host stands in brackets there. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** What a file may hold; problems with it are told by these functions in full sentences. */
type Check<T> = (value: unknown) => T | Problem;

/** Why a value is refused, and what to write instead. */
class Problem {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const portMax = 65_535;
const textUnitsMax = 1_024;

/** A leaf of the schema: required, so that every problem, absence included, is told by `check`. */
function leaf<T>(check: Check<T>) {
  return z.unknown().transform((value, context): T => {
    const checked = check(value);
    if (!(checked instanceof Problem)) return checked;
    context.issues.push({ code: 'custom', message: checked.text, input: value });
    return z.NEVER;
  });
}

/** A whole number of [min, max]; `unit` is for the message, e.g. `ms`. */
export function wholeNumber(min: number, max: number, unit: string) {
  return leaf((value): number | Problem => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    return refused(value, `write a whole number of ${min} to ${max} (${unit})`);
  });
}

const byteUnits: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Bytes: a whole number, or one with a unit such as `64 MiB`; a multiple of `step`. */
export function byteCount(min: number, max: number, step = 1) {
  const multiple = step === 1 ? '' : `, a multiple of ${step}`;
  const allowed = `write ${shownBytes(min)} to ${shownBytes(max)}${multiple}, as a number of bytes or as "64 MiB"`;
  return leaf((value): number | Problem => {
    const bytes = typeof value === 'string' ? parseBytes(value) : value;
    const fits = typeof bytes === 'number' && Number.isInteger(bytes) && bytes >= min && bytes <= max;
    return fits && bytes % step === 0 ? bytes : refused(value, allowed);
  });
}

function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,15}) ?(B|KiB|MiB|GiB)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * (byteUnits[match[2] ?? ''] ?? Number.NaN);
}

function shownBytes(bytes: number): string {
  const unit = ['GiB', 'MiB', 'KiB'].find((name) => bytes % (byteUnits[name] ?? 1) === 0);
  return unit === undefined ? `${bytes}` : `${bytes / (byteUnits[unit] ?? 1)} ${unit}`;
}

export function flag() {
  return leaf((value): boolean | Problem =>
    typeof value === 'boolean' ? value : refused(value, 'write true or false'),
  );
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly Word[]) {
  return leaf((value): Word | Problem => {
    const word = words.find((one) => one === value);
    return word ?? refused(value, `write one of ${words.join(', ')}`);
  });
}

const idPattern = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

export function memberId() {
  return leaf((value): string | Problem => {
    if (typeof value === 'string' && idPattern.test(value)) return value;
    return refused(value, 'write 1 to 64 of a-z, 0-9 and "-", without "-" at either end, such as "a"');
  });
}

export function directory() {
  return leaf((value): string | Problem => {
    const usable = typeof value === 'string' && value !== '' && value.length <= textUnitsMax && !value.includes('\0');
    return usable ? value : refused(value, 'write the path of a directory, such as ".rollcall/a"');
  });
}

/** An address to listen on; port 0 takes any free one. */
export function listenAddress() {
  return address(0, () => undefined);
}

/** An address under which others reach a member: a port of its own, and no wildcard. */
export function reachableAddress() {
  return address(1, ({ host }) =>
    host === '0.0.0.0' || host === '::' ? 'nobody reaches a member there; write the address of its machine' : undefined,
  );
}

function address(portMin: number, refuse: (parsed: HostPort) => string | undefined) {
  return leaf((value): HostPort | Problem => {
    // Not quoted, the brackets of an IPv6 address make a list of it.
    if (Array.isArray(value)) return new Problem('is a list; write an IPv6 address in quotes, such as "[::1]:7400"');
    const parsed = typeof value === 'string' ? parseHostPort(value) : undefined;
    if (parsed === undefined || parsed.port < portMin) {
      return refused(value, `write host:port with a port of ${portMin} to ${portMax}, such as 127.0.0.1:7400`);
    }
    const reason = refuse(parsed);
    return reason === undefined ? parsed : new Problem(`is ${shown(value)}; ${reason}`);
  });
}

const hostLabel = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;
const hostUnitsMax = 253;

/** Undefined where the text is no address. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > portMax) return undefined;
  const [, inBrackets, plain] = match;
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? { host: inBrackets, port } : undefined;
  return plain !== undefined && isHost(plain) ? { host: plain, port } : undefined;
}

/** An IPv4 address or a host name of RFC 1123; what looks like an address and is none is no name. */
function isHost(text: string): boolean {
  if (/^[\d.]+$/.test(text)) return isIPv4(text);
  return text.length <= hostUnitsMax && text.split('.').every((label) => hostLabel.test(label));
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Only programs of the same machine reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function refused(value: unknown, instead: string): Problem {
  if (value === undefined) return new Problem(`is missing; ${instead}`);
  if (value === null) return new Problem(`is empty; ${instead}`);
  return new Problem(`is ${shown(value)}; ${instead}`);
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a group of keys';
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}
