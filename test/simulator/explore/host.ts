import { must, unreachable } from '../../../src/base/assert.ts';
import { emptyPrefixHash } from '../../../src/base/hash.ts';
import type { Random } from '../../../src/base/random.ts';
import type { RaftConfig, RaftInitial } from '../../../src/raft/config.ts';
import type { RaftCore } from '../../../src/raft/raft-core.ts';
import type {
  ConfirmedRead,
  Entry,
  HardState,
  LogBase,
  MemberId,
  Message,
  Persist,
  ReadContext,
} from '../../../src/raft/types.ts';
import { noMembership, votersOnly } from '../../../src/raft/membership.ts';
import type { Membership } from '../../../src/raft/membership.ts';
import type { MembershipChange } from '../../../src/raft/membership-plan.ts';
import { recordOf } from '../../raft/memberships.ts';
import { copyOf } from './glass-core.ts';

/** What may happen to one member. Everything else that a host does follows at once. */
export type Input =
  | { readonly kind: 'deliver'; readonly message: Message }
  /** Time passes here and nothing is heard. */
  | { readonly kind: 'ticks'; readonly count: number }
  /** The oldest write under way is on disk, and reported. */
  | { readonly kind: 'persist' }
  /** Crash and restart; of the writes under way the first `written` are on disk all the same. */
  | { readonly kind: 'crash'; readonly written: number }
  | { readonly kind: 'propose'; readonly label: number }
  | { readonly kind: 'read' }
  | { readonly kind: 'compact' }
  /** The stream to the peer broke. */
  | { readonly kind: 'unreachable'; readonly peer: MemberId }
  /** The host streams the snapshot that the core wanted for the peer. */
  | { readonly kind: 'snapshot'; readonly peer: MemberId }
  /** The process stood still for long. */
  | { readonly kind: 'stall' }
  /** The operator wants change number `number` of changeMenu(). */
  | { readonly kind: 'change'; readonly number: number }
  | { readonly kind: 'transfer'; readonly to: MemberId }
  /** The port of the leader was found closed. */
  | { readonly kind: 'suspect' };

/** What became visible outside of the member. */
export interface Output {
  readonly messages: readonly Message[];
  readonly asked: readonly ReadContext[];
  readonly confirmed: readonly ConfirmedRead[];
  readonly voided: readonly ReadContext[];
  readonly applied: readonly Entry[];
}

/** What is on the disk of one member. Replaced, never changed. */
export interface Disk {
  readonly hardState: HardState;
  readonly base: LogBase;
  /** As of the base. */
  readonly membership: Membership;
  readonly entries: readonly Entry[];
  readonly commit: number;
  readonly boot: number;
}

const emptyDisk: Disk = {
  hardState: { term: 0, vote: '' },
  base: { index: 0, term: 0, hash: emptyPrefixHash },
  membership: noMembership,
  entries: [],
  commit: 0,
  boot: 0,
};

/** All timeouts are alike: what happens first is a move, not a draw. */
const evenTimeouts: Random = {
  below: (_name, limitExclusive) => limitExclusive - 1,
  bytes: (_name, length) => new Uint8Array(length),
};

export const electionTicks = { doubt: 2, campaign: 3 } as const;

/**
 * The smallest bounds that keep every rule at work: a follower doubts its leader after 2 ticks of silence and campaigns
 * after 3, each entry with data travels alone, two appends fill the window, one read round at a time.
 */
const settings = {
  heartbeatTicks: 1,
  electionTicksMin: electionTicks.doubt,
  electionTicksMax: electionTicks.campaign + 1,
  inflightMessagesMax: 2,
  inflightBytesMax: 1_000,
  appendBytesMax: 1,
  uncommittedBytesMax: 1_000,
  applyBytesMax: 1_000,
  readRoundsMax: 1,
  pendingReadsMax: 8,
} as const;

const readyCallsMax = 1_000;

/**
 * The changes of the membership that an operator may ask for, each member being a voter at first: one of each kind for
 * each member, and two at once that exchange a voter for a learner.
 */
