import { must } from '../../../src/base/assert.ts';
import type { MemberId } from '../../../src/raft/types.ts';
import { leftOf, packed, spent } from './budget.ts';
import type { Budget, BudgetName } from './budget.ts';
import { messageKey } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { elapsedTicksOf } from './glass-core.ts';
import { changeMenu, electionTicks } from './host.ts';
import type { Input } from './host.ts';
import { ghostKey, judge } from './invariants.ts';
import type { Ghost } from './invariants.ts';
import { Locals, messagesMax } from './locals.ts';
import type { InputCode, Outcome } from './locals.ts';
import { HashSet, NumberList, RowQueue } from './state-store.ts';
import type { View } from './view.ts';

export interface SearchOptions {
  readonly budget: Budget;
  /** Whatever would raise a member's term above this is not followed. */
  readonly termMax: number;
  /** The search ends when it holds so many states. */
  readonly statesMax: number;
  /** Asked every few thousand states. */
  readonly mustStop?: (progress: SearchResult) => boolean;
}

export interface SearchResult {
  readonly states: number;
  readonly transitions: number;
  /** Moves from the start to the states that were followed last. */
  readonly depth: number;
  /** Every state within the budget was followed. */
  readonly complete: boolean;
  /** States of single members, and runs of the core that it took to know what they do. */
  readonly localStates: number;
  readonly coreRuns: number;
  readonly breach?: Breach;
}

export interface Breach {
  readonly what: string;
  /** From the start of the search; the last move breaks it. */
  readonly path: readonly PathMove[];
}

export interface PathMove {
  readonly member: MemberId;
  readonly input: Input;
  /** A delivered message stays on the wire. */
  readonly keeps: boolean;
}

const memberShift = 2 ** 24;
const keepsFlag = 2 ** 27;
const rowMax = 2 ** 14;
const progressEvery = 4096;

/**
 * Breadth first over the states of a whole cluster: the state of each member, the messages on the wire (a multiset),
 * what the judge remembers, and the budget that is left. Every move is judged, also one that leads to a known state.
 * Two states are taken for one when 64 bits of hash agree: at a million states the odds of an error are 1 to 3e7.
 */
export class Search {
  readonly locals: Locals;
  readonly #options: SearchOptions;
  readonly #members: number;
  readonly #menuLength: number;
  readonly #seen = new HashSet();
  readonly #queue = new RowQueue();
  readonly #parents = new NumberList();
  readonly #moves = new NumberList();
  readonly #ghosts: Ghost[] = [];
  readonly #ghostNumbers = new Map<string, number>();
  /** Members, ghost, budget, then the messages in rising order. */
  readonly #row = new Int32Array(rowMax);
  #rowLength = 0;
  readonly #next = new Int32Array(rowMax);
  readonly #views: View[] = [];
  readonly #startLocals: readonly number[];
  readonly #startWire: readonly number[];
  #at = 0;
  #transitions = 0;
  #depth = 0;
  #breach: Breach | undefined;

