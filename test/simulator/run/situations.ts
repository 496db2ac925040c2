import type { SimCluster } from '../cluster/sim-cluster.ts';
import type { Observer, SimEvent } from '../types.ts';
import type { RunRecorder } from './recorder.ts';
import { namedSituations, seedsPerSituation } from './situation-list.ts';

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
    switch (event.kind) {
      case 'fault':
        this.#came(event.name);
        if (event.name === 'die-at-point') return;
        break;
      case 'note':
        this.#came(event.text);
        break;
      case 'role':
        this.#role(event);
        break;
      case 'replica':
        this.#replica(event);
        break;
      case 'down':
        this.#receiving.delete(event.member);
        if (event.how === 'ended') this.#came('a member ends by itself');
        break;
      case 'watched':
        if (event.step.coalesced) this.#came('a watcher is told the latest only');
        if (event.step.kind === 'reset') this.#came('a watch is reset');
        break;
      case 'returned':
        this.#returned(event.operation.outcome?.kind, event.operation.action.kind);
        break;
      case 'client-gone':
        this.#came('a client is gone');
        break;
      default:
    }
  }

  #role({ member, term, role }: Extract<SimEvent, { kind: 'role' }>): void {
    if (role === 'leader') this.#came('a leader is elected');
    if (role !== 'candidate') return;
    const other = this.#candidates.get(term);
    if (other !== undefined && other !== member) this.#came('two ask for votes in one term');
    this.#candidates.set(term, member);
  }

  #replica({ member, event }: Extract<SimEvent, { kind: 'replica' }>): void {
    switch (event.kind) {
      case 'snapshot-receiving':
        this.#receiving.add(member);
        this.#came('a snapshot begins to come');
        return;
      case 'snapshot-installed':
        this.#receiving.delete(member);
        this.#came('a snapshot is installed');
        return;
      case 'snapshot-failed':
        this.#came('a snapshot fails');
        return;
      case 'recovered':
        this.#came(event.torn === '' ? 'a member recovers' : 'a torn log is wiped');
        return;
      case 'expired':
        this.#came('leases end');
        return;
      case 'compacted':
        this.#came('a log is compacted');
        return;
      case 'stalled':
        this.#came('a stall is noticed');
        return;
      case 'fenced':
        this.#came('a member fences itself');
        return;
      default:
    }
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
    const { members, leader } = this.#cluster;
    if (leader === undefined) yield 'without a leader';
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

const cuts = /^(?:cut|isolate|mute|deaf|split|bridge|partial)/;

/** Named situations that too few runs came into, and a line for each. Few runs say nothing: then none is missed. */
export function missedSituations(
  seen: ReadonlyMap<string, number>,
  profile: string,
  seeds: number,
): { readonly names: readonly string[]; readonly table: readonly string[] } {
  const least = Math.floor(seeds / seedsPerSituation);
  const table = namedSituations.map((name) => `${String(seen.get(name) ?? 0).padStart(7)}  ${name}`);
  const names = profile === 'mixed' ? namedSituations.filter((name) => (seen.get(name) ?? 0) < least) : [];
  return { names, table };
}
