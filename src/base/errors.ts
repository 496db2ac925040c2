/**
 * The errors that a caller of Rollcall may see: a bad request or an unavailable service. A broken invariant is never
 * one of these; it is an InvariantError (assert.ts) and ends the process.
 */

/** Canonical gRPC status names in use. */
export type StatusCode =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'RESOURCE_EXHAUSTED'
  | 'UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'
  | 'UNIMPLEMENTED'
  | 'CANCELLED'
  | 'INTERNAL';

/** The closed list of reasons, each with its code; it goes out as google.rpc.ErrorInfo.reason. */
export const reasonCodes = {
  /** A field is malformed or over its bound; `field` names it. */
  INVALID_FIELD: 'INVALID_ARGUMENT',
  /** The bytes are not the protobuf message that the method takes. */
  MALFORMED_MESSAGE: 'INVALID_ARGUMENT',
  UNKNOWN_INSTANCE: 'NOT_FOUND',
  UNKNOWN_LEASE: 'NOT_FOUND',
  /** The session has ended: its time ran out, it was closed or revoked, or it never was. Open a new one. */
  UNKNOWN_SESSION: 'NOT_FOUND',
  /** Another stream goes on with the session; this one is over. */
  SESSION_TAKEN: 'ABORTED',
  /** The condition `if_absent` did not hold. */
  ALREADY_REGISTERED: 'ALREADY_EXISTS',
  /** The incarnation given is not the current one. */
  SUPERSEDED: 'FAILED_PRECONDITION',
  /** The same request id was used for another request. */
  REQUEST_ID_REUSED: 'FAILED_PRECONDITION',
  /** The revision or incarnation belongs to a history that a restore has ended. */
  HISTORY_CHANGED: 'FAILED_PRECONDITION',
  /** Page token or resume point that this cluster never gave. */
  OUT_OF_HISTORY: 'OUT_OF_RANGE',
  /** A bound of the member is reached (calls, streams, watches, bytes); retry after the hint. */
  OVERLOADED: 'RESOURCE_EXHAUSTED',
  /** No leader, or no quorum, is known; nothing was proposed. */
  NO_LEADER: 'UNAVAILABLE',
  /** The write was certainly not taken; retry freely. */
  NOT_PROPOSED: 'UNAVAILABLE',
  /** The write may still be applied; retry with the same request id. */
  OUTCOME_UNKNOWN: 'UNAVAILABLE',
  /** The member has not yet applied the revision asked for. */
  MEMBER_BEHIND: 'UNAVAILABLE',
  /** The member's state differs from the majority's; it serves nothing. */
  MEMBER_FENCED: 'UNAVAILABLE',
  /** The change of the members is not possible: `problem` among the facts says why, the text what to do. */
  MEMBERSHIP_REFUSED: 'FAILED_PRECONDITION',
  /** The change would leave fewer live voters than a majority; it goes through where it is forced. */
  QUORUM_AT_RISK: 'FAILED_PRECONDITION',
  /** Another change of the members is not finished yet. */
  CHANGE_UNDER_WAY: 'UNAVAILABLE',
  /** The other member did not take over within an election timeout; the old leader goes on. */
  TRANSFER_FAILED: 'UNAVAILABLE',
  /** The member is starting or stopping. */
  NOT_SERVING: 'UNAVAILABLE',
  DEADLINE: 'DEADLINE_EXCEEDED',
  UNKNOWN_METHOD: 'UNIMPLEMENTED',
  CANCELLED: 'CANCELLED',
  INTERNAL: 'INTERNAL',
} as const satisfies Record<string, StatusCode>;

export type Reason = keyof typeof reasonCodes;

export function isReason(text: string): text is Reason {
  return Object.hasOwn(reasonCodes, text);
}

export interface RollcallErrorOptions {
  /** Path of the offending field as in the proto file, e.g. `instance.endpoints[2].port`. */
  readonly field?: string;
  /** When retrying is sensible: how long to wait first. Absent: retrying the same call is pointless. */
  readonly retryAfterMs?: number;
  /** Further facts for ErrorInfo.metadata, e.g. `{leader: 'b'}`; values are short and never user secrets. */
  readonly facts?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A bad request or an unavailable service, as it is told to the caller. */
export class RollcallError extends Error {
  override readonly name = 'RollcallError';
  readonly reason: Reason;
  readonly code: StatusCode;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly facts: Readonly<Record<string, string>>;

  constructor(reason: Reason, message: string, options: RollcallErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.code = reasonCodes[reason];
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
    this.facts = options.facts ?? {};
  }

  get retryable(): boolean {
    return this.retryAfterMs !== undefined;
  }
}

/** INVALID_FIELD for one field: what is wrong with it and what it may be. */
export function invalidField(field: string, problem: string): RollcallError {
  return new RollcallError('INVALID_FIELD', `${field}: ${problem}`, { field });
}

/**
 * The disk said no: a write, sync or read failed, or what was read is damaged. Nothing may be acknowledged after it;
 * the process ends with this message (design: any write or sync error means stop, fsync is never retried).
 */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly kind: 'io' | 'damaged' | 'refused';
  readonly file: string;
  /** Byte offset of the damage where known. */
  readonly offset: number | undefined;

  constructor(
    kind: 'io' | 'damaged' | 'refused',
    file: string,
    message: string,
    options: { offset?: number; cause?: unknown } = {},
  ) {
    super(`${file}${options.offset === undefined ? '' : ` at byte ${options.offset}`}: ${message}`, {
      cause: options.cause,
    });
    this.kind = kind;
    this.file = file;
    this.offset = options.offset;
  }
}
