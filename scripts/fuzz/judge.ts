import { status } from '@grpc/grpc-js';
import type protobuf from 'protobufjs';
import { reasonCodes } from '../../src/base/errors.ts';
import { google } from '../../src/gen/rollcall.js';
import type { Outcome } from './connection.ts';

/** What a case may end with besides an answer of the closed list. */
export interface Allowed {
  /** Statuses that grpc-js and HTTP/2 give by themselves, without details: docs/reference/errors.md names them. */
  readonly bare: readonly number[];
  /** The stream may be reset, or its connection closed: HTTP/2 itself was broken by the case. */
  readonly broken?: boolean;
  /** The case goes away before the end. */
  readonly left?: boolean;
}

/** Every call that is framed as gRPC has it. */
export const wellFramed: Allowed = { bare: [] };
/** Also where the case breaks the framing, or asks for more than gRPC takes. */
export const badFraming: Allowed = {
  bare: [status.RESOURCE_EXHAUSTED, status.INTERNAL, status.UNIMPLEMENTED, status.DEADLINE_EXCEEDED, status.CANCELLED],
};

/** `key` counts the outcome; `breach` says what must not be. */
export interface Verdict {
  readonly key: string;
  readonly breach?: string;
}

const typePrefix = 'type.googleapis.com/google.rpc.';

export function judge(outcome: Outcome, allowed: Allowed, response: protobuf.Type | undefined): Verdict {
  switch (outcome.kind) {
    case 'status':
      return outcome.code === 0 ? judgeOk(outcome.messages, response) : judgeError(outcome, allowed);
    case 'untyped':
      return { key: 'untyped', breach: `not gRPC: ${outcome.what}` };
    case 'silent':
      return { key: 'silent', breach: 'no end of the call in time' };
    case 'left':
      return allowed.left === true ? { key: 'left by the client' } : { key: 'left', breach: 'was left' };
    case 'reset':
      // Streams that were left count as open until the member has heard of it: more are then refused.
      return allowed.broken === true || (allowed.left === true && [7, 8].includes(outcome.code))
        ? { key: `reset ${outcome.code}` }
        : { key: `reset ${outcome.code}`, breach: `reset with code ${outcome.code} in place of a status` };
    case 'connection':
      return allowed.broken === true
        ? { key: 'connection closed' }
        : { key: 'connection closed', breach: `connection lost: ${outcome.what}` };
  }
}

function judgeOk(messages: readonly Buffer[], response: protobuf.Type | undefined): Verdict {
  try {
    for (const message of messages) response?.decode(message);
    return { key: 'OK' };
  } catch (error) {
    return { key: 'OK', breach: `an answer that is no ${response?.name}: ${String(error)}` };
  }
}

function judgeError(outcome: Extract<Outcome, { kind: 'status' }>, allowed: Allowed): Verdict {
  const { code, message, details } = outcome;
  const name = status[code] ?? String(code);
  if (details === undefined) {
    const key = `${name} (by gRPC)`;
    return allowed.bare.includes(code) ? { key } : { key, breach: `${name} without details: ${message}` };
  }
  let decoded: google.rpc.Status;
  let reason: string;
  let domain: string;
  try {
    decoded = google.rpc.Status.decode(details);
    const info = decoded.details.find(({ type_url: url }) => url === `${typePrefix}ErrorInfo`);
    ({ reason, domain } = google.rpc.ErrorInfo.decode(info?.value ?? new Uint8Array(0)));
  } catch (error) {
    return { key: name, breach: `details that cannot be read: ${String(error)}` };
  }
  const key = `${name} ${reason}`;
  const faults = [
    decoded.code === code ? '' : `details say code ${decoded.code}`,
    decoded.message === message ? '' : `details say ${JSON.stringify(decoded.message)}`,
    domain === 'rollcall' ? '' : `domain ${domain}`,
    Object.entries(reasonCodes).some(([known, of]) => known === reason && of === name) ? '' : `reason ${reason}`,
    code === status.INTERNAL ? 'the member blames itself' : '',
  ].filter((fault) => fault !== '');
  return faults.length === 0 ? { key } : { key, breach: `${name} ${JSON.stringify(message)}: ${faults.join(', ')}` };
}
