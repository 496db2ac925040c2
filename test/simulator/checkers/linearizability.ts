import { unreachable } from '../../../src/base/assert.ts';
import { checkInstances } from '../linearizability/check-instances.ts';
import type {
  InstanceInput,
  InstanceOperation,
  InstanceOutput,
  InstanceRefusal,
  Limits,
} from '../linearizability/types.ts';
import type { Action, KeyText, Observer, Operation, RunView, SimEvent } from '../types.ts';
import { type Ledger, servicePath } from './ledger.ts';
import { valuesOf } from './printed.ts';

/** A run has few operations of each key: what needs more is given up, and told by `undecided`. */
const limits: Limits = { stepsPerKeyMax: 2_000_000, configurationsPerKeyMax: 200_000 };
const refusals: readonly InstanceRefusal[] = ['ALREADY_REGISTERED', 'SUPERSEDED', 'UNKNOWN_INSTANCE'];

interface Call {
  readonly operation: Operation;
  readonly start: number;
  end: number;
}

/**
 * Looks at the end whether what clients were answered has one order. Left out are keys that a session held: it may have
 * had them back by itself, which is no call of anybody. The log is asked only whether something was replaced, where the
 * answer does not say it.
 */
export class Linearizability implements Observer {
  readonly name = 'linearizability';
  /** Why a key was given up; '' : none was. */
  undecided = '';
  readonly #view: RunView;
  readonly #ledger: Ledger;
  readonly #calls = new Map<number, Call>();
  readonly #sessionKeys = new Set<KeyText>();
  readonly #keysOfService = new Map<string, Set<KeyText>>();
  /** Events are the clock: those of one instant have an order too. */
  #order = 0;

  constructor(view: RunView, ledger: Ledger) {
    this.#view = view;
    this.#ledger = ledger;
  }

  see(event: SimEvent): void {
    this.#order++;
    if (event.kind === 'invoked') {
      const { operation } = event;
      this.#calls.set(operation.number, { operation, start: this.#order, end: Number.POSITIVE_INFINITY });
      this.#noteKeys(operation.action);
    } else if (event.kind === 'returned') {
      const call = this.#calls.get(event.operation.number);
      if (call !== undefined) call.end = this.#order;
    }
  }

  atEnd(): void {
    const history = [...this.#calls.values()].flatMap((call) => this.#operations(call));
    const verdict = checkInstances(history, limits);
    if (verdict.ok === false) this.#view.breach(this.name, verdict.text);
    else if (verdict.ok === 'unknown') this.undecided = verdict.why;
  }

  #noteKeys(action: Action): void {
    for (const [key] of valuesOf(action)) {
      const path = key.slice(0, key.lastIndexOf('/'));
      const keys = this.#keysOfService.get(path);
      if (keys === undefined) this.#keysOfService.set(path, new Set([key]));
      else keys.add(key);
    }
    if (action.kind === 'register' && action.lifetime === 'session') this.#sessionKeys.add(action.key);
  }

  #operations({ operation, start, end }: Call): InstanceOperation[] {
    const { client, action, outcome } = operation;
    // It certainly had no effect.
    if (outcome?.kind === 'failed') return [];
    const isOpen = outcome === undefined || outcome.kind === 'unknown';
    const of = (key: KeyText, input: InstanceInput, output: InstanceOutput | undefined): InstanceOperation[] => {
      if (this.#sessionKeys.has(key)) return [];
      if (isOpen) return [{ client, key, start, end: Number.POSITIVE_INFINITY, input, output: undefined }];
      return output === undefined ? [] : [{ client, key, start, end, input, output }];
    };
    switch (action.kind) {
      case 'register':
        return of(action.key, registerInput(action), this.#registerOutput(operation, action.key));
      case 'update': {
        const { value: content, incarnation } = action;
        return of(action.key, { kind: 'update', content, incarnation }, updateOutput(operation));
      }
      case 'deregister': {
        const { incarnation } = action;
        return of(action.key, { kind: 'deregister', incarnation }, deregisterOutput(operation));
      }
      case 'batch':
        // Which of them was there already is not said.
        if (outcome?.kind === 'refused') return [];
        return action.keys.flatMap((key, i) => {
          const content = action.values[i] ?? Number.NaN;
          const condition = { kind: action.absent?.includes(key) === true ? 'if-absent' : 'none' } as const;
          const input = { kind: 'register', content, lifetime: { kind: 'persistent' }, condition } as const;
          return of(key, input, this.#registerOutput(operation, key));
        });
      case 'discover':
        return isOpen ? [] : this.#reads(operation, action, of);
      case 'grant':
      case 'revoke':
      case 'renew':
      case 'open-session':
      case 'close-session':
        return [];
      default:
        return unreachable(action);
    }
  }

  /** Where the answer does not say whether something was there, the log does. */
  #registerOutput({ outcome }: Operation, key: KeyText): InstanceOutput | undefined {
    if (outcome?.kind === 'refused') return refused(outcome.reason);
    if (outcome?.kind !== 'ok') return undefined;
    const { incarnation = outcome.revision, replaced } = outcome;
    const before = this.#ledger.at(key, outcome.revision - 1);
    return { kind: 'registered', incarnation, replaced: replaced ?? before !== undefined };
  }

  #reads(
    { outcome }: Operation,
    { service, consistency, filtered }: Extract<Action, { kind: 'discover' }>,
    of: (key: KeyText, input: InstanceInput, output: InstanceOutput | undefined) => InstanceOperation[],
  ): InstanceOperation[] {
    if (outcome?.kind !== 'ok' || consistency !== 'linearizable' || outcome.inexact === true) return [];
    const seen = new Map((outcome.instances ?? []).map((instance) => [instance.key, instance]));
    return [...(this.#keysOfService.get(servicePath(service)) ?? [])].flatMap((key) => {
      const instance = seen.get(key);
      if (instance === undefined) return filtered ? [] : of(key, { kind: 'read' }, { kind: 'absent' });
      const { incarnation, value: content } = instance;
      return of(key, { kind: 'read' }, { kind: 'found', incarnation, content });
    });
  }
}

function registerInput(action: Extract<Action, { kind: 'register' }>): InstanceInput {
  const { value: content, ifAbsent, ifIncarnation: incarnation } = action;
  const lifetime = { kind: action.lifetime === 'persistent' ? 'persistent' : 'lease' } as const;
  if (ifAbsent) return { kind: 'register', content, lifetime, condition: { kind: 'if-absent' } };
  if (incarnation === 0) return { kind: 'register', content, lifetime, condition: { kind: 'none' } };
  return { kind: 'register', content, lifetime, condition: { kind: 'if-incarnation', incarnation } };
}

function updateOutput({ outcome }: Operation): InstanceOutput | undefined {
  if (outcome?.kind === 'refused') return refused(outcome.reason);
  return outcome?.kind === 'ok' ? { kind: 'updated', changed: outcome.changed !== false } : undefined;
}

function deregisterOutput({ outcome }: Operation): InstanceOutput | undefined {
  if (outcome?.kind === 'refused') return refused(outcome.reason);
  return outcome?.kind === 'ok' ? { kind: 'deregistered', existed: outcome.existed === true } : undefined;
}

/** What is refused for another reason (a lease that is not there, ...) says nothing of the instance. */
function refused(reason: string): InstanceOutput | undefined {
  const known = refusals.find((one) => one === reason);
  return known === undefined ? undefined : { kind: 'refused', reason: known };
}
