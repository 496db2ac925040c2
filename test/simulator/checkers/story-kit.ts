import { expect } from 'vitest';
import { must } from '../../../src/base/assert.ts';
import { WireWriter } from '../../../src/base/wire-writer.ts';
import type { Entry, Message } from '../../../src/raft/types.ts';
import { RegistryState } from '../../../src/state-machine/registry-state.ts';
import type { CommandBody, InstanceName, Lifetime } from '../../../src/state-machine/types.ts';
import { stateMachineBounds } from '../../../src/state-machine/types.ts';
import { entryOf } from '../../watch/change-model.ts';
import type { Action, Observer, Operation, Outcome, RunView, SeenInstance, SimEvent, WatchStep } from '../types.ts';
import { allCheckers, type CheckerOptions } from './all.ts';
import type { Applied } from './ledger.ts';
import { readView } from './views.ts';

type Ok = Extract<Outcome, { kind: 'ok' }>;
type Register = Extract<Action, { kind: 'register' }>;

/** The first breach of each checker. */
interface Breach {
  readonly checker: string;
  readonly text: string;
}

export const key = 'default/api/one';

/**
 * A story told to all checkers. Commands go through a real state machine, so that the story is one that can be; each
 * bad one then changes one thing.
 */
export class Story implements RunView {
  nowMs = 1_000;
  readonly clockRateMax = 1.1;
  readonly clockRateMin = 0.9;
  readonly breaches: Breach[] = [];
  readonly #observers: Observer[];
  readonly #state = new RegistryState(stateMachineBounds);
  #index = 0;
  #operations = 0;
  #lives = new Map<string, number>();

  constructor(options: CheckerOptions = {}) {
    this.#observers = allCheckers(this, options);
    for (const member of ['a', 'b', 'c']) this.start(member);
  }

  get index(): number {
    return this.#index;
  }

  get revision(): number {
    return this.#state.position.revision;
  }

  breach(checker: string, text: string): void {
    this.breaches.push({ checker, text });
  }

