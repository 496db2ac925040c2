import type { AppendRequest, Entry, MemberId, Message } from '../../../src/raft/types.ts';
import type { Observer, RunView, SimEvent } from '../types.ts';
import type { CommittedEntries } from './raft-commit.ts';

type Recovered = Extract<SimEvent, { kind: 'recovered' }>;

interface Place {
  readonly index: number;
  readonly term: number;
  readonly hash: string;
}

/** What is known of one term's leader. */
interface Leader {
  readonly id: MemberId;
  /** Everything up to here was known as committed by somebody when it was first heard of as a leader. */
  readonly committedBefore: number;
  /** Its log, as far as it has told it. */
  readonly log: Map<number, Place>;
  /** By peer, the commit index told last. */
  readonly commits: Map<MemberId, number>;
}

/**
 * Logs and leaders, from all that members say: one leader a term; a leader changes nothing in its log; equal index and
 * term mean equal prefix; a leader holds what was committed before it, and commits only by entries of its own term; one
 * entry for each committed index, over all lives, with commits that never go back within one.
 */
export class RaftLogs implements Observer {
  readonly name = 'raft-logs';
  readonly #view: RunView;
  readonly #committed: CommittedEntries;
  readonly #leaders = new Map<number, Leader>();
  /** By index: the hash of each term there. */
  readonly #hashes = new Map<number, Place[]>();
  /** By member: the last entry told as committed in its present life. */
  readonly #lives = new Map<MemberId, { readonly life: number; index: number }>();

  constructor(view: RunView, committed: CommittedEntries) {
    this.#view = view;
    this.#committed = committed;
  }

  /** The entry that the leader of a term has at an index, as far as it has told; undefined: it has not. */
  leaderHash(term: number, index: number): string | undefined {
    return this.#leaders.get(term)?.log.get(index)?.hash;
  }

  /** Whether the leader of a term surely had, at this index, what is committed there. */
  hadCommitted(term: number, index: number): boolean {
    const hash = this.#committed.at(index)?.hash;
    const leader = this.#leaders.get(term);
    if (leader === undefined || hash === undefined) return false;
    return index <= leader.committedBefore || leader.log.get(index)?.hash === hash;
  }

  see(event: SimEvent): void {
    if (event.kind === 'sent') this.#sent(event.message);
    else if (event.kind === 'role') this.#role(event);
    else if (event.kind === 'committed') this.#commit(event.member, event.life, event.entry);
    else if (event.kind === 'recovered') this.#recovered(event);
  }

  #sent(message: Message): void {
    const { kind, from, term } = message;
    if (kind === 'append') this.#append(message);
    else if (kind === 'heartbeat') this.#leader(term, from, 'sends a heartbeat');
    else if (kind === 'snapshot') {
      this.#leader(term, from, 'sends a snapshot');
      this.#place(message.snapshot, `${from} sends a snapshot`);
    }
  }

  #role({ member, term, role, leader }: Extract<SimEvent, { kind: 'role' }>): void {
    if (role === 'leader') this.#leader(term, member, 'leads');
    else if (leader !== '') this.#leader(term, leader, `is followed by ${member}`);
  }

  #leader(term: number, id: MemberId, what: string): Leader {
    let leader = this.#leaders.get(term);
    if (leader === undefined) {
      // Votes may wait in the socket of a paused member while later terms go on: it holds what was committed before
      // any of them began.
      let committedBefore = this.#committed.last;
      for (const [other, { committedBefore: theirs }] of this.#leaders) {
        if (other > term) committedBefore = Math.min(committedBefore, theirs);
      }
      leader = { id, committedBefore, log: new Map(), commits: new Map() };
      this.#leaders.set(term, leader);
    }
    if (leader.id !== id) this.#breach(`${id} ${what} in term ${term}, whose leader is ${leader.id}`);
    return leader;
  }

  #append(append: AppendRequest): void {
    const { from, to, term, prevIndex, prevTerm, prevHash, entries, commit } = append;
    const leader = this.#leader(term, from, 'sends entries');
    const who = `leader ${from} of term ${term}`;
    if (prevIndex > 0) this.#leaderPlace(leader, who, { index: prevIndex, term: prevTerm, hash: prevHash });
    let [index, last] = [prevIndex, prevTerm];
    for (const entry of entries) {
      if (entry.index !== index + 1 || entry.term < last || entry.term > term) {
        this.#breach(`${who} sends entry ${entry.index} of term ${entry.term} behind ${index} of term ${last}`);
      }
      [index, last] = [entry.index, entry.term];
      this.#leaderPlace(leader, who, entry);
    }
    this.#checkCommit(leader, who, to, term, commit);
  }

  #leaderPlace(leader: Leader, who: string, place: Place): void {
    const known = leader.log.get(place.index);
    if (known === undefined) {
      leader.log.set(place.index, place);
      this.#place(place, who);
      const committed = place.index <= leader.committedBefore ? this.#committed.at(place.index) : undefined;
      if (committed !== undefined && committed.hash !== place.hash) {
        this.#breach(`${who} has ${text(place)}, committed before its election was ${text(committed)}`);
      }
    } else if (known.hash !== place.hash || known.term !== place.term) {
      this.#breach(`${who} has ${text(place)}, it had ${text(known)} in this very term`);
    }
  }

  /** What it commits above all that was known at its election must be by counting an entry of its own term. */
  #checkCommit(leader: Leader, who: string, to: MemberId, term: number, commit: number): void {
    const before = leader.commits.get(to) ?? 0;
    if (commit < before) this.#breach(`${who} told ${to} commit ${before}, and then ${commit}`);
    if (commit === before) return;
    leader.commits.set(to, commit);
    const place = leader.log.get(commit);
    if (commit <= leader.committedBefore || place === undefined || place.term === term) return;
    const known = leader.committedBefore;
    this.#breach(`${who} commits ${text(place)} by itself, at its election ${known} was known as committed`);
  }

  #commit(member: MemberId, life: number, entry: Entry): void {
    const { index } = entry;
    let known = this.#lives.get(member);
    if (known?.life !== life) this.#lives.set(member, (known = { life, index: 0 }));
    if (index <= known.index) {
      this.#breach(`${member} (life ${life}) commits entry ${index} behind ${known.index}`);
    }
    known.index = index;
    this.#place(entry, `${member} (committed)`);
    const problem = this.#committed.add(member, entry, this.#view.nowMs);
    if (problem !== '') this.#breach(problem);
  }

  #recovered({ member, life, entries, baseIndex }: Recovered): void {
    let index = baseIndex;
    for (const entry of entries) {
      if (entry.index !== index + 1)
        this.#breach(`${member} (life ${life}) finds entry ${entry.index} behind ${index}`);
      index = entry.index;
      this.#place(entry, `${member} (life ${life}, at its start)`);
    }
  }

  #place({ index, term, hash }: Place, who: string): void {
    if (index === 0) return;
    let places = this.#hashes.get(index);
    if (places === undefined) this.#hashes.set(index, (places = []));
    const known = places.find((place) => place.term === term);
    if (known === undefined) places.push({ index, term, hash });
    else if (known.hash !== hash) {
      this.#breach(`${who} has ${text({ index, term, hash })}, elsewhere it is ${text(known)}`);
    }
  }

  #breach(what: string): void {
    this.#view.breach(this.name, what);
  }
}

function text({ index, term, hash }: Place): string {
  return `entry ${index} of term ${term} with hash ${hash}`;
}
