import { checkHistory } from './check-history.ts';
import { checkLinearizable } from './check-linearizable.ts';
import { explain } from './explain.ts';
import { instanceModelFor } from './instance-model.ts';
import type { InstanceState } from './instance-state.ts';
import { simplifyHistory } from './simplify-history.ts';
import {
  defaultLimits,
  type InstanceInput,
  type InstanceOperation,
  type InstanceOutput,
  type Limits,
  type Verdict,
} from './types.ts';

/**
 * checkLinearizable for the instances of Rollcall: uses what reads tell of operations that were never answered, so that
 * many of these cost little. Operations are told as they came.
 */
export function checkInstances(
  history: readonly InstanceOperation[],
  limits: Limits = defaultLimits,
): Verdict<InstanceInput, InstanceOutput> {
  checkHistory(history);
  const model = instanceModelFor(history);
  const origins = new Map<InstanceOperation, InstanceOperation>();
  const simplified = simplifyHistory(history).map((operation, index) => {
    origins.set(operation, history[index] ?? operation);
    return operation;
  });
  const verdict = checkLinearizable<InstanceInput, InstanceOutput, InstanceState>(simplified, model, limits);
  if (verdict.ok !== false) return verdict;
  const originOf = (operation: InstanceOperation): InstanceOperation => origins.get(operation) ?? operation;
  const ordered = verdict.ordered.map(originOf);
  const stuck = verdict.stuck.map(originOf);
  const text = explain(verdict.key, { ordered, stuck, state: verdict.state }, model);
  return { ...verdict, ordered, stuck, text };
}
