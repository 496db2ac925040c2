import { encodeBatch, encodeCommand } from '../../src/state-machine/command-codec.ts';
import { RegistryState } from '../../src/state-machine/registry-state.ts';
import {
  type ApplyOutcome,
  type Command,
  type CommandBody,
  type CommandResult,
  type InstanceName,
  type Lifetime,
  type SessionOperation,
  type StateMachineBounds,
  stateMachineBounds,
} from '../../src/state-machine/types.ts';
import { must } from '../../src/base/assert.ts';

export interface Stamp {
  readonly term?: number;
  readonly wallMs?: number;
  readonly elapsedMs?: number;
}

/** A state with the entries that were applied to it, and what was flushed of it. */
export class Driver {
  readonly bounds: StateMachineBounds;
  readonly state: RegistryState;
  readonly entries: { readonly index: number; readonly term: number; readonly data: Uint8Array }[] = [];
  readonly store = new Map<string, Uint8Array>();
  #term = 1;

  constructor(bounds: Partial<StateMachineBounds> = {}) {
    this.bounds = { ...stateMachineBounds, ...bounds };
    this.state = new RegistryState(this.bounds);
  }

  /** One entry of these commands. */
  applyAll(commands: readonly Command[], stamp: Stamp = {}): ApplyOutcome {
    this.#term = stamp.term ?? this.#term;
    const data = encodeBatch({
      wallMs: stamp.wallMs ?? 1_000_000,
      elapsedMs: stamp.elapsedMs ?? 0,
      commands: commands.map(encodeCommand),
    });
    return this.applyData(data);
  }

  applyData(data: Uint8Array): ApplyOutcome {
    const entry = { index: this.state.position.index + 1, term: this.#term, data };
    const outcome = this.state.apply(entry);
    this.entries.push(entry);
    return outcome;
  }

  /** Writes what changed since the last flush to the store, and returns that. */
  flush(): ReadonlyMap<string, Uint8Array> {
    for (const { key, value } of this.state.freeze().changes()) {
      if (value === undefined) this.store.delete(key);
      else this.store.set(key, Uint8Array.from(value));
    }
    this.state.releaseFrozen();
    return this.store;
  }

  /** One entry of one command. */
  apply(body: CommandBody, rest: Partial<Command> = {}, stamp: Stamp = {}): ApplyOutcome & { result: CommandResult } {
    const outcome = this.applyAll([command(body, rest)], stamp);
    return { ...outcome, result: must(outcome.results[0], 'result') };
  }
}

export function command(body: CommandBody, rest: Partial<Command> = {}): Command {
  return { actor: 'anonymous', origin: '127.0.0.1:5', reason: '', requestId: '', body, ...rest };
}

export function nameOf(id: string, service: string = 'web', namespace: string = 'default'): InstanceName {
  return { namespace, service, id };
}

export function specBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'utf8'));
}

export const persistent: Lifetime = { kind: 'persistent' };

export function register(
  name: InstanceName,
  rest: Partial<Extract<CommandBody, { kind: 'register' }>> = {},
): CommandBody {
  return {
    kind: 'register',
    name,
    spec: specBytes(`spec of ${name.id}`),
    lifetime: persistent,
    ifAbsent: false,
    ifIncarnation: 0,
    ...rest,
  };
}

/** The operations of one write of a session. */
export function write(
  sessionId: number,
  sequence: number,
  operations: readonly SessionOperation[],
  attachment: number = 1,
): CommandBody {
  return { kind: 'write-session', sessionId, attachment, sequence, operations };
}

/** An explicit start. */
export function start(id: string, spec: string = `spec of ${id}`): SessionOperation {
  return { kind: 'register', name: nameOf(id), spec: specBytes(spec), restore: false, ownIncarnation: 0 };
}

/** Loads what a store would hold into a new state. */
export function reload(
  contents: ReadonlyMap<string, Uint8Array>,
  position: { readonly index: number; readonly term: number; readonly revision: number },
  bounds: StateMachineBounds = stateMachineBounds,
): { readonly state: RegistryState; readonly stateHash: string } {
  const state = new RegistryState(bounds);
  state.beginLoad(position);
  for (const key of [...contents.keys()].toSorted((a, b) => (a < b ? -1 : 1))) {
    state.addLoaded(key, must(contents.get(key), key));
  }
  return { state, stateHash: state.finishLoad().stateHash };
}
