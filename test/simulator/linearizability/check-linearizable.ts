import { checkHistory } from './check-history.ts';
import { explain } from './explain.ts';
import { KeySearch } from './key-search.ts';
import { defaultLimits, type Effort, type Limits, type Model, type Operation, type Verdict } from './types.ts';

type Unknown<Input, Output> = Extract<Verdict<Input, Output>, { ok: 'unknown' }>;

/**
 * Whether there is one order of the operations, key by key, that the model allows and in which each takes effect
 * between its start and its end. Operations without an answer may be anywhere behind their start, or nowhere.
 *
 * A key that would cost more than the limits allow is given up; the others are still looked at, and a wrong one among
 * them is told first. Throws HistoryError where the history contradicts itself. Pure.
 */
export function checkLinearizable<Input, Output, State>(
  history: readonly Operation<Input, Output>[],
  model: Model<Input, Output, State>,
  limits: Limits = defaultLimits,
): Verdict<Input, Output, State> {
  checkHistory(history);
  const keys = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    const operations = keys.get(operation.key);
    if (operations === undefined) keys.set(operation.key, [operation]);
    else operations.push(operation);
  }
  let effort: Effort = { steps: 0, configurations: 0 };
  let unknown: Unknown<Input, Output> | undefined;
  for (const [key, operations] of keys) {
    const search = new KeySearch(operations, model, limits);
    const verdict = search.run();
    effort = sum(effort, search.effort);
    if (verdict.kind === 'stuck') {
      const { ordered, stuck, state } = verdict;
      return { ok: false, key, ordered, stuck, state, text: explain(key, verdict, model), effort };
    }
    if (verdict.kind === 'unknown' && unknown === undefined) {
      const { limit } = verdict;
      const why = `${key}: no order of its ${operations.length} operations found within ${limits[limit]} (${limit})`;
      unknown = { ok: 'unknown', key, limit, why, effort };
    }
  }
  return unknown === undefined ? { ok: true, effort } : { ...unknown, effort };
}

function sum(one: Effort, other: Effort): Effort {
  return { steps: one.steps + other.steps, configurations: one.configurations + other.configurations };
}
