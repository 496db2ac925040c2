import { assert } from '../base/assert.ts';
import type { ServiceArena } from './service-arena.ts';
import { SortedStrings } from './sorted-strings.ts';

export interface LeaseMember {
  readonly arena: ServiceArena;
  readonly id: string;
}

interface Group {
  readonly arena: ServiceArena;
  /** `<namespace>/<service>/`: no prefix is the beginning of another, so groups in order give keys in order. */
  readonly prefix: string;
  readonly ids: SortedStrings;
}

/** The instances of one lease, in byte order of their keys. */
export class LeaseMembers {
  /** Ordered by prefix. */
  readonly #groups: Group[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(arena: ServiceArena, id: string): void {
    const prefix = prefixOf(arena);
    const at = this.#find(prefix);
    let group = this.#groups[at];
    if (group === undefined || group.prefix !== prefix) {
      group = { arena, prefix, ids: new SortedStrings() };
      this.#groups.splice(at, 0, group);
    }
    // A service that lost its last instance and came back has another arena; its group must have gone with the first.
    assert(group.arena === arena, 'lease holds a dropped service');
    assert(group.ids.add(id), 'instance is on the lease already');
    this.#count += 1;
  }

  remove(arena: ServiceArena, id: string): void {
    const at = this.#find(prefixOf(arena));
    const group = this.#groups[at];
    assert(group !== undefined && group.arena === arena && group.ids.delete(id), 'instance is not on the lease');
    if (group.ids.size === 0) this.#groups.splice(at, 1);
    this.#count -= 1;
  }

  /** The first `countMax` in order of keys. */
  first(countMax: number): LeaseMember[] {
    const members: LeaseMember[] = [];
    for (const group of this.#groups) {
      for (const id of group.ids.from('', true)) {
        if (members.length === countMax) return members;
        members.push({ arena: group.arena, id });
      }
    }
    return members;
  }

  #find(prefix: string): number {
    let low = 0;
    let high = this.#groups.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#groups[middle] as Group).prefix < prefix) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function prefixOf(arena: ServiceArena): string {
  return `${arena.namespace}/${arena.service}/`;
}
