import { isDeepStrictEqual } from 'node:util';
import { holds, isJoint, leaveJoint } from '../../src/raft/membership.ts';
import type { Membership } from '../../src/raft/membership.ts';
import { decodeMembership, isMembershipData } from '../../src/raft/system-entries.ts';
import type { ConfirmedRead, Entry, MemberId, Message, ReadContext, SoftState } from '../../src/raft/types.ts';
import { mayHaveVote, membershipText } from './memberships.ts';
import type { Member, Observer } from './member.ts';

interface Known {
  readonly term: number;
  readonly hash: string;
}

/** Observes a cluster from outside and throws when it breaks one of the promises of the algorithm (figure 3). */
export class Checkers implements Observer {
  /** That of the newest applied entry which says one. */
  #membership: Membership;
  #membershipIndex = 0;
  readonly #memberships = new Map<number, Membership>();
  readonly #leaders = new Map<number, MemberId>();
  readonly #votes = new Map<string, MemberId>();
  /** What was applied at each index, ever, by anybody. */
  readonly #applied = new Map<number, Known>();
  /** Every (index, term) ever seen on a disk or applied, with the hash of its prefix. */
  readonly #prefixes = new Map<string, string>();
  readonly #reads = new Map<string, number>();
  readonly #commits = new Map<MemberId, number>();
  #greatestCommit = 0;
  #confirmedReads = 0;

  constructor(membership: Membership) {
    this.#membership = membership;
  }

  /** As applied by anybody. */
  get membership(): Membership {
    return this.#membership;
  }

  get membershipChanges(): number {
    return this.#memberships.size;
  }

  /** Greatest index that anybody has applied. */
  get greatestCommit(): number {
    return this.#greatestCommit;
  }

  get leadersSeen(): number {
    return this.#leaders.size;
  }

  get confirmedReads(): number {
    return this.#confirmedReads;
  }

  /** Election safety: at most one leader is elected in a term. */
  changed(member: Member, state: SoftState): void {
    if (state.role !== 'leader') return;
    const known = this.#leaders.get(state.term);
    if (known !== undefined && known !== member.id)
      throw new Error(`${known} and ${member.id} lead term ${state.term}`);
    this.#leaders.set(state.term, member.id);
    // Leader completeness: whatever anybody has applied is in the log of a leader of a later term.
    const { base, term } = member.raft.status();
    // One that is removed leads on, and may even be elected, until that is committed.
    if (known === undefined && !mayHaveVote(member.raft, member.id))
      throw new Error(`${member.id} leads without a vote`);
    if (term !== state.term) return;
    for (const [index, applied] of this.#applied) {
      if (index < base.index) continue;
      const own = member.raft.prefixAt(index);
      if (own?.hash !== applied.hash) {
        throw new Error(`leader ${member.id} of term ${term} lacks entry ${index} that was applied`);
      }
    }
  }

