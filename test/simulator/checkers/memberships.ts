import type { AppendRequest, MemberId, Message, SnapshotMessage } from '../../../src/raft/types.ts';
import type { Observer, RunView, SimEvent } from '../types.ts';
import type { KnownMembership, KnownMemberships } from './known-memberships.ts';
import {
  decides,
  everybodyOf,
  isJointState,
  type LoggedMembership,
  membershipText,
  withoutOutgoing,
} from './membership-entry.ts';

type Role = Extract<SimEvent, { kind: 'role' }>;

/** An election: what the candidate holds, and who has given it a vote. */
interface Asked {
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly votes: Set<MemberId>;
}

/**
 * Who belongs to the cluster, as the log says it: at most one change that is not committed; none before the leader has
 * committed something of its own term; each follows from the one before, so that whatever decides by the one meets
 * whatever decides by the other; whoever leads was elected by voters of a membership that it holds, and nobody else; a
 * snapshot brings the membership of its index; nobody comes back who was removed, and nobody is told so who was not.
 */
export class Memberships implements Observer {
  readonly name = 'memberships';
  readonly #view: RunView;
  readonly #known: KnownMemberships;
  /** By term and candidate. */
  readonly #asked = new Map<string, Asked>();
  readonly #led = new Set<number>();
  /** Those that were looked at, by term of the sender, index and hash. */
  readonly #checked = new Set<string>();
  readonly #committed = new Set<number>();
  /** The term of each index, as leaders have sent it in their own. */
  readonly #ownFrom = new Map<number, number>();

  constructor(view: RunView, known: KnownMemberships) {
    this.#view = view;
    this.#known = known;
  }

  see(event: SimEvent): void {
    this.#known.see(event);
    if (event.kind === 'sent') this.#sent(event.message);
    else if (event.kind === 'role' && event.role === 'leader') this.#leads(event);
    else if (event.kind === 'committed') this.#commit();
    else if (event.kind === 'replica') {
      if (event.event.kind === 'removed') this.#told(event.member);
      if (event.event.kind === 'membership') {
        const { index, voters, learners } = event.event;
        this.#says(event.member, index, voters, learners);
      }
    }
  }

  #sent(message: Message): void {
    const { kind, from, term } = message;
    if (kind === 'vote-request' && !message.preVote) {
      const { lastIndex, lastTerm } = message;
      const key = `${term} ${from}`;
      if (!this.#asked.has(key)) this.#asked.set(key, { lastIndex, lastTerm, votes: new Set([from]) });
    } else if (kind === 'vote-reply' && !message.preVote && message.granted) {
      this.#asked.get(`${term} ${message.to}`)?.votes.add(from);
    } else if (kind === 'append') this.#append(message);
    else if (kind === 'snapshot') this.#snapshot(message);
  }

  #leads({ member, term }: Role): void {
    if (this.#led.has(term)) return;
    this.#led.add(term);
    const asked = this.#asked.get(`${term} ${member}`);
    // Who is alone asks nobody.
    if (asked === undefined) return;
    const held = this.#known.heldBy(asked.lastIndex, asked.lastTerm);
    if (held.some((membership) => decides(membership, (id) => asked.votes.has(id)))) return;
    const text = `${[...asked.votes].join(', ')} have voted, its log ends at ${asked.lastIndex}`;
    this.#breach(`${member} leads term ${term}, ${text} with ${held.map(membershipText).join(' or ')}`);
  }

  #append(append: AppendRequest): void {
    const { term, entries } = append;
    for (const entry of entries) {
      if (entry.term === term && !this.#ownFrom.has(term)) this.#ownFrom.set(term, entry.index);
    }
    for (const entry of entries) {
      const known = this.#known.note(entry);
      if (known === undefined || known.term !== term) continue;
      const key = `${term} ${known.index} ${known.hash}`;
      if (this.#checked.has(key)) continue;
      this.#checked.add(key);
      this.#change(append, known);
    }
  }

  /** A leader has made this one itself, and tells it for the first time. */
  #change({ from, term, commit }: AppendRequest, made: KnownMembership): void {
    const who = `leader ${from} of term ${term}`;
    const what = `the membership of entry ${made.index} (${membershipText(made.membership)})`;
    const waiting = this.#known.sentBy(term).find(({ index }) => index > commit && index < made.index);
    if (waiting !== undefined) {
      this.#breach(`${who} makes ${what}, that of entry ${waiting.index} is not committed`);
    }
    const own = this.#ownFrom.get(term);
    if (own === undefined || commit < own) {
      this.#breach(`${who} makes ${what}, and has committed nothing of its term: ${commit}`);
    }
    if (made.membership.voters.length === 0) this.#breach(`${who} makes ${what}: nobody votes`);
    const problems = this.#before(made, term, commit).map(({ membership }) => wrongStep(membership, made.membership));
    const [problem] = problems;
    if (problem !== undefined && !problems.includes(undefined)) this.#breach(`${who} makes ${what} ${problem}`);
  }

