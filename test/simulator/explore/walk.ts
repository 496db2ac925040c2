import { must } from '../../../src/base/assert.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import type { RaftCore } from '../../../src/raft/raft-core.ts';
import type { MemberId, Message } from '../../../src/raft/types.ts';
import { Cluster } from './cluster.ts';
import type { Move } from './cluster.ts';
import { changeMenu } from './host.ts';
import type { Host } from './host.ts';
import { planOf } from './path.ts';
import type { Plan } from './path.ts';

export interface WalkOptions {
  readonly seed: number;
  readonly steps: number;
  /** Asked every few thousand steps. */
  readonly mustStop?: (result: WalkResult) => boolean;
}

/** Counts of what the walks came to; a kind of event that never happens shows a fault of the weights. */
export interface WalkResult {
  readonly steps: number;
  readonly lives: number;
  readonly elections: number;
  readonly commits: number;
  readonly reads: number;
  readonly crashes: number;
  readonly snapshots: number;
  /** Asked for; not all are taken. */
  readonly changes: number;
  readonly breach?: { readonly what: string; readonly members: number; readonly plans: readonly Plan[] };
}

/** Likelihood of each kind of move out of 1,000, drawn anew for each life; the rest delivers messages. */
interface Weights {
  readonly tick: number;
  readonly persist: number;
  readonly propose: number;
  readonly read: number;
  readonly crash: number;
  readonly compact: number;
  readonly unreachable: number;
  readonly stall: number;
  readonly partition: number;
  readonly change: number;
  readonly transfer: number;
  readonly suspect: number;
  /** Out of 100: of the messages that are picked. */
  readonly lost: number;
  readonly repeated: number;
}

const lifeStepsMin = 60;
const lifeStepsMax = 800;
const drawsPerStepMax = 20;
/** More on the wire than this are lost, the oldest first: a wire that only grows delivers nothing new. */
const wireMax = 60;
const logMax = 24;
const progressEvery = 4096;

/** Random lives of clusters of 2 to 5 members, decided by the seed alone. Runs the core as it is. */
export class Walk {
  readonly #Core: typeof RaftCore;
  readonly #random: SeededRandom;
  readonly #options: WalkOptions;
  readonly #counts = { steps: 0, lives: 0, elections: 0, commits: 0, reads: 0, crashes: 0, snapshots: 0, changes: 0 };
  #breach: WalkResult['breach'];

