import type { RaftCore } from '../../../src/raft/raft-core.ts';
import type { MembershipChange } from '../../../src/raft/membership-plan.ts';
import type { MemberId, Message } from '../../../src/raft/types.ts';
import { Cluster } from './cluster.ts';
import type { Move } from './cluster.ts';
import { changeMenu } from './host.ts';
import type { Input } from './host.ts';
import { moveWord } from './path-text.ts';

type Filter = (message: Message) => boolean;

const settleMovesMax = 2_000;

/** A promise was broken on the way to a situation already. */
export class ScriptBreach extends Error {
  override readonly name = 'ScriptBreach';
  readonly what: string;
  /** Replays it. */
  readonly text: string;

  constructor(what: string, text: string) {
    super(`${what} on the way ${text}`);
    this.what = what;
    this.text = text;
  }
}

/** Leads a cluster into a situation, move by move, and keeps the words of the way. Throws ScriptBreach. */
export class Script {
  readonly cluster: Cluster;
  /** Members whose writes do not end before they are told to (`persist`). */
  readonly slowDisks = new Set<MemberId>();
  readonly #words: string[] = [];
  #label = 100;

  constructor(Core: typeof RaftCore, members: number) {
    this.cluster = new Cluster(Core, members);
  }

  /** The way so far, without the number of members. */
  get words(): string {
    return this.#words.join(' ');
  }

  /** `id` hears nothing until it begins a campaign; its requests lie on the wire then. */
  campaign(id: MemberId): void {
    const core = (): string => JSON.stringify([this.cluster.host(id).core.role, this.cluster.host(id).core.term]);
    if (this.cluster.host(id).core.role !== 'follower') {
      this.#at(id, { kind: 'ticks', count: 3 });
      return;
    }
    const before = core();
    for (let tick = 0; tick < 3 && core() === before; tick++) this.#at(id, { kind: 'ticks', count: 1 });
    if (core() === before) throw new Error(`${id} does not campaign`);
  }

  /** These, who have just heard a leader, hear nothing until they would vote for another. */
  doubt(...ids: readonly MemberId[]): void {
    for (const id of ids) this.#at(id, { kind: 'ticks', count: 2 });
  }

  /** A leader sends heartbeats. */
  beat(id: MemberId): void {
    this.#at(id, { kind: 'ticks', count: 1 });
  }

  propose(id: MemberId, count = 1): void {
    for (let proposal = 0; proposal < count; proposal++) this.#at(id, { kind: 'propose', label: this.#label++ });
  }

  read(id: MemberId): void {
    this.#at(id, { kind: 'read' });
  }

  /** A leader is asked for these changes, which the menu holds. */
  change(id: MemberId, ...changes: readonly MembershipChange[]): void {
    const wanted = JSON.stringify(changes);
    const number = changeMenu(this.cluster.ids).findIndex((each) => JSON.stringify(each) === wanted);
    if (number < 0) throw new Error(`the menu holds no ${wanted}`);
    this.#at(id, { kind: 'change', number });
  }

  crash(id: MemberId, written = 0): void {
    this.#at(id, { kind: 'crash', written });
  }

  compact(id: MemberId): void {
    this.#at(id, { kind: 'compact' });
  }

  snapshot(from: MemberId, to: MemberId): void {
    this.#at(from, { kind: 'snapshot', peer: to });
  }

  /** The stream of `from` to `to` broke. */
  broken(from: MemberId, to: MemberId): void {
    this.#at(from, { kind: 'unreachable', peer: to });
  }

  /** Everything that these have under way is on disk. */
  persist(...ids: readonly MemberId[]): void {
    for (const id of ids) while (this.cluster.host(id).unwritten.length > 0) this.#at(id, { kind: 'persist' });
  }

  /** Delivers the oldest message that matches; there must be one. */
  deliver(matches: Filter): void {
    const message = this.cluster.wire.find(matches);
    if (message === undefined) throw new Error(`nothing to deliver after ${this.words}`);
    this.#make({ kind: 'deliver', message, keeps: false });
  }

  lose(matches: Filter = () => true): void {
    for (const message of this.cluster.wire.filter(matches)) this.#make({ kind: 'lose', message });
  }

  /** Delivers what matches and ends writes, disks named slow left out, until nothing is left to do. */
  settle(matches: Filter = () => true): void {
    for (let moves = 0; moves < settleMovesMax; moves++) {
      const writer = this.cluster.hosts.find((host) => host.unwritten.length > 0 && !this.slowDisks.has(host.id));
      const message = this.cluster.wire.find(matches);
      if (writer !== undefined) this.#at(writer.id, { kind: 'persist' });
      else if (message !== undefined) this.#make({ kind: 'deliver', message, keeps: false });
      else return;
    }
    throw new Error('the cluster does not come to rest');
  }

  /** Settles among these members only; what would leave or enter the group stays on the wire. */
  settleAmong(...ids: readonly MemberId[]): void {
    this.settle(among(...ids));
  }

  /** `id` is elected by these (all by default), who doubt their leader already or have none. */
  elect(id: MemberId, ...by: readonly MemberId[]): void {
    const group = by.length === 0 ? this.cluster.ids : [id, ...by];
    this.campaign(id);
    this.settleAmong(...group);
    const { role, term } = this.cluster.host(id).core;
    if (role !== 'leader') throw new Error(`${id} is ${role} in term ${term} after ${this.words}`);
  }

  #at(member: MemberId, input: Exclude<Input, { kind: 'deliver' }>): void {
    this.#make({ kind: 'at', member, input });
  }

  #make(move: Move): void {
    this.#words.push(moveWord(this.cluster, move));
    const { breach } = this.cluster.make(move);
    if (breach !== undefined) throw new ScriptBreach(breach, `${this.cluster.ids.length} ${this.words}`);
  }
}

/** Messages from one of these to another of them. */
export function among(...ids: readonly MemberId[]): Filter {
  return ({ from, to }) => ids.includes(from) && ids.includes(to);
}

/** Messages of one kind, between two members where they are named. */
export function sent(kind: Message['kind'], from?: MemberId, to?: MemberId): Filter {
  return (message) => {
    return message.kind === kind && (from ?? message.from) === message.from && (to ?? message.to) === message.to;
  };
}

/** Votes and pre-votes among these, asked for and given. */
export function votes(...ids: readonly MemberId[]): Filter {
  return (message) => (message.kind === 'vote-request' || message.kind === 'vote-reply') && among(...ids)(message);
}
