import { must } from '../../../src/base/assert.ts';
import { StorageError } from '../../../src/base/errors.ts';
import { type Random, SeededRandom } from '../../../src/base/random.ts';
import { MemoryNetwork } from '../../../src/transport/memory-network.ts';
import type { KnownMemberships } from '../checkers/known-memberships.ts';
import type { LoggedMembership } from '../checkers/membership-entry.ts';
import { askToJoin } from '../operators/join.ts';
import type { SimEvent } from '../types.ts';
import { Links } from '../world/links.ts';
import { MachineClock } from '../world/process-clock.ts';
import type { WorldClock } from '../world/world-clock.ts';
import type { CrashPoint } from './crash-points.ts';
import { MachineDisk } from './machine-disk.ts';
import { Life, type MemberSetup, type ServedMember } from './sim-member.ts';
import { SyncedDisk } from './synced-disk.ts';

/** What of a member stands still: with one thread it is always both. */
export type Side = 'both' | 'serving' | 'consensus';

/** One machine and the member on it: what outlasts the lives of its process. */
export interface SimMember {
  readonly id: string;
  /** It came later, by joining: as a learner that waits to be promoted, or to vote as soon as it can. */
  readonly joins: 'no' | 'learner' | 'voter';
  readonly machine: MachineClock;
  readonly disk: MachineDisk;
  life: Life | undefined;
  lives: number;
  /** What its disk was made to suffer: a start may fail for it, and only then. Empty: nothing. */
  readonly suffered: Set<string>;
  /** Its directory is another's, an old one, or empty. */
  foreign: boolean;
  /** It has once come so far that its cluster was formed. */
  formed: boolean;
  /** It has begun to run on the directory that it has now: whatever is wrong with that, it is its own. */
  ranOn: boolean;
  /** It must not be started by itself. */
  held: boolean;
  /** When a side of it stood still, by the world's clock; the last one may last. */
  readonly pauses: { readonly fromMs: number; toMs: number }[];
}

export interface SimClusterOptions {
  /** Of the members that form the cluster. */
  readonly ids: readonly string[];
  readonly setup: MemberSetup;
  readonly world: WorldClock;
  readonly random: Random;
  readonly tell: (event: SimEvent) => void;
  /** A member's process ended by itself. */
  readonly onEnded: (member: SimMember, error: unknown) => void;
  /** A life has its parts, and clients may call them. */
  readonly onServing: (member: SimMember, life: Life, services: ServedMember) => void;
  /** It is to end in order: resolves when its clients have left. */
  readonly onStopping: (member: SimMember, graceMs: number) => Promise<void>;
  /** Its process is gone. */
  readonly onDown: (member: SimMember) => void;
  readonly syncMs: () => number;
  /** Milliseconds after which a process that is down is started again. */
  readonly restartAfterMs: () => number;
  /** What is known of who belongs to the cluster. */
  readonly memberships: KnownMemberships;
}

const stopGraceMs = 2_000;

interface ArmedPoint {
  readonly member: string;
  readonly point: CrashPoint;
  hitsLeft: number;
  readonly fire: (life: Life) => void;
}

/** A whole cluster on machines of its own world. Nothing in it moves but by the world's clock. */
export class SimCluster {
  readonly links: Links;
  readonly network: MemoryNetwork;
  readonly #options: SimClusterOptions;
  /** Also those whose machines are gone. */
  readonly #all: SimMember[] = [];
  #members: readonly SimMember[] = [];
  #armed: ArmedPoint[] = [];
  /** Whom operators have ordered to be taken out, and have not given up on. */
  readonly leaving = new Set<string>();
  /** Names that lead to other hosts than they should, by who dials. */
  readonly redirects = new Map<string, string>();
  /** How often each point was passed. */
  readonly passed = new Map<CrashPoint, number>();

