import { emptyPrefixHash, extendPrefixHash } from '../../src/base/hash.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { raftDefaults } from '../../src/raft/config.ts';
import type { RaftConfig, RaftInitial } from '../../src/raft/config.ts';
import { RaftCore } from '../../src/raft/raft-core.ts';
import type { AppendRequest, Entry, LogBase, Message } from '../../src/raft/types.ts';
import { membershipOf } from './memberships.ts';
import { bytesOf } from './network.ts';

export const emptyBase: LogBase = { index: 0, term: 0, hash: emptyPrefixHash };

/** Entries that follow `base`, one for each term given, with their index as data. */
export function entriesOf(terms: readonly number[], base: LogBase = emptyBase): Entry[] {
  let previous = base;
  return terms.map((term) => {
    const index = previous.index + 1;
    const data = bytesOf(`${index}`);
    const entry = { index, term, hash: extendPrefixHash(previous.hash, index, term, data), data };
    previous = entry;
    return entry;
  });
}

/** Core of member a, boot 1, of voters a, b and c, whose log holds one entry for each term given. */
export function coreWith(
  terms: readonly number[] = [],
  initial: Partial<RaftInitial> = {},
  { voters = ['a', 'b', 'c'], ...config }: Partial<RaftConfig> & { readonly voters?: readonly string[] } = {},
): RaftCore {
  const entries = entriesOf(terms);
  const hardState = { term: terms.at(-1) ?? 0, vote: '' };
  return new RaftCore(
    { ...raftDefaults, id: 'a', boot: 1, random: new SeededRandom(1), ...config },
    { hardState, base: emptyBase, membership: membershipOf(voters), entries, commit: 0, applied: 0, ...initial },
  );
}

/** Sender b of boot 1, addressed to boot 1 of a. */
export const fromB = { from: 'b', to: 'a', fromBoot: 1, toBoot: 1 } as const;
export const fromC = { from: 'c', to: 'a', fromBoot: 1, toBoot: 1 } as const;

/** An append from b with `entries`, which follow entry `prev` of its log. */
export function appendFrom(term: number, prev: LogBase, entries: readonly Entry[], commit = 0): AppendRequest {
  const { index: prevIndex, term: prevTerm, hash: prevHash } = prev;
  return { kind: 'append', ...fromB, term, prevIndex, prevTerm, prevHash, entries, commit };
}

/** Takes what is ready until nothing is, writing each step at once, and returns the messages. */
export function drain(core: RaftCore): Message[] {
  const messages: Message[] = [];
  while (core.hasReady()) {
    const ready = core.ready();
    messages.push(...ready.messages);
    if (ready.persist !== undefined) core.reportDurable(ready.persist.sequence);
    const last = ready.committed.at(-1);
    if (last !== undefined) core.reportApplied(last.index);
  }
  return messages;
}

/** Makes a the leader of the next term, by the votes of b. */
export function makeLeader(core: RaftCore): void {
  while (core.role === 'follower') core.tick();
  drain(core);
  core.step({ kind: 'vote-reply', ...fromB, term: core.term + 1, preVote: true, granted: true });
  drain(core);
  core.step({ kind: 'vote-reply', ...fromB, term: core.term, preVote: false, granted: true });
  if (core.role !== 'leader') throw new Error(`a is ${core.role}`);
}

/** An accepted acknowledgement of b. */
export function ackFromB(term: number, matchIndex: number): Message {
  return {
    kind: 'append-reply',
    ...fromB,
    term,
    accepted: true,
    matchIndex,
    rejectedIndex: 0,
    hintIndex: 0,
    hintTerm: 0,
  };
}
