import { isIPv4, isIPv6 } from 'node:net';
import { invalidField } from '../base/errors.ts';
import { apiBounds } from './bounds.ts';
import { quoted } from './strict-decoder.ts';

// Checks of single fields. Each throws INVALID_FIELD with the path, what was found and what is allowed.

const nameAlphabet = /^[a-z0-9.-]*$/;
const protocolAlphabet = /^[a-z0-9+.-]*$/;
/** Printable ASCII without space, '/' and '"'. */
const idAlphabet = /^[!#-.0-~]*$/;
const visibleAscii = /^[!-~]*$/;
const hostLabel = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;

/** Refuses more than `bytesMax` bytes of UTF-8. */
export function checkBytesMax(field: string, text: string, bytesMax: number): void {
  // UTF-8 has at least as many bytes as a string has units: most texts need no counting.
  if (text.length * 3 <= bytesMax) return;
  const bytes = Buffer.byteLength(text, 'utf8');
  if (bytes > bytesMax) throw invalidField(field, `has ${bytes} bytes, allowed are at most ${bytesMax}`);
}

function checkPattern(field: string, text: string, pattern: RegExp, allowed: string): void {
  if (!pattern.test(text)) throw invalidField(field, `is ${quoted(text)}, allowed are ${allowed}`);
}

export function checkPresent(field: string, text: string): void {
  if (text === '') throw invalidField(field, 'is missing or empty, it is required');
}

/** The most are checked while decoding. */
export function checkNotEmpty(field: string, count: number, countMax: number): void {
  if (count === 0) throw invalidField(field, `is empty, allowed are 1 to ${countMax} elements`);
}

export function checkRange(field: string, value: number, min: number, max: number): void {
  if (value < min || value > max) throw invalidField(field, `is ${value}, allowed is ${min} to ${max}`);
}

/** Refuses none and more than one of the members of a oneof; `field` is its name. */
export function checkOneOf(field: string, members: Readonly<Record<string, unknown>>): void {
  const names = Object.keys(members);
  const given = names.filter((name) => members[name] !== undefined);
  if (given.length === 1) return;
  const allowed = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  if (given.length === 0) throw invalidField(field, `is missing, required is one of ${allowed}`);
  throw invalidField(field, `has ${given.join(' and ')}, allowed is one of ${allowed}`);
}

/** An id that a server gave: lease, incarnation, watch. */
export function checkNotZero(field: string, value: number): void {
  if (value === 0) throw invalidField(field, 'is missing or 0, it is required');
}

function checkName(field: string, name: string, bytesMax: number): void {
  checkBytesMax(field, name, bytesMax);
  checkPattern(field, name, nameAlphabet, 'a-z, 0-9, "-" and "."');
}

/** Empty means `default`. */
export function checkedNamespace(field: string, namespace: string): string {
  checkName(field, namespace, apiBounds.namespaceBytesMax);
  return namespace === '' ? 'default' : namespace;
}

export function checkService(field: string, service: string): void {
  checkPresent(field, service);
  checkServicePrefix(field, service);
}

/** A service's name or its beginning; may be empty. */
export function checkServicePrefix(field: string, prefix: string): void {
  checkName(field, prefix, apiBounds.serviceBytesMax);
}

export function checkInstanceId(field: string, id: string): void {
  checkPresent(field, id);
  checkBytesMax(field, id, apiBounds.idBytesMax);
  checkPattern(field, id, idAlphabet, 'printable ASCII characters without space, "/" and \'"\'');
}

export function checkEndpointName(field: string, name: string): void {
  checkPresent(field, name);
  checkName(field, name, apiBounds.endpointNameBytesMax);
}

export function checkProtocol(field: string, protocol: string): void {
  checkPresent(field, protocol);
  checkBytesMax(field, protocol, apiBounds.protocolBytesMax);
  checkPattern(field, protocol, protocolAlphabet, 'a-z, 0-9, "+", "-" and "."');
}

/**
 * An IPv4 address as four decimal numbers without leading zeros, an IPv6 address in a text form of RFC 4291 section 2.2
 * (no brackets, no zone), or a host name of RFC 1123 section 2.1.
 */
export function checkAddress(field: string, address: string): void {
  checkPresent(field, address);
  if (isIPv4(address)) return;
  if (isPlainIPv6(address)) return;
  if (isHostName(address)) return;
  const allowed = 'an IPv4 address, an IPv6 address without brackets and zone, or an RFC 1123 host name';
  throw invalidField(field, `is ${quoted(address)}, allowed is ${allowed}`);
}

/** May be empty where `required` is false. */
export function checkMemberId(field: string, id: string, required = true): void {
  if (required) checkPresent(field, id);
  checkBytesMax(field, id, apiBounds.memberIdBytesMax);
  checkPattern(field, id, visibleAscii, 'printable ASCII characters without space');
}

/** `host:port` at which a member is reached: a host as above, an IPv6 address in brackets, and a port of 1 to 65535. */
export function checkHostPort(field: string, address: string): void {
  checkPresent(field, address);
  checkBytesMax(field, address, apiBounds.memberAddressBytesMax);
  const [, inBrackets, plain = '', portText = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(address) ?? [];
  const port = Number(portText);
  const isHost = inBrackets === undefined ? isIPv4(plain) || isHostName(plain) : isPlainIPv6(inBrackets);
  if (isHost && port >= 1 && port <= apiBounds.portMax) return;
  const allowed = `host:port with a port of 1 to ${apiBounds.portMax}, such as 10.0.0.7:7401 or [::1]:7401`;
  throw invalidField(field, `is ${quoted(address)}, allowed is ${allowed}`);
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isHostName(name: string): boolean {
  if (name.length > apiBounds.hostNameBytesMax) return false;
  const labels = name.split('.');
  // What ends in a number was meant to be an IPv4 address: RFC 1123 section 2.1 counts on it that no domain does.
  if (/^[0-9]+$/.test(labels.at(-1) ?? '')) return false;
  return labels.every((label) => label.length <= apiBounds.hostLabelBytesMax && hostLabel.test(label));
}

export function checkRequestId(field: string, requestId: string): void {
  checkBytesMax(field, requestId, apiBounds.requestIdBytesMax);
  checkPattern(field, requestId, visibleAscii, 'printable ASCII characters without space');
}

export function checkReason(field: string, reason: string): void {
  checkBytesMax(field, reason, apiBounds.reasonBytesMax);
}

export function checkTtl(field: string, ttlMs: number): void {
  checkRange(field, ttlMs, apiBounds.ttlMsMin, apiBounds.ttlMsMax);
}

export function checkRequestBytes(bytes: Uint8Array): void {
  if (bytes.length <= apiBounds.requestBytesMax) return;
  throw invalidField('request', `has ${bytes.length} bytes, allowed are at most ${apiBounds.requestBytesMax}`);
}
