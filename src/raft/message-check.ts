import { membershipProblem } from './membership.ts';
import type { MemberRecord, Membership } from './membership.ts';
import { contextsPerMessageMax } from './read-forwards.ts';
import type { AppendRequest, Entry, LogBase, Message, PrefixHash, ReadContext } from './types.ts';

/** The greatest term, index, boot or round taken from a peer: sums of two such numbers are still safe integers. */
export const peerNumberMax = 2 ** 52;

const hashPattern = /^[0-9a-f]{16}$/;

/**
 * Whether every field of a message is of its type and can be true by itself. What it says about this member's log is
 * judged by the roles; the hashes of entries are verified where they are taken.
 */
export function isWellFormed(message: Message): boolean {
  const headIsFine =
    isText(message.from) &&
    isText(message.to) &&
    isNumber(message.fromBoot, 1) &&
    isNumber(message.toBoot, 0) &&
    isNumber(message.term, 0);
  return headIsFine && bodyIsFine(message);
}

function bodyIsFine(message: Message): boolean {
  switch (message.kind) {
    case 'vote-request':
      return (
        isFlag(message.preVote) &&
        message.term >= 1 &&
        isNumber(message.lastIndex, 0) &&
        isNumber(message.lastTerm, 0) &&
        message.lastTerm < message.term &&
        // The leader asks for a real vote alone.
        (message.transfer === undefined || (isTrue(message.transfer) && !message.preVote))
      );
    case 'vote-reply':
      return isFlag(message.preVote) && isFlag(message.granted);
    case 'append':
      return appendIsFine(message);
    case 'append-reply':
      return (
        isFlag(message.accepted) &&
        isNumber(message.matchIndex, 0) &&
        isNumber(message.rejectedIndex, 0) &&
        isNumber(message.hintIndex, 0) &&
        isNumber(message.hintTerm, 0) &&
        message.hintIndex <= message.rejectedIndex &&
        message.hintTerm <= message.term
      );
    case 'heartbeat':
      return message.term >= 1 && isNumber(message.commit, 0) && isNumber(message.round, 0);
    case 'heartbeat-reply':
      return isNumber(message.round, 0);
    case 'snapshot':
      return message.term >= 1 && baseIsFine(message.snapshot, message.term) && membershipIsFine(message.membership);
    case 'timeout-now':
      return message.term >= 1;
    case 'read-index':
      return contextsAreFine(message.contexts) && contextsAreOf(message.contexts, message.from, message.fromBoot);
    case 'read-index-reply':
      return (
        contextsAreFine(message.contexts) &&
        contextsAreOf(message.contexts, message.to, message.toBoot) &&
        isNumber(message.index, 0)
      );
    default:
      // A peer of another version may send a kind that these types do not know; that is no broken invariant of ours.
      message satisfies never;
      return false;
  }
}

function appendIsFine(message: AppendRequest): boolean {
  const headIsFine =
    message.term >= 1 &&
    isNumber(message.prevIndex, 0) &&
    isNumber(message.prevTerm, 0) &&
    isHash(message.prevHash) &&
    isNumber(message.commit, 0) &&
    isList(message.entries);
  if (!headIsFine) return false;
  let index = message.prevIndex;
  let term = message.prevTerm;
  for (const entry of message.entries) {
    if (!entryIsFine(entry) || entry.index !== index + 1 || entry.term < term) return false;
    index = entry.index;
    term = entry.term;
  }
  // No log of a leader holds an entry of a later term than its own.
  return term <= message.term;
}

function entryIsFine(entry: Entry): boolean {
  return (
    isObject(entry) &&
    isNumber(entry.index, 1) &&
    isNumber(entry.term, 1) &&
    isHash(entry.hash) &&
    entry.data instanceof Uint8Array
  );
}

function baseIsFine(base: LogBase, term: number): boolean {
  return isObject(base) && isNumber(base.index, 1) && isNumber(base.term, 1) && base.term <= term && isHash(base.hash);
}

/** Checked by its very codec, which looks at the type of nothing: so that is done here. */
function membershipIsFine(membership: Membership): boolean {
  if (!isObject(membership)) return false;
  const { voters, outgoing, learners, learnersNext, removedIds } = membership;
  const shapes =
    [voters, outgoing, learners, learnersNext].every((list) => isList(list) && list.every(recordIsFine)) &&
    [...learners, ...learnersNext].every((learner) => isFlag(learner.autoPromote)) &&
    isList(removedIds) &&
    removedIds.every(isText);
  return shapes && voters.length > 0 && membershipProblem(membership) === undefined;
}

function recordIsFine(record: MemberRecord): boolean {
  return isObject(record) && isText(record.id) && isText(record.directoryId) && isText(record.peerAddress);
}

function contextsAreFine(contexts: readonly ReadContext[]): boolean {
  return (
    isList(contexts) &&
    contexts.length >= 1 &&
    contexts.length <= contextsPerMessageMax &&
    contexts.every(
      (context) =>
        isObject(context) &&
        isText(context.member) &&
        isNumber(context.boot, 1) &&
        isNumber(context.counter, 0) &&
        (context.patient === undefined || isTrue(context.patient)),
    )
  );
}

function contextsAreOf(contexts: readonly ReadContext[], member: string, boot: number): boolean {
  return contexts.every((context) => context.member === member && context.boot === boot);
}

function isNumber(value: number, min: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= peerNumberMax;
}

function isText(value: string): boolean {
  return typeof value === 'string' && value.length > 0;
}

function isFlag(value: boolean): boolean {
  return typeof value === 'boolean';
}

function isTrue(value: true): boolean {
  return value === true;
}

function isHash(value: PrefixHash): boolean {
  return typeof value === 'string' && hashPattern.test(value);
}

/** Array.isArray would widen the type of a readonly array to any[]. */
function isList(value: unknown): boolean {
  return Array.isArray(value);
}

function isObject(value: object): boolean {
  return typeof value === 'object' && value !== null;
}
