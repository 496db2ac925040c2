import type { MemberId, Message } from '../../../src/raft/types.ts';
import type { KnownMemberships } from './known-memberships.ts';
import { decides, membershipText } from './membership-entry.ts';
import type { Observer, RunView, SimEvent } from '../types.ts';

/** The disk of one life of a member, as if nothing un-synced had survived. */
export interface DurableView {
  hasEntry(index: number): boolean;
  /** As far as it was asked for. */
  readonly lastIndex: number;
  /** The last entry of the log; undefined while a write is under way, which may supersede entries and yet survive. */
  settledEnd(): number | undefined;
  /** Undefined: none can be read. */
  hardState(): { readonly term: number; readonly vote: string } | undefined;
}

export interface RaftDisksOptions {
  readonly view: RunView;
  readonly memberships: KnownMemberships;
  /** The disk of the life that begins. Undefined for a member that runs on a directory that is not its own. */
  readonly diskOf: (member: MemberId) => DurableView | undefined;
}

/** What the leader of one term can count. */
interface Counted {
  readonly id: MemberId;
  readonly accepted: Map<MemberId, number>;
}

/**
 * Messages against disks: nothing is said that the sender could forget. A term and a vote are synced before they are
 * told, entries before they are acknowledged, and what is told as committed stands on the disks of a majority, of the
 * voters that the log names: those that have acknowledged it to this leader, and its own. Whoever starts on a log finds
 * all that was synced of it.
 */
export class RaftDisks implements Observer {
  readonly name = 'raft-disks';
  readonly #options: RaftDisksOptions;
  readonly #disks = new Map<MemberId, DurableView | undefined>();
  /** By member: the last term that was found on its disk in this life. */
  readonly #terms = new Map<MemberId, number>();
  /** By member: where its log ended when its last life did. */
  readonly #ends = new Map<MemberId, number>();
  /** By member: the index of the last snapshot that began to come. */
  readonly #comes = new Map<MemberId, number>();
  readonly #counted = new Map<number, Counted>();
  /** Known to somebody by rights. */
  #committed = 0;

  constructor(options: RaftDisksOptions) {
    this.#options = options;
  }

  see(event: SimEvent): void {
    if (event.kind === 'sent') this.#sent(event.message);
    else if (event.kind === 'started') {
      this.#terms.delete(event.member);
      this.#disks.set(event.member, this.#options.diskOf(event.member));
    } else if (event.kind === 'recovered') this.#recovered(event);
    else if (event.kind === 'down') this.#down(event);
    else if (event.kind === 'replica' && event.event.kind === 'snapshot-receiving') {
      this.#comes.set(event.member, event.event.base.index);
    }
  }

  #down({ member, how }: Extract<SimEvent, { kind: 'down' }>): void {
    const disk = this.#disks.get(member);
    // Of another's directory nothing is found again. What fails leaves nobody knows what.
    if (disk === undefined) return;
    const end = how === 'ended' ? undefined : disk.settledEnd();
    if (end === undefined) this.#ends.delete(member);
    else this.#ends.set(member, end);
    this.#disks.delete(member);
  }

  #recovered({ member, life, baseIndex, entries }: Extract<SimEvent, { kind: 'recovered' }>): void {
    const [end, found] = [this.#ends.get(member), baseIndex + entries.length];
    // It died between taking a snapshot and beginning its log anew behind it. What the old one had above was another
    // leader's, or is to be acknowledged anew: that it remembers what it accepted is the matter of raft-promises.
    const isAnew = entries.length === 0 && this.#comes.get(member) === baseIndex;
    this.#comes.delete(member);
    if (isAnew) return;
    if (end === undefined || this.#disks.get(member) === undefined || found >= end) return;
    this.#breach(`${member} (life ${life}) finds a log that ends at ${found}, it was synced up to ${end}`);
  }

  #sent(message: Message): void {
    const { from, to, term, kind } = message;
    const disk = this.#disks.get(from);
    if (disk === undefined) return;
    // A pre-vote speaks of a term in which nobody is yet.
    if ((kind === 'vote-request' || kind === 'vote-reply') && message.preVote) return;
    if (term > (this.#terms.get(from) ?? 0)) this.#term(from, term, kind, disk);
    if (kind === 'vote-request') this.#vote(from, term, from, disk);
    else if (kind === 'vote-reply' && message.granted) this.#vote(from, term, to, disk);
    else if (kind === 'append-reply' && message.accepted) this.#accepted(from, to, term, message.matchIndex, disk);
    else if ((kind === 'append' || kind === 'heartbeat') && message.commit > this.#committed) {
      this.#commits(from, term, message.commit, disk);
    }
  }

  #term(member: MemberId, term: number, kind: string, disk: DurableView): void {
    const found = disk.hardState();
    if (found === undefined || found.term < term) {
      this.#breach(`${member} tells of term ${term} in a ${kind}, ${textOf(found)} is synced`);
    }
    this.#terms.set(member, term);
  }

  #vote(member: MemberId, term: number, candidate: MemberId, disk: DurableView): void {
    const found = disk.hardState();
    if (found !== undefined && (found.term > term || (found.term === term && found.vote === candidate))) return;
    this.#breach(`${member} votes for ${candidate} in term ${term}, ${textOf(found)} is synced`);
  }

  #accepted(member: MemberId, leader: MemberId, term: number, index: number, disk: DurableView): void {
    if (!disk.hasEntry(index)) {
      const text = `the log that is synced ends at ${disk.lastIndex}`;
      this.#breach(`${member} acknowledges entries up to ${index} to ${leader} in term ${term}, ${text}`);
    }
    const { accepted } = this.#countedBy(term, leader);
    if (index > (accepted.get(member) ?? 0)) accepted.set(member, index);
  }

  #commits(leader: MemberId, term: number, index: number, disk: DurableView): void {
    const memberships = this.#options.memberships.countedBy(term, index, this.#committed);
    this.#committed = index;
    // It may have counted this in an earlier lead, and have had nobody to tell.
    const leads = [...this.#counted.values()].filter(({ id }) => id === leader);
    const counts = leads.map(({ accepted }) => {
      const others = [...accepted].filter(([id, upto]) => id !== leader && upto >= index).map(([id]) => id);
      return disk.hasEntry(index) ? [leader, ...others] : others;
    });
    const isEnough = (holders: readonly MemberId[]): boolean =>
      memberships.some((membership) => decides(membership, (id) => holders.includes(id)));
    if (counts.some(isEnough)) return;
    const holders = counts.at(-1) ?? (disk.hasEntry(index) ? [leader] : []);
    const who = holders.length === 0 ? 'nobody' : holders.join(', ');
    const among = memberships.map(membershipText).join(' or ');
    this.#breach(
      `leader ${leader} of term ${term} tells that entry ${index} is committed, ${who} has it on disk; ${among}`,
    );
  }

  #countedBy(term: number, leader: MemberId): Counted {
    let counted = this.#counted.get(term);
    if (counted?.id !== leader) this.#counted.set(term, (counted = { id: leader, accepted: new Map() }));
    return counted;
  }

  #breach(text: string): void {
    this.#options.view.breach(this.name, text);
  }
}

function textOf(found: { readonly term: number; readonly vote: string } | undefined): string {
  return found === undefined ? 'nothing' : `term ${found.term} with a vote for "${found.vote}"`;
}
