/** Key of one service's watches; with an empty service that of the watches of a whole namespace. */
export function watchKey(namespace: string, service: string): string {
  // Neither name can hold a slash.
  return `${namespace}/${service}`;
}

/** Which watches an event wakes, and no others. */
export class WatchIndex<W> {
  readonly #byKey = new Map<string, Set<W>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(key: string, watch: W): void {
    let watches = this.#byKey.get(key);
    if (watches === undefined) this.#byKey.set(key, (watches = new Set()));
    if (watches.has(watch)) return;
    watches.add(watch);
    this.#size++;
  }

  /** Nothing where it is not there. */
  remove(key: string, watch: W): void {
    const watches = this.#byKey.get(key);
    if (watches === undefined || !watches.delete(watch)) return;
    this.#size--;
    if (watches.size === 0) this.#byKey.delete(key);
  }

  /** Undefined where there are none. Watches removed while it is walked are not met any more. */
  get(key: string): ReadonlySet<W> | undefined {
    return this.#byKey.get(key);
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }
}
