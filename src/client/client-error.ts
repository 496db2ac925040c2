import type { ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { Reason } from '../base/errors.ts';
import { isReason, reasonCodes } from '../base/errors.ts';
import { google } from '../gen/rollcall.js';

/** Names of the gRPC status codes. */
export type ClientCode = Exclude<keyof typeof status, number>;

/**
 * What went wrong: a member's reason (src/base/errors.ts), or one of the client's own.
 *
 * - UNREACHABLE: no connection; nothing was sent.
 * - BROKEN: the connection ended during the call.
 * - TIMEOUT: no answer in time.
 * - TOO_MANY: a bound of this client (limits.ts).
 * - CLOSED: the client, watch or keeper was closed.
 * - BAD_ANSWER: the member broke the protocol.
 * - UNRECOGNISED: an error from something that is no Rollcall member, or from a newer one.
 */
export type ClientReason = Reason | (typeof ownReasons)[number];

/** Those of the client; docs/reference/json.md names each. */
export const ownReasons = [
  'UNREACHABLE',
  'BROKEN',
  'TIMEOUT',
  'TOO_MANY',
  'CLOSED',
  'BAD_ANSWER',
  'UNRECOGNISED',
] as const;

export interface ClientErrorOptions {
  readonly field?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly address?: string | undefined;
  readonly mayHaveApplied?: boolean;
  readonly facts?: Readonly<Record<string, string>> | undefined;
  readonly cause?: unknown;
}

/** The only error that the methods of a client throw or reject with. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientCode;
  readonly reason: ClientReason;
  /** Path of the offending field as in the proto files, e.g. `instance.endpoints[2].port`. */
  readonly field: string | undefined;
  /** What the member asked to wait before the next attempt. */
  readonly retryAfterMs: number | undefined;
  /** `host:port` of the member asked last; undefined where none was. */
  readonly address: string | undefined;
  /** For writes: an attempt may have been applied although none was acknowledged. */
  readonly mayHaveApplied: boolean;
  /** What the member says beside the reason, for programs; docs/reference/errors.md names them. */
  readonly facts: Readonly<Record<string, string>>;

  constructor(code: ClientCode, reason: ClientReason, message: string, options: ClientErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = reason;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
    this.address = options.address;
    this.mayHaveApplied = options.mayHaveApplied ?? false;
    this.facts = options.facts ?? {};
  }

  /** The same call may succeed later, or on another member. The client itself retries these until its deadline. */
  get retryable(): boolean {
    if (this.reason === 'CLOSED' || this.reason === 'TOO_MANY') return false;
    return this.code === 'UNAVAILABLE' || this.code === 'DEADLINE_EXCEEDED' || this.retryAfterMs !== undefined;
  }

  static invalidField(field: string, problem: string): ClientError {
    return new ClientError('INVALID_ARGUMENT', 'INVALID_FIELD', `${field}: ${problem}`, { field });
  }

  static closed(what: string): ClientError {
    return new ClientError('CANCELLED', 'CLOSED', `${what} is closed`);
  }

  static badAnswer(address: string, problem: string, cause?: unknown, mayHaveApplied = false): ClientError {
    // UNAVAILABLE: another member, or a new stream, may do better.
    return new ClientError('UNAVAILABLE', 'BAD_ANSWER', `${address} answered against the protocol: ${problem}`, {
      address,
      cause,
      mayHaveApplied,
    });
  }

  /** An error that came inside an answer: only its reason and text. */
  static ofReason(address: string | undefined, reason: string, message: string): ClientError {
    if (!isReason(reason)) return new ClientError('UNKNOWN', 'UNRECOGNISED', `${reason}: ${message}`, { address });
    return new ClientError(reasonCodes[reason], reason, message, {
      address,
      retryAfterMs: reasonCodes[reason] === 'RESOURCE_EXHAUSTED' ? 1_000 : undefined,
    });
  }

  /** What grpc-js ended a call to `address` with. */
  static ofCall(error: ServiceError, address: string): ClientError {
    const details = detailsOf(error);
    const code = codeName(error.code);
    const message = error.details === '' ? code : error.details;
    const { field, retryAfterMs, facts } = details;
    const options = { field, retryAfterMs, facts, address, cause: error };
    if (isReason(details.reason)) return new ClientError(code, details.reason, message, options);
    const reason = connectionReason(error);
    if (reason === undefined) return new ClientError(code, 'UNRECOGNISED', `${address}: ${message}`, options);
    const why = reason === 'UNREACHABLE' ? `no connection (${connectFailure(message)})` : message;
    return new ClientError('UNAVAILABLE', reason, `${address}: ${why}`, options);
  }
}

