import { ClientError } from '../client/client-error.ts';
import { CliError, cliErrorOf, exitCodes } from './exit-codes.ts';

const members = 'rollcall cluster members';
const status = 'rollcall cluster status';

/** Why a change was refused, by the fact `problem`: what to try. */
const hints: Readonly<Record<string, string>> = {
  'unknown-id': `see who is there: \`${members}\``,
  'removed-before': 'an id is never used again: give the new member another memberId, and an empty directory',
  'directory-differs': 'that id has another data directory: remove it, and bring the new member in under a new id',
  'address-differs': 'that id is there with another address: see docs/operating/membership.md on moving a member',
  unreachable:
    'start the member there with --join first; give the address where it listens for members, not for clients',
  'forms-anew': 'start it again with --join and the address of a member, or with `join` in its file',
  'other-cluster': 'start it with an empty directory and --join',
  'not-caught-up': `see how far it is: \`${status}\`, and try again, or let it become a voter by itself`,
  'is-voter': `it votes already; take the other one out: \`rollcall cluster remove ID\``,
  'not-voter': 'name a voter; see who is one: `rollcall cluster members`',
  'not-learner': 'bring it in first: `rollcall cluster add PEER-ADDRESS --learner`',
  'no-voters-left': 'the last voter cannot be removed: stop it, or add others first',
  'too-many-members': 'remove members that are not needed: `rollcall cluster remove ID`',
};

/** The error of an order about the cluster: what happened, and what to try next. */
export function orderErrorOf(error: unknown): unknown {
  if (!(error instanceof ClientError)) return error;
  const told = cliErrorOf(error);
  if (error.mayHaveApplied) return withHint(told, `look whether it was done: \`${members}\`, \`${status}\``);
  if (error.reason !== 'MEMBERSHIP_REFUSED') return told;
  const problem = problemOf(error);
  const exitCode = problem === 'unknown-id' ? exitCodes.notFound : told.exitCode;
  return withHint(told, hints[problem] ?? told.hint, exitCode);
}

/** A learner is to vote that has not caught up. */
export function isLagging(error: unknown): error is ClientError {
  return error instanceof ClientError && error.reason === 'MEMBERSHIP_REFUSED' && problemOf(error) === 'not-caught-up';
}

function problemOf({ facts }: ClientError): string {
  return facts['problem'] ?? '';
}

function withHint({ message, ...facts }: CliError, hint: string, exitCode = facts.exitCode): CliError {
  return new CliError(exitCode, message, hint, facts);
}
