import type { SimCluster } from '../cluster/sim-cluster.ts';
import type { Observer, SimEvent } from '../types.ts';
import type { RunRecorder } from './recorder.ts';

/** Which of the named situations a run came into. */
export class Situations implements Observer {
  readonly name = 'situations';
  readonly seen = new Set<string>();
  readonly #cluster: SimCluster;
  readonly #recorder: RunRecorder;
  readonly #active: () => ReadonlySet<string>;

  constructor(cluster: SimCluster, recorder: RunRecorder, active: () => ReadonlySet<string>) {
    this.#cluster = cluster;
    this.#recorder = recorder;
    this.#active = active;
  }

  see(event: SimEvent): void {
    if (event.kind !== 'fault') return;
    this.seen.add(event.name);
    if (this.#recorder.open.size > 0) this.seen.add(`${event.name} with open calls`);
    for (const other of this.#active()) this.seen.add(`${event.name} with ${other}`);
    if (this.#cluster.leader === undefined) this.seen.add(`${event.name} without a leader`);
  }
}

/** Named situations that too few runs came into. */
export function missedSituations(
  _seen: ReadonlyMap<string, number>,
  _profile: string,
  _seeds: number,
): { readonly names: readonly string[]; readonly table: readonly string[] } {
  return { names: [], table: [] };
}
