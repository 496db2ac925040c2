import type { ViewMatcher } from '../filter/types.ts';
import type { ChangeEvent } from '../state-machine/types.ts';
import type { EventKind } from './judge.ts';
import { judge } from './judge.ts';
import type { Scope } from './scope.ts';
import { ScopeMap, scopeKey } from './scope.ts';
import type { Watch } from './watch.ts';

/** A change as one group sees it. */
export interface JudgedEvent {
  readonly event: ChangeEvent;
  readonly kind: EventKind;
}

/** All watches of one scope and one filter: events are judged and encoded once for all of them. */
export class WatchGroup implements Scope {
  readonly key: string;
  readonly namespace: string;
  readonly service: string;
  readonly servicePrefix: string;
  readonly matcher: ViewMatcher;
  /** All that are open. */
  readonly members = new Set<Watch>();
  /** Those that are told each turn's changes. */
  readonly live = new Set<Watch>();
  /** Of the present turn. */
  #pending: JudgedEvent[] = [];

  constructor(key: string, scope: Scope, matcher: ViewMatcher) {
    this.key = key;
    this.namespace = scope.namespace;
    this.service = scope.service;
    this.servicePrefix = scope.servicePrefix;
    this.matcher = matcher;
  }

  /** True: the first event of the turn that matters to it. */
  note(event: ChangeEvent): boolean {
    const kind = judge(event, this.matcher);
    return kind !== undefined && this.#pending.push({ event, kind }) === 1;
  }

  takePending(): readonly JudgedEvent[] {
    const pending = this.#pending;
    this.#pending = [];
    return pending;
  }
}

/** Which watches an event wakes, and no others. */
export class WatchIndex {
  readonly #groups = new Map<string, WatchGroup>();
  readonly #scopes = new ScopeMap<WatchGroup>();

  get groups(): number {
    return this.#groups.size;
  }

  /** The group of a watch that is being opened. */
  join(watch: Watch, scope: Scope, matcher: ViewMatcher): WatchGroup {
    const key = `${scopeKey(scope)} ${matcher.key}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      this.#groups.set(key, (group = new WatchGroup(key, scope, matcher)));
      this.#scopes.add(group, group);
    }
    group.members.add(watch);
    return group;
  }

  /** Nothing for one that has left. */
  leave(watch: Watch, group: WatchGroup): void {
    group.live.delete(watch);
    if (!group.members.delete(watch) || group.members.size > 0) return;
    this.#groups.delete(group.key);
    this.#scopes.delete(group, group);
  }

  /** The groups that a change of the service may concern. */
  of(namespace: string, service: string): WatchGroup[] {
    return this.#scopes.of(namespace, service);
  }
}