  /** A snapshot says the membership at its index (C5). */
  snapshotSent(member: Member, index: number, membership: Membership): void {
    const newest = Math.max(...[...this.#memberships.keys()].filter((known) => known <= index));
    const expected = this.#memberships.get(newest);
    if (expected === undefined || isDeepStrictEqual(membership, expected)) return;
    throw new Error(`the snapshot of ${member.id} at ${index} says ${membershipText(membership)}`);
  }

  /** On the wire: one leader a term, one vote a term and voter, nothing that is not on the sender's disk. */
  sent(member: Member, message: Message): void {
    if (message.kind === 'append' || message.kind === 'heartbeat') {
      const known = this.#leaders.get(message.term);
      if (known !== undefined && known !== member.id)
        throw new Error(`${member.id} speaks as leader of ${known}'s term`);
    }
    if (message.kind === 'vote-request' && !message.preVote) this.#voted(member, message.term, member.id);
    if (message.kind === 'vote-reply' && !message.preVote && message.granted) {
      this.#voted(member, message.term, message.to);
    }
    if (message.kind === 'append-reply' && message.accepted && member.disk.lastIndex < message.matchIndex) {
      throw new Error(`${member.id} acknowledged ${message.matchIndex}, its disk ends at ${member.disk.lastIndex}`);
    }
  }

  /** Log matching: equal index and term, equal prefix. */
  wrote(member: Member): void {
    const newest = member.disk.entries.slice(-50);
    for (const entry of newest) this.#sawPrefix(member, entry);
  }

  /** State machine safety, and: what is applied is on a majority of disks. */
  applied(member: Member, entry: Entry): void {
    this.#sawPrefix(member, entry);
    const known = this.#applied.get(entry.index);
    if (known !== undefined && known.hash !== entry.hash) {
      throw new Error(`${member.id} applied ${entry.hash} at ${entry.index}, another member ${known.hash}`);
    }
    this.#applied.set(entry.index, { term: entry.term, hash: entry.hash });
    if (isMembershipData(entry.data)) this.#sawMembership(entry);
    this.#greatestCommit = Math.max(this.#greatestCommit, entry.index);
  }

  /** A read sees every entry that anybody had applied when it was asked for. */
  confirmed(member: Member, read: ConfirmedRead): void {
    const least = this.#reads.get(readKey(read.context));
    if (least === undefined) throw new Error(`${member.id} confirmed a read that it did not ask for, or twice`);
    this.#reads.delete(readKey(read.context));
    this.#confirmedReads += 1;
    if (read.index < least)
      throw new Error(`${member.id} reads at ${read.index}, ${least} was applied before it asked`);
  }

  /** To be told of each read when it is asked for. */
  readAsked(context: ReadContext): void {
    this.#reads.set(readKey(context), this.#greatestCommit);
  }

  restarted(member: Member): void {
    this.#commits.delete(member.id);
  }

  /** What can be seen only from all disks together; to be called at any time. */
  check(members: readonly Member[]): void {
    for (const member of members) {
      if (member.core === undefined) continue;
      const before = this.#commits.get(member.id) ?? 0;
      if (member.core.commit < before) throw new Error(`commit of ${member.id} fell from ${before}`);
      this.#commits.set(member.id, member.core.commit);
    }
    this.#commitIsDurable(members);
  }

  /** The newest applied entry is on the disks of a majority, so that no minority of disks lost can lose it. */
  #commitIsDurable(members: readonly Member[]): void {
    const newest = this.#applied.get(this.#greatestCommit);
    if (newest === undefined) return;
    const holders = members.filter((member) => {
      const { base, entries } = member.disk;
      if (base.index >= this.#greatestCommit) return true;
      return entries[this.#greatestCommit - base.index - 1]?.hash === newest.hash;
    });
    // Whoever committed it needed these: alone once the joint state is left, else together with the old half.
    const { voters } = this.#membership;
    if (holders.filter(({ id }) => holds(voters, id)).length * 2 <= voters.length) {
      throw new Error(`entry ${this.#greatestCommit} is applied and on ${holders.length} disks`);
    }
  }

  /** One step at a time: into a joint state, out of it to what it leads to, or without one where voters stay. */
  #sawMembership({ index, data }: Entry): void {
    if (index <= this.#membershipIndex) return;
    const next = decodeMembership(data);
    const now = this.#membership;
    const idsOf = (members: readonly { readonly id: MemberId }[]): string => members.map(({ id }) => id).join(' ');
    const expected = isJoint(now) ? idsOf(leaveJoint(now).voters) : idsOf(now.voters);
    const stays = isJoint(next) ? idsOf(next.outgoing) : idsOf(next.voters);
    if (next.voters.length === 0 || stays !== expected || (isJoint(now) && isJoint(next))) {
      throw new Error(`entry ${index} makes ${membershipText(next)} of ${membershipText(now)}`);
    }
    this.#membership = next;
    this.#membershipIndex = index;
    this.#memberships.set(index, next);
  }

  #voted(member: Member, term: number, candidate: MemberId): void {
    const key = `${member.id}@${term}`;
    const known = this.#votes.get(key);
    if (known !== undefined && known !== candidate) {
      throw new Error(`${member.id} voted for ${known} and ${candidate} in term ${term}`);
    }
    this.#votes.set(key, candidate);
    const { hardState } = member.disk;
    if (hardState.term < term || (hardState.term === term && hardState.vote !== candidate)) {
      throw new Error(`the vote of ${member.id} for ${candidate} in term ${term} left before it was on disk`);
    }
  }

  #sawPrefix(member: Member, entry: Entry): void {
    const key = `${entry.index}/${entry.term}`;
    const known = this.#prefixes.get(key);
    if (known !== undefined && known !== entry.hash) {
      throw new Error(`${member.id} holds ${entry.hash} at ${key}, another member ${known}`);
    }
    this.#prefixes.set(key, entry.hash);
  }
}

function readKey(context: ReadContext): string {
  return `${context.member}/${context.boot}/${context.counter}`;
}