export function changeMenu(ids: readonly MemberId[]): readonly (readonly MembershipChange[])[] {
  const single = ids.flatMap((id): MembershipChange[][] => [
    [{ kind: 'demote', id }],
    [{ kind: 'promote', id }],
    [{ kind: 'remove', id }],
  ]);
  const double = ids.flatMap((id) =>
    ids
      .filter((other) => other !== id)
      .map((other): MembershipChange[] => [
        { kind: 'demote', id },
        { kind: 'promote', id: other },
      ]),
  );
  return [...single, ...double];
}

/** One member: a core and the host that drives it, with a disk as slow as the explorer wants it. */
export class Host {
  readonly id: MemberId;
  readonly #Core: typeof RaftCore;
  readonly #everybody: readonly MemberId[];
  core: RaftCore;
  disk: Disk;
  /** Handed out and not yet on disk, oldest first. */
  unwritten: readonly Persist[] = [];
  /** Applied up to here in this boot. */
  appliedIndex = 0;
  reads = 0;
  /** Peers that the core wants a snapshot for. */
  wanted: readonly MemberId[] = [];

  constructor(Core: typeof RaftCore, id: MemberId, voters: readonly MemberId[], from?: Host) {
    this.#Core = Core;
    this.id = id;
    if (from === undefined) {
      this.#everybody = voters;
      this.disk = { ...emptyDisk, membership: votersOnly(voters.map(recordOf)), boot: 1 };
      this.core = this.#start();
      this.#drain([]);
      return;
    }
    this.core = copyOf(from.core);
    this.#everybody = from.#everybody;
    this.disk = from.disk;
    this.unwritten = from.unwritten;
    this.appliedIndex = from.appliedIndex;
    this.reads = from.reads;
    this.wanted = from.wanted;
  }

  /** A copy that goes its own way. Only for cores that can be copied (glass-core.ts). */
  copy(): Host {
    return new Host(this.#Core, this.id, [], this);
  }

  /** Makes it happen, and then whatever the core has ready. */
  take(input: Input): Output {
    const asked: ReadContext[] = [];
    const sent: Message[] = [];
    switch (input.kind) {
      case 'deliver':
        this.core.step(input.message);
        break;
      case 'ticks':
        for (let tick = 0; tick < input.count; tick++) this.core.tick();
        break;
      case 'persist':
        this.#persist();
        break;
      case 'crash':
        this.#crash(input.written);
        break;
      case 'propose':
        // Two bytes are more than one append takes, so each entry travels alone.
        this.core.propose(Uint8Array.of(input.label, 0));
        break;
      case 'read':
        asked.push(this.#read());
        break;
      case 'compact':
        this.#compact();
        break;
      case 'unreachable':
        this.core.reportUnreachable(input.peer);
        break;
      case 'snapshot':
        sent.push(...this.#snapshot(input.peer));
        break;
      case 'stall':
        this.core.restartRounds();
        break;
      case 'change':
        // Forced: that a learner lags must harm nobody but the availability.
        this.core.proposeMembershipChange(changeMenu(this.#everybody)[input.number] ?? [], { force: true });
        break;
      case 'transfer':
        this.core.transferLeadership(input.to);
        break;
      case 'suspect':
        if (!this.core.suspectLeader()) this.core.retrySuspicion();
        break;
      default:
        unreachable(input);
    }
    const output = this.#drain(asked);
    return sent.length === 0 ? output : { ...output, messages: [...sent, ...output.messages] };
  }

  #start(): RaftCore {
    const { id } = this;
    const { hardState, base, entries, boot } = this.disk;
    const commit = Math.max(this.disk.commit, base.index);
    // The state machine is rebuilt from the snapshot that the log begins at.
    const { membership } = this.disk;
    const initial: RaftInitial = { hardState, base, membership, entries, commit, applied: base.index };
    const config: RaftConfig = { ...settings, id, boot, random: evenTimeouts };
    this.appliedIndex = base.index;
    return new this.#Core(config, initial);
  }

  #persist(): void {
    const [step, ...later] = this.unwritten;
    if (step === undefined) return;
    this.disk = written(this.disk, step);
    this.unwritten = later;
    this.core.reportDurable(step.sequence);
  }

  #crash(count: number): void {
    for (const step of this.unwritten.slice(0, count)) this.disk = written(this.disk, step);
    this.disk = { ...this.disk, boot: this.disk.boot + 1 };
    this.unwritten = [];
    this.reads = 0;
    this.wanted = [];
    this.core = this.#start();
  }

  #read(): ReadContext {
    this.reads += 1;
    const context = { member: this.id, boot: this.disk.boot, counter: this.reads };
    this.core.readIndex(context);
    return context;
  }

  /** As far as state and log are on disk, as a host that has flushed everything would. */
  #compact(): void {
    const index = Math.min(this.appliedIndex, this.core.durableIndex);
    if (index <= this.disk.base.index || this.unwritten.length > 0) return;
    this.core.compact(index);
    const kept = index - this.disk.base.index;
    const last = must(this.disk.entries[kept - 1], `entry ${index} on the disk of ${this.id}`);
    const base = { index, term: last.term, hash: last.hash };
    const membership = must(this.core.membershipAt(index), `membership at ${index}`);
    this.disk = {
      ...this.disk,
      base,
      membership,
      entries: this.disk.entries.slice(kept),
      commit: Math.max(this.disk.commit, index),
    };
  }

