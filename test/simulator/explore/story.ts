import { unreachable } from '../../../src/base/assert.ts';
import type { Entry, Message, VoteRequest } from '../../../src/raft/types.ts';
import type { Move, Step } from './cluster.ts';
import type { Input } from './host.ts';
import type { View } from './view.ts';

/** One line that a person can follow: what happened where, and what came of it. */
export function storyLine(move: Move, before: View | undefined, after: View | undefined, step: Step): string {
  const effects = before === undefined || after === undefined ? [] : effectsOf(before, after);
  const { asked, confirmed, voided, messages } = step.output;
  for (const context of asked) effects.push(`asks for read ${context.counter}`);
  for (const { context, index } of confirmed) effects.push(`may read ${context.counter} at ${index}`);
  for (const context of voided) effects.push(`read ${context.counter} is void`);
  if (messages.length > 0)
    effects.push(`sends ${messages.map((message) => `${message.to}: ${messageText(message)}`).join(', ')}`);
  const end = effects.length === 0 ? '' : ` -> ${effects.join('; ')}`;
  return `${moveText(move)}${end}`;
}

function moveText(move: Move): string {
  switch (move.kind) {
    case 'deliver': {
      const { from, to } = move.message;
      return `${to} takes from ${from}: ${messageText(move.message)}${move.keeps ? ' (a copy stays on the wire)' : ''}`;
    }
    case 'lose':
      return `lost between ${move.message.from} and ${move.message.to}: ${messageText(move.message)}`;
    case 'at':
      return `${move.member} ${inputText(move.input)}`;
    default:
      return unreachable(move);
  }
}

function inputText(input: Exclude<Input, { kind: 'deliver' }>): string {
  switch (input.kind) {
    case 'ticks':
      return input.count === 1 ? 'ticks' : `ticks ${input.count} times`;
    case 'persist':
      return 'has its oldest write on disk';
    case 'crash':
      return `crashes and starts again${input.written === 0 ? '' : `, ${input.written} unreported writes on disk`}`;
    case 'propose':
      return `is given proposal ${input.label}`;
    case 'read':
      return 'is given a read';
    case 'compact':
      return 'drops the log that it has applied';
    case 'unreachable':
      return `hears that its stream to ${input.peer} broke`;
    case 'snapshot':
      return `streams its state to ${input.peer}`;
    case 'stall':
      return 'stood still for long';
    case 'change':
      return `is asked for change ${input.number} of the membership`;
    case 'transfer':
      return `is asked to hand over to ${input.to}`;
    case 'suspect':
      return 'suspects its leader';
    default:
      return unreachable(input);
  }
}

function effectsOf(before: View, after: View): string[] {
  const effects: string[] = [];
  if (before.role !== after.role || before.term !== after.term) effects.push(`is ${after.role} in term ${after.term}`);
  if (before.vote !== after.vote && after.vote !== '') effects.push(`votes for ${after.vote}`);
  if (before.leader !== after.leader) effects.push(after.leader === '' ? 'knows no leader' : `follows ${after.leader}`);
  if (before.log.hashes.join() !== after.log.hashes.join()) effects.push(`log ${runText(after.log)}`);
  if (before.disk.hashes.join() !== after.disk.hashes.join()) effects.push(`disk ${runText(after.disk)}`);
  if (before.diskTerm !== after.diskTerm || before.diskVote !== after.diskVote) {
    effects.push(`disk has term ${after.diskTerm}, vote ${after.diskVote || 'none'}`);
  }
  if (before.membership !== after.membership) effects.push(`members ${after.membership}`);
  if (before.commit !== after.commit) effects.push(`commits ${after.commit}`);
  return effects;
}

/** Index/term of each entry from the base on. */
function runText(run: View['log']): string {
  const kept = run.terms.map((term, at) => `${run.base + at}/${term}`).slice(1);
  return `${run.base > 0 ? `(from ${run.base + 1}) ` : ''}[${kept.join(' ')}]`;
}

function entriesText(entries: readonly Entry[]): string {
  return `[${entries.map((entry) => `${entry.index}/${entry.term}`).join(' ')}]`;
}

function messageText(message: Message): string {
  return `${message.kind} term ${message.term}${bodyText(message)}`;
}

function voteKind({ preVote, transfer }: VoteRequest): string {
  if (preVote) return ' (pre)';
  return transfer === true ? ' (asked)' : '';
}

function bodyText(message: Message): string {
  switch (message.kind) {
    case 'vote-request':
      return `${voteKind(message)} last ${message.lastIndex}/${message.lastTerm}`;
    case 'vote-reply':
      return `${message.preVote ? ' (pre)' : ''} ${message.granted ? 'granted' : 'refused'}`;
    case 'append':
      return ` after ${message.prevIndex}/${message.prevTerm} ${entriesText(message.entries)} commit ${message.commit}`;
    case 'append-reply':
      if (message.accepted) return ` holds ${message.matchIndex}`;
      return ` refused ${message.rejectedIndex}, hint ${message.hintIndex}/${message.hintTerm}`;
    case 'heartbeat':
      return ` commit ${message.commit} round ${message.round}`;
    case 'heartbeat-reply':
      return ` round ${message.round}`;
    case 'snapshot':
      return ` at ${message.snapshot.index}/${message.snapshot.term}`;
    case 'read-index':
      return ` ${message.contexts.length} reads`;
    case 'read-index-reply':
      return ` ${message.contexts.length} reads at ${message.index}`;
    case 'timeout-now':
      return '';
    default:
      return unreachable(message);
  }
}
