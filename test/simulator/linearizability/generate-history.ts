import { must, unreachable } from '../../../src/base/assert.ts';
import type { Random } from '../../../src/base/random.ts';
import type { RevisionOperation } from './revision-order.ts';
import type { InstanceInput, InstanceOperation, InstanceOutput, Lifetime } from './types.ts';

export interface HistoryPlan {
  readonly operations: number;
  readonly keys: number;
  /** Of each key, one operation after the other each: so many are under way at once at the most. */
  readonly clientsPerKey: number;
  /** Of a hundred operations, so many are never answered; half of these take effect, some of them late. */
  readonly openPercent: number;
}

export interface GeneratedHistory {
  readonly operations: readonly InstanceOperation[];
  readonly revisions: readonly RevisionOperation[];
}

/** What a client is about to do; what it asks is chosen when it takes effect, from what its client then knows. */
interface Turn {
  readonly client: string;
  readonly key: string;
  readonly start: number;
  readonly effect: number;
  readonly end: number;
  readonly isVoid: boolean;
}

interface Instance {
  readonly incarnation: number;
  readonly content: number;
  readonly lifetime: Lifetime;
}

const spanMs = 100;
const lateMs = 5_000;
const leaseEndPercent = 2;

/**
 * A history of a registry that keeps its promises: clients of many keys against the simplest sequential registry, with
 * lost answers, late effects and leases that end. Linearizable by the way it is made.
 */
export function generateHistory(plan: HistoryPlan, random: Random): GeneratedHistory {
  const registry = new PlainRegistry(random);
  const operations: InstanceOperation[] = [];
  const revisions: RevisionOperation[] = [];
  for (const turn of turnsOf(plan, random)) {
    const { client, key, start, end } = turn;
    const input = registry.choose(turn);
    if (turn.isVoid) {
      operations.push({ client, key, start, end, input, output: undefined });
      continue;
    }
    const before = registry.revision;
    const answer = registry.apply(turn, input);
    const isOpen = end === Infinity;
    operations.push({ client, key, start, end, input, output: isOpen ? undefined : answer });
    if (!isOpen) registry.answered(turn, answer);
    const { revision } = registry;
    const isChange = revision > before;
    if (isChange || !isOpen) {
      revisions.push({
        client,
        start,
        end,
        revision,
        kind: isChange ? 'change' : 'read',
        text: `${key} ${input.kind}`,
      });
    }
  }
  return { operations, revisions };
}

/** In the order in which they take effect. */
function turnsOf({ operations, keys, clientsPerKey, openPercent }: HistoryPlan, random: Random): readonly Turn[] {
  const clients = keys * clientsPerKey;
  const turns: Turn[] = [];
  const free = Array.from({ length: clients }, () => random.below('begin', spanMs));
  for (let i = 0; i < operations; i++) {
    const client = i % clients;
    const start = must(free[client], 'client') + random.below('rest', spanMs);
    const isOpen = random.below('open', 100) < openPercent;
    const effect = start + random.below('effect', isOpen ? lateMs : spanMs);
    const until = (isOpen ? start : effect) + random.below('answer', spanMs);
    const [end, isVoid] = isOpen ? [Infinity, random.below('void', 2) === 0] : [until, false];
    // A client of which an answer is lost goes on after its patience; what it asked may take effect behind that.
    free[client] = until + 1;
    turns.push({ client: `client-${client}`, key: `key-${client % keys}`, start, effect, end, isVoid });
  }
  return turns.sort((one, other) => one.effect - other.effect);
}

class PlainRegistry {
  readonly #random: Random;
  readonly #instances = new Map<string, Instance>();
  /** By client: the incarnation it was last told of its key. */
  readonly #known = new Map<string, number>();
  #revision = 0;
  #content = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get revision(): number {
    return this.#revision;
  }

  choose({ client }: Turn): InstanceInput {
    const incarnation = this.#known.get(client) ?? 0;
    const drawn = this.#random.below('kind', 100);
    if (drawn < 40 || (incarnation === 0 && drawn >= 70)) return { kind: 'read' };
    if (drawn < 70) {
      const content = ++this.#content;
      const lifetime: Lifetime = this.#random.below('lifetime', 2) === 0 ? { kind: 'persistent' } : { kind: 'lease' };
      const condition =
        incarnation === 0 || drawn < 50
          ? ({ kind: drawn % 2 === 0 ? 'none' : 'if-absent' } as const)
          : ({ kind: 'if-incarnation', incarnation } as const);
      return { kind: 'register', content, lifetime, condition };
    }
    if (drawn < 85) return { kind: 'update', content: ++this.#content, incarnation };
    return { kind: 'deregister', incarnation: drawn < 90 ? 0 : incarnation };
  }

  answered({ client }: Turn, answer: InstanceOutput): void {
    if (answer.kind === 'registered' || answer.kind === 'found') this.#known.set(client, answer.incarnation);
    if (answer.kind === 'refused') this.#known.delete(client);
  }

  apply({ key }: Turn, input: InstanceInput): InstanceOutput {
    this.#maybeEndLease(key);
    const current = this.#instances.get(key);
    switch (input.kind) {
      case 'register':
        return this.#register(key, input, current);
      case 'update':
        return this.#update(key, input, current);
      case 'deregister':
        if (current === undefined) return { kind: 'deregistered', existed: false };
        if (input.incarnation !== 0 && input.incarnation !== current.incarnation) return superseded;
        this.#revision += 1;
        this.#instances.delete(key);
        return { kind: 'deregistered', existed: true };
      case 'read':
        if (current === undefined) return { kind: 'absent' };
        return { kind: 'found', incarnation: current.incarnation, content: current.content };
      default:
        return unreachable(input);
    }
  }

  #maybeEndLease(key: string): void {
    if (this.#instances.get(key)?.lifetime.kind !== 'lease') return;
    if (this.#random.below('lease-end', 100) >= leaseEndPercent) return;
    this.#revision += 1;
    this.#instances.delete(key);
  }

  #register(
    key: string,
    { content, lifetime, condition }: Extract<InstanceInput, { kind: 'register' }>,
    current: Instance | undefined,
  ): InstanceOutput {
    if (condition.kind === 'if-absent' && current !== undefined) {
      return { kind: 'refused', reason: 'ALREADY_REGISTERED' };
    }
    if (condition.kind === 'if-incarnation') {
      if (current === undefined) return { kind: 'refused', reason: 'UNKNOWN_INSTANCE' };
      if (current.incarnation !== condition.incarnation) return superseded;
    }
    this.#revision += 1;
    this.#instances.set(key, { incarnation: this.#revision, content, lifetime });
    return { kind: 'registered', incarnation: this.#revision, replaced: current !== undefined };
  }

  #update(
    key: string,
    { content, incarnation }: Extract<InstanceInput, { kind: 'update' }>,
    current: Instance | undefined,
  ): InstanceOutput {
    if (current === undefined) return { kind: 'refused', reason: 'UNKNOWN_INSTANCE' };
    if (current.incarnation !== incarnation) return superseded;
    this.#revision += 1;
    this.#instances.set(key, { ...current, content });
    return { kind: 'updated', changed: true };
  }
}

const superseded: InstanceOutput = { kind: 'refused', reason: 'SUPERSEDED' };
