import type { Clock } from '../base/clock.ts';
import { instanceKey } from './batch-queue.ts';
import { ClientError } from './client-error.ts';
import type { Instance, InstanceKey, SetChange, WatchBatch, WatchedSetOptions } from './types.ts';
import type { Watch } from './watch.ts';

type SetListener = {
  readonly onChange: WatchedSetOptions['onChange'] | undefined;
  readonly onFailed: WatchedSetOptions['onFailed'] | undefined;
};

/**
 * What is registered, kept in memory by a watch: the set always stands as of one revision, and is replaced from one to
 * the next without a moment in between. While no member can be reached it stays as it was, and `ageMs` grows.
 */
export class WatchedSet {
  readonly #watch: Watch;
  readonly #listener: SetListener;
  readonly #clock: Clock;
  readonly #set = new Map<string, Instance>();
  readonly #ready: Promise<void>;
  #settle: { readonly resolve: () => void; readonly reject: (error: ClientError) => void } | undefined;
  #revision = 0;
  /** When the set was as it stands for certain, by the monotonic clock. */
  #asOfMs: number | undefined;

  /** For the client only: use RollcallClient.watchSet. */
  constructor(watch: Watch, listener: SetListener, clock: Clock) {
    this.#watch = watch;
    this.#listener = listener;
    this.#clock = clock;
    this.#ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever does not ask hears of a failure by onFailed.
    this.#ready.catch(() => undefined);
    void this.#run();
  }

  /** Resolves once the first set is there; rejects with ClientError where none can come, CLOSED after `close`. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** One instance; undefined where it is not there, or the filter does not match it. */
  get({ service, id }: InstanceKey): Instance | undefined {
    return this.#set.get(instanceKey(service, id));
  }

  /** All of them as of `revision`, by `service/id`. The map is the set itself: it changes. */
  get instances(): ReadonlyMap<string, Instance> {
    return this.#set;
  }

  get revision(): number {
    return this.#revision;
  }

  /** How old it may be, ms: since a member confirmed it, and what that said of its own age. Undefined: none yet. */
  get ageMs(): number | undefined {
    return this.#asOfMs === undefined ? undefined : this.#clock.monotonicMs() - this.#asOfMs;
  }

  /** Ends the watch; the set stays as it is. */
  close(): void {
    this.#watch.close();
  }

  async #run(): Promise<void> {
    for (let batch = await this.#next(); batch !== undefined; batch = await this.#next()) this.#take(batch);
  }

  async #next(): Promise<WatchBatch | undefined> {
    try {
      const { value: batch } = await this.#watch.next();
      if (batch === undefined) this.#settle?.reject(ClientError.closed('the watched set'));
      return batch;
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      this.#settle?.reject(error);
      this.#listener.onFailed?.(error);
      return undefined;
    }
  }

  #take(batch: WatchBatch): void {
    const changes = applyToSet(this.#set, batch);
    this.#revision = batch.to;
    this.#asOfMs = this.#clock.monotonicMs() - batch.header.ageMs;
    this.#settle?.resolve();
    this.#settle = undefined;
    if (changes.length > 0) this.#listener.onChange?.(changes);
  }
}

/** Applies a batch to a set and tells what differs, each instance once. */
export function applyToSet(set: Map<string, Instance>, batch: Pick<WatchBatch, 'kind' | 'events'>): SetChange[] {
  /** What was there before, of each instance that the batch may have changed. */
  const before = new Map<string, Instance | undefined>();
  if (batch.kind === 'snapshot' || batch.kind === 'reset') {
    for (const [key, instance] of set) before.set(key, instance);
    set.clear();
  }
  for (const event of batch.events) {
    const { service, id } = event.kind === 'put' ? event.instance : event.key;
    const key = instanceKey(service, id);
    if (!before.has(key)) before.set(key, set.get(key));
    if (event.kind === 'put') set.set(key, event.instance);
    else set.delete(key);
  }
  const changes: SetChange[] = [];
  for (const [key, old] of before) {
    const instance = set.get(key);
    if (instance !== undefined && !isSame(old, instance)) changes.push({ kind: 'put', instance, before: old });
    else if (instance === undefined && old !== undefined) changes.push({ kind: 'removed', before: old });
  }
  return changes;
}

/** Every change of an instance raises its modify revision, and a new incarnation has another one. */
function isSame(old: Instance | undefined, instance: Instance): boolean {
  return old?.modifyRevision === instance.modifyRevision && old.incarnation === instance.incarnation;
}
