import type { Entry } from '../../../src/raft/types.ts';
import type { SimEvent } from '../types.ts';
import {
  isJointState,
  isMembershipEntry,
  type LoggedMembership,
  readMembershipEntry,
  withoutOutgoing,
} from './membership-entry.ts';

/** A membership and where it stands in logs. */
export interface KnownMembership {
  readonly index: number;
  readonly term: number;
  readonly hash: string;
  readonly membership: LoggedMembership;
}

/** Every membership that any log is known to hold, and which of them are committed. Must be told before who asks. */
export class KnownMemberships {
  /** By index and hash. */
  readonly #known = new Map<string, KnownMembership>();
  /** In the order of the log; the first is that of the cluster's beginning. */
  readonly #committed: KnownMembership[];
  /** By term: those of its own term that its leader has sent, and of earlier ones, by index. */
  readonly #sent = new Map<number, Map<number, KnownMembership>>();

  constructor(voters: readonly string[]) {
    const membership = { voters: voters.toSorted(), outgoing: [], learners: [], learnersNext: [], removed: [] };
    this.#committed = [{ index: 0, term: 0, hash: '', membership }];
  }

  see(event: SimEvent): void {
    if (event.kind === 'committed') this.#commit(event.entry);
    else if (event.kind === 'recovered') for (const entry of event.entries) this.note(entry);
    else if (event.kind === 'sent' && event.message.kind === 'append') {
      for (const entry of event.message.entries) {
        const known = this.note(entry);
        if (known === undefined) continue;
        const { term } = event.message;
        let sent = this.#sent.get(term);
        if (sent === undefined) this.#sent.set(term, (sent = new Map()));
        sent.set(known.index, known);
      }
    }
  }

  /** The newest that is committed. */
  get newest(): KnownMembership {
    return this.#committed.at(-1) as KnownMembership;
  }

  /** The newest that any log holds: it may never come to be committed. */
  get latest(): KnownMembership {
    let latest = this.newest;
    for (const one of this.#known.values()) if (one.index > latest.index) latest = one;
    return latest;
  }

  /** The committed one that holds at this index. */
  committedAt(index: number): KnownMembership {
    return (this.#committed.findLast((one) => one.index <= index) ?? this.#committed[0]) as KnownMembership;
  }

  /** Those that any log holds up to an index: of some that were superseded as well. */
  upTo(index: number): readonly KnownMembership[] {
    return [...this.#known.values()].filter((one) => one.index <= index);
  }

  /** What the leader of a term has sent of them, of any term. */
  sentBy(term: number): readonly KnownMembership[] {
    return [...(this.#sent.get(term)?.values() ?? [])];
  }

  /**
   * By which of them a leader may have counted when it commits this index: that in force there, or one that followed.
   *
   * @param counted Everything up to here was known as committed before.
   */
  countedBy(term: number, index: number, counted: number): readonly LoggedMembership[] {
    const own = this.sentBy(term).filter((one) => one.term === term && one.index <= index);
    const least = Math.max(this.committedAt(index).index, ...own.map((one) => one.index));
    const holding = [...new Set([this.committedAt(index), ...this.#known.values()])].filter(
      (one) => one.index >= least && one.term <= term,
    );
    const found = holding.map(({ membership }) => membership);
    // It goes on from a joint state that is committed at once, and may not have told anybody of it.
    for (const one of holding) {
      if (isJointState(one.membership) && one.index <= counted && one.index < index) {
        found.push(withoutOutgoing(one.membership));
      }
    }
    return found;
  }

  /** Which of them a candidate may hold whose log ends there. */
  heldBy(lastIndex: number, lastTerm: number): readonly LoggedMembership[] {
    const committed = this.committedAt(lastIndex);
    const above = [...this.#known.values()].filter((one) => {
      return one.index > committed.index && one.index <= lastIndex && one.term <= lastTerm;
    });
    return [committed, ...above].map(({ membership }) => membership);
  }

  /** Undefined: it says no membership. Throws where it cannot be read. */
  note({ index, term, hash, data }: Entry): KnownMembership | undefined {
    if (!isMembershipEntry(data)) return undefined;
    const key = `${index} ${hash}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = { index, term, hash, membership: readMembershipEntry(data) };
      this.#known.set(key, known);
    }
    return known;
  }

  #commit(entry: Entry): void {
    if (entry.index <= this.newest.index) return;
    const known = this.note(entry);
    if (known !== undefined) this.#committed.push(known);
  }
}
