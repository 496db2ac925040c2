import { must, unreachable } from '../../../src/base/assert.ts';
import type { RaftCore } from '../../../src/raft/raft-core.ts';
import type { MemberId, Message } from '../../../src/raft/types.ts';
import { Host } from './host.ts';
import type { Input, Output } from './host.ts';
import { judge, localBreach, noGhost } from './invariants.ts';
import type { Ghost } from './invariants.ts';
import { viewOf } from './view.ts';
import type { View } from './view.ts';

/** One move of the explorer. Whatever is on the wire may be delivered, in any order, once, twice or never. */
export type Move =
  | { readonly kind: 'at'; readonly member: MemberId; readonly input: Exclude<Input, { kind: 'deliver' }> }
  /** `keeps`: the message stays on the wire, to be delivered again. */
  | { readonly kind: 'deliver'; readonly message: Message; readonly keeps: boolean }
  | { readonly kind: 'lose'; readonly message: Message };

const noOutput: Output = { messages: [], asked: [], confirmed: [], voided: [], applied: [] };

export const memberNames = ['a', 'b', 'c', 'd', 'e'] as const;

/** What a move came to. `breach` names the invariant and what broke it. */
export interface Step {
  readonly output: Output;
  readonly breach?: string;
}

/** Members, wire and judge, changed in place by one move after the other. For scripts, walks and replays. */
export class Cluster {
  readonly ids: readonly MemberId[];
  readonly hosts: readonly Host[];
  /** Sent and not delivered, oldest first. */
  wire: Message[] = [];
  ghost: Ghost = noGhost;
  /** As they are after the last move. */
  readonly views: View[];

  constructor(Core: typeof RaftCore, members: number) {
    this.ids = memberNames.slice(0, members);
    this.hosts = this.ids.map((id) => new Host(Core, id, this.ids));
    this.views = this.hosts.map(viewOf);
  }

  host(id: MemberId): Host {
    return must(
      this.hosts.find((host) => host.id === id),
      `member ${id}`,
    );
  }

  /** Makes a move. A message that is delivered or lost must be on the wire. */
  make(move: Move): Step {
    switch (move.kind) {
      case 'at':
        return this.#take(move.member, move.input);
      case 'lose':
        this.#pick(move.message);
        return { output: noOutput };
      case 'deliver':
        if (!move.keeps) this.#pick(move.message);
        return this.#take(move.message.to, { kind: 'deliver', message: move.message });
      default:
        return unreachable(move);
    }
  }

  #pick(message: Message): void {
    const at = this.wire.indexOf(message);
    if (at < 0) throw new Error(`not on the wire: ${messageKey(message)}`);
    this.wire.splice(at, 1);
  }

  #take(id: MemberId, input: Input): Step {
    const at = this.ids.indexOf(id);
    const host = must(this.hosts[at], `member ${id}`);
    const before = must(this.views[at], `view of ${id}`);
    let output: Output;
    try {
      output = host.take(input);
    } catch (error) {
      return { output: noOutput, breach: coreStopped(id, error) };
    }
    const after = viewOf(host);
    this.views[at] = after;
    this.wire.push(...output.messages);
    const local = localBreach(before, after, output);
    if (local !== undefined) return { output, breach: `${id}: ${local}` };
    const { ghost, breach } = judge(this.ghost, { before, after, output, views: this.views });
    this.ghost = ghost;
    return breach === undefined ? { output } : { output, breach };
  }
}

/** The core refuses to go on: one of its own assertions holds no longer. */
export function coreStopped(id: MemberId, error: unknown): string {
  return `${id} stopped itself: ${error instanceof Error ? error.message : String(error)}`;
}

const keys = new WeakMap<Message, string>();

/** Equal for messages that say the same. Entries are told by their hashes. */
export function messageKey(message: Message): string {
  let key = keys.get(message);
  if (key === undefined) {
    key = JSON.stringify(message, (name, value: unknown) => (name === 'data' ? undefined : value));
    keys.set(message, key);
  }
  return key;
}