/** A member that answered knows more than an address that did not, and a time-out says nothing at all. */
export function tellsMore(error: ClientError, told: ClientError | undefined): boolean {
  if (error.reason === 'TIMEOUT') return false;
  return error.reason !== 'UNREACHABLE' || told === undefined || told.reason === 'UNREACHABLE';
}

function codeName(code: number): ClientCode {
  const name = status[code];
  return name === undefined ? 'UNKNOWN' : (name as ClientCode);
}

/** How the connection failed, as far as the texts of grpc-js tell; undefined where an answer came. */
function connectionReason(error: ServiceError): 'UNREACHABLE' | 'BROKEN' | undefined {
  if (error.code === status.UNAVAILABLE) {
    return /^(?:No connection established|Name resolution failed)/.test(error.details) ? 'UNREACHABLE' : 'BROKEN';
  }
  // A member that ends hard resets its streams; the call was not cancelled from here.
  if (error.code === status.CANCELLED) return 'BROKEN';
  return error.code === status.INTERNAL && error.details.includes('RST_STREAM') ? 'BROKEN' : undefined;
}

/** `connect ECONNREFUSED 127.0.0.1:7400`, out of what grpc-js wraps around it. */
function connectFailure(message: string): string {
  const [, cause = message] = /Last error: (?:Error: )?(.*?)\.?(?: Resolution note:.*)?$/s.exec(message) ?? [];
  return cause;
}

interface Details {
  reason: string;
  field: string | undefined;
  retryAfterMs: number | undefined;
  facts: Readonly<Record<string, string>>;
}

const errorDomain = 'rollcall';
const detailsKey = 'grpc-status-details-bin';

/** Reads the google.rpc.Status of the trailer; details that cannot be read are none. */
function detailsOf(error: ServiceError): Details {
  const details: Details = { reason: '', field: undefined, retryAfterMs: undefined, facts: {} };
  const [bytes] = error.metadata?.get(detailsKey) ?? [];
  if (!(bytes instanceof Uint8Array)) return details;
  try {
    for (const { type_url, value } of google.rpc.Status.decode(bytes).details) {
      if (typeof type_url === 'string' && value instanceof Uint8Array) readDetail(details, type_url, value);
    }
  } catch {
    // A damaged trailer says less, not something else: code and message stand.
  }
  return details;
}

function readDetail(details: Details, typeUrl: string, value: Uint8Array): void {
  switch (typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) {
    case 'google.rpc.ErrorInfo': {
      const info = google.rpc.ErrorInfo.decode(value);
      if (info.domain !== errorDomain) return;
      details.reason = info.reason;
      details.facts = info.metadata;
      return;
    }
    case 'google.rpc.RetryInfo': {
      const delay = google.rpc.RetryInfo.decode(value).retryDelay;
      details.retryAfterMs = (delay?.seconds ?? 0) * 1_000 + (delay?.nanos ?? 0) / 1_000_000;
      return;
    }
    case 'google.rpc.BadRequest':
      details.field = google.rpc.BadRequest.decode(value).fieldViolations[0]?.field ?? undefined;
      return;
    default:
    // Details that this version does not know.
  }
}
