import { SeededRandom } from '../../src/base/random.ts';
import type { MemberId } from '../../src/raft/types.ts';
import { holds, isJoint, isVoter, membersOf } from '../../src/raft/membership.ts';
import type { Membership } from '../../src/raft/membership.ts';
import type { MembershipChange } from '../../src/raft/membership-plan.ts';
import type { Member } from './member.ts';
import { membershipOf, membershipText, recordOf } from './memberships.ts';
import { bytesOf, Network } from './network.ts';

export interface ScheduleResult {
  readonly leaders: number;
  readonly commit: number;
  readonly reads: number;
  readonly crashes: number;
  readonly snapshots: number;
  readonly changes: number;
  readonly transfers: number;
  readonly suspicions: number;
}

/** Likelihood of each event, out of 1,000; the rest of the draws delivers messages. */
interface Weights {
  readonly tick: number;
  readonly propose: number;
  readonly read: number;
  readonly write: number;
  readonly crash: number;
  readonly lose: number;
  readonly repeat: number;
  readonly unreachable: number;
  readonly compact: number;
  readonly partition: number;
  readonly change: number;
  readonly transfer: number;
  readonly suspect: number;
}

/**
 * One random life of a cluster, decided by the seed alone: ticks of uneven clocks, messages delayed, reordered, lost
 * and repeated, slow disks, crashes that forget what was not written, cuts, compaction and snapshots. Throws when a
 * checker sees a promise broken, or when the cluster does not recover once the faults have ended.
 */
export function runSchedule(seed: number, events: number): ScheduleResult {
  return new Schedule(seed).run(events);
}

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

