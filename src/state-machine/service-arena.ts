import { assert } from '../base/assert.ts';
import { SlotArena } from './slot-arena.ts';
import { SortedBlocks } from './sorted-blocks.ts';

const idBytesMax = 256;
/** Before the view in each record: the length of the id less 1, the id. */
const head = Buffer.alloc(1 + idBytesMax);

/**
 * The instances of one service, each a record of id and view in an arena, found by bisection of the slots in byte order
 * of their ids: no object and no string an instance, and nothing that a choice of ids could make slow.
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
  /** The id that was sought last, whose place `#order` still knows; '' for none. One command asks for one id often. */
  #sought = '';
  #isThere = false;

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
    return this.#seek(id) ? this.viewAt(this.#order.current) : undefined;
  }

  /** A small number that is the instance's until it is deleted. */
  slotOf(id: string): number | undefined {
    return this.#seek(id) ? this.#order.current : undefined;
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
    const isThere = this.#seek(id);
    const slot = isThere ? this.#order.current : (this.#freeSlots.pop() ?? this.#order.size);
    assert(id.length >= 1 && id.length <= idBytesMax, 'length of an id');
    head[0] = id.length - 1;
    head.write(id, 1, 'latin1');
    this.#records.put(slot, head.subarray(0, 1 + id.length), view);
    if (isThere) return;
    this.#order.insert(slot);
    this.#isThere = true;
  }

  delete(id: string): void {
    assert(this.#seek(id), 'delete of an absent id');
    const slot = this.#order.current;
    this.#order.remove();
    this.#sought = '';
    this.#freeSlots.push(slot);
    this.#records.delete(slot);
  }

  #seek(id: string): boolean {
    if (id === this.#sought && id !== '') return this.#isThere;
    this.#isThere = this.#order.seek((slot) => this.#compareTo(slot, id));
    this.#sought = id;
    return this.#isThere;
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
