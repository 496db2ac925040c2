import { unreachable } from '../../../src/base/assert.ts';
import type { InstanceOperation } from './types.ts';

interface Seen {
  readonly incarnation: number;
  /** By then this one or a later one was there. */
  end: number;
}

/** By when each incarnation of each key was certainly followed by another. */
export class IncarnationEnds {
  /** By key, incarnations ascending; ends ascend too. */
  readonly #seen = new Map<string, readonly Seen[]>();

  constructor(history: readonly InstanceOperation[]) {
    const seen = new Map<string, Seen[]>();
    for (const { key, end, output } of history) {
      if (output?.kind !== 'registered' && output?.kind !== 'found') continue;
      const { incarnation } = output;
      const ofKey = seen.get(key);
      if (ofKey === undefined) seen.set(key, [{ incarnation, end }]);
      else ofKey.push({ incarnation, end });
    }
    for (const [key, ofKey] of seen) {
      ofKey.sort((one, other) => one.incarnation - other.incarnation);
      let earliest = Infinity;
      for (const one of ofKey.toReversed()) earliest = one.end = Math.min(one.end, earliest);
      this.#seen.set(key, ofKey);
    }
  }

  /** The operation, told to be over by when what it asks for was certainly gone. */
  bounded(operation: InstanceOperation): InstanceOperation {
    const incarnation = operation.end === Infinity ? askedIncarnation(operation) : 0;
    if (incarnation === 0) return operation;
    const end = this.#endOf(operation.key, incarnation);
    const latest = Math.max(operation.start, Math.min(operation.latest ?? Infinity, end));
    return latest === Infinity ? operation : { ...operation, latest };
  }

  #endOf(key: string, incarnation: number): number {
    const seen = this.#seen.get(key) ?? [];
    let low = 0;
    for (let high = seen.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((seen[middle]?.incarnation ?? 0) > incarnation) high = middle;
      else low = middle + 1;
    }
    return seen[low]?.end ?? Infinity;
  }
}

/** The one incarnation in whose presence the operation has an effect; 0: it may have one in any other. */
function askedIncarnation({ input }: InstanceOperation): number {
  switch (input.kind) {
    case 'register':
      return input.condition.kind === 'if-incarnation' ? input.condition.incarnation : 0;
    case 'update':
    case 'deregister':
      return input.incarnation;
    case 'read':
      return 0;
    default:
      return unreachable(input);
  }
}
