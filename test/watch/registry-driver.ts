import { must } from '../../src/base/assert.ts';
import { WireWriter } from '../../src/base/wire-writer.ts';
import { encodeBatch, encodeCommand } from '../../src/state-machine/command-codec.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import type { ChangeEvent, Command, CommandBody, CommandResult, InstanceName } from '../../src/state-machine/types.ts';
import { stateMachineBounds } from '../../src/state-machine/types.ts';

/** Instances by `service/id`, as one namespace holds them. */
export type InstanceSet = ReadonlyMap<string, Uint8Array>;

export const namespaces = ['default', 'other'] as const;

export function specOf(name: InstanceName, text: string): Uint8Array {
  const out = new WireWriter();
  out.string(1, name.namespace).string(2, name.service).string(3, name.id).beginMessage(4);
  out.string(1, 'main').string(2, 'grpc').string(3, '127.0.0.1').uint(4, 7400).endMessage();
  return out.string(5, text).finish();
}

export function registerBody(name: InstanceName, text = '', leaseId = 0): CommandBody {
  const lifetime = leaseId === 0 ? ({ kind: 'persistent' } as const) : ({ kind: 'lease', leaseId } as const);
  return { kind: 'register', name, spec: specOf(name, text), lifetime, ifAbsent: false, ifIncarnation: 0 };
}

/**
 * A real state with the entries that made it, and beside it every change, and what was there at every revision.
 */
export class RegistryDriver {
  readonly events: ChangeEvent[] = [];
  /** By revision. */
  readonly sets: ReadonlyMap<string, InstanceSet>[] = [new Map()];
  readonly #bounds: typeof stateMachineBounds;
  readonly #entries: Uint8Array[] = [];
  #state: RegistryState;
  #told = 0;

  constructor(historyRevisionsMax: number = stateMachineBounds.historyRevisionsMax) {
    this.#bounds = { ...stateMachineBounds, historyRevisionsMax } as typeof stateMachineBounds;
    this.#state = new RegistryState(this.#bounds);
  }

  get state(): RegistryState {
    return this.#state;
  }

  get revision(): number {
    return this.#state.position.revision;
  }

  execute(command: Command): CommandResult {
    const data = encodeBatch({ wallMs: 1_767_225_600_000, elapsedMs: 1, commands: [encodeCommand(command)] });
    this.#entries.push(data);
    const outcome = this.#state.apply({ index: this.#entries.length, term: 1, data });
    this.#record(outcome.events);
    return must(outcome.results[0], 'result');
  }

  apply(body: CommandBody): CommandResult {
    return this.execute({ actor: 'test', origin: 'here', reason: 'because', requestId: '', body });
  }

  register(service: string, id: string, text = ''): void {
    this.apply(registerBody({ namespace: 'default', service, id }, text));
  }

  deregister(service: string, id: string): void {
    this.apply({ kind: 'deregister', name: { namespace: 'default', service, id }, incarnation: 0 });
  }

  /** What was applied since the last call. */
  takeTurn(): { readonly events: readonly ChangeEvent[]; readonly revision: number } {
    const events = this.events.slice(this.#told);
    this.#told = this.events.length;
    return { events, revision: this.revision };
  }

  /** Puts another object in its place, as loaded from a snapshot. */
  replace(): number {
    const whole = new RegistryState(this.#bounds);
    for (const [i, data] of this.#entries.entries()) whole.apply({ index: i + 1, term: 1, data });
    const loaded = new RegistryState(this.#bounds);
    loaded.beginLoad(whole.position);
    const records = [...whole.freeze().changes()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    for (const { key, value } of records) if (value !== undefined) loaded.addLoaded(key, value);
    loaded.finishLoad();
    this.#state = loaded;
    this.#told = this.events.length;
    return loaded.position.revision;
  }

  /** The instances of a service, or of the whole namespace, at a revision. */
  setAt(revision: number, namespace: string, service: string): Map<string, Uint8Array> {
    const all = must(this.sets[revision], `set at ${revision}`).get(namespace) ?? new Map<string, Uint8Array>();
    return new Map([...all].filter(([key]) => service === '' || key.startsWith(`${service}/`)));
  }

  #record(events: readonly ChangeEvent[]): void {
    let last = must(this.sets.at(-1), 'last set');
    for (const event of events) {
      this.events.push(event);
      const { namespace, service, id } = event.name;
      const changed = new Map(last.get(namespace));
      if (event.kind === 'put') changed.set(`${service}/${id}`, event.view);
      else changed.delete(`${service}/${id}`);
      last = new Map([...last, [namespace, changed]]);
      this.sets[event.revision] = last;
    }
    if (this.sets.length !== this.revision + 1) throw new Error(`a revision without events: ${this.revision}`);
  }
}
