import { must } from '../../src/base/assert.ts';
import type { Random } from '../../src/base/random.ts';
import { raftDefaults } from '../../src/raft/config.ts';
import type { RaftConfig } from '../../src/raft/config.ts';
import type { Membership } from '../../src/raft/membership.ts';
import { RaftCore } from '../../src/raft/raft-core.ts';
import { isSystemData } from '../../src/raft/system-entries.ts';
import type {
  ConfirmedRead,
  Entry,
  MemberId,
  Message,
  Persist,
  ReadContext,
  Ready,
  SoftState,
  TransferEnd,
} from '../../src/raft/types.ts';
import { Disk } from './disk.ts';

export type Settings = Partial<Omit<RaftConfig, 'id' | 'boot' | 'random'>>;

/** What a test cluster may want to see of each member, as it happens. */
export interface Observer {
  sent?(member: Member, message: Message): void;
  handed?(member: Member, step: Persist): void;
  wrote?(member: Member, step?: Persist): void;
  applied?(member: Member, entry: Entry): void;
  confirmed?(member: Member, read: ConfirmedRead): void;
  voided?(member: Member, context: ReadContext): void;
  wanted?(member: Member, peer: MemberId): void;
  changed?(member: Member, state: SoftState): void;
}

/** A host of one core in memory: a disk that is as slow as the test wants, and a list for a state machine. */
export class Member {
  readonly id: MemberId;
  readonly disk = new Disk();
  /** Undefined while crashed. */
  core: RaftCore | undefined;
  /** Handed out, not yet on disk. */
  unwritten: Persist[] = [];
  /** Data of the entries applied in this boot, empty ones left out. */
  applied: Entry[] = [];
  confirmed: ConfirmedRead[] = [];
  voided: ReadContext[] = [];
  snapshotsWanted: MemberId[] = [];
  /** As handed out last. */
  membership: Membership | undefined;
  committedMembership: Membership | undefined;
  transfersEnded: TransferEnd[] = [];
  /** Handed out to be applied up to here, in this boot. */
  appliedIndex = 0;
  /** Writes and reports each step at once. */
  writesAtOnce = true;
  readonly #random: Random;
  readonly #settings: Settings;
  readonly #observers: readonly Observer[];
  #counter = 0;

  constructor(
    id: MemberId,
    membership: Membership,
    random: Random,
    settings: Settings,
    observers: readonly Observer[],
  ) {
    this.id = id;
    this.disk.membership = membership;
    this.#random = random;
    this.#settings = settings;
    this.#observers = observers;
    this.start();
  }

  /** The core, which must be running. */
  get raft(): RaftCore {
    if (this.core === undefined) throw new Error(`${this.id} is crashed`);
    return this.core;
  }

  /** Starts anew from what is on disk, with the next boot. */
  start(): void {
    this.disk.boot += 1;
    const initial = this.disk.initial();
    this.unwritten = [];
    this.applied = [];
    this.confirmed = [];
    this.voided = [];
    this.snapshotsWanted = [];
    this.membership = undefined;
    this.committedMembership = undefined;
    this.transfersEnded = [];
    this.appliedIndex = initial.applied;
    const { id } = this;
    const config = { ...raftDefaults, ...this.#settings, id, boot: this.disk.boot };
    this.core = new RaftCore({ ...config, random: this.#random }, initial);
  }

  /** Stops at once. The first `written` of the steps under way are on disk all the same, though never reported. */
  crash(written = 0): void {
    for (const step of this.unwritten.slice(0, written)) this.disk.write(step);
    for (const observer of this.#observers) observer.wrote?.(this);
    this.unwritten = [];
    this.core = undefined;
  }

  /** Takes what is ready until nothing is, and returns the messages. */
  drain(): Message[] {
    const messages: Message[] = [];
    for (let times = 0; this.core?.hasReady() === true; times++) {
      if (times > 10_000) throw new Error(`${this.id} is ready for ever: ${JSON.stringify(this.core.status())}`);
      messages.push(...this.once());
    }
    if (this.core !== undefined) mustBeEmpty(this.core.ready());
    return messages;
  }

  /** Takes one Ready and returns its messages. */
  once(): Message[] {
    const ready = this.raft.ready();
    for (const observer of this.#observers)
      if (ready.softState !== undefined) observer.changed?.(this, ready.softState);
    for (const message of ready.messages) for (const observer of this.#observers) observer.sent?.(this, message);
    if (ready.persist !== undefined) {
      this.unwritten.push(ready.persist);
      for (const observer of this.#observers) observer.handed?.(this, ready.persist);
      if (ready.persist.snapshot !== undefined) this.appliedIndex = ready.persist.snapshot.index;
    }
    this.membership = ready.membership ?? this.membership;
    this.committedMembership = ready.committedMembership ?? this.committedMembership;
    this.transfersEnded.push(...ready.transfersEnded);
    this.#apply(ready);
    this.voided.push(...ready.voidedReads);
    for (const observer of this.#observers) for (const read of ready.voidedReads) observer.voided?.(this, read);
    this.snapshotsWanted.push(...ready.snapshotsWanted);
    for (const observer of this.#observers) for (const peer of ready.snapshotsWanted) observer.wanted?.(this, peer);
    for (const read of ready.confirmedReads) {
      this.confirmed.push(read);
      for (const observer of this.#observers) observer.confirmed?.(this, read);
    }
    if (this.writesAtOnce) this.write();
    return [...ready.messages];
  }

  /** Writes the first `count` steps under way, all by default, and reports them. */
  write(count = this.unwritten.length): void {
    const steps = this.unwritten.splice(0, count);
    for (const step of steps) {
      this.disk.write(step);
      for (const observer of this.#observers) observer.wrote?.(this, step);
    }
    const last = steps.at(-1);
    if (last !== undefined) this.raft.reportDurable(last.sequence);
  }

  /** Starts a read and returns its context. */
  read(): ReadContext {
    this.#counter += 1;
    const context = { member: this.id, boot: this.disk.boot, counter: this.#counter };
    this.raft.readIndex(context);
    return context;
  }

  /** Drops the log up to `index` in core and on disk. */
  compact(index: number): void {
    const membership = must(this.raft.membershipAt(index), `membership at ${index}`);
    this.raft.compact(index);
    this.disk.compact(index, membership);
  }

  /** Applied data as text. */
  get state(): string[] {
    return this.applied.map((entry) => Buffer.from(entry.data).toString());
  }

  #apply(ready: Ready): void {
    for (const entry of ready.committed) {
      if (entry.index !== this.appliedIndex + 1) {
        throw new Error(`${this.id} was handed entry ${entry.index} after ${this.appliedIndex}`);
      }
      this.appliedIndex = entry.index;
      if (entry.data.length > 0 && !isSystemData(entry.data)) this.applied.push(entry);
      for (const observer of this.#observers) observer.applied?.(this, entry);
    }
    if (ready.committed.length > 0) this.raft.reportApplied(this.appliedIndex);
  }
}

/** What a core hands out although hasReady() said that there was nothing would be lost on a host. */
function mustBeEmpty(ready: Ready): void {
  const { messages, committed, confirmedReads, voidedReads, snapshotsWanted, transfersEnded } = ready;
  const lists = [messages, committed, confirmedReads, voidedReads, snapshotsWanted, transfersEnded];
  const empty = lists.every((list) => list.length === 0) && ready.persist === undefined;
  const news = [ready.softState, ready.membership, ready.committedMembership].some((part) => part !== undefined);
  if (!empty || news) throw new Error(`hasReady() missed ${JSON.stringify(ready)}`);
}
