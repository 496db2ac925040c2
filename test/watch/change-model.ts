import { must } from '../../src/base/assert.ts';
import { rollcall } from '../../src/gen/rollcall.js';
import type { InstanceFilter } from '../../src/filter/types.ts';
import { encodeBatch, encodeCommand } from '../../src/state-machine/command-codec.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { ChangeEvent, CommandBody, CommandResult, StateMachineBounds } from '../../src/state-machine/types.ts';
import { stateMachineBounds } from '../../src/state-machine/types.ts';

export type InstanceView = rollcall.v1.InstanceView;

/** A whole set is kept every so many revisions. */
const checkpointRevisions = 500;

const decodedViews = new WeakMap<Uint8Array, InstanceView>();

export function decoded(view: Uint8Array): InstanceView {
  let instance = decodedViews.get(view);
  if (instance === undefined) decodedViews.set(view, (instance = rollcall.v1.InstanceView.decode(view)));
  return instance;
}

/** The simplest second version of a filter, over what protobufjs makes of an instance. */
export function isMatched(filter: InstanceFilter, view: Uint8Array): boolean {
  const spec = must(decoded(view).spec, 'spec');
  return (
    filter.tags.every((tag) => spec.tags?.includes(tag)) &&
    filter.metadata.every((condition) => {
      const value = spec.metadata?.[condition.key];
      return condition.operator === 'exists' ? value !== undefined : condition.values.includes(value ?? '');
    }) &&
    (filter.zones.length === 0 || filter.zones.includes(spec.locality?.zone ?? ''))
  );
}

export function entryOf(...bodies: readonly CommandBody[]): Uint8Array {
  const commands = bodies.map((body) =>
    encodeCommand({ actor: 'test', origin: 'here', reason: 'because', requestId: '', body }),
  );
  return encodeBatch({ wallMs: 1_767_225_600_000, elapsedMs: 1, commands });
}

/** What a member has on disk: it is loaded into a new state after a restart, or as a snapshot of another member. */
export class StateFiles {
  readonly #values = new Map<string, Uint8Array>();
  #position = { index: 0, term: 0, revision: 0 };

  flush(state: RegistryState): void {
    const frozen = state.freeze();
    for (const { key, value } of frozen.changes()) {
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, value);
    }
    this.#position = frozen.position;
    state.releaseFrozen();
  }

  load(bounds: StateMachineBounds): RegistryState {
    const state = new RegistryState(bounds);
    state.beginLoad(this.#position);
    for (const key of [...this.#values.keys()].sort()) state.addLoaded(key, must(this.#values.get(key), 'value'));
    state.finishLoad();
    return state;
  }

  copy(): StateFiles {
    const copy = new StateFiles();
    for (const [key, value] of this.#values) copy.#values.set(key, value);
    copy.#position = this.#position;
    return copy;
  }
}

/**
 * The committed entries, and what they did: every event, and every so often everything that was there. Names are
 * `namespace/service/id`.
 */
export class ChangeModel {
  readonly bounds: StateMachineBounds;
  readonly entries: Uint8Array[] = [];
  readonly events: ChangeEvent[] = [];
  readonly state: RegistryState;
  /** By revision: where the events of later ones begin. */
  readonly #firstAfter: number[] = [0];
  readonly #checkpoints: ReadonlyMap<string, Uint8Array>[] = [new Map()];
  readonly #now = new Map<string, Uint8Array>();

  constructor(historyRevisionsMax: number) {
    this.bounds = { ...stateMachineBounds, historyRevisionsMax } as StateMachineBounds;
    this.state = new RegistryState(this.bounds);
  }

  get revision(): number {
    return this.state.position.revision;
  }

  apply(...bodies: readonly CommandBody[]): readonly CommandResult[] {
    return this.applyEntry({ term: 1, data: entryOf(...bodies) });
  }

  /** The next entry, as members have committed it. */
  applyEntry({ term, data }: { readonly term: number; readonly data: Uint8Array }): readonly CommandResult[] {
    this.entries.push(data);
    const { results, events } = this.state.apply({ index: this.entries.length, term, data });
    for (const event of events) {
      while (this.#firstAfter.length <= event.revision) this.#endRevision();
      this.events.push(event);
      if (event.kind === 'put') this.#now.set(keyOf(event), event.view);
      else this.#now.delete(keyOf(event));
    }
    this.#firstAfter[this.revision] = this.events.length;
    return results;
  }

  /** The changes in (from, to], of all namespaces. */
  changes(from: number, to: number): readonly ChangeEvent[] {
    return this.events.slice(must(this.#firstAfter[from], 'from'), must(this.#firstAfter[to], 'to'));
  }

  setAt(revision: number): Map<string, Uint8Array> {
    const checkpoint = Math.min(Math.floor(revision / checkpointRevisions), this.#checkpoints.length - 1);
    const set = new Map(must(this.#checkpoints[checkpoint], 'checkpoint'));
    for (const event of this.changes(checkpoint * checkpointRevisions, revision)) {
      if (event.kind === 'put') set.set(keyOf(event), event.view);
      else set.delete(keyOf(event));
    }
    return set;
  }

  /** Every event of the revision before the next one is there. */
  #endRevision(): void {
    const revision = this.#firstAfter.length - 1;
    if (revision > 0 && revision % checkpointRevisions === 0) this.#checkpoints.push(new Map(this.#now));
    this.#firstAfter[revision] = this.events.length;
    this.#firstAfter.push(this.events.length);
  }
}

export function keyOf({ name: { namespace, service, id } }: ChangeEvent): string {
  return `${namespace}/${service}/${id}`;
}
