import { must, unreachable } from '../../../src/base/assert.ts';
import type { Cluster, Move } from './cluster.ts';
import type { Input } from './host.ts';

/**
 * A path in one line, one word a move, to be kept and replayed: `d4` delivers the message at place 4 of the wire, `r4`
 * delivers it and keeps it there, `l4` loses it; the rest begin with the member: `a+3` three ticks, `a!` a write is on
 * disk, `a~1` crash with one more write on disk, `a:65` a proposal, `a?` a read, `a_` compaction, `a/b` stream to b
 * broken, `a=b` snapshot to b, `a.` a stall, `a%4` change number 4 of the membership, `a>b` hand over to b, `a^` the
 * leader is suspected. Places are those of the moment, so words make sense only in order.
 */
export function moveWord(cluster: Cluster, move: Move): string {
  switch (move.kind) {
    case 'deliver':
      return `${move.keeps ? 'r' : 'd'}${cluster.wire.indexOf(move.message)}`;
    case 'lose':
      return `l${cluster.wire.indexOf(move.message)}`;
    case 'at':
      return `${move.member}${inputWord(move.input)}`;
    default:
      return unreachable(move);
  }
}

function inputWord(input: Exclude<Input, { kind: 'deliver' }>): string {
  switch (input.kind) {
    case 'ticks':
      return `+${input.count}`;
    case 'persist':
      return '!';
    case 'crash':
      return `~${input.written}`;
    case 'propose':
      return `:${input.label}`;
    case 'read':
      return '?';
    case 'compact':
      return '_';
    case 'unreachable':
      return `/${input.peer}`;
    case 'snapshot':
      return `=${input.peer}`;
    case 'stall':
      return '.';
    case 'change':
      return `%${input.number}`;
    case 'transfer':
      return `>${input.to}`;
    case 'suspect':
      return '^';
    default:
      return unreachable(input);
  }
}

/** The move that a word stands for in this cluster, as it is now. Throws on a word that makes no sense in it. */
export function readMove(cluster: Cluster, word: string): Move {
  const onWire = /^([drl])(\d+)$/.exec(word);
  if (onWire !== null) {
    const message = must(cluster.wire[Number(onWire[2])], `${word}: the wire holds ${cluster.wire.length} messages`);
    return onWire[1] === 'l' ? { kind: 'lose', message } : { kind: 'deliver', message, keeps: onWire[1] === 'r' };
  }
  const member = must(
    cluster.ids.find((id) => word.startsWith(id)),
    `${word} names no member`,
  );
  return { kind: 'at', member, input: readInput(word, word.slice(member.length)) };
}

function readInput(word: string, text: string): Exclude<Input, { kind: 'deliver' }> {
  const rest = text.slice(1);
  switch (text.slice(0, 1)) {
    case '+':
      return { kind: 'ticks', count: Number(rest) };
    case '!':
      return { kind: 'persist' };
    case '~':
      return { kind: 'crash', written: Number(rest) };
    case ':':
      return { kind: 'propose', label: Number(rest) };
    case '?':
      return { kind: 'read' };
    case '_':
      return { kind: 'compact' };
    case '/':
      return { kind: 'unreachable', peer: rest };
    case '=':
      return { kind: 'snapshot', peer: rest };
    case '.':
      return { kind: 'stall' };
    case '%':
      return { kind: 'change', number: Number(rest) };
    case '>':
      return { kind: 'transfer', to: rest };
    case '^':
      return { kind: 'suspect' };
    default:
      throw new Error(`${word} is no move`);
  }
}