  constructor(options: SimClusterOptions) {
    this.#options = options;
    const { world, random } = options;
    this.links = new Links(random);
    this.network = new MemoryNetwork({
      clock: world,
      delayMs: ({ from, to }) => this.links.delayMs(from, to),
      archiveMax: 200,
      resolve: (from, host) => this.redirects.get(`${from} ${host}`) ?? host,
    });
    this.links.add(this.network);
    for (const id of options.ids) this.#add(id, 'no');
  }

  get world(): WorldClock {
    return this.#options.world;
  }

  /** Those that have a machine. */
  get members(): readonly SimMember[] {
    return this.#members;
  }

  get ids(): readonly string[] {
    return this.#members.map(({ id }) => id);
  }

  /** Of the members that formed the cluster: the ones that clients know from the beginning. */
  get firstIds(): readonly string[] {
    return this.#options.ids;
  }

  /** Also one whose machine is gone. */
  member(id: string): SimMember {
    return must(
      this.#all.find((one) => one.id === id),
      `member ${id}`,
    );
  }

  /** As the newest committed entry says it. */
  get membership(): LoggedMembership {
    return this.#options.memberships.newest.membership;
  }

  /** As the last entry of any log says it, which may never be committed. */
  get latestMembership(): LoggedMembership {
    return this.#options.memberships.latest.membership;
  }

  /** They have votes that count. */
  get voters(): readonly SimMember[] {
    const { voters, outgoing } = this.membership;
    return this.#members.filter(({ id }) => voters.includes(id) || outgoing.includes(id));
  }

  /** They belong to the cluster, by what is committed. */
  get belonging(): readonly SimMember[] {
    const { voters, outgoing, learners } = this.membership;
    return this.#members.filter(({ id }) => [...voters, ...outgoing, ...learners].includes(id));
  }

  wasRemoved(member: SimMember): boolean {
    return this.membership.removed.includes(member.id);
  }

  /** A new machine with an empty disk, and a process on it that asks to be taken in. */
  join(as: 'learner' | 'voter'): SimMember {
    const member = this.#add(String.fromCharCode('a'.charCodeAt(0) + this.#all.length), as);
    // What goes to a member that stands still lies in its sockets, whoever sends it.
    for (const other of this.members) {
      if (other.life?.consensusClock.isFrozen === true) this.links.cut(member.id, other.id, 'frozen');
    }
    this.start(member);
    return member;
  }

  /** The machine goes away for good. */
  retire(member: SimMember): void {
    member.held = true;
    this.kill(member, false, false);
    this.#members = this.#members.filter((one) => one !== member);
  }

  get running(): readonly SimMember[] {
    return this.members.filter(({ life }) => life !== undefined);
  }

  /** Runs, and no side of it stands still. */
  get awake(): readonly SimMember[] {
    return this.members.filter(({ life }) => life?.isAwake === true);
  }

  /** The member that leads the newest term, as far as members say; undefined where none does. */
  get leader(): SimMember | undefined {
    let found: { readonly member: SimMember; readonly term: number } | undefined;
    for (const member of this.members) {
      const status = member.life?.replica?.status();
      if (status?.role === 'leader' && status.term > (found?.term ?? -1)) found = { member, term: status.term };
    }
    return found?.member;
  }

