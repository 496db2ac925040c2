/** What a watch covers, its filter aside: one service, or those of a namespace whose names begin with a prefix. */
export interface Scope {
  readonly namespace: string;
  /** '' = every service whose name begins with `servicePrefix`. */
  readonly service: string;
  readonly servicePrefix: string;
}

/** Equal for equal scopes. */
export function scopeKey({ namespace, service, servicePrefix }: Scope): string {
  // Neither name can hold a slash or a star.
  return service === '' ? prefixKey(namespace, servicePrefix) : serviceKey(namespace, service);
}

export function serviceKey(namespace: string, service: string): string {
  return `${namespace}/${service}`;
}

function prefixKey(namespace: string, prefix: string): string {
  return `${namespace}/${prefix}*`;
}

/** Of an instance in its namespace. */
export function instanceKey(service: string, id: string): string {
  return `${service}/${id}`;
}

export function covers(scope: Scope, service: string): boolean {
  return scope.service === '' ? service.startsWith(scope.servicePrefix) : service === scope.service;
}

/**
 * Values by scope, found by the service that an event is of. That costs one look-up for the service and one for each
 * length of a prefix that is in use in the namespace: at most 129 in all, however many prefixes there are.
 */
export class ScopeMap<T> {
  readonly #byScope = new Map<string, Set<T>>();
  /** By namespace: how many scopes have a prefix of this length. */
  readonly #prefixLengths = new Map<string, Map<number, number>>();

  add(scope: Scope, value: T): void {
    const key = scopeKey(scope);
    let values = this.#byScope.get(key);
    if (values === undefined) {
      this.#byScope.set(key, (values = new Set()));
      if (scope.service === '') this.#countPrefix(scope, 1);
    }
    values.add(value);
  }

  /** Nothing where it is not there. */
  delete(scope: Scope, value: T): void {
    const key = scopeKey(scope);
    const values = this.#byScope.get(key);
    if (values === undefined || !values.delete(value) || values.size > 0) return;
    this.#byScope.delete(key);
    if (scope.service === '') this.#countPrefix(scope, -1);
  }

  get size(): number {
    return this.#byScope.size;
  }

  /** All whose scope covers the service. */
  of(namespace: string, service: string): T[] {
    const found: T[] = [...(this.#byScope.get(serviceKey(namespace, service)) ?? [])];
    for (const length of this.#prefixLengths.get(namespace)?.keys() ?? []) {
      if (length > service.length) continue;
      for (const value of this.#byScope.get(prefixKey(namespace, service.slice(0, length))) ?? []) found.push(value);
    }
    return found;
  }

  #countPrefix({ namespace, servicePrefix }: Scope, change: 1 | -1): void {
    let lengths = this.#prefixLengths.get(namespace);
    if (lengths === undefined) this.#prefixLengths.set(namespace, (lengths = new Map()));
    const count = (lengths.get(servicePrefix.length) ?? 0) + change;
    if (count > 0) lengths.set(servicePrefix.length, count);
    else lengths.delete(servicePrefix.length);
    if (lengths.size === 0) this.#prefixLengths.delete(namespace);
  }
}
