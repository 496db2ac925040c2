import { assert } from '../base/assert.ts';
import { SlotArena } from './slot-arena.ts';
import { bytesHash, SlotCache, textHash } from './slot-cache.ts';
import { SortedBlocks } from './sorted-blocks.ts';

const idBytesMax = 256;
/** Before the view in each record: the length of the id less 1, the id. */
const head = Buffer.alloc(1 + idBytesMax);

/**
 * The instances of one service, each a record of id and view in an arena, found by the hash of the id or, where that
 * fails, by bisection of the slots in byte order of their ids: no object and no string an instance, and no choice of
 * ids that makes it slow.
 */
export class ServiceArena {
  readonly namespace: string;
  readonly service: string;
  /** Its place among all that there are; another's after it is dropped. */
  readonly number: number;
  /** What keys of its instances begin with, as far as they are compared. */
  readonly prefix: string;
  /** Revision of the last removal while instances were left; 0: none. */
  removalRevision = 0;
  /** Revision of the last change of any instance. */
  modifyRevision = 0;
  readonly #records = new SlotArena();
  /** Slots in byte order of their ids. */
  readonly #order = new SortedBlocks((length) => new Uint32Array(length));
  readonly #freeSlots: number[] = [];
  readonly #cache = new SlotCache((slot) => this.#hashAt(slot));
  /** The id that was sought last and its slot, -1 where it has none: one command asks for one id often. */
  #soughtId = '';
  #soughtSlot = -1;
  /** The id whose place `#order` stands at; '' for none. */
  #placeId = '';

  constructor(namespace: string, service: string, number: number) {
    this.namespace = namespace;
    this.service = service;
    this.number = number;
    this.prefix = `${namespace}/${service}/`;
  }

  get count(): number {
    return this.#order.size;
  }

  /** Bytes of the chunks, for tests and metrics. */
  get chunkBytes(): number {
    return this.#records.chunkBytes;
  }

  /** Bytes of the current records with their heads. */
  get liveBytes(): number {
    return this.#records.liveBytes;
  }

  /** The current view, not to be changed; valid for as long as it is held. */
  get(id: string): Uint8Array | undefined {
    const slot = this.#find(id);
    return slot < 0 ? undefined : this.viewAt(slot);
  }

  /** A small number that is the instance's until it is deleted. */
  slotOf(id: string): number | undefined {
    const slot = this.#find(id);
    return slot < 0 ? undefined : slot;
  }

  viewAt(slot: number): Uint8Array {
    const bytes = this.#records.chunkAt(slot);
    const start = this.#records.startAt(slot);
    const viewStart = start + 2 + (bytes[start] as number);
    return new Uint8Array(bytes.buffer, bytes.byteOffset + viewStart, start + this.#records.lengthAt(slot) - viewStart);
  }

  idAt(slot: number): string {
    const start = this.#records.startAt(slot);
    const bytes = this.#records.chunkAt(slot);
    return bytes.toString('latin1', start + 1, start + 2 + (bytes[start] as number));
  }

  /** By byte order of the ids: below 0 where the first comes before the other. */
  compare(slot: number, other: number): number {
    const bytes = this.#records.chunkAt(slot);
    const otherBytes = this.#records.chunkAt(other);
    const start = this.#records.startAt(slot);
    const otherStart = this.#records.startAt(other);
    const length = bytes[start] as number;
    const otherLength = otherBytes[otherStart] as number;
    const common = length < otherLength ? length : otherLength;
    for (let i = 1; i <= common + 1; i += 1) {
      const difference = (bytes[start + i] as number) - (otherBytes[otherStart + i] as number);
      if (difference !== 0) return difference;
    }
    return length - otherLength;
  }

  /** Slots in byte order of their ids, those above `afterId` (any id is above ''); no change meanwhile. */
  slots(afterId: string): Iterable<number> {
    const isThere = this.#seek(afterId);
    const following = this.#order.following();
    if (isThere) following.next();
    return following;
  }

  /** Copies the view in, over whatever the id holds. */
  put(id: string, view: Uint8Array): void {
    const found = this.#find(id);
    const slot = found >= 0 ? found : (this.#freeSlots.pop() ?? this.#order.size);
    assert(id.length >= 1 && id.length <= idBytesMax, 'length of an id');
    head[0] = id.length - 1;
    head.write(id, 1, 'latin1');
    this.#records.put(slot, head.subarray(0, 1 + id.length), view);
    if (found >= 0) return;
    if (this.#placeId !== id) this.#seek(id);
    this.#order.insert(slot);
    this.#cache.remember(textHash(id), slot, this.#order.size);
    this.#soughtSlot = slot;
  }

  delete(id: string): void {
    assert(this.#seek(id), 'delete of an absent id');
    const slot = this.#order.current;
    this.#order.remove();
    this.#soughtId = '';
    this.#placeId = '';
    this.#freeSlots.push(slot);
    this.#records.delete(slot);
  }

  /** The id's slot, -1 where it is not there. */
  #find(id: string): number {
    if (id === this.#soughtId && id !== '') return this.#soughtSlot;
    const hash = textHash(id);
    let slot = this.#cache.find(hash, (some) => this.#records.has(some) && this.#compareTo(some, id) === 0);
    if (slot < 0 && this.#seek(id)) {
      slot = this.#order.current;
      this.#cache.remember(hash, slot, this.#order.size);
    }
    this.#soughtId = id;
    this.#soughtSlot = slot;
    return slot;
  }

  /** Goes to the id's place in the order; true where it is there. */
  #seek(id: string): boolean {
    this.#placeId = id;
    return this.#order.seek((slot) => this.#compareTo(slot, id));
  }

  #hashAt(slot: number): number {
    if (!this.#records.has(slot)) return -1;
    const bytes = this.#records.chunkAt(slot);
    const start = this.#records.startAt(slot);
    return bytesHash(bytes, start + 1, (bytes[start] as number) + 1);
  }

  #compareTo(slot: number, id: string): number {
    const bytes = this.#records.chunkAt(slot);
    const start = this.#records.startAt(slot) + 1;
    const length = (bytes[start - 1] as number) + 1;
    const common = length < id.length ? length : id.length;
    for (let i = 0; i < common; i += 1) {
      const difference = (bytes[start + i] as number) - id.charCodeAt(i);
      if (difference !== 0) return difference;
    }
    return length - id.length;
  }
}
