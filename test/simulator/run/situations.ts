import type { ReplicaEvent } from '../../../src/replica/events.ts';
import { isMembershipEntry, readMembershipEntry } from '../checkers/membership-entry.ts';
import type { SimCluster } from '../cluster/sim-cluster.ts';
import type { Observer, SimEvent, WatchStep } from '../types.ts';
import type { RunRecorder } from './recorder.ts';
import { combinedSituations, rareSeeds, rareSituations, usualSeeds, usualSituations } from './situation-list.ts';

const writes: ReadonlySet<string> = new Set(['register', 'update', 'deregister', 'batch']);

/**
 * Which situations a run came into: each fault and each turn of fortune by its name, and each together with what was
 * under way when it came. Those that must come are named in situation-list.ts.
 */
export class Situations implements Observer {
  readonly name = 'situations';
  readonly seen = new Set<string>();
  readonly #cluster: SimCluster;
  readonly #recorder: RunRecorder;
  readonly #active: () => ReadonlySet<string>;
  readonly #receiving = new Set<string>();
  /** Terms, and who asked for votes in each. */
  readonly #candidates = new Map<number, string>();

  constructor(cluster: SimCluster, recorder: RunRecorder, active: () => ReadonlySet<string>) {
    this.#cluster = cluster;
    this.#recorder = recorder;
    this.#active = active;
  }

  see(event: SimEvent): void {
    const { kind } = event;
    if (kind === 'fault') this.#came(event.name);
    else if (kind === 'note') this.#came(event.text);
    else if (kind === 'role') this.#role(event);
    else if (kind === 'committed') this.#committed(event);
    else if (kind === 'replica') this.#replica(event);
    else if (kind === 'watched') this.#watched(event.step);
    else if (kind === 'returned') this.#returned(event.operation.outcome?.kind, event.operation.action.kind);
    else if (kind === 'client-gone') this.#came('a client is gone');
    else if (kind === 'down') {
      this.#receiving.delete(event.member);
      if (event.how === 'ended') this.#came('a member ends by itself');
    }
  }

  #watched({ coalesced, kind }: WatchStep): void {
    if (coalesced) this.#came('a watcher is told the latest only');
    if (kind === 'reset') this.#came('a watch is reset');
  }

  #committed({ member, entry }: Extract<SimEvent, { kind: 'committed' }>): void {
    if (!isMembershipEntry(entry.data)) return;
    const { voters, outgoing } = readMembershipEntry(entry.data);
    if (outgoing.length > 0) this.#came('a joint state is committed');
    else if (!voters.includes(member) && this.#cluster.leader?.id === member) this.#came('the leader removes itself');
  }

  #role({ member, term, role }: Extract<SimEvent, { kind: 'role' }>): void {
    if (role === 'leader') this.#came('a leader is elected');
    if (role !== 'candidate') return;
    const other = this.#candidates.get(term);
    if (other !== undefined && other !== member) this.#came('two ask for votes in one term');
    this.#candidates.set(term, member);
  }

  #replica({ member, event }: Extract<SimEvent, { kind: 'replica' }>): void {
    if (event.kind === 'snapshot-receiving') this.#receiving.add(member);
    if (event.kind === 'snapshot-installed') this.#receiving.delete(member);
    const torn = event.kind === 'recovered' && event.torn !== '';
    const text = torn ? 'a torn log is wiped' : turns[event.kind];
    if (event.kind === 'transferred') this.#came(`a hand-over ends: ${event.outcome}`);
    if (text !== undefined) this.#came(text);
  }

  #returned(outcome: string | undefined, action: string): void {
    if (outcome === 'unknown') this.#came('the outcome of a call stays unknown');
    if (outcome === 'refused' && writes.has(action)) this.#came('a write is refused for what is there');
  }

  #came(what: string): void {
    this.seen.add(what);
    for (const condition of this.#conditions()) this.seen.add(`${what} ${condition}`);
  }

  *#conditions(): Generator<string> {
    const { members, leader, membership } = this.#cluster;
    if (leader === undefined) yield 'without a leader';
    if (membership.outgoing.length > 0) yield 'in a joint state';
    if (membership.learners.length > 0) yield 'while there is a learner';
    if (members.some(({ formed, joins }) => joins !== 'no' && !formed)) yield 'while a member asks to be taken in';
    if (members.some(({ life }) => life === undefined)) yield 'while a member is down';
    if (members.some(({ life }) => life !== undefined && life.replica?.phase !== 'serving'))
      yield 'while a member starts';
    if (members.some(({ life }) => life?.isAwake === false)) yield 'while a member stands still';
    if (members.some(({ disk }) => disk.slowMs > 0)) yield 'while a disk is slow';
    if (members.some(({ machine }) => machine.rate !== 1)) yield 'while a clock drifts';
    if (this.#receiving.size > 0) yield 'while a snapshot comes';
    const active = this.#active();
    if (active.size >= 3) yield 'with three faults under way';
    for (const name of active) {
      if (name.startsWith('order-')) yield 'while an operator orders';
      if (cuts.test(name)) {
        yield 'while links are cut';
        break;
      }
    }
    yield* this.#openCalls();
  }

  *#openCalls(): Generator<string> {
    const kinds = new Set<string>();
    for (const { action } of this.#recorder.open) kinds.add(writes.has(action.kind) ? 'write' : action.kind);
    if (kinds.has('write')) yield 'with a write open';
    if (kinds.has('discover')) yield 'with a read open';
    if (kinds.has('open-session')) yield 'with a session being opened';
    if (kinds.has('renew')) yield 'with a renewal open';
  }
}

/** What happens in a replica, in the words of the list. */
const turns: { readonly [Kind in ReplicaEvent['kind']]?: string } = {
  'snapshot-receiving': 'a snapshot begins to come',
  'snapshot-installed': 'a snapshot is installed',
  membership: 'a change of the members is done',
  joined: 'a member is taken in',
  removed: 'a member is told that it was removed',
  suspected: 'a leader is suspected',
  'snapshot-failed': 'a snapshot fails',
  recovered: 'a member recovers',
  expired: 'leases end',
  compacted: 'a log is compacted',
  stalled: 'a stall is noticed',
  fenced: 'a member fences itself',
};

const cuts = /^(?:cut|isolate|mute|deaf|split|bridge|partial)/;

/** Named situations that too few runs came into, and a line for each. Few runs say nothing: then none is missed. */
export function missedSituations(
  seen: ReadonlyMap<string, number>,
  profile: string,
  seeds: number,
): { readonly names: readonly string[]; readonly table: readonly string[] } {
  const usual = [...usualSituations, ...combinedSituations];
  const table = [...usual, ...rareSituations].map((name) => `${String(seen.get(name) ?? 0).padStart(7)}  ${name}`);
  if (profile !== 'mixed') return { names: [], table };
  const missed = (names: readonly string[], oneIn: number): readonly string[] =>
    names.filter((name) => (seen.get(name) ?? 0) < Math.floor(seeds / oneIn));
  return { names: [...missed(usual, usualSeeds), ...missed(rareSituations, rareSeeds)], table };
}