  /** What the leader may have had in force before: what it surely holds, or anything newer that it may hold. */
  #before(made: KnownMembership, term: number, commit: number): KnownMembership[] {
    const isBefore = (one: KnownMembership): boolean => one.index < made.index && one.term <= term;
    const sure = [this.#known.committedAt(made.index - 1), ...this.#known.sentBy(term).filter(isBefore)];
    const least = Math.max(...sure.map(({ index }) => index));
    // It may have committed what it found in its log just now, and have told nobody. Some of these were superseded by
    // others' entries, and it never held them.
    const perhaps = this.#known.upTo(commit).filter((one) => isBefore(one) && one.index > least);
    return [...sure.filter(({ index }) => index === least), ...perhaps];
  }

  #snapshot({ from, snapshot, membership }: SnapshotMessage): void {
    const { membership: right } = this.#known.committedAt(snapshot.index);
    const ids = (records: readonly { readonly id: string }[]): string => records.map(({ id }) => id).join(' ');
    const said = [ids(membership.voters), ids(membership.outgoing), ids(membership.learners)];
    const expected = [right.voters, right.outgoing, right.learners].map((list) => list.join(' '));
    if (said.join(';') === expected.join(';')) return;
    const text = `voters ${said[0]}, before ${said[1]}, learners ${said[2]}`;
    this.#breach(`${from} sends a snapshot of ${snapshot.index} with ${text}, it was ${membershipText(right)}`);
  }

  /** Whoever has been removed stays so. */
  #commit(): void {
    const { index, membership } = this.#known.newest;
    if (this.#committed.has(index)) return;
    this.#committed.add(index);
    if (membership.voters.length === 0) this.#breach(`nobody votes by entry ${index}`);
  }

  #told(member: MemberId): void {
    const { membership, index } = this.#known.newest;
    if (membership.removed.includes(member)) return;
    this.#breach(`${member} is told that it was removed, by entry ${index} it was not: ${membershipText(membership)}`);
  }

  #says(member: MemberId, index: number, voters: string, learners: string): void {
    // 0: as a disk or a snapshot had it.
    if (index === 0) return;
    const right = this.#known.committedAt(index);
    const { membership } = right;
    if (isJointState(membership)) return;
    if (voters === membership.voters.join(' ') && learners === membership.learners.join(' ')) return;
    const text = `voters ${voters}, learners ${learners}`;
    this.#breach(`${member} says of entry ${index} ${text}, entry ${right.index} says ${membershipText(membership)}`);
  }

  #breach(text: string): void {
    this.#view.breach(this.name, text);
  }
}

/** Why one membership cannot follow the other; undefined: it can. */
function wrongStep(before: LoggedMembership, made: LoggedMembership): string | undefined {
  const behind = `behind ${membershipText(before)}`;
  const back = everybodyOf(made).find((id) => before.removed.includes(id));
  if (back !== undefined) return `${behind}: ${back} was removed`;
  const forgotten = before.removed.find((id) => !made.removed.includes(id));
  if (forgotten !== undefined) return `${behind}: that ${forgotten} was removed is forgotten`;
  const parts = apart(before, made);
  if (parts !== undefined) return `${behind}: ${parts} could decide without the others`;
  const odd = oddStep(before, made);
  return odd === undefined ? undefined : `${behind}: ${odd}`;
}

/** What joint consensus does not allow of one membership that follows another; undefined: nothing. */
function oddStep(before: LoggedMembership, made: LoggedMembership): string | undefined {
  const same = (one: readonly string[], other: readonly string[]): boolean => one.join(' ') === other.join(' ');
  if (isJointState(before)) {
    const next = withoutOutgoing(before);
    const isNext = same(next.voters, made.voters) && !isJointState(made) && same(next.learners, made.learners);
    return isNext && same(next.removed, made.removed) ? undefined : 'a joint state is left for another membership';
  }
  if (isJointState(made)) return same(made.outgoing, before.voters) ? undefined : 'others voted before';
  return same(made.voters, before.voters) ? undefined : 'the voters are others, without a joint state';
}

/** Voters that decide by one of the two while those who are left decide by the other; undefined: there are none. */
export function apart(one: LoggedMembership, other: LoggedMembership): string | undefined {
  const all = [...new Set([...one.voters, ...one.outgoing, ...other.voters, ...other.outgoing])];
  for (let set = 0; set < 2 ** all.length; set++) {
    const has = (id: string): boolean => (set & (1 << all.indexOf(id))) !== 0;
    if (decides(one, has) && decides(other, (id) => !has(id))) return all.filter(has).join(' ');
  }
  return undefined;
}
