import { assert, must } from '../base/assert.ts';

/** Who may have to be told, later and in one batch, what changed behind a revision. */
export interface LogUser {
  /** Set and cleared by ChangeLogs alone. */
  log: ChangeLog | undefined;
  /** Changes up to here it does not need: they are told, or begun to be. Only grows. */
  readonly neededFrom: number;
}

/** What an entry takes beside the characters of its key: its places in arrays and map, and the head of its string. */
const entryOverheadBytes = 112;
/** Maps that grow by doubling are rehashed at once: several small ones are, one at a time. */
const shards = 16;
const slotsMin = 16;
const reviewEveryMin = 64;
/** Entries that nobody needs any more and that one change drops. */
const dropsAtOnceMax = 2;
const none = 0xffffffff;

/**
 * Which instances of one service (or namespace) changed, each once, in the order of their last change: what all slow
 * readers of it share instead of keeping changes. Kept from the oldest position that one of them needs. A change costs
 * about as much as setting a key of a Map.
 */
export class ChangeLog {
  readonly key: string;
  readonly users = new Set<LogUser>();
  /** Bytes of all changes that were noted, those of instances that changed again included. */
  noted = 0;
  #since: number;
  readonly #slots: (Map<string, number> | undefined)[] = Array.from({ length: shards });
  readonly #keys: string[] = [];
  #revisions = new Float64Array(slotsMin);
  /** The list in order of the last change, by slots; free slots are linked by `next`. */
  #previous = new Uint32Array(slotsMin);
  #next = new Uint32Array(slotsMin);
  #first = none;
  #last = none;
  #free = none;
  #size = 0;
  #keyUnits = 0;
  /** Changes until the needed position is asked for again. */
  #untilReview = reviewEveryMin;

  /** @param since All changes behind this revision will be noted. */
  constructor(key: string, since: number) {
    this.key = key;
    this.#since = since;
  }

  /** Everything that changed behind this revision is known. */
  get since(): number {
    return this.#since;
  }

  get size(): number {
    return this.#size;
  }

  /** That it holds, about. */
  get bytes(): number {
    return this.#keyUnits + this.#size * entryOverheadBytes;
  }

  note(key: string, revision: number, bytes: number): void {
    assert(revision > this.#since, () => `change of revision ${revision} in a log since ${this.#since}`);
    this.noted += bytes;
    const known = this.#shard(key).get(key);
    const slot = known ?? this.#add(key);
    if (known !== undefined) this.#unlink(slot);
    this.#revisions[slot] = revision;
    this.#append(slot);
    for (let dropped = 0; dropped < dropsAtOnceMax && this.#firstRevision() <= this.#since; dropped++) this.#drop();
    this.#untilReview--;
    if (this.#untilReview <= 0) this.#review();
  }

  /**
   * The keys that changed last behind `from`, in the order of their last changes, with the revisions of these.
   *
   * @param prefix Only keys that begin so.
   */
  behind(from: number, prefix: string): { readonly keys: string[]; readonly revisions: number[] } {
    assert(from >= this.#since, () => `changes behind ${from} of a log since ${this.#since}`);
    const keys: string[] = [];
    const revisions: number[] = [];
    for (let slot = this.#last; slot !== none; slot = this.#previous[slot] as number) {
      const revision = this.#revisions[slot] as number;
      if (revision <= from) break;
      const key = this.#keys[slot] as string;
      if (!key.startsWith(prefix)) continue;
      keys.push(key);
      revisions.push(revision);
    }
    return { keys: keys.reverse(), revisions: revisions.reverse() };
  }

  #shard(key: string): Map<string, number> {
    const { length } = key;
    const hash = key.charCodeAt(length - 1) + 31 * key.charCodeAt(length >> 1) + length;
    return (this.#slots[hash % shards] ??= new Map<string, number>());
  }

  #add(key: string): number {
    let slot = this.#free;
    if (slot === none) slot = this.#keys.length;
    else this.#free = this.#next[slot] as number;
    if (slot >= this.#revisions.length) this.#grow();
    this.#keys[slot] = key;
    this.#shard(key).set(key, slot);
    this.#size++;
    this.#keyUnits += key.length;
    return slot;
  }

  #append(slot: number): void {
    this.#previous[slot] = this.#last;
    this.#next[slot] = none;
    if (this.#last === none) this.#first = slot;
    else this.#next[this.#last] = slot;
    this.#last = slot;
  }

  #unlink(slot: number): void {
    const previous = this.#previous[slot] as number;
    const next = this.#next[slot] as number;
    if (previous === none) this.#first = next;
    else this.#next[previous] = next;
    if (next === none) this.#last = previous;
    else this.#previous[next] = previous;
  }

  #firstRevision(): number {
    return this.#first === none ? Infinity : (this.#revisions[this.#first] as number);
  }

  #drop(): void {
    const slot = this.#first;
    const key = must(this.#keys[slot], 'key of an entry');
    this.#unlink(slot);
    this.#shard(key).delete(key);
    this.#keys[slot] = '';
    this.#next[slot] = this.#free;
    this.#free = slot;
    this.#size--;
    this.#keyUnits -= key.length;
  }

  /** What lies before the oldest position that somebody needs goes, a little with each change that is noted. */
  #review(): void {
    let oldest = Infinity;
    for (const user of this.users) oldest = Math.min(oldest, user.neededFrom);
    if (oldest !== Infinity && oldest > this.#since) this.#since = Math.min(oldest, this.#lastRevision() - 1);
    // So many changes pay for the walk, and drop what it finds.
    this.#untilReview = Math.max(reviewEveryMin, this.#size >> 1, this.users.size);
  }

  #lastRevision(): number {
    return this.#revisions[this.#last] as number;
  }

  #grow(): void {
    const revisions = new Float64Array(this.#revisions.length * 2);
    revisions.set(this.#revisions);
    this.#revisions = revisions;
    const previous = new Uint32Array(revisions.length);
    previous.set(this.#previous);
    this.#previous = previous;
    const next = new Uint32Array(revisions.length);
    next.set(this.#next);
    this.#next = next;
  }
}