  /** @param start With cores of glass-core.ts. Its hosts are copied. */
  constructor(start: Cluster, options: SearchOptions) {
    this.#options = options;
    this.#members = start.ids.length;
    this.locals = new Locals(start.ids);
    this.#menuLength = changeMenu(start.ids).length;
    this.#startWire = start.wire.map((message) => this.locals.messageNumberOf(message)).sort((a, b) => a - b);
    this.#startLocals = start.hosts.map((host) => this.locals.numberOf(host.copy()));
    const all = [...this.#startLocals, this.#ghostNumber(start.ghost), packed(options.budget), ...this.#startWire];
    this.#next.set(all);
    this.#push(all.length, -1, -1);
  }

  run(): SearchResult {
    // The first state of each depth is known when it is pushed, so depths are counted without storing them.
    let endOfDepth = 1;
    for (this.#at = 0; ; this.#at++) {
      if (this.#at === endOfDepth && this.#at < this.#parents.length) {
        this.#depth += 1;
        endOfDepth = this.#parents.length;
      }
      this.#rowLength = this.#queue.take(this.#row);
      if (this.#rowLength < 0) return this.#result(true);
      this.#expand();
      if (this.#breach !== undefined || this.#seen.size >= this.#options.statesMax) return this.#result(false);
      if (this.#at % progressEvery === 0 && this.#options.mustStop?.(this.#result(false)) === true) {
        return this.#result(false);
      }
    }
  }

  #result(complete: boolean): SearchResult {
    return {
      states: this.#seen.size,
      transitions: this.#transitions,
      depth: this.#depth,
      complete,
      localStates: this.locals.count,
      coreRuns: this.locals.runs,
      ...(this.#breach === undefined ? {} : { breach: this.#breach }),
    };
  }

  #expand(): void {
    for (let member = 0; member < this.#members; member++) this.#views[member] = this.#viewOf(member);
    this.#deliver();
    for (let member = 0; member < this.#members && this.#breach === undefined; member++) this.#expandMember(member);
  }

  #deliver(): void {
    const first = this.#members + 2;
    for (let at = first; at < this.#rowLength && this.#breach === undefined; at++) {
      const message = this.#row[at] ?? 0;
      if (at > first && this.#row[at - 1] === message) continue;
      const target = this.locals.targetOf(message);
      this.#go(target, message, at, this.#budget);
      if (this.#left('repeats') > 0) this.#go(target, message, -1, spent(this.#budget, 'repeats'));
    }
  }

  #expandMember(member: number): void {
    const local = this.#row[member] ?? 0;
    const view = must(this.#views[member], 'view');
    const { core, unwritten, wanted } = this.locals.host(local);
    if (unwritten.length > 0) this.#input(member, { kind: 'persist' });
    if (this.#left('crashes') > 0) {
      for (let written = 0; written <= unwritten.length; written++) {
        this.#input(member, { kind: 'crash', written }, 'crashes');
      }
    }
    for (const peer of wanted) this.#input(member, { kind: 'snapshot', peer });
    if (view.applied > view.log.base) this.#input(member, { kind: 'compact' }, 'compacts');
    if (view.role === 'leader') {
      this.#input(member, { kind: 'ticks', count: 1 }, 'beats');
      this.#input(member, { kind: 'propose', label: this.#left('proposals') }, 'proposals');
      for (const peer of this.locals.ids) {
        if (peer !== view.id) this.#input(member, { kind: 'unreachable', peer }, 'breaks');
        if (peer !== view.id) this.#input(member, { kind: 'transfer', to: peer }, 'transfers');
      }
      for (let number = 0; number < this.#menuLength; number++) {
        this.#input(member, { kind: 'change', number }, 'changes');
      }
    } else {
      const elapsed = elapsedTicksOf(core);
      this.#input(member, { kind: 'ticks', count: electionTicks.campaign - elapsed }, 'campaigns');
      if (view.role === 'follower' && view.leader !== '' && elapsed < electionTicks.doubt) {
        this.#input(member, { kind: 'ticks', count: electionTicks.doubt - elapsed }, 'doubts');
      }
      if (view.role === 'follower' && view.leader !== '') this.#input(member, { kind: 'suspect' }, 'suspicions');
    }
    // Without a leader it would be void at once.
    if (view.leader !== '') this.#input(member, { kind: 'read' }, 'reads');
  }

  #input(member: number, input: Input, budget?: BudgetName): void {
    if (this.#breach !== undefined || (budget !== undefined && this.#left(budget) === 0)) return;
    const left = budget === undefined ? this.#budget : spent(this.#budget, budget);
    this.#go(member, this.locals.codeOf(input), -1, left);
  }

  /** @param takes Place in the row of a message that leaves the wire; -1: none. */
  #go(member: number, code: InputCode, takes: number, budget: number): void {
    const local = this.#row[member] ?? 0;
    const outcome = this.locals.outcome(local, code);
    this.#transitions += 1;
    const move = code + member * memberShift + (code < messagesMax && takes < 0 ? keepsFlag : 0);
    if (outcome.breach !== undefined) {
      this.#breach = { what: outcome.breach, path: this.#pathTo(move) };
      return;
    }
    const after = this.locals.view(outcome.to);
    if (after.term > this.#options.termMax) return;
    const ghost = this.#judge(member, after, outcome, move);
    if (ghost < 0) return;
    this.#push(this.#write(member, outcome, takes, ghost, budget), this.#at, move);
  }

  /** Number of what the judge remembers from now on; -1 after a breach. */
  #judge(member: number, after: View, outcome: Outcome, move: number): number {
    const before = must(this.#views[member], 'view');
    this.#views[member] = after;
    const number = this.#row[this.#members] ?? 0;
    const ghost = must(this.#ghosts[number], 'ghost');
    const judged = judge(ghost, { before, after, output: outcome.output, views: this.#views });
    this.#views[member] = before;
    if (judged.breach === undefined) return judged.ghost === ghost ? number : this.#ghostNumber(judged.ghost);
    this.#breach = { what: judged.breach, path: this.#pathTo(move) };
    return -1;
  }

  /** Writes the row of the next state and returns its length. */
  #write(member: number, outcome: Outcome, takes: number, ghost: number, budget: number): number {
    const first = this.#members + 2;
    const next = this.#next;
    for (let at = 0; at < this.#members; at++) next[at] = this.#row[at] ?? 0;
    next[member] = outcome.to;
    next[this.#members] = ghost;
    next[this.#members + 1] = budget;
    let length = first;
    for (let at = first; at < this.#rowLength; at++) {
      if (at !== takes) next[length++] = this.#row[at] ?? 0;
    }
    for (const message of outcome.sent) {
      // Insertion keeps the order, so that equal multisets are equal rows.
      let at = length++;
      for (; at > first && (next[at - 1] ?? 0) > message; at--) next[at] = next[at - 1] ?? 0;
      next[at] = message;
    }
    return length;
  }

  #push(length: number, parent: number, move: number): void {
    let high = 0x9e3779b9;
    let low = length;
    for (let at = 0; at < length; at++) {
      const value = this.#next[at] ?? 0;
      low = Math.imul(low ^ value, 0x85ebca6b);
      low ^= low >>> 15;
      high = Math.imul(high + value, 0xc2b2ae35);
      high ^= high >>> 13;
    }
    low = Math.imul(low ^ (high >>> 16), 0x27d4eb2f);
    if (!this.#seen.add(high, low ^ (low >>> 14))) return;
    this.#queue.push(this.#next, length);
    this.#parents.push(parent);
    this.#moves.push(move);
  }

  #ghostNumber(ghost: Ghost): number {
    const key = ghostKey(ghost);
    const known = this.#ghostNumbers.get(key);
    if (known !== undefined) return known;
    this.#ghosts.push(ghost);
    this.#ghostNumbers.set(key, this.#ghosts.length - 1);
    return this.#ghosts.length - 1;
  }

  #viewOf(member: number): View {
    return this.locals.view(this.#row[member] ?? 0);
  }

  get #budget(): number {
    return this.#row[this.#members + 1] ?? 0;
  }

  #left(name: BudgetName): number {
    return leftOf(this.#budget, name);
  }

  #pathTo(lastMove: number): PathMove[] {
    const path = [this.#readMove(lastMove)];
    for (let at = this.#at; this.#parents.at(at) >= 0; at = this.#parents.at(at)) {
      path.push(this.#readMove(this.#moves.at(at)));
    }
    return path.toReversed();
  }

  /** Moves to a state, by its place in the order of finding. */
  pathOf(state: number): PathMove[] {
    const path: PathMove[] = [];
    for (let at = state; this.#parents.at(at) >= 0; at = this.#parents.at(at)) {
      path.push(this.#readMove(this.#moves.at(at)));
    }
    return path.toReversed();
  }

  /** What the tables say of the end of a path: the members, and the keys of the messages in rising order. */
  endOf(path: readonly PathMove[]): { readonly views: readonly View[]; readonly wire: readonly string[] } {
    const locals = [...this.#startLocals];
    const wire = [...this.#startWire];
    for (const { member, input, keeps } of path) {
      const at = this.locals.ids.indexOf(member);
      const code = this.locals.codeOf(input);
      const outcome = this.locals.outcome(locals[at] ?? 0, code);
      if (input.kind === 'deliver' && !keeps) wire.splice(wire.indexOf(code), 1);
      locals[at] = outcome.to;
      wire.push(...outcome.sent);
    }
    const keys = wire.map((number) => messageKey(this.locals.message(number)));
    return { views: locals.map((local) => this.locals.view(local)), wire: keys.sort() };
  }

  #readMove(move: number): PathMove {
    const code = move % memberShift;
    const member = must(this.locals.ids[Math.floor((move % keepsFlag) / memberShift)], `member of ${move}`);
    return { member, input: this.locals.inputOf(code), keeps: move >= keepsFlag };
  }
}
