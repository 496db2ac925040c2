import { unreachable } from '../../src/base/assert.ts';
import { decodeMembership, isMembershipData } from '../../src/raft/system-entries.ts';
import type { Entry, Message, Persist, ReadContext, VoteRequest } from '../../src/raft/types.ts';
import { membershipText } from './memberships.ts';

/** `3/2 "x"` is entry 3 of term 2 with data x; an empty entry has no data. */
export function entryText(entry: Entry): string {
  if (isMembershipData(entry.data)) {
    const text = membershipText(decodeMembership(entry.data));
    return `${entry.index}/${entry.term} (${text})`;
  }
  const data = Buffer.from(entry.data).toString();
  return data === '' ? `${entry.index}/${entry.term}` : `${entry.index}/${entry.term} "${data}"`;
}

export function entriesText(entries: readonly Entry[]): string {
  return `[${entries.map(entryText).join(', ')}]`;
}

export function contextText(context: ReadContext): string {
  return `${context.member}${context.boot}#${context.counter}`;
}

/** One line: who to whom, kind, term and what matters of the rest. */
export function messageText(message: Message): string {
  return `${message.from}->${message.to} ${message.kind} term=${message.term} ${bodyText(message)}`.trimEnd();
}

function voteText({ preVote, transfer }: VoteRequest): string {
  if (preVote) return 'pre ';
  return transfer === true ? 'asked ' : '';
}

function bodyText(message: Message): string {
  switch (message.kind) {
    case 'vote-request':
      return `${voteText(message)}last=${message.lastIndex}/${message.lastTerm}`;
    case 'vote-reply':
      return `${message.preVote ? 'pre ' : ''}${message.granted ? 'granted' : 'refused'}`;
    case 'append': {
      const { prevIndex, prevTerm, entries, commit } = message;
      return `prev=${prevIndex}/${prevTerm} commit=${commit} ${entriesText(entries)}`;
    }
    case 'append-reply':
      if (message.accepted) return `match=${message.matchIndex}`;
      return `rejected=${message.rejectedIndex} hint=${message.hintIndex}/${message.hintTerm}`;
    case 'heartbeat':
      return `commit=${message.commit} round=${message.round}`;
    case 'heartbeat-reply':
      return `round=${message.round}`;
    case 'snapshot':
      return `at=${message.snapshot.index}/${message.snapshot.term}`;
    case 'read-index':
      return message.contexts.map(contextText).join(' ');
    case 'read-index-reply':
      return `index=${message.index} ${message.contexts.map(contextText).join(' ')}`;
    case 'timeout-now':
      return '';
    default:
      return unreachable(message);
  }
}

export function persistText(step: Persist): string {
  const { hardState, snapshot } = step;
  const hard = hardState === undefined ? '' : ` term=${hardState.term} vote=${hardState.vote || '-'}`;
  const base = snapshot === undefined ? '' : ` snapshot=${snapshot.index}/${snapshot.term}`;
  const entries = step.entries.length === 0 ? '' : ` ${entriesText(step.entries)}`;
  return `#${step.sequence}${hard}${base}${entries}`;
}
