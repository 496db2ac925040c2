import { assert } from '../base/assert.ts';
import { SlotArena } from './slot-arena.ts';
import { SortedStrings } from './sorted-strings.ts';

/** The instances of one service: view bytes in a slot arena, no object an instance. */
export class ServiceArena {
  readonly namespace: string;
  readonly service: string;
  /** Revision of the last removal while instances were left; 0: none. */
  removalRevision = 0;
  /** Revision of the last change of any instance. */
  modifyRevision = 0;
  readonly #ids = new SortedStrings();
  readonly #slots = new Map<string, number>();
  readonly #freeSlots: number[] = [];
  readonly #views = new SlotArena();

  constructor(namespace: string, service: string) {
    this.namespace = namespace;
    this.service = service;
  }

  get count(): number {
    return this.#slots.size;
  }

  /** Bytes of the chunks, for tests and metrics. */
  get chunkBytes(): number {
    return this.#views.chunkBytes;
  }

  /** Bytes of the current records with their heads. */
  get liveBytes(): number {
    return this.#views.liveBytes;
  }

  /** The current view, not to be changed; valid for as long as it is held. */
  get(id: string): Uint8Array | undefined {
    const slot = this.#slots.get(id);
    return slot === undefined ? undefined : this.#views.get(slot);
  }

  /** Ids in order, from `start` (included or not) on; no change meanwhile. */
  ids(start: string, included: boolean): Iterable<string> {
    return this.#ids.from(start, included);
  }

  /** Copies the view in, over whatever the id holds. */
  put(id: string, view: Uint8Array): void {
    let slot = this.#slots.get(id);
    if (slot === undefined) {
      slot = this.#freeSlots.pop() ?? this.#slots.size;
      this.#slots.set(id, slot);
      this.#ids.add(id);
    }
    this.#views.put(slot, view);
  }

  delete(id: string): void {
    const slot = this.#slots.get(id);
    assert(slot !== undefined, 'delete of an absent id');
    this.#slots.delete(id);
    this.#ids.delete(id);
    this.#freeSlots.push(slot);
    this.#views.delete(slot);
  }
}
