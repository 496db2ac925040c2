import { assert } from '../base/assert.ts';
import type { ArenaTable } from './arena-table.ts';
import { Column } from './column.ts';
import type { ServiceArena } from './service-arena.ts';
import { SortedBlocks } from './sorted-blocks.ts';
import type { InstanceName } from './types.ts';

/** A member is one number: that of its arena times this, and its slot. */
const slotsMax = 0x1_0000_0000;

/**
 * Which instances each lease holds, in byte order of their keys, by the slot of the lease. One that holds one, the most
 * frequent sort, has a number in a column; only others have an object.
 */
export class LeaseMembers {
  readonly #arenas: ArenaTable;
  /** By slot of the lease: the only member plus 1, 0 for none. */
  readonly #sole = new Column((length) => new Float64Array(length));
  readonly #many = new Map<number, SortedBlocks>();

  constructor(arenas: ArenaTable) {
    this.#arenas = arenas;
  }

  count(leaseSlot: number): number {
    if (this.#sole.get(leaseSlot) !== 0) return 1;
    return this.#many.get(leaseSlot)?.size ?? 0;
  }

  add(leaseSlot: number, arena: ServiceArena, id: string): void {
    const member = memberOf(arena, id);
    const sole = this.#sole.get(leaseSlot);
    let many = this.#many.get(leaseSlot);
    if (many === undefined && sole === 0) {
      this.#sole.set(leaseSlot, member + 1);
      return;
    }
    if (many === undefined) {
      many = new SortedBlocks((length) => new Float64Array(length));
      many.seek(() => 0);
      many.insert(sole - 1);
      this.#sole.set(leaseSlot, 0);
      this.#many.set(leaseSlot, many);
    }
    assert(!this.#seek(many, member), 'instance is on the lease already');
    many.insert(member);
  }

  /** While the instance is still in its arena. */
  delete(leaseSlot: number, arena: ServiceArena, id: string): void {
    const member = memberOf(arena, id);
    const many = this.#many.get(leaseSlot);
    if (many === undefined) {
      assert(this.#sole.get(leaseSlot) === member + 1, 'instance is not on the lease');
      this.#sole.set(leaseSlot, 0);
      return;
    }
    assert(this.#seek(many, member), 'instance is not on the lease');
    many.remove();
    if (many.size === 0) this.#many.delete(leaseSlot);
  }

  /** The first `countMax` in byte order of their keys. */
  first(leaseSlot: number, countMax: number): InstanceName[] {
    const names: InstanceName[] = [];
    const sole = this.#sole.get(leaseSlot);
    if (sole !== 0 && countMax > 0) names.push(this.#nameOf(sole - 1));
    const many = this.#many.get(leaseSlot);
    many?.seek(() => 1);
    for (const member of many?.following() ?? []) {
      if (names.length === countMax) break;
      names.push(this.#nameOf(member));
    }
    return names;
  }

  #seek(many: SortedBlocks, member: number): boolean {
    const arena = this.#arenas.at(arenaOf(member));
    return many.seek((item) => {
      const itemArena = this.#arenas.at(arenaOf(item));
      if (itemArena === arena) return arena.compare(slotOf(item), slotOf(member));
      return itemArena.prefix < arena.prefix ? -1 : 1;
    });
  }

  #nameOf(member: number): InstanceName {
    const arena = this.#arenas.at(arenaOf(member));
    return { namespace: arena.namespace, service: arena.service, id: arena.idAt(slotOf(member)) };
  }
}

function memberOf(arena: ServiceArena, id: string): number {
  const slot = arena.slotOf(id);
  assert(slot !== undefined, 'instance on a lease, but in no service');
  return arena.number * slotsMax + slot;
}

function arenaOf(member: number): number {
  return (member - slotOf(member)) / slotsMax;
}

/** The lowest 32 bits. */
function slotOf(member: number): number {
  return member >>> 0;
}
