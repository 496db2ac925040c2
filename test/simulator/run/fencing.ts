import type { SimMember } from '../cluster/sim-cluster.ts';
import type { Life } from '../cluster/sim-member.ts';
import type { Observer, RunView, SimEvent } from '../types.ts';

/** Hashes are to be compared at least so often; the answers take their way, and the odd one hears of it. */
const fenceMsMax = 5_500;

type FencedMember = Pick<SimMember, 'id' | 'suffered'> & {
  readonly life: Pick<Life, 'life' | 'isOdd' | 'isAwake'> | undefined;
};

/** What the checker looks at of a cluster. */
export interface FencedCluster {
  readonly members: readonly FencedMember[];
  /** Their hashes are compared. */
  readonly voters: readonly FencedMember[];
  readonly awake: readonly FencedMember[];
  member(id: string): FencedMember;
}

/** What an odd leader heard of the others. */
interface Compared {
  readonly atMs: number;
  readonly index: number;
  readonly answers: number;
}

/**
 * A member whose state is not that of the majority fences itself, the leader as any other: a leader as soon as a
 * majority of others has told it their hashes, any member where nothing else stands in the way for as long as it may
 * take.
 */
export class Fencing implements Observer {
  readonly name = 'fencing';
  readonly #view: RunView;
  readonly #cluster: FencedCluster;
  readonly #active: () => ReadonlySet<string>;
  readonly #fenced = new Set<string>();
  /** By member and life: the first index whose hash is odd, and when it was applied. */
  readonly #oddFrom = new Map<string, { readonly index: number; readonly atMs: number }>();
  /** By member and life. */
  readonly #compared = new Map<string, Compared>();
  #quietSinceMs = 0;

  constructor(view: RunView, cluster: FencedCluster, active: () => ReadonlySet<string>) {
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
    if (event.kind === 'applied') this.#applied(event);
    const { members } = this.#cluster;
    const hasOdd = members.some(({ life }) => life?.isOdd === true);
    if (!hasOdd || !this.#isQuiet(event)) this.#quietSinceMs = this.#view.nowMs;
    if (hasOdd) for (const member of members) this.#check(member);
    if (event.kind === 'replica' && event.event.kind === 'hashes-compared') {
      const { index, answers } = event.event;
      this.#hears(`${event.member} ${event.life}`, { atMs: this.#view.nowMs, index, answers });
    }
  }

  #applied({ member, life, index }: Extract<SimEvent, { kind: 'applied' }>): void {
    const key = `${member} ${life}`;
    if (this.#cluster.member(member).life?.isOdd === true && !this.#oddFrom.has(key)) {
      this.#oddFrom.set(key, { index, atMs: this.#view.nowMs });
    }
  }

  /** Its own answer is among those counted, and so may be those of others that are odd. */
  #hears(key: string, compared: Compared): void {
    const { index, answers } = compared;
    const isOdd = index >= (this.#oddFrom.get(key)?.index ?? Number.POSITIVE_INFINITY);
    const { voters: members } = this.#cluster;
    const odd = members.filter(({ suffered }) => suffered.has('odd')).length;
    if (isOdd && 2 * (answers - odd) > members.length) this.#compared.set(key, compared);
  }

  /** All run, know a leader, and nothing but the odd state is under way. */
  #isQuiet(event: SimEvent): boolean {
    if (['fault', 'mended', 'role', 'down', 'started'].includes(event.kind)) return false;
    const others = [...this.#active()].filter((name) => name !== 'odd-state');
    return others.length === 0 && this.#cluster.awake.length === this.#cluster.members.length;
  }

  #check({ id, life }: FencedMember): void {
    if (!this.#cluster.voters.some((one) => one.id === id)) return;
    if (life?.isOdd !== true || this.#fenced.has(`${id} ${life.life}`)) return;
    const compared = this.#compared.get(`${id} ${life.life}`);
    if (compared !== undefined && this.#view.nowMs > compared.atMs) {
      const { index, answers, atMs } = compared;
      const heard = `it heard the hashes of ${answers - 1} others for ${index} at ${atMs}`;
      this.#view.breach(this.name, `${id} leads with another state than the others, ${heard}, and serves`);
    }
    // Nothing is compared before an entry is applied.
    const oddFromMs = this.#oddFrom.get(`${id} ${life.life}`)?.atMs ?? this.#view.nowMs;
    const quietMs = this.#view.nowMs - Math.max(this.#quietSinceMs, oddFromMs);
    if (quietMs <= fenceMsMax) return;
    this.#view.breach(this.name, `${id} has another state than the others for ${quietMs} ms, and serves`);
  }
}