  /** A random member that answers, of those that this host reaches; undefined: there is none. */
  anyServing(from: string): SimMember | undefined {
    const found = this.awake.filter(({ id, life }) => {
      return life?.replica?.phase === 'serving' && id !== from && !this.links.isCut(from, id);
    });
    return found[this.#options.random.below('who is asked', Math.max(1, found.length))];
  }

  /** What the present life of a member has synced; undefined where its directory is not its own. */
  syncedDisk(id: string): SyncedDisk | undefined {
    const { disk, foreign } = this.member(id);
    return foreign ? undefined : new SyncedDisk(disk.disk);
  }

  /** It stands at the head of the newest term, and goes on. */
  leads(member: SimMember): boolean {
    return this.leader === member && member.life?.isAwake === true;
  }

  /** How each member stands, for a person. */
  describe(): string {
    const texts = this.members.map(({ id, life }) => {
      const status = life?.replica?.status();
      if (status === undefined) return `${id} is down`;
      const { phase, role, term, leader, commit, applied, lastIndex, durableIndex, waitingFor } = status;
      const what = `${id} ${phase} ${role} of term ${term} under ${leader || 'nobody'}`;
      const waits = waitingFor === '' ? '' : ` waits for ${waitingFor}`;
      return `${what}, last ${lastIndex}, durable ${durableIndex}, commit ${commit}, applied ${applied}${waits}`;
    });
    return texts.join('; ');
  }

  start(member: SimMember): void {
    if (member.life !== undefined || !this.#members.includes(member)) return;
    const { setup, tell, random, ids } = this.#options;
    const isFirst = member.joins === 'no';
    const life: Life = new Life({
      id: member.id,
      host: member.id,
      number: ++member.lives,
      setup,
      initialMembers: isFirst ? ids.map((id) => ({ id, peerAddress: `${id}:1` })) : [],
      ...(isFirst ? {} : { join: { ask: (address: string) => askToJoin(this, member, life, address) } }),
      machine: member.machine,
      disk: member.disk,
      network: this.network,
      random,
      tell: (event) => {
        if (event.kind === 'recovered') {
          member.formed = true;
          member.ranOn = true;
        }
        // What is found in a directory that is not its own says nothing of it.
        if (!member.foreign || (event.kind !== 'recovered' && event.kind !== 'loaded')) tell(event);
      },
      hit: (which, point) => this.#hit(which, point),
      onFatal: (which, error) => this.#ended(member, which, error),
      onServing: (which, services) => this.#options.onServing(member, which, services),
    });
    member.life = life;
    life.start().catch((error: unknown) => {
      if (!life.isOver) this.#ended(member, life, error);
    });
  }

  /**
   * Another cluster of one member with this name, on a host of its own, that knows nothing of this one. Returns its
   * end; nobody is told of it.
   */
  startForeign(id: string, host: string): () => void {
    const { setup, world, syncMs } = this.#options;
    // Of its own: what it draws moves nothing in this cluster.
    const random = new SeededRandom(this.#options.random.below('foreign', 2 ** 32));
    const disk = new MachineDisk({ clock: world, random, syncMs, hit: () => undefined });
    const life = new Life({
      id,
      host,
      number: 1,
      setup,
      initialMembers: [{ id, peerAddress: `${host}:1` }],
      machine: new MachineClock(world),
      disk,
      network: this.network,
      random,
      tell: () => undefined,
      hit: () => undefined,
      onFatal: (which) => which.end(),
      onServing: () => undefined,
    });
    void life.start();
    return () => life.end();
  }

  /** Ends the process without a word. `power`: the machine too, so that what was not synced is lost or not. */
  kill(member: SimMember, power: boolean, restart: boolean = true): void {
    const { life } = member;
    if (life === undefined) return;
    this.#down(member, life, power ? 'crash' : 'kill', '');
    if (restart) this.restartLater(member);
  }

  /** An orderly end; resolves when the process is gone. */
  async stop(member: SimMember): Promise<void> {
    const { life } = member;
    if (life === undefined) return;
    try {
      // As the server does: watches and clients go first.
      life.services?.hub.stop('the member is stopping');
      await this.#options.onStopping(member, stopGraceMs);
      await life.replica?.stop(stopGraceMs);
    } catch (error) {
      // A disk that does not answer is no fault of the member.
      if (!(error instanceof StorageError)) throw error;
    }
    if (member.life === life) this.#down(member, life, 'stop', '');
  }

  restartLater(member: SimMember, afterMs: number = this.#options.restartAfterMs()): void {
    this.#options.world.setTimer(afterMs, () => {
      if (!member.held) this.start(member);
    });
  }

  freeze(member: SimMember, side: Side): boolean {
    const { life } = member;
    if (life === undefined || !life.isAwake) return false;
    member.pauses.push({ fromMs: this.#options.world.monotonicMs(), toMs: Number.POSITIVE_INFINITY });
    if (side !== 'consensus') life.clock.freeze();
    if (side === 'serving' && life.clock !== life.consensusClock) return true;
    life.consensusClock.freeze();
    // What comes for it lies in its sockets.
    for (const other of this.#peerHosts(member)) this.links.cut(other, member.id, 'frozen');
    return true;
  }

  thaw(member: SimMember): void {
    this.#goesOn(member);
    // The timers go first, the sockets are read in the turn that follows.
    for (const other of this.#peerHosts(member)) this.links.heal(other, member.id, 'frozen');
    const { life } = member;
    life?.consensusClock.thaw();
    life?.clock.thaw();
  }

  /** How long and how often a member stood still within these moments. */
  pausesOf(id: string, fromMs: number, toMs: number): { readonly ms: number; readonly count: number } {
    const within = this.member(id).pauses.filter((pause) => pause.fromMs < toMs && pause.toMs > fromMs);
    const lengths = within.map((pause) => Math.min(toMs, pause.toMs) - Math.max(fromMs, pause.fromMs));
    return { ms: lengths.reduce((sum, ms) => sum + ms, 0), count: within.length };
  }

  /** The next time, or a later one, that the member passes this point, `fire` is called in the midst of it. */
  arm(member: SimMember, point: CrashPoint, hits: number, fire: (life: Life) => void): () => boolean {
    const armed: ArmedPoint = { member: member.id, point, hitsLeft: hits, fire };
    this.#armed.push(armed);
    return () => {
      const wasArmed = this.#armed.includes(armed);
      this.#armed = this.#armed.filter((one) => one !== armed);
      return wasArmed;
    };
  }

  #hit(life: Life, point: CrashPoint): void {
    this.passed.set(point, (this.passed.get(point) ?? 0) + 1);
    if (this.#armed.length === 0) return;
    const armed = this.#armed.find((one) => one.member === life.member && one.point === point);
    if (armed === undefined || --armed.hitsLeft > 0) return;
    this.#armed = this.#armed.filter((one) => one !== armed);
    armed.fire(life);
  }

  #ended(member: SimMember, life: Life, error: unknown): void {
    if (member.life !== life) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#down(member, life, 'ended', reason);
    this.#options.onEnded(member, error);
  }

  #down(member: SimMember, life: Life, how: 'crash' | 'kill' | 'stop' | 'ended', reason: string): void {
    const { id } = member;
    this.#options.tell({ kind: 'down', member: id, life: life.life, how, reason });
    member.life = undefined;
    this.#goesOn(member);
    life.end();
    this.#options.onDown(member);
    member.disk.ended(how === 'crash');
    for (const other of this.#peerHosts(member)) this.links.heal(other, id, 'frozen');
  }

  #goesOn({ pauses }: SimMember): void {
    const last = pauses.at(-1);
    if (last?.toMs === Number.POSITIVE_INFINITY) last.toMs = this.#options.world.monotonicMs();
  }

  #peerHosts(member: SimMember): readonly string[] {
    return this.ids.filter((id) => id !== member.id);
  }

  #add(id: string, joins: SimMember['joins']): SimMember {
    const { world, random, syncMs } = this.#options;
    const member: SimMember = {
      id,
      joins,
      machine: new MachineClock(world),
      disk: new MachineDisk({
        clock: world,
        random,
        syncMs,
        hit: (point) => {
          const { life } = this.member(id);
          if (life !== undefined) life.hit(point);
        },
      }),
      life: undefined,
      lives: 0,
      suffered: new Set(),
      foreign: false,
      formed: false,
      ranOn: false,
      held: false,
      pauses: [],
    };
    this.#all.push(member);
    this.#members = [...this.#members, member];
    return member;
  }
}
