import { isIPv6 } from 'node:net';
import { InvalidArgumentError, Option } from 'commander';
import { timerMsMax } from '../base/clock.ts';
import { checkedAddresses } from '../client/addresses.ts';
import { ClientError } from '../client/client-error.ts';
import type { Endpoint } from '../client/types.ts';

// Values of options. Each function throws commander's InvalidArgumentError, which names the option and ends with usage.

const unitMs: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** `500ms`, `10s`, `1.5m`, `1h30m`: milliseconds. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)/g)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === text;
  const ms = parts.reduce((sum, [, count = '', unit = '']) => sum + Number(count) * (unitMs.get(unit) ?? 0), 0);
  if (!isWhole || ms < 1 || ms > timerMsMax) {
    throw new InvalidArgumentError(`"${text}" is no duration; write e.g. 500ms, 10s, 5m or 1h30m.`);
  }
  return Math.round(ms);
}

/** An option that takes a duration, whose default is told as people write it. */
export function durationOption(flags: string, description: string, defaultMs?: number): Option {
  const option = new Option(flags, description).argParser(parseDuration);
  return defaultMs === undefined ? option : option.default(defaultMs, formatDuration(defaultMs));
}

/** Milliseconds as a person writes them. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const units: readonly (readonly [string, number])[] = [
    ['h', 3_600_000],
    ['m', 60_000],
  ];
  let rest = Math.round(ms / 100) * 100;
  let text = '';
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return rest > 0 || text === '' ? `${text}${rest / 1_000}s` : text;
}

/** Bytes as a person reads them: `12.3 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 'B';
  for (const larger of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1_024) break;
    value /= 1_024;
    unit = larger;
  }
  return `${unit === 'B' || value >= 100 ? Math.floor(value) : value.toFixed(1)} ${unit}`;
}

/** A whole number of [min, 2^53). */
export function parseInteger(text: string, min = 0): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new InvalidArgumentError(`"${text}" is no whole number of at least ${min}.`);
}

/** `a:1,b:2` */
export function parseServers(text: string): readonly string[] {
  try {
    return checkedAddresses(text.split(',').map((part) => part.trim()));
  } catch (error) {
    throw error instanceof ClientError ? new InvalidArgumentError(`${error.message}.`) : error;
  }
}

/** `name=protocol://host:port`, with an IPv6 host in brackets. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^([a-z0-9.-]+)=([a-z0-9+.-]+):\/\/(?:\[([^\]]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text);
  const [, name = '', protocol = '', bracketed, plain = '', portText = ''] = match ?? [];
  const port = Number(portText);
  const isHost = bracketed === undefined ? plain !== '' : isIPv6(bracketed);
  if (match === null || !isHost || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(
      `"${text}" is no endpoint; write name=protocol://host:port, e.g. main=grpc://10.0.0.7:80 or web=http://[::1]:80.`,
    );
  }
  return { name, protocol, address: bracketed ?? plain, port };
}

export function formatEndpoint({ name, protocol, address, port }: Endpoint): string {
  return `${name}=${protocol}://${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

/** `key=value`; the value may hold further equal signs, or nothing. */
export function parsePair(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError(`"${text}" is no pair; write key=value.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** For an option that may be given several times. */
export function collecting<T>(parse: (text: string) => T): (text: string, before: readonly T[] | undefined) => T[] {
  return (text, before) => [...(before ?? []), parse(text)];
}
