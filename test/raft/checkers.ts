import type { ConfirmedRead, Entry, MemberId, Message, ReadContext, SoftState } from '../../src/raft/types.ts';
import type { Member, Observer } from './member.ts';

interface Known {
  readonly term: number;
  readonly hash: string;
}

/** Observes a cluster from outside and throws when it breaks one of the promises of the algorithm (figure 3). */
export class Checkers implements Observer {
  readonly #majority: number;
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

  constructor(ids: readonly MemberId[]) {
    this.#majority = Math.floor(ids.length / 2) + 1;
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
    if (term !== state.term) return;
    for (const [index, applied] of this.#applied) {
      if (index < base.index) continue;
      const own = member.raft.prefixAt(index);
      if (own?.hash !== applied.hash) {
        throw new Error(`leader ${member.id} of term ${term} lacks entry ${index} that was applied`);
      }
    }
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
    if (holders.length < this.#majority) {
      throw new Error(`entry ${this.#greatestCommit} is applied and on ${holders.length} disks`);
    }
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
