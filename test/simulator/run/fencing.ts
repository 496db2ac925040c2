import type { SimCluster, SimMember } from '../cluster/sim-cluster.ts';
import type { Observer, RunView, SimEvent } from '../types.ts';

/** Hashes are to be compared at least so often; the answers take their way, and the odd one hears of it. */
const fenceMsMax = 5_500;

/**
 * A member whose state is not that of the majority fences itself, the leader as any other: watched where nothing else
 * stands in the way for as long as it may take.
 */
export class Fencing implements Observer {
  readonly name = 'fencing';
  readonly #view: RunView;
  readonly #cluster: SimCluster;
  readonly #active: () => ReadonlySet<string>;
  readonly #fenced = new Set<string>();
  #quietSinceMs = 0;

  constructor(view: RunView, cluster: SimCluster, active: () => ReadonlySet<string>) {
    this.#view = view;
    this.#cluster = cluster;
    this.#active = active;
  }

  see(event: SimEvent): void {
    if (event.kind === 'replica' && event.event.kind === 'fenced') {
      const { member, life } = event;
      this.#fenced.add(`${member} ${life}`);
      if (this.#cluster.member(member).life?.isOdd !== true) {
        this.#view.breach(this.name, `${member} fences itself, and its state is that of the others`);
      }
    }
    const { members } = this.#cluster;
    const hasOdd = members.some(({ life }) => life?.isOdd === true);
    if (!hasOdd || !this.#isQuiet(event)) this.#quietSinceMs = this.#view.nowMs;
    if (hasOdd) for (const member of members) this.#check(member);
  }

  /** All run, know a leader, and nothing but the odd state is under way. */
  #isQuiet(event: SimEvent): boolean {
    if (['fault', 'mended', 'role', 'down', 'started'].includes(event.kind)) return false;
    const others = [...this.#active()].filter((name) => name !== 'odd-state');
    return others.length === 0 && this.#cluster.awake.length === this.#cluster.members.length;
  }

  #check({ id, life }: SimMember): void {
    if (life?.isOdd !== true || this.#fenced.has(`${id} ${life.life}`)) return;
    const quietMs = this.#view.nowMs - this.#quietSinceMs;
    if (quietMs <= fenceMsMax) return;
    this.#view.breach(this.name, `${id} has another state than the others for ${quietMs} ms, and serves`);
  }
}