  #snapshot(peer: MemberId): Message[] {
    this.wanted = this.wanted.filter((wanting) => wanting !== peer);
    const { boot, peerBoots, role, term } = this.core.status();
    const prefix = this.core.prefixAt(this.appliedIndex);
    if (role !== 'leader' || prefix === undefined) return [];
    const snapshot = { index: this.appliedIndex, term: prefix.term, hash: prefix.hash };
    const head = { from: this.id, to: peer, fromBoot: boot, toBoot: peerBoots[peer] ?? 0, term };
    // Streamed and synced there; that the other core has yet to hear of it is what may be late or lost.
    this.core.reportSnapshot(peer, { ok: true, index: snapshot.index });
    const membership = must(this.core.membershipAt(snapshot.index), `membership at ${snapshot.index}`);
    return [{ kind: 'snapshot', ...head, snapshot, membership }];
  }

  #drain(asked: readonly ReadContext[]): Output {
    const messages: Message[] = [];
    const confirmed: ConfirmedRead[] = [];
    const voided: ReadContext[] = [];
    const applied: Entry[] = [];
    for (let calls = 0; this.core.hasReady(); calls++) {
      if (calls > readyCallsMax) throw new Error(`${this.id} is ready for ever: ${JSON.stringify(this.core.status())}`);
      const ready = this.core.ready();
      messages.push(...ready.messages);
      confirmed.push(...ready.confirmedReads);
      voided.push(...ready.voidedReads);
      applied.push(...ready.committed);
      if (ready.snapshotsWanted.length > 0) this.wanted = [...new Set([...this.wanted, ...ready.snapshotsWanted])];
      if (ready.persist !== undefined) this.unwritten = [...this.unwritten, ready.persist];
      if (ready.persist?.snapshot !== undefined) this.appliedIndex = ready.persist.snapshot.index;
      this.#apply(ready.committed);
    }
    if (this.core.role !== 'leader') this.wanted = [];
    return { messages, asked, confirmed, voided, applied };
  }

  #apply(committed: readonly Entry[]): void {
    for (const entry of committed) {
      if (entry.index !== this.appliedIndex + 1) {
        throw new Error(`${this.id} was handed entry ${entry.index} to apply after ${this.appliedIndex}`);
      }
      this.appliedIndex = entry.index;
    }
    if (committed.length > 0) this.core.reportApplied(this.appliedIndex);
  }
}

/** The disk after one step is on it, whole. */
function written(disk: Disk, step: Persist): Disk {
  const base = step.snapshot ?? disk.base;
  const membership = step.snapshotMembership ?? disk.membership;
  let entries = step.snapshot === undefined ? disk.entries : [];
  const first = step.entries[0];
  if (first !== undefined) {
    const lastIndex = base.index + entries.length;
    if (first.index <= base.index || first.index > lastIndex + 1) {
      throw new Error(`step ${step.sequence} starts at ${first.index}, the disk holds ${base.index} to ${lastIndex}`);
    }
    entries = [...entries.slice(0, first.index - base.index - 1), ...step.entries];
  }
  const commit = Math.max(disk.commit, step.commit);
  return { hardState: step.hardState ?? disk.hardState, base, membership, entries, commit, boot: disk.boot };
}
