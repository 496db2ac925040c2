import type { Operation, OperationResult } from './session-operations.ts';
import { keyOf, operationOf } from './session-operations.ts';
import type { LostInstance } from './session-types.ts';
import type { InstanceKey } from './types.ts';

interface Held {
  readonly name: Required<InstanceKey>;
  /** The encoded InstanceSpec, as acknowledged last. */
  spec: Uint8Array;
  incarnation: number;
}

/** A notice of a member that an instance is not the session's any more. */
export interface LostNotice {
  readonly name: Required<InstanceKey>;
  /** Who has taken it over; 0: somebody has deregistered it. */
  readonly incarnation: number;
}

/**
 * What a session holds, as members have told. Notices of losses and answers to writes may overtake each other on their
 * way through a member that is behind: incarnations tell which came first, and where a notice has none, the session
 * asks whether the instance is still there.
 */
export class SessionHoldings {
  readonly #onLost: (lost: LostInstance) => void;
  readonly #held = new Map<string, Held>();
  /** Notices about instances of the write under way, by the incarnation that they name. */
  readonly #noticed = new Map<string, number>();

  constructor(onLost: (lost: LostInstance) => void) {
    this.#onLost = onLost;
  }

  get size(): number {
    return this.#held.size;
  }

  incarnationOf(key: string): number | undefined {
    return this.#held.get(key)?.incarnation;
  }

  /** Takes the answer to one operation. */
  take(operation: Operation, { status, incarnation }: OperationResult): void {
    const { kind, key, name, spec } = operation;
    if (status === 'refused') {
      if (kind === 'restore') this.#lose(key, incarnation, 'not-restored');
      else if (kind === 'verify') this.#missing(operation, incarnation);
      return;
    }
    const held = this.#held.get(key);
    if (kind === 'deregister') this.#held.delete(key);
    else if (kind === 'register' || kind === 'restore') this.#held.set(key, { name, spec, incarnation });
    else if (kind === 'update' && held !== undefined) held.spec = spec;
  }

  /**
   * Takes a notice; returns what must be asked because of it.
   *
   * @param underWay Operations of the write that is not answered. What a notice means for their instances is seen
   * behind the answer.
   */
  notice(notice: LostNotice, underWay: readonly Operation[]): Operation[] {
    const key = keyOf(notice.name);
    if (!underWay.some((operation) => operation.key === key)) return this.#judge(key, notice.incarnation);
    // Who took it over later counts, and that rather than a removal: it is told for certain.
    const incarnation = Math.max(this.#noticed.get(key) ?? 0, notice.incarnation);
    this.#noticed.set(key, incarnation);
    return [];
  }

  /** The write under way is answered, each operation taken: returns what must be asked because of earlier notices. */
  answered(): Operation[] {
    const noticed = [...this.#noticed];
    this.#noticed.clear();
    return noticed.flatMap(([key, incarnation]) => this.#judge(key, incarnation));
  }

  /** An operation of the session's own that no member takes. */
  drop({ key }: Operation): void {
    this.#lose(key, 0, 'not-restored');
  }

  /** Asks for each instance whether it is still there. */
  verifyAll(): Operation[] {
    return [...this.#held.values()].map(verify);
  }

  /**
   * The session has ended: what is needed to have everything back in a new one, but for the instances that the caller
   * registers or removes anyhow, which are forgotten.
   */
  restoreAll(isDecided: (key: string) => boolean): Operation[] {
    this.#noticed.clear();
    const operations: Operation[] = [];
    for (const [key, { name, spec, incarnation }] of this.#held) {
      if (isDecided(key)) this.#held.delete(key);
      else operations.push(operationOf({ kind: 'restore', name, spec, incarnation }));
    }
    return operations;
  }

  clear(): void {
    this.#held.clear();
    this.#noticed.clear();
  }

  /** @param takenBy The incarnation that a notice names; 0: none. */
  #judge(key: string, takenBy: number): Operation[] {
    const held = this.#held.get(key);
    if (held === undefined) return [];
    if (takenBy > held.incarnation) this.#lose(key, takenBy, 'deregistered');
    return takenBy === 0 ? [verify(held)] : [];
  }

  #missing({ key, incarnation }: Operation, now: number): void {
    if (this.#held.get(key)?.incarnation === incarnation) this.#lose(key, now, 'deregistered');
  }

  #lose(key: string, takenBy: number, unlessTaken: 'deregistered' | 'not-restored'): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    this.#held.delete(key);
    this.#onLost({ key: held.name, cause: takenBy > 0 ? 'superseded' : unlessTaken, incarnation: takenBy });
  }
}

function verify({ name, spec, incarnation }: Held): Operation {
  return operationOf({ kind: 'verify', name, spec, incarnation });
}