  constructor(Core: typeof RaftCore, options: WalkOptions) {
    this.#Core = Core;
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  run(): WalkResult {
    const { steps, mustStop } = this.#options;
    let nextProgress = progressEvery;
    while (this.#counts.steps < steps && this.#breach === undefined) {
      this.#live();
      if (this.#counts.steps < nextProgress) continue;
      nextProgress = this.#counts.steps + progressEvery;
      if (mustStop?.(this.#result()) === true) break;
    }
    return this.#result();
  }

  #result(): WalkResult {
    return { ...this.#counts, ...(this.#breach === undefined ? {} : { breach: this.#breach }) };
  }

  #live(): void {
    const members = must([3, 3, 3, 3, 5, 5, 4, 2][this.#below(8)], 'number of members');
    const life = new Life(this.#Core, members, this.#random);
    const steps = lifeStepsMin + this.#below(lifeStepsMax - lifeStepsMin);
    this.#counts.lives += 1;
    const moves: Move[] = [];
    // Of what is drawn, a part can not be done at that moment.
    for (let draws = 0; moves.length < steps && draws < steps * drawsPerStepMax; draws++) {
      const move = life.nextMove();
      if (move === undefined) continue;
      this.#counts.steps += 1;
      moves.push(move);
      const { breach } = life.cluster.make(move);
      if (breach !== undefined) {
        this.#breach = { what: breach, members, plans: moves.map(planOf) };
        return;
      }
      if (move.kind === 'at' && move.input.kind === 'crash') this.#counts.crashes += 1;
      if (move.kind === 'at' && move.input.kind === 'snapshot') this.#counts.snapshots += 1;
      if (move.kind === 'at' && move.input.kind === 'read') this.#counts.reads += 1;
      if (move.kind === 'at' && move.input.kind === 'change') this.#counts.changes += 1;
    }
    this.#counts.elections += life.cluster.ghost.leaders.size;
    this.#counts.commits += life.cluster.ghost.commits.length;
  }

  #below(limit: number): number {
    return this.#random.below('walk', limit);
  }
}

/** One life of one cluster. */
class Life {
  readonly cluster: Cluster;
  readonly #random: SeededRandom;
  readonly #weights: Weights;
  /** Members of unlike sides do not hear each other. */
  #sides: readonly number[];
  #label = 0;
  /** What is left of the draw for the next move. */
  #draw = 0;

  constructor(Core: typeof RaftCore, members: number, random: SeededRandom) {
    this.cluster = new Cluster(Core, members);
    this.#random = random;
    this.#sides = this.cluster.ids.map(() => 0);
    this.#weights = {
      tick: 10 + this.#below(150),
      persist: 60 + this.#below(250),
      propose: this.#below(90),
      read: this.#below(50),
      crash: this.#below(3) === 0 ? 0 : this.#below(12),
      compact: this.#below(3) === 0 ? 0 : this.#below(25),
      unreachable: this.#below(8),
      stall: this.#below(6),
      partition: this.#below(3) === 0 ? 0 : this.#below(20),
      change: this.#below(2) === 0 ? 0 : this.#below(30),
      transfer: this.#below(2) === 0 ? 0 : this.#below(12),
      suspect: this.#below(2) === 0 ? 0 : this.#below(12),
      lost: this.#below(20),
      repeated: this.#below(20),
    };
  }

  /** Undefined when what was drawn can not be done now. */
  nextMove(): Move | undefined {
    const { cluster } = this;
    if (cluster.wire.length > wireMax) return { kind: 'lose', message: must(cluster.wire[0], 'message') };
    const weights = this.#weights;
    const host = must(cluster.hosts[this.#below(cluster.hosts.length)], 'host');
    const member = host.id;
    this.#draw = this.#below(1000);
    if (this.#falls(weights.tick)) return this.#ticks(host);
    if (this.#falls(weights.persist)) return this.#persist(host);
    if (this.#falls(weights.propose)) return this.#propose();
    if (this.#falls(weights.read)) return { kind: 'at', member, input: { kind: 'read' } };
    if (this.#falls(weights.crash)) {
      return { kind: 'at', member, input: { kind: 'crash', written: this.#below(host.unwritten.length + 1) } };
    }
    if (this.#falls(weights.compact)) return { kind: 'at', member, input: { kind: 'compact' } };
    if (this.#falls(weights.unreachable)) {
      return { kind: 'at', member, input: { kind: 'unreachable', peer: this.#other(member) } };
    }
    if (this.#falls(weights.stall)) return { kind: 'at', member, input: { kind: 'stall' } };
    if (this.#falls(weights.change)) return this.#change();
    if (this.#falls(weights.transfer)) {
      return { kind: 'at', member, input: { kind: 'transfer', to: this.#other(member) } };
    }
    if (this.#falls(weights.suspect)) return { kind: 'at', member, input: { kind: 'suspect' } };
    if (this.#falls(weights.partition)) this.#part();
    return this.#snapshot() ?? this.#message();
  }

  /** A leader ticks more often than the others, or there would be elections and little else. */
  #ticks({ id, core }: Host): Move | undefined {
    if (core.role !== 'leader' && this.#below(3) > 0) return undefined;
    return { kind: 'at', member: id, input: { kind: 'ticks', count: this.#below(4) === 0 ? 1 + this.#below(3) : 1 } };
  }

  #falls(weight: number): boolean {
    this.#draw -= weight;
    return this.#draw < 0;
  }

  #persist(host: Host): Move | undefined {
    return host.unwritten.length === 0 ? undefined : { kind: 'at', member: host.id, input: { kind: 'persist' } };
  }

  #propose(): Move | undefined {
    const leaders = this.cluster.hosts.filter(({ core }) => core.role === 'leader' && core.lastIndex < logMax);
    const host = leaders[this.#below(Math.max(1, leaders.length))];
    if (host === undefined) return undefined;
    this.#label = (this.#label + 1) % 256;
    return { kind: 'at', member: host.id, input: { kind: 'propose', label: this.#label } };
  }

  /** By a leader, which alone takes them. */
  #change(): Move | undefined {
    const { hosts, ids } = this.cluster;
    const leader = hosts.find(({ core }) => core.role === 'leader' && core.lastIndex < logMax);
    if (leader === undefined) return undefined;
    const menu = changeMenu(ids);
    const number = this.#below(menu.length);
    // A removed member never comes back: with many of these there would soon be nobody left to change.
    if (menu[number]?.some(({ kind }) => kind === 'remove') === true && this.#below(3) > 0) return undefined;
    return { kind: 'at', member: leader.id, input: { kind: 'change', number } };
  }

  #snapshot(): Move | undefined {
    const host = this.cluster.hosts.find(({ wanted }) => wanted.length > 0);
    const peer = host?.wanted[0];
    if (host === undefined || peer === undefined || this.#below(4) > 0) return undefined;
    return { kind: 'at', member: host.id, input: { kind: 'snapshot', peer } };
  }

  #message(): Move | undefined {
    const { wire } = this.cluster;
    if (wire.length === 0) return undefined;
    // Mostly the older ones: with all alike nothing would ever be agreed on.
    const reach = this.#below(3) === 0 ? wire.length : Math.min(wire.length, 6);
    const message = must(wire[this.#below(reach)], 'message');
    if (this.#isCut(message)) return this.#below(3) === 0 ? { kind: 'lose', message } : undefined;
    const fate = this.#below(100);
    if (fate < this.#weights.lost) return { kind: 'lose', message };
    return { kind: 'deliver', message, keeps: fate < this.#weights.lost + this.#weights.repeated };
  }

  #isCut({ from, to }: Message): boolean {
    return this.#sideOf(from) !== this.#sideOf(to);
  }

  #sideOf(id: MemberId): number {
    return this.#sides[this.cluster.ids.indexOf(id)] ?? 0;
  }

  #part(): void {
    const healed = this.#below(2) === 0;
    this.#sides = this.cluster.ids.map(() => (healed ? 0 : this.#below(2)));
  }

  #other(id: MemberId): MemberId {
    const others = this.cluster.ids.filter((some) => some !== id);
    return must(others[this.#below(others.length)], 'peer');
  }

  #below(limit: number): number {
    return this.#random.below('walk', limit);
  }
}