class Schedule {
  readonly #random: SeededRandom;
  readonly #net: Network;
  readonly #weights: Weights;
  readonly #inOrder: boolean;
  #proposed = 0;
  #crashes = 0;
  #snapshots = 0;
  #suspicions = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const count = [1, 2, 3, 3, 3, 5][this.#below(6)] ?? 3;
    this.#inOrder = this.#below(2) === 0;
    // Small bounds, so that windows fill and logs are compacted within a short life.
    const settings = {
      inflightMessagesMax: 1 + this.#below(4),
      inflightBytesMax: 20 + this.#below(100),
      appendBytesMax: 1 + this.#below(40),
      uncommittedBytesMax: 50 + this.#below(500),
      applyBytesMax: 1 + this.#below(40),
      readRoundsMax: 1 + this.#below(3),
      pendingReadsMax: 1 + this.#below(20),
    };
    this.#weights = {
      tick: 60 + this.#below(250),
      propose: this.#below(120),
      read: this.#below(60),
      write: 50 + this.#below(200),
      crash: this.#below(12),
      lose: this.#below(60),
      repeat: this.#below(60),
      unreachable: this.#below(10),
      compact: this.#below(30),
      partition: this.#below(8),
      // One life in four has a fixed membership.
      change: this.#below(4) === 0 ? 0 : 10 + this.#below(60),
      transfer: this.#below(25),
      suspect: this.#below(12),
    };
    const changes = this.#weights.change > 0;
    this.#net = new Network({
      members: names.slice(0, changes ? names.length : count),
      membership: membershipOf(names.slice(0, count)),
      settings,
      randomOf: (id) => new SeededRandom(seed * 8 + id.charCodeAt(0)),
    });
    const slowDisks = this.#below(3) > 0;
    for (const member of this.#net.members) member.writesAtOnce = !slowDisks;
  }

  run(events: number): ScheduleResult {
    const net = this.#net;
    for (let event = 0; event < events; event++) {
      this.#event();
      this.#streamSnapshots();
      if (event % 8 === 0) net.checkers.check(net.members);
    }
    net.checkers.check(net.members);
    this.#recover();
    const { leadersSeen: leaders, greatestCommit: commit, confirmedReads: reads } = net.checkers;
    const ends = net.members.flatMap((member) => member.transfersEnded);
    const transfers = ends.filter(({ outcome }) => outcome === 'transferred').length;
    const changes = net.checkers.membershipChanges;
    const counts = { crashes: this.#crashes, snapshots: this.#snapshots, suspicions: this.#suspicions };
    return { leaders, commit, reads, ...counts, changes, transfers };
  }

  #event(): void {
    const weights = this.#weights;
    let draw = this.#below(1000);
    const falls = (weight: number): boolean => {
      draw -= weight;
      return draw < 0;
    };
    const member = this.#pick(this.#net.members);
    if (member.core === undefined) {
      if (this.#below(20) === 0) this.#net.restart(member.id);
      else this.#deliver();
    } else if (falls(weights.tick)) member.core.tick();
    else if (falls(weights.propose)) this.#propose(member);
    else if (falls(weights.read)) this.#read(member);
    else if (falls(weights.write)) member.write(1 + this.#below(3));
    else if (falls(weights.crash)) this.#crash(member);
    else if (falls(weights.lose)) this.#lose(member.id);
    else if (falls(weights.repeat)) this.#repeat();
    else if (falls(weights.unreachable)) member.core.reportUnreachable(this.#pick(this.#net.ids));
    else if (falls(weights.compact)) this.#compact(member);
    else if (falls(weights.partition)) this.#partition(member);
    else if (falls(weights.change)) this.#change(this.#below(8) > 0 ? (this.#net.leader ?? member) : member);
    else if (falls(weights.transfer)) (this.#net.leader ?? member).raft.transferLeadership(this.#pick(this.#net.ids));
    else if (falls(weights.suspect)) this.#suspect(member);
    else this.#deliver();
    // Only now and then, so that several inputs meet in one Ready.
    if (this.#below(3) > 0) this.#net.collect();
  }

  #propose(member: Member): void {
    this.#proposed += 1;
    // The leader most of the time; anybody now and then, who must refuse or be an outdated leader.
    const target = this.#below(4) > 0 ? (this.#net.leader ?? member) : member;
    target.raft.propose(bytesOf(`${this.#proposed}`.padEnd(1 + this.#below(30), '.')));
  }

  #read(member: Member): void {
    this.#net.checkers.readAsked(member.read());
    if (this.#below(20) === 0) member.raft.restartRounds();
    if (this.#below(50) === 0) member.raft.setEligible(this.#below(2) === 0);
  }

  #change(member: Member): void {
    const { commit, ownTermCommitted, membershipIndex, membership } = member.raft.status();
    const changes = Array.from({ length: 1 + this.#below(3) }, () => this.#drawChange(membership));
    const result = member.raft.proposeMembershipChange(changes, { force: this.#below(3) === 0 });
    if (result.outcome !== 'accepted') return;
    // One at a time (C1), and only after an entry of the own term (C2).
    if (membershipIndex > commit || isJoint(membership) || !ownTermCommitted) {
      throw new Error(`${member.id} takes a change at ${result.index} behind one at ${membershipIndex}`);
    }
  }

  #drawChange(membership: Membership): MembershipChange {
    const { learners, removedIds, voters } = membership;
    const free = names.filter((name) => !removedIds.includes(name) && !holds([...voters, ...learners], name));
    const one = (records: readonly { readonly id: MemberId }[]): MemberId =>
      records.length === 0 ? this.#pick(names) : this.#pick(records).id;
    // Mostly what can be done, now and then anything.
    const id = this.#pick(names);
    if (this.#below(4) > 0) {
      if (free.length > 0 && this.#below(3) === 0) {
        return { kind: 'add-learner', member: recordOf(this.#pick(free)), autoPromote: this.#below(2) === 0 };
      }
      if (learners.length > 0 && this.#below(2) === 0) return { kind: 'promote', id: one(learners) };
      // Few are removed, since an id never comes back.
      if (this.#below(4) > 0) return { kind: 'demote', id: one(voters) };
      return { kind: 'replace', id: one(voters), by: recordOf(one(learners)) };
    }
    switch (this.#below(8)) {
      case 0:
      case 1:
      case 2:
        return { kind: 'add-learner', member: recordOf(id), autoPromote: this.#below(2) === 0 };
      case 3:
      case 4:
        return { kind: 'promote', id };
      case 5:
        return { kind: 'demote', id };
      case 6:
        return { kind: 'remove', id };
      default:
        return { kind: 'replace', id, by: recordOf(this.#pick(names)) };
    }
  }

  #suspect(member: Member): void {
    if (member.raft.suspectLeader(this.#below(2) === 0)) this.#suspicions += 1;
    else member.raft.retrySuspicion();
  }

  #crash(member: Member): void {
    this.#crashes += 1;
    this.#net.crash(member.id, this.#below(member.unwritten.length + 1));
  }

  #lose(id: MemberId): void {
    let left = 1 + this.#below(5);
    this.#net.lose((message) => (message.to === id || message.from === id) && left-- > 0);
  }

  #repeat(): void {
    if (this.#net.wire.length > 0) this.#net.wire.push(this.#pick(this.#net.wire));
  }

  #compact(member: Member): void {
    const { base, applied, durableIndex } = member.raft.status();
    const limit = Math.min(applied, durableIndex);
    // Core and disk must agree on the base, so a snapshot must not be under way.
    if (limit <= base.index || member.disk.base.index !== base.index) return;
    const index = base.index + 1 + this.#below(limit - base.index);
    // One that joined may not know yet who belonged to the cluster then.
    if (member.raft.membershipAt(index) !== undefined) member.compact(index);
  }

  #partition(member: Member): void {
    this.#net.heal();
    const kind = this.#below(4);
    if (kind < 2) this.#net.isolate(member.id);
    else if (kind === 2) this.#net.cut(member.id, this.#pick(this.#net.ids));
  }

  #deliver(): void {
    const { wire } = this.#net;
    const at = this.#inOrder ? 0 : this.#below(wire.length + 1);
    const message = wire[at];
    if (message === undefined) return;
    wire.splice(at, 1);
    this.#net.hand(message);
  }

  /** Hosts stream a snapshot at once, fail, or take their time. */
  #streamSnapshots(): void {
    for (const member of this.#net.running) {
      const [peer] = member.snapshotsWanted;
      if (peer === undefined || this.#below(4) > 0) continue;
      member.snapshotsWanted.shift();
      const { applied, role } = member.raft.status();
      if (role !== 'leader' || this.#below(4) === 0 || this.#net.member(peer).core === undefined) {
        member.raft.reportSnapshot(peer, { ok: false });
        continue;
      }
      this.#snapshots += 1;
      this.#net.sendSnapshot(member.id, peer, applied);
    }
  }

  /** Once the faults end, a leader is elected, a new entry is committed and everybody applies the same. */
  #recover(): void {
    const net = this.#net;
    net.heal();
    for (const member of net.members) {
      if (member.core === undefined) net.restart(member.id);
      member.raft.setEligible(true);
      member.write();
      member.writesAtOnce = true;
    }
    const before = net.checkers.greatestCommit;
    let leader: Member | undefined;
    // A leader that was cut off may still have to notice that it heard nobody.
    for (let tick = 0; tick < 20; tick++) this.#tickAll();
    for (let tick = 0; tick < 400; tick++) {
      this.#tickAll();
      leader = net.leader;
      if (leader !== undefined && this.#isSettled(leader)) break;
    }
    if (leader === undefined) throw new Error('no leader after the faults ended');
    const proposed = leader.raft.propose(bytesOf('probe'));
    const asked = net.members.map((member) => member.read());
    for (const context of asked) net.checkers.readAsked(context);
    for (let tick = 0; tick < 60; tick++) this.#tickAll();
    if (!proposed.accepted || net.checkers.greatestCommit <= before) throw new Error('nothing is committed any more');
    if (leader.core === undefined || leader.raft.role !== 'leader') throw new Error('the leader did not stay');
    const { membership } = leader.raft;
    if (isJoint(membership) || !isVoter(membership, leader.id))
      throw new Error(`left at ${membershipText(membership)}`);
    for (const { id } of membersOf(membership)) this.#mustEqual(net.member(id), leader);
    for (const context of asked) {
      const member = net.member(context.member);
      const answered = [...member.confirmed.map((read) => read.context), ...member.voided];
      if (!answered.includes(context) && !answered.some((other) => other.counter === context.counter)) {
        throw new Error(`read ${context.counter} of ${member.id} is not answered after the faults ended`);
      }
      if (member.raft.status().pendingReads > 0) throw new Error(`reads wait for ever on ${member.id}`);
    }
  }

  #isSettled(leader: Member): boolean {
    const { membership, ownTermCommitted, uncommittedBytes } = leader.raft.status();
    return ownTermCommitted && uncommittedBytes === 0 && !isJoint(membership) && isVoter(membership, leader.id);
  }

  #tickAll(): void {
    // Not in step: equal clocks would make split votes unlikely and likely at once.
    for (const member of this.#net.running) if (this.#below(10) > 0) member.raft.tick();
    this.#streamSnapshots();
    this.#net.settle();
  }

  #mustEqual(member: Member, leader: Member): void {
    const { commit, lastIndex } = leader.raft.status();
    const status = member.raft.status();
    if (status.commit !== commit || status.lastIndex !== lastIndex || member.appliedIndex !== commit) {
      throw new Error(`${member.id} holds ${status.lastIndex}, the leader ${lastIndex}`);
    }
    if (membershipText(member.raft.membership) !== membershipText(leader.raft.membership)) {
      throw new Error(`${member.id} believes in ${membershipText(member.raft.membership)}`);
    }
    if (member.raft.prefixAt(commit)?.hash !== leader.raft.prefixAt(commit)?.hash) {
      throw new Error(`${member.id} differs from the leader at ${commit}`);
    }
  }

  #below(limit: number): number {
    return this.#random.below('schedule', limit);
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.#below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }
}
