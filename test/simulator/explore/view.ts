import type { LogBase, MemberId, PrefixHash, Role } from '../../../src/raft/types.ts';
import { mayHaveVote, membershipText } from '../../raft/memberships.ts';
import type { Host } from './host.ts';

/** Terms and prefix hashes of a log from `base` (its own included) on; hashes as the numbers of hashNumber(). */
export interface Run {
  readonly base: number;
  readonly terms: readonly number[];
  readonly hashes: readonly number[];
}

/** What can be seen of one member from outside: by the public methods of its core, and on its disk. */
export interface View {
  readonly id: MemberId;
  readonly boot: number;
  readonly role: Role;
  readonly term: number;
  readonly vote: MemberId;
  readonly leader: MemberId;
  readonly commit: number;
  readonly applied: number;
  /** In force. */
  readonly membership: string;
  readonly hasVote: boolean;
  /** Of the newest committed membership, its new half where it is joint. */
  readonly voters: readonly MemberId[];
  readonly log: Run;
  /** Leader only: acknowledged by each peer, as it believes. */
  readonly matches: readonly { readonly id: MemberId; readonly match: number }[];
  readonly diskTerm: number;
  readonly diskVote: MemberId;
  readonly disk: Run;
}

const numbers = new Map<PrefixHash, number>();

/** The same number for the same hash, in this process. */
function hashNumber(hash: PrefixHash): number {
  let number = numbers.get(hash);
  if (number === undefined) {
    number = numbers.size;
    numbers.set(hash, number);
  }
  return number;
}

export function viewOf(host: Host): View {
  const { core, disk } = host;
  const status = core.status();
  const { id, boot, role, term, vote, leader, commit, applied, membership, base, lastIndex } = status;
  const prefixes: { readonly term: number; readonly hash: PrefixHash }[] = [];
  for (let index = base.index; index <= lastIndex; index++) {
    const prefix = core.prefixAt(index);
    if (prefix !== undefined) prefixes.push(prefix);
  }
  return {
    id,
    boot,
    role,
    term,
    vote,
    leader,
    commit,
    applied,
    membership: membershipText(membership),
    hasVote: mayHaveVote(core, id),
    voters: (core.membershipAt(commit) ?? membership).voters.map((voter) => voter.id),
    log: runOf(base, prefixes.slice(1)),
    matches: status.peers.map((peer) => ({ id: peer.id, match: peer.match })),
    diskTerm: disk.hardState.term,
    diskVote: disk.hardState.vote,
    disk: runOf(disk.base, disk.entries),
  };
}

export function lastOf(run: Run): number {
  return run.base + run.terms.length - 1;
}

/** Number of the prefix hash at an index; undefined outside the run. */
export function hashAt(run: Run, index: number): number | undefined {
  return run.hashes[index - run.base];
}

export function termAt(run: Run, index: number): number | undefined {
  return run.terms[index - run.base];
}

function runOf(base: LogBase, entries: readonly { readonly term: number; readonly hash: PrefixHash }[]): Run {
  const all = [base, ...entries];
  return {
    base: base.index,
    terms: all.map((prefix) => prefix.term),
    hashes: all.map((prefix) => hashNumber(prefix.hash)),
  };
}