  tell(event: SimEvent): void {
    for (const observer of this.#observers) observer.see(event);
  }

  end(): void {
    this.tell({ kind: 'phase', phase: 'end' });
    for (const observer of this.#observers) observer.atEnd?.();
  }

  wait(ms: number): void {
    this.nowMs += ms;
  }

  start(member: string, index = 0, revision = 0, hash = ''): number {
    const life = (this.#lives.get(member) ?? 0) + 1;
    this.#lives.set(member, life);
    this.tell({ kind: 'started', member, life });
    this.tell({ kind: 'loaded', member, life, index, revision, hash: hash === '' ? this.#state.stateHash() : hash });
    return life;
  }

  life(member: string): number {
    return this.#lives.get(member) ?? 0;
  }

  /** One entry, not told to anybody yet. */
  entry(...bodies: readonly CommandBody[]): Applied {
    const index = ++this.#index;
    const data = bodies.length === 0 ? new Uint8Array(0) : entryOf(...bodies);
    const { results, events } = this.#state.apply({ index, term: 1, data });
    const { revision } = this.#state.position;
    const hash = this.#state.stateHash();
    return {
      kind: 'applied',
      member: 'a',
      life: this.life('a'),
      index,
      term: 1,
      revision,
      hash,
      data,
      results,
      events,
    };
  }

  /** All members apply one entry. */
  apply(...bodies: readonly CommandBody[]): Applied {
    const applied = this.entry(...bodies);
    this.applyOn(applied, 'a', 'b', 'c');
    return applied;
  }

  applyOn(applied: Applied, ...members: readonly string[]): void {
    for (const member of members) this.tell({ ...applied, member, life: this.life(member) });
  }

  invoke(action: Action, client = 'x'): Operation {
    const number = ++this.#operations;
    const start = { startMs: this.nowMs, endMs: Number.POSITIVE_INFINITY, outcome: undefined };
    const operation: Operation = { number, client, action, ...start };
    this.tell({ kind: 'invoked', operation });
    return operation;
  }

  return(operation: Operation, outcome: Outcome): void {
    operation.endMs = this.nowMs;
    operation.outcome = outcome;
    this.tell({ kind: 'returned', operation });
  }

  /** Answered at the present revision, with these fields. */
  ok(operation: Operation, fields: Partial<Ok> = {}): void {
    this.return(operation, { kind: 'ok', revision: this.revision, member: 'a', ...fields });
  }

  /** A persistent registration, or another one, asked for, applied and answered. */
  register(value: number, fields: Partial<Register> = {}, tags: readonly string[] = [], client = 'x'): Operation {
    const action = registerAction(value, fields);
    const operation = this.invoke(action, client);
    const replaced = this.seen(action.key) !== undefined;
    this.apply(registerBody(action, tags));
    const { leaseId } = must(this.seen(action.key), 'registered instance');
    this.ok(operation, { incarnation: this.revision, replaced, leaseId });
    return operation;
  }

  deregister(name = key, incarnation = 0): Operation {
    const operation = this.invoke({ kind: 'deregister', key: name, incarnation });
    const existed = this.seen(name) !== undefined;
    this.apply({ kind: 'deregister', name: nameOf(name), incarnation });
    this.ok(operation, { existed });
    return operation;
  }

  /** What is registered now. */
  seen(name = key): SeenInstance | undefined {
    const { namespace, service, id } = nameOf(name);
    const view = this.#state.view(namespace, service, id);
    if (view === undefined) return undefined;
    const { value, incarnation, modifyRevision, leaseId } = readView(name, view);
    return { key: name, value, incarnation, modifyRevision, leaseId };
  }

  /** A step of a watch of service "api", as it should be unless the fields say otherwise. */
  step(fields: Partial<WatchStep>): void {
    const base = {
      watch: 1,
      client: 'x',
      service: 'api',
      prefix: '',
      tag: '',
      kind: 'delta',
      coalesced: false,
    } as const;
    const step: WatchStep = { ...base, from: 0, to: this.revision, member: 'a', ageMs: 0, events: [], ...fields };
    this.tell({ kind: 'watched', step });
  }

  /** A put as a batch shows it. */
  put(name = key, fields: Partial<SeenInstance> = {}, tagged = false): WatchStep['events'][number] {
    const instance = { ...must(this.seen(name), 'seen instance'), ...fields };
    return { kind: 'put', revision: instance.modifyRevision, instance, tagged };
  }

  sent(message: Message): void {
    this.tell({ kind: 'sent', from: message.from, message });
  }

  committed(member: string, ...entries: readonly Entry[]): void {
    for (const entry of entries) this.tell({ kind: 'committed', member, life: this.life(member), entry });
  }

  lead(member: string, term: number): void {
    const role = { role: 'leader', leader: member, ownTermCommitted: false } as const;
    this.tell({ kind: 'role', member, life: this.life(member), term, ...role });
  }
}

/** The first that is broken is this checker's, and says all of these. */
export function expectBreach(story: Story, checker: string, ...texts: readonly string[]): void {
  const [first] = story.breaches;
  expect(first?.checker).toBe(checker);
  for (const text of texts) expect(first?.text).toContain(text);
}

export function expectClean(story: Story): void {
  expect(story.breaches).toEqual([]);
}

export function nameOf(text: string): InstanceName {
  const [namespace = '', service = '', id = ''] = text.split('/');
  return { namespace, service, id };
}

export function specOf(name: string, value: number, tags: readonly string[] = []): Uint8Array {
  const { namespace, service, id } = nameOf(name);
  const writer = new WireWriter().string(1, namespace).string(2, service).string(3, id);
  for (const tag of tags) writer.string(7, tag);
  return writer.beginMessage(8).string(1, 'v').string(2, String(value)).endMessage().finish();
}

export function registerAction(value: number, fields: Partial<Register> = {}): Register {
  const conditions = { restore: false, ifAbsent: false, ifIncarnation: 0 };
  return { kind: 'register', key, value, lifetime: 'persistent', leaseId: 0, ttlMs: 0, ...conditions, ...fields };
}

export function registerBody(action: Register, tags: readonly string[] = []): CommandBody {
  const { value, leaseId, ttlMs, ifAbsent, ifIncarnation, restore, lifetime } = action;
  const [name, spec] = [nameOf(action.key), specOf(action.key, value, tags)];
  if (lifetime === 'session') throw new Error(`a session registers by a write, also with restore ${restore}`);
  const lifetimes: Record<typeof lifetime, Lifetime> = {
    persistent: { kind: 'persistent' },
    new: { kind: 'ttl', ttlMs },
    lease: { kind: 'lease', leaseId },
  };
  return { kind: 'register', name, spec, lifetime: lifetimes[lifetime], ifAbsent, ifIncarnation };
}

export function updateBody(value: number, incarnation: number, name = key): CommandBody {
  return { kind: 'update', name: nameOf(name), spec: specOf(name, value), incarnation };
}
