import { describe, expect, it } from 'vitest';
import type { SimEvent } from '../types.ts';
import { type FencedCluster, Fencing } from './fencing.ts';

interface Member {
  readonly id: string;
  life: { readonly life: number; isOdd: boolean; readonly isAwake: boolean } | undefined;
  readonly suffered: Set<string>;
}

/** Three members, of which "a" may be odd. */
class Told {
  nowMs = 1_000;
  readonly breaches: string[] = [];
  readonly active = new Set<string>();
  readonly members: Member[];
  readonly #checker: Fencing;

  constructor() {
    const life = (): Member['life'] => ({ life: 1, isOdd: false, isAwake: true });
    this.members = ['a', 'b', 'c'].map((id) => ({ id, life: life(), suffered: new Set() }));
    const { members } = this;
    const cluster: FencedCluster = {
      members,
      voters: members,
      awake: members,
      member: (id) => members.find((one) => one.id === id) ?? { id, life: undefined, suffered: new Set() },
    };
    const now = (): number => this.nowMs;
    const view = {
      get nowMs() {
        return now();
      },
      clockRateMax: 1,
      clockRateMin: 1,
      breach: (_checker: string, text: string) => void this.breaches.push(text),
    };
    this.#checker = new Fencing(view, cluster, () => this.active);
  }

  odd(...ids: readonly string[]): void {
    for (const { id, life, suffered } of this.members) {
      if (!ids.includes(id) || life === undefined) continue;
      life.isOdd = true;
      suffered.add('odd');
    }
  }

  tell(event: SimEvent, afterMs = 1): void {
    this.nowMs += afterMs;
    this.#checker.see(event);
  }

  replica(event: Extract<SimEvent, { kind: 'replica' }>['event']): void {
    this.tell({ kind: 'replica', member: 'a', life: 1, event });
  }

  applied(index: number): void {
    const outcome = { revision: index, hash: '', data: new Uint8Array(0), results: [], events: [] };
    this.tell({ kind: 'applied', member: 'a', life: 1, index, term: 1, ...outcome });
  }

  note(afterMs = 1): void {
    this.tell({ kind: 'note', text: '' }, afterMs);
  }
}

describe('the checker of fencing', () => {
  it('sees a leader that goes on although a majority of others has told it another hash', () => {
    const told = new Told();
    told.odd('a');
    told.applied(7);
    told.replica({ kind: 'hashes-compared', index: 7, answers: 2 });
    told.note();
    expect(told.breaches).toEqual([]);
    told.replica({ kind: 'hashes-compared', index: 7, answers: 3 });
    told.note();
    expect(told.breaches[0]).toContain('a leads with another state than the others, it heard the hashes of 2 others');
  });

  it('passes one that fences itself, an index of before it was odd, and answers of others that are odd too', () => {
    const fenced = new Told();
    fenced.odd('a');
    fenced.applied(7);
    fenced.replica({ kind: 'hashes-compared', index: 6, answers: 3 });
    fenced.note();
    fenced.replica({ kind: 'hashes-compared', index: 7, answers: 3 });
    fenced.nowMs--;
    fenced.replica({ kind: 'fenced', index: 7, own: 'x', majority: 'y' });
    fenced.note(10_000);
    expect(fenced.breaches).toEqual([]);
    const two = new Told();
    two.odd('a', 'b');
    two.applied(7);
    two.replica({ kind: 'hashes-compared', index: 7, answers: 3 });
    two.note();
    expect(two.breaches).toEqual([]);
  });

  it('sees any odd member that serves where nothing else is under way, once it has applied an entry', () => {
    const told = new Told();
    told.odd('a');
    told.note(6_000);
    told.applied(7);
    told.active.add('slow-disk');
    told.note(6_000);
    told.active.clear();
    told.note(5_000);
    expect(told.breaches).toEqual([]);
    told.note(600);
    expect(told.breaches[0]).toContain('a has another state than the others for 5600 ms, and serves');
  });

  it('sees a sound member that fences itself', () => {
    const told = new Told();
    told.replica({ kind: 'fenced', index: 7, own: 'x', majority: 'y' });
    expect(told.breaches).toEqual(['a fences itself, and its state is that of the others']);
  });
});
