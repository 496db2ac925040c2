import { unreachable } from '../base/assert.ts';
import type { ClientCode, ClientError, ClientReason } from '../client/client-error.ts';

/** What the process ends with; docs/reference/cli.md explains each. */
export const exitCodes = {
  ok: 0,
  other: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  unavailable: 5,
  conflict: 6,
  timeout: 7,
} as const;

/** Reasons of the command line itself; docs/reference/json.md names each. */
export const commandReasons = [
  'USAGE',
  'UNKNOWN_SERVICE',
  'NOT_READY',
  'PORT_IN_USE',
  'COMMAND_NOT_FOUND',
  'COMMAND_NOT_STARTED',
  'FAULT',
] as const;
export type CommandReason = ClientReason | (typeof commandReasons)[number];

/** What went wrong beside the texts; `rollcall.error.v1` of docs/reference/json.md. */
export interface ErrorFacts {
  /** Default: `USAGE`, which only wrong usage leaves out. */
  readonly reason?: CommandReason;
  /** Name of a gRPC status code. Default: the one for the exit code. */
  readonly code?: ClientCode;
  /** Field, option or argument that is to blame. */
  readonly field?: string | undefined;
  readonly mayHaveApplied?: boolean;
  readonly retryAfterMs?: number | undefined;
}

/** A failure of a command: what happened, and what to try next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  /** One of `exitCodes`, or what a command that was started here stands for. */
  readonly exitCode: number;
  readonly hint: string;
  readonly reason: CommandReason;
  readonly code: ClientCode;
  readonly field: string | undefined;
  readonly mayHaveApplied: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(exitCode: number, message: string, hint: string, facts: ErrorFacts = {}) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
    this.reason = facts.reason ?? 'USAGE';
    this.code = facts.code ?? usualCodes.get(exitCode) ?? 'UNKNOWN';
    this.field = facts.field;
    this.mayHaveApplied = facts.mayHaveApplied ?? false;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

const usualCodes: ReadonlyMap<number, ClientCode> = new Map([
  [exitCodes.usage, 'INVALID_ARGUMENT'],
  [exitCodes.notFound, 'NOT_FOUND'],
  [exitCodes.unavailable, 'UNAVAILABLE'],
  [exitCodes.conflict, 'FAILED_PRECONDITION'],
  [exitCodes.timeout, 'DEADLINE_EXCEEDED'],
]);

/**
 * The same for what the client failed with.
 *
 * @param takesStale The command is a read with --stale.
 */
export function cliErrorOf(error: ClientError, takesStale = false): CliError {
  const { code, reason, field, mayHaveApplied, retryAfterMs } = error;
  // OUTCOME_UNKNOWN says so by itself.
  const maybe = mayHaveApplied && reason !== 'OUTCOME_UNKNOWN' ? '. The change may have been applied all the same' : '';
  return new CliError(exitCodeOf(code, reason), `${error.message}${maybe}`, hintOf(error, takesStale), {
    reason,
    code,
    field,
    mayHaveApplied,
    retryAfterMs,
  });
}

function exitCodeOf(code: ClientCode, reason: ClientReason): number {
  if (reason === 'BAD_ANSWER') return exitCodes.other;
  switch (code) {
    case 'OK':
      return exitCodes.ok;
    case 'INVALID_ARGUMENT':
    case 'OUT_OF_RANGE':
      return exitCodes.usage;
    case 'NOT_FOUND':
      return exitCodes.notFound;
    case 'PERMISSION_DENIED':
    case 'UNAUTHENTICATED':
      return exitCodes.denied;
    case 'UNAVAILABLE':
    case 'RESOURCE_EXHAUSTED':
      return exitCodes.unavailable;
    case 'ALREADY_EXISTS':
    case 'FAILED_PRECONDITION':
    case 'ABORTED':
      return exitCodes.conflict;
    case 'DEADLINE_EXCEEDED':
      return exitCodes.timeout;
    case 'CANCELLED':
    case 'UNKNOWN':
    case 'UNIMPLEMENTED':
    case 'INTERNAL':
    case 'DATA_LOSS':
      return exitCodes.other;
    default:
      return unreachable(code);
  }
}

const status = 'rollcall cluster status';
const lookHint = `look whether it was applied (\`rollcall discover SERVICE\`), and \`${status}\``;

function hintOf(error: ClientError, takesStale: boolean): string {
  if (error.mayHaveApplied) return lookHint;
  switch (error.reason) {
    case 'UNREACHABLE':
      return 'name running members with --server host:port,host:port, or start one to try: `rollcall dev`';
    case 'NO_LEADER':
    case 'NOT_PROPOSED':
    case 'NOT_SERVING':
    case 'MEMBER_FENCED':
      return `see which members are there: \`${status}\`${takesStale ? '; --stale answers without a leader' : ''}`;
    case 'OUTCOME_UNKNOWN':
    case 'BROKEN':
      return lookHint;
    case 'MEMBER_BEHIND':
      return `try again, or another --server; see how far each is: \`${status}\``;
    case 'OVERLOADED':
    case 'TOO_MANY':
      return 'try again in a moment';
    case 'TIMEOUT':
    case 'DEADLINE':
      return `try again with a longer --timeout, or see how the members are: \`${status}\``;
    case 'ALREADY_REGISTERED':
      return 'see who it is: `rollcall discover SERVICE`; without --if-absent the id is taken over';
    case 'SUPERSEDED':
    case 'UNKNOWN_INSTANCE':
      return 'see what is registered now, and its incarnation: `rollcall discover SERVICE`';
    case 'UNKNOWN_LEASE':
      return 'register with --ttl, or grant a lease first';
    case 'UNKNOWN_SESSION':
    case 'SESSION_TAKEN':
      return 'run the command again: it begins a new session';
    case 'HISTORY_CHANGED':
    case 'OUT_OF_HISTORY':
      return 'begin anew without the old revision';
    case 'MEMBERSHIP_REFUSED':
    case 'CHANGE_UNDER_WAY':
      return 'see who is there, and what is under way: `rollcall cluster members`';
    case 'QUORUM_AT_RISK':
      return `bring the silent members back, or add others first: \`${status}\`; --force does it all the same`;
    case 'TRANSFER_FAILED':
      return `see how far the others are: \`${status}\``;
    case 'INVALID_FIELD':
    case 'MALFORMED_MESSAGE':
    case 'REQUEST_ID_REUSED':
      return 'correct it and run the command again; --help shows examples';
    case 'UNKNOWN_METHOD':
    case 'UNRECOGNISED':
    case 'BAD_ANSWER':
      return 'check that --server names Rollcall members of this version: `rollcall --version`';
    case 'CANCELLED':
    case 'CLOSED':
      return 'run the command again';
    case 'INTERNAL':
      return 'see the log of that member';
    default:
      return unreachable(error.reason);
  }
}
