import type { Random } from '../../src/base/random.ts';
import { must } from '../../src/base/assert.ts';
import { holds, membersOf, noMembership } from '../../src/raft/membership.ts';
import type { Membership } from '../../src/raft/membership.ts';
import type { MembershipChange } from '../../src/raft/membership-plan.ts';
import type { MembershipChangeResult } from '../../src/raft/reconfigure.ts';
import type { MemberId, Message, ProposeResult } from '../../src/raft/types.ts';
import { Checkers } from './checkers.ts';
import { Member } from './member.ts';
import { membershipOf } from './memberships.ts';
import type { Observer, Settings } from './member.ts';

export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** Timeouts that a test can rely on: each member always draws the same one. */
class FixedRandom implements Random {
  readonly #value: number;

  constructor(value: number) {
    this.#value = value;
  }

  below(_name: string, limitExclusive: number): number {
    return this.#value % limitExclusive;
  }

  bytes(_name: string, length: number): Uint8Array {
    return new Uint8Array(length);
  }
}

export interface NetworkOptions {
  /** Those that are not in the membership wait with an empty disk. */
  readonly members?: readonly MemberId[];
  /** At the start; all members are voters where it is not given. */
  readonly membership?: Membership;
  readonly settings?: Settings;
  /** By default member number n times out after electionTicksMin + 2 + 3n ticks. */
  readonly randomOf?: (id: MemberId) => Random;
  /** Sees what the checkers see. */
  readonly observer?: Observer;
}

/**
 * A cluster in memory whose every step is the test's: messages lie on the wire until delivered, ticks are given one by
 * one, disks may be held back. The checkers watch all of it.
 */
export class Network {
  readonly ids: MemberId[] = [];
  readonly checkers: Checkers;
  /** Sent and neither delivered nor lost, oldest first. */
  wire: Message[] = [];
  readonly #options: NetworkOptions;
  readonly #members = new Map<MemberId, Member>();
  readonly #cuts = new Set<string>();

  constructor(options: NetworkOptions = {}) {
    const ids = options.members ?? ['a', 'b', 'c'];
    this.#options = options;
    const membership = options.membership ?? membershipOf(ids);
    this.checkers = new Checkers(membership);
    for (const id of ids) this.#add(id, holds(membersOf(membership), id) ? membership : noMembership);
  }

  #add(id: MemberId, membership: Membership): void {
    const { observer, randomOf, settings = {} } = this.#options;
    const observers = observer === undefined ? [this.checkers] : [this.checkers, observer];
    const random = randomOf?.(id) ?? new FixedRandom(2 + 3 * this.ids.length);
    this.ids.push(id);
    this.#members.set(id, new Member(id, membership, random, settings, observers));
  }

  /** Starts a member with an empty disk, which knows of no cluster yet. */
  join(id: MemberId): Member {
    this.#add(id, noMembership);
    return this.member(id);
  }

  member(id: MemberId): Member {
    const member = this.#members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  get members(): Member[] {
    return [...this.#members.values()];
  }

  get running(): Member[] {
    return this.members.filter((member) => member.core !== undefined);
  }

  /** The leader of the highest term among running members, if there is one. */
  get leader(): Member | undefined {
    const leaders = this.running.filter((member) => member.raft.role === 'leader');
    return leaders.sort((left, right) => right.raft.term - left.raft.term)[0];
  }

  /** Puts onto the wire what running members have to send. */
  collect(): void {
    for (const member of this.running) this.wire.push(...member.drain());
  }

  /** Delivers the oldest message of those that match, if any, unless it is lost to a cut. Returns it. */
  deliverOne(matches: (message: Message) => boolean = () => true): Message | undefined {
    this.collect();
    const at = this.wire.findIndex(matches);
    const message = this.wire[at];
    if (message === undefined) return undefined;
    this.wire.splice(at, 1);
    this.hand(message);
    this.collect();
    return message;
  }

  /** Hands a message over, unless there is a cut or nobody there. */
  hand(message: Message): void {
    if (this.#cuts.has(`${message.from}>${message.to}`)) return;
    this.#members.get(message.to)?.core?.step(message);
  }

  /** Delivers everything that matches until the wire holds no such message. */
  settle(matches: (message: Message) => boolean = () => true): void {
    for (let step = 0; step < 100_000; step++) {
      if (this.deliverOne(matches) === undefined) {
        this.checkers.check(this.members);
        return;
      }
    }
    throw new Error('the cluster does not come to rest');
  }

  /** Loses what is on the wire and matches. */
  lose(matches: (message: Message) => boolean = () => true): number {
    this.collect();
    const before = this.wire.length;
    this.wire = this.wire.filter((message) => !matches(message));
    return before - this.wire.length;
  }

  tick(id: MemberId, count = 1): void {
    for (let tick = 0; tick < count; tick++) {
      this.member(id).raft.tick();
      this.collect();
    }
  }

  /** Ticks every running member, settling after each tick. */
  run(ticks: number): void {
    for (let tick = 0; tick < ticks; tick++) {
      for (const member of this.running) member.raft.tick();
      this.settle();
    }
  }

  /** Lets the others forget their leader, and `id` campaign. What the others sent meanwhile is lost. */
  elect(id: MemberId): void {
    for (const other of this.running) if (other.id !== id) this.tick(other.id, 10);
    this.lose();
    this.campaign(id);
    this.settle();
  }

  /** Ticks `id` until it asks for votes, which lie on the wire then. */
  campaign(id: MemberId): void {
    const core = this.member(id).raft;
    const term = core.term;
    for (let tick = 0; tick < 100; tick++) {
      this.tick(id);
      if (core.role === 'pre-candidate' || core.role === 'candidate' || core.term > term) return;
    }
    throw new Error(`${id} does not campaign`);
  }

  propose(id: MemberId, text: string): ProposeResult {
    return this.member(id).raft.propose(bytesOf(text));
  }

  /** Proposes changes of the membership. */
  change(id: MemberId, changes: readonly MembershipChange[], force = false): MembershipChangeResult {
    return this.member(id).raft.proposeMembershipChange(changes, { force });
  }

  /** Loses every message from one of `ids` to a member outside, and back, until healed. */
  isolate(...ids: readonly MemberId[]): void {
    for (const inside of ids) {
      for (const outside of this.ids) {
        if (ids.includes(outside)) continue;
        this.cut(inside, outside);
        this.cut(outside, inside);
      }
    }
  }

  /** Loses messages of one direction. */
  cut(from: MemberId, to: MemberId): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  crash(id: MemberId, written = 0): void {
    this.member(id).crash(written);
  }

  restart(id: MemberId): void {
    const member = this.member(id);
    if (member.core !== undefined) member.crash();
    member.start();
    this.checkers.restarted(member);
  }

  /** Streams a snapshot as the hosts would: from the leader's state at `index` into the follower's core. */
  sendSnapshot(from: MemberId, to: MemberId, index: number): void {
    const leader = this.member(from).raft;
    const prefix = leader.prefixAt(index);
    if (prefix === undefined) throw new Error(`${from} does not hold entry ${index}`);
    const { boot } = this.member(from).disk;
    const snapshot = { index, term: prefix.term, hash: prefix.hash };
    const head = { from, to, fromBoot: boot, toBoot: this.member(to).disk.boot, term: leader.term };
    const membership = must(leader.membershipAt(index), `membership at ${index}`);
    this.checkers.snapshotSent(this.member(from), index, membership);
    this.hand({ kind: 'snapshot', ...head, snapshot, membership });
    this.collect();
    leader.reportSnapshot(to, { ok: true, index });
  }
}
