import type { AppendReply, MemberId, Message } from '../../../src/raft/types.ts';
import type { Observer, RunView, SimEvent } from '../types.ts';
import type { CommittedEntries } from './raft-commit.ts';
import type { RaftLogs } from './raft-log.ts';
import type { Strangers } from './strangers.ts';

type Recovered = Extract<SimEvent, { kind: 'recovered' }>;

/** What a member has said, over all its lives: its disk has to remember it. */
interface Promises {
  term: number;
  readonly votes: Map<number, MemberId>;
  boot: number;
  bootLife: number;
  /** The last accepted append: its log equals the leader's up to there. */
  accepted: { readonly term: number; readonly index: number } | undefined;
}

/**
 * What a member says it keeps, over all its lives: terms and boots never go back, one vote a term, and a log that holds
 * what it accepted, unless a leader of a later term took its place. A confirmed read sees what was committed before it
 * was asked.
 */
export class RaftPromises implements Observer {
  readonly name = 'raft-promises';
  readonly #view: RunView;
  readonly #committed: CommittedEntries;
  readonly #logs: RaftLogs;
  readonly #strangers: Strangers;
  readonly #promises = new Map<MemberId, Promises>();
  readonly #lives = new Map<MemberId, number>();
  /** By sender and addressee: messages of one pair keep their order. */
  readonly #termsTold = new Map<string, { readonly boot: number; readonly term: number }>();

  constructor(view: RunView, committed: CommittedEntries, logs: RaftLogs, strangers: Strangers) {
    this.#view = view;
    this.#committed = committed;
    this.#logs = logs;
    this.#strangers = strangers;
  }

  see(event: SimEvent): void {
    if (event.kind === 'sent') {
      if (!this.#strangers.has(event.from)) this.#sent(event.message);
    } else if (event.kind === 'started') this.#lives.set(event.member, event.life);
    else if (event.kind === 'recovered') {
      this.#lives.set(event.member, event.life);
      if (!this.#strangers.has(event.member)) this.#recovered(event);
    } else if (event.kind === 'read-confirmed') {
      const { member, index, askedMs } = event;
      const known = this.#committed.before(askedMs);
      if (index >= known) return;
      this.#breach(`a read of ${member} asked at ${askedMs} is confirmed at ${index}, ${known} was committed before`);
    }
  }

  #of(member: MemberId): Promises {
    let promises = this.#promises.get(member);
    if (promises === undefined) {
      promises = { term: 0, votes: new Map(), boot: 0, bootLife: 0, accepted: undefined };
      this.#promises.set(member, promises);
    }
    return promises;
  }

  #sent(message: Message): void {
    const { from, to, fromBoot, term, kind } = message;
    const promises = this.#of(from);
    this.#checkBoot(from, fromBoot, promises);
    // A pre-vote speaks of a term in which nobody is yet.
    if (kind === 'vote-request' && message.preVote) return;
    if (kind === 'vote-reply' && message.preVote && message.granted) return;
    const pair = `${from} ${to}`;
    const told = this.#termsTold.get(pair);
    if (told !== undefined && told.boot === fromBoot && term < told.term) {
      this.#breach(`${from} tells ${to} term ${term} in a ${kind} behind term ${told.term}`);
    }
    if (told?.boot !== fromBoot || told.term !== term) this.#termsTold.set(pair, { boot: fromBoot, term });
    if (term > promises.term) promises.term = term;
    if (kind === 'vote-request') this.#voted(from, term, from, promises);
    else if (kind === 'vote-reply' && message.granted) this.#voted(from, term, to, promises);
    else if (kind === 'append-reply' && message.accepted) this.#accepted(message, promises);
  }

  /** Each life has a boot of its own, higher than those before. */
  #checkBoot(member: MemberId, boot: number, promises: Promises): void {
    const life = this.#lives.get(member) ?? 0;
    if (boot === promises.boot && (life === promises.bootLife || promises.boot === 0)) return;
    if (boot <= promises.boot) {
      this.#breach(
        `${member} speaks with boot ${boot} in life ${life}, in life ${promises.bootLife} it had ${promises.boot}`,
      );
    }
    promises.boot = boot;
    promises.bootLife = life;
  }

  #voted(member: MemberId, term: number, candidate: MemberId, { votes }: Promises): void {
    const before = votes.get(term);
    if (before === undefined) votes.set(term, candidate);
    else if (before !== candidate)
      this.#breach(`${member} votes for ${candidate} in term ${term}, it gave ${before} its vote`);
  }

  #accepted({ term, matchIndex }: AppendReply, promises: Promises): void {
    const { accepted } = promises;
    if (accepted !== undefined && (accepted.term > term || (accepted.term === term && accepted.index >= matchIndex)))
      return;
    promises.accepted = { term, index: matchIndex };
  }

  #recovered(found: Recovered): void {
    const { member, life, term, vote, boot } = found;
    const promises = this.#of(member);
    const who = `${member} (life ${life})`;
    if (term < promises.term) this.#breach(`${who} finds term ${term}, it has spoken in term ${promises.term}`);
    if (boot < promises.boot) this.#breach(`${who} finds boot ${boot}, it has spoken with boot ${promises.boot}`);
    const given = promises.votes.get(term);
    if (given !== undefined && given !== vote)
      this.#breach(`${who} finds its vote of term ${term} for "${vote}", it gave it ${given}`);
    if (vote !== '' && given === undefined) promises.votes.set(term, vote);
    if (term > promises.term) promises.term = term;
    if (promises.accepted !== undefined) this.#checkLog(found, promises.accepted, who);
  }

  /** Behind what is committed a leader of a later term may have put other entries in place. */
  #checkLog(found: Recovered, accepted: { readonly term: number; readonly index: number }, who: string): void {
    const { entries, baseIndex } = found;
    const mayBeCut = found.term > accepted.term;
    let { index } = accepted;
    while (mayBeCut && index > baseIndex && !this.#logs.hadCommitted(accepted.term, index)) index--;
    if (index <= baseIndex) return;
    const entry = entries[index - baseIndex - 1];
    const said = `it accepted up to ${accepted.index} in term ${accepted.term}`;
    if (entry === undefined) {
      const lastIndex = baseIndex + entries.length;
      this.#breach(`${who} finds a log that ends at ${lastIndex}, ${said}, ${index} must be there`);
      return;
    }
    const expected = mayBeCut ? this.#committed.at(index)?.hash : this.#logs.leaderHash(accepted.term, index);
    if (expected === undefined || expected === entry.hash) return;
    const there = `entry ${index} of term ${entry.term} with hash ${entry.hash}`;
    this.#breach(`${who} finds ${there}, ${said} with hash ${expected}`);
  }

  #breach(text: string): void {
    this.#view.breach(this.name, text);
  }
}
